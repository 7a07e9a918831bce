"""What the edge adds to the time of a REGISTER at half load. Open loop, at half of the eP-CSCF's capacity (found just
before, closed loop); the zero line is the bare TLS server, which answers by itself: so the way to the core and back
counts as the edge's."""
from stage import attempt, check, details

KINDS = ("epcscf", "tls", "kamailio")
USERS = 1000
PARTS = ("p50_us", "p99_us", "p999_us")


def measure(options, record):
    for _ in range(options.rounds):
        state = {}
        for kind in KINDS:
            if options.wants(kind) or kind == "epcscf":
                attempt(options, record, kind, body_of(options, state))
        add_differences(record, state)


def body_of(options, state):
    def body(stage, record):
        stage.connected(USERS)
        if stage.kind == "epcscf":
            full = check(stage.cost("refresh", min(3, options.seconds), 64), "refresh")
            state["rate"] = full["done"] / full["seconds"] / 2
        stage.load.do("refresh-rate", 1, state["rate"])
        done = check(stage.cost("refresh-rate", options.seconds, state["rate"]), "refresh")
        if done["lost"] > done["done"] / 100:
            record.note(f"latency, {stage.kind}: {done['lost']} requests could not be sent in time")
        state[stage.kind] = done
        record.add("latency_rate", stage.kind, done["done"] / done["seconds"],
                   **{k: v for k, v in details(done).items() if k.endswith("share")})
        for part in PARTS:
            record.add(f"latency_{part[:-3]}", stage.kind, done[part] / 1000)
    return body


def add_differences(record, state):
    for kind in ("epcscf", "kamailio"):
        if kind in state and "tls" in state:
            for part in PARTS:
                record.add(f"latency_added_{part[:-3]}", kind, (state[kind][part] - state["tls"][part]) / 1000)
