"""What the edge costs per operation, beside Kamailio's WebSocket edge and a bare TLS server in the same run.
The servers take turns, so that a change of the machine's pace meets all; each figure is the median of the rounds
with the least and the most. Costs are CPU of the server's whole process tree, not time on the clock."""
import os
import shutil
import statistics
import sys
import tempfile
import time

import servers
from servers import IMS, PLAIN, Load, Process, certificates, cpu_seconds, pss_kb

SDP = os.path.join(servers.TESTS, "lab/samples/chromium-audio.sdp")


class Bench:
    """One server with the stand-ins that it needs, and the load on it."""

    def __init__(self, options, kind, calls=False, ring=True):
        self.build = os.path.join(servers.ROOT, "build", options.preset)
        self.dir = tempfile.mkdtemp(prefix="epc-bench-")
        os.chmod(self.dir, 0o755)
        self.cert, self.key, token = certificates(self.dir)
        self.parts = [servers.stand_in_core(self.build, self.dir, core=1, ring=ring)]
        if calls and kind.startswith("epcscf"):
            self.parts.append(Process([os.path.join(self.build, "tests/bench/load/bench_gateway"), "127.0.0.5", "2223"],
                                      self.dir, "gateway", 1))
        self.server = self.start(kind)
        self.parts.append(self.server)
        self.load = Load(self.build, self.dir, "/sip" if kind.startswith("epcscf") else "/",
                         token if kind.startswith("epcscf") else None, core=1, sdp=SDP)

    def start(self, kind):
        if kind.startswith("epcscf"):
            return servers.epcscf(self.build, self.dir, shards=2 if kind.endswith("2") else 1)
        if kind == "tls":
            return Process([os.path.join(self.build, "tests/bench/load/bench_tls"), *map(str, servers.EDGE), self.cert,
                            self.key], self.dir, "tls", ready=lambda: servers.accepts(*servers.EDGE))
        return servers.kamailio(self.dir, IMS if kind.endswith("IMS") else PLAIN)

    def cost(self, *words):
        """A command, and what it took of the server."""
        before = cpu_seconds(self.server.pid)
        done = self.load.do(*words)
        done["cpu_s"] = cpu_seconds(self.server.pid) - before
        if not self.server.alive():
            raise RuntimeError(f"{self.server.name} has ended; its log is {self.server.log}")
        return done

    def close(self):
        self.load.stop()
        for part in reversed(self.parts):
            part.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


def middle(values):
    return statistics.median(values)


def spread(values, digits=0):
    return f"{middle(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def attempt(options, kind, body, **how):
    """A server that crashes (Debian's Kamailio with OpenSSL 3 can) is started again, and it is said."""
    for left in (2, 1, 0):
        bench = Bench(options, kind, **how)
        try:
            return body(bench)
        except (RuntimeError, SystemExit) as e:
            print(f"{kind}: {e}" + ("; once more" if left else ""), file=sys.stderr)
        finally:
            bench.close()
    return None


def check(done, what):
    bad = done["failed"] + done["refused"]
    if bad * 100 > done["done"] + bad:
        raise RuntimeError(f"{what}: {bad} of {done['done'] + bad} failed, the first: {done['fault']}")
    return done


def connected(bench, users):
    # One after the other: Kamailio does not bear handshakes side by side.
    check(bench.load.do("connect", users, 1 if bench.server.name == "kamailio" else 64), "connect")
    check(bench.load.do("register"), "register")


def refresh(options):
    """REGISTER refreshes relayed with a verified identity."""
    kinds = [k for k in ("epcscf", "epcscf fresh tokens", "kamailio", "kamailio IMS") if options.wants(k)]
    for users in (100, 1000):
        rates = {k: [] for k in kinds}
        for _ in range(options.rounds):
            for kind in kinds:
                def body(bench):
                    connected(bench, users)
                    bench.load.do("fresh", "on" if "fresh" in kind else "off")
                    bench.load.do("refresh", 1, 32)
                    done = check(bench.cost("refresh", options.seconds, 32), "refresh")
                    return done["done"] / done["cpu_s"]
                rate = attempt(options, kind.replace(" fresh tokens", ""), body)
                if rate:
                    rates[kind].append(rate)
        yield f"REGISTER refresh, {users} connections, per server CPU-second"
        for kind, values in rates.items():
            if values:
                yield f"  {kind:22} {spread(values)}   {1e6 / middle(values):.0f} us each"
        if rates.get("epcscf") and rates.get("kamailio"):
            yield f"  epcscf / kamailio: {middle(rates['epcscf']) / middle(rates['kamailio']):.2f}"


def calls(options):
    """INVITE, ACK, BYE through both legs, with a gateway that answers at once."""
    rates = {"epcscf": [], "kamailio": []}
    for _ in range(options.rounds):
        for kind in rates:
            def body(bench):
                connected(bench, 200)
                bench.load.do("call", 1, 16)
                done = check(bench.cost("call", options.seconds, 16), "call")
                return done["done"] / done["cpu_s"]
            rate = attempt(options, kind, body, calls=True, ring=False)
            if rate:
                rates[kind].append(rate)
    yield "calls, both legs, per server CPU-second"
    for kind, values in rates.items():
        if values:
            yield f"  {kind:22} {spread(values)}   {1e6 / middle(values):.0f} us each"


def memory(options):
    """kB (PSS) per idle registered user."""
    yield "memory, kB (PSS) per idle registered user"
    for kind in ("epcscf", "kamailio"):
        for users in (1000, 10000):
            def body(bench):
                before = pss_kb(bench.server.pid)
                connected(bench, users)
                time.sleep(1)
                first = (pss_kb(bench.server.pid) - before) / users
                bench.load.do("refresh", options.seconds, 64)
                time.sleep(40)  # what transactions hold goes after 32 s
                return first, (pss_kb(bench.server.pid) - before) / users
            found = attempt(options, kind, body)
            if found:
                yield f"  {kind:12} {users:6} users: {found[0]:.1f} after registration, {found[1]:.1f} after refreshes"


def handshakes(options):
    """TLS 1.3 with the upgrade to WebSocket, full and resumed."""
    for resumed in (False, True):
        rates = {"epcscf": [], "tls": []}
        shares = []
        for _ in range(options.rounds):
            for kind in rates:
                def body(bench):
                    bench.load.do("resume", "on" if resumed else "off")
                    bench.load.do("churn", 1, 16)
                    done = check(bench.cost("churn", options.seconds, 16), "churn")
                    shares.append(done["resumed"] / max(1, done["resumed"] + done["full"]))
                    return done["done"] / done["cpu_s"]
                rate = attempt(options, kind, body)
                if rate:
                    rates[kind].append(rate)
        yield f"{'resumed' if resumed else 'full'} handshakes with upgrade, per server CPU-second" + (
            f" ({100 * middle(shares):.0f} % by ticket)" if resumed and shares else "")
        for kind, values in rates.items():
            if values:
                yield f"  {kind:22} {spread(values)}"
        if rates["epcscf"] and rates["tls"]:
            yield f"  epcscf / bare TLS: {middle(rates['epcscf']) / middle(rates['tls']):.2f}"


MEASURES = {"refresh": refresh, "calls": calls, "memory": memory, "handshakes": handshakes}
