"""The figures: what each is called, its unit, which way is better, and what is wanted of it. The server under test is
the series "epcscf" unless a figure names another."""
from dataclasses import dataclass, field


@dataclass
class Figure:
    key: str
    title: str
    unit: str
    more: bool = True            # more is better
    wanted: list = field(default_factory=list)
    ours: str = "epcscf"
    digits: int = 0
    chart: bool = True


@dataclass
class AtLeast:
    """So many times another series."""
    times: float
    peer: str

    def limit(self, medians):
        return medians[self.peer] * self.times if medians.get(self.peer) else None

    def text(self, _):
        return f"{self.times:g} × {self.peer}"


@dataclass
class Value:
    """A value that must be reached, or must not be passed."""
    value: float
    goal: bool = False           # not "at least" but "going for"

    def limit(self, _):
        return self.value

    def text(self, figure):
        sign = "≥" if figure.more else "≤"
        return f"{sign} {self.value:g}" + (" (goal)" if self.goal else "")


@dataclass
class WithinCpu:
    """At most so many microseconds of CPU more than another series, per operation."""
    us: float
    peer: str

    def limit(self, medians):
        return 1e6 / (1e6 / medians[self.peer] + self.us) if medians.get(self.peer) else None

    def text(self, _):
        return f"within {self.us:g} µs of {self.peer}"


PER_CPU = "per server CPU-second"
REFRESH = [AtLeast(1.5, "kamailio"), AtLeast(3, "kamailio IMS"), Value(40000, goal=True)]
FRESH = [WithinCpu(60, "epcscf")]

FIGURES = [
    Figure("refresh_100", "REGISTER refresh, 100 connections", PER_CPU, wanted=REFRESH),
    Figure("refresh_1000", "REGISTER refresh, 1000 connections", PER_CPU, wanted=REFRESH),
    Figure("refresh_100", "the same, fresh ES256 token each time, 100", PER_CPU, wanted=FRESH, ours="epcscf fresh tokens",
           chart=False),
    Figure("refresh_1000", "the same, fresh ES256 token each time, 1000", PER_CPU, wanted=FRESH,
           ours="epcscf fresh tokens", chart=False),
    Figure("calls", "calls, both legs, with Rx and gateway", PER_CPU,
           wanted=[AtLeast(1, "kamailio"), AtLeast(2, "kamailio")]),
    Figure("called", "calls that the core makes, with Rx and gateway", PER_CPU, chart=False),
    Figure("handshakes_full", "TLS 1.3 handshakes with upgrade", PER_CPU, wanted=[AtLeast(0.9, "tls")]),
    Figure("handshakes_resumed", "resumed handshakes with upgrade", PER_CPU, wanted=[Value(8000), Value(10000, goal=True)]),
    Figure("memory_1000", "memory per idle user, 1,000", "kB PSS", False, [Value(20), Value(16, goal=True)], digits=1),
    Figure("memory_5000", "memory per idle user, 5,000", "kB PSS", False, [Value(20), Value(16, goal=True)], digits=1),
    Figure("memory_10000", "memory per idle user, 10,000", "kB PSS", False, [Value(20), Value(16, goal=True)], digits=1),
    Figure("memory_limit", "memory per idle user, descriptor limit", "kB PSS", False, [Value(20), Value(16, goal=True)],
           digits=1),
    Figure("memory_after", "the same after refreshes and 36 s of rest", "kB PSS", False, [Value(20)], digits=1, chart=False),
    Figure("idle_cpu", "15,000 idle users", "% of a core", False, [Value(1)], digits=2),
    Figure("latency_added_p99", "latency added to a REGISTER at half load, p99", "ms", False, [Value(5), Value(2, goal=True)],
           digits=2),
    Figure("latency_added_p50", "latency added, p50", "ms", False, digits=2, chart=False),
    Figure("latency_added_p999", "latency added, p99.9", "ms", False, digits=2, chart=False),
    Figure("latency_rate", "rate at which that was measured", "per second", chart=False),
    Figure("latency_p50", "REGISTER at that rate, p50", "ms", False, digits=2, chart=False),
    Figure("latency_p99", "REGISTER at that rate, p99", "ms", False, digits=2, chart=False),
    Figure("latency_p999", "REGISTER at that rate, p99.9", "ms", False, digits=2, chart=False),
    Figure("overload_capacity", "overload: capacity before, closed loop", "per second", chart=False),
    Figure("overload_offered", "overload: sent", "% of capacity", digits=0, chart=False),
    Figure("overload_served", "overload: served", "% of capacity", wanted=[Value(95)], digits=1),
    Figure("overload_refused", "overload: refused with 503", "% of what was sent", False, digits=1, chart=False),
    Figure("overload_told", "overload: refused with Retry-After", "% of the refused", wanted=[Value(100)], digits=1,
           chart=False),
    Figure("overload_failed", "overload: failed otherwise or unanswered", "% of what was sent", False, [Value(0)], digits=2,
           chart=False),
    Figure("overload_dialogs", "overload: requests in calls that went through", "%", wanted=[Value(100)], digits=1,
           chart=False),
    Figure("overload_emergency", "overload: emergency calls that went through", "%", wanted=[Value(100)], digits=1,
           chart=False),
    Figure("overload_recovery", "overload: recovery", "s", False, [Value(2)], digits=2, chart=False),
    Figure("shards_clock", "REGISTER refresh by the clock", "per second", ours="2 shards"),
    Figure("shards_cpu", "REGISTER refresh, one shard and two", PER_CPU, ours="2 shards", chart=False),
    Figure("rx_cpu", "AAR/AAA pairs", "per client CPU-second", ours="ours"),
    Figure("rx_p50", "AAR/AAA, one at a time, p50", "µs", False, ours="ours", chart=False),
    Figure("rx_p99", "AAR/AAA, one at a time, p99", "µs", False, ours="ours", chart=False),
]


@dataclass
class Curve:
    key: str
    title: str
    x: str
    y: str = "µs of CPU"
    log: bool = False


CURVES = [
    Curve("users", "REGISTER refresh against users", "connected users", log=True),
    Curve("headers", "REGISTER refresh against header octets", "octets of a further header"),
    Curve("calls", "a call against calls that stand", "standing calls"),
    Curve("standing", "CPU of standing calls, nothing happening", "standing calls", "% of a core"),
    Curve("media", "a call against media lines", "media lines"),
]
