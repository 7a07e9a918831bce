"""INVITE, 200, ACK, BYE through both legs. The eP-CSCF asks the PCRF (AAR, later STR) and controls the gateway (offer,
answer, delete) for each call; Kamailio does neither. Also without the PCRF, to see what it costs; and calls that the
core makes to the WICs."""
import collections

from record import BenchError
from stage import attempt, check, details, rate

# name of the series: server, with Rx
SERIES = {"epcscf": ("epcscf", True), "epcscf without Rx": ("epcscf", False), "kamailio": ("kamailio", False)}
USERS, AT_ONCE = 200, 16


def measure(options, record):
    for _ in range(options.rounds):
        for name, (kind, rx) in SERIES.items():
            if options.wants(kind):
                attempt(options, record, kind, body_of(options, name), gateway=True, rx=rx, ring=False)


def body_of(options, name):
    def body(stage, record):
        stage.connected(USERS)
        stage.load.do("call", 1, AT_ONCE)
        done = check(stage.cost("call", options.seconds, AT_ONCE), "call")
        record.add("calls", name, rate(done), **details(done))
        calls = done["done"]
        if stage.kind == "epcscf":
            done = check(stage.cost("called", options.seconds, AT_ONCE), "called")
            record.add("called", name, rate(done), **details(done))
            calls += done["done"]
        confirm(stage, calls)
    return body


def confirm(stage, calls):
    """The stand-ins' own counts: a call that got no AAR, STR, offer, answer and delete was not measured as one."""
    said = collections.Counter()
    for part in stage.parts:
        if part.name in ("gateway", "pcrf"):
            part.stop()
            said.update(part.counts())
            wanted = ("AAR", "STR") if part.name == "pcrf" else ("offer", "answer", "delete")
            few = [w for w in wanted if said[w] < calls]
            if few:
                raise BenchError(f"{calls} calls, but {part.name} has met {dict(said)}")
