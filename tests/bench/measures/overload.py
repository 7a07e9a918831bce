"""Twice the capacity, offered for a minute by clients that do not wait for one another. Most of it is REGISTER; some
requests belong to calls in progress, some are emergency calls: these come first. Capacity is what the same server
does in a closed loop just before. A client waits for its answer before it sends again, so that many clients stand
for twice the capacity only if each gives up in time: an answer that comes later than that serves nobody, but a 503 is
a refusal all the same. Afterwards half the capacity is offered: recovery is the time until the last request began
that was refused, failed or took longer than 100 ms."""
from measures.idle import descriptor_limit
from stage import attempt, check, details

CALLS, DIALOGS_S, EMERGENCIES_S, AFTER_S = 200, 20, 5, 6


def measure(options, record):
    seconds = 8 if options.quick else options.overload_seconds
    most = 8000 if options.quick else descriptor_limit()
    for turn in range(options.rounds):
        for kind in ("epcscf", "kamailio"):
            if options.wants(kind) and (kind == "epcscf" or (turn == 0 and not options.quick)):
                users = most if kind == "epcscf" else min(most, 8000)
                attempt(options, record, kind, body_of(users, seconds), gateway=True)


def body_of(users, seconds):
    def body(stage, record):
        stage.connected(users)
        check(stage.load.do("hold", CALLS), "hold")
        stage.load.do("refresh", 1, 64)
        full = check(stage.cost("refresh", 4, 64), "refresh")
        capacity = full["done"] / full["seconds"]
        patience = min(10, 0.9 * users / (2 * capacity))
        stage.load.do("patience", patience)
        done = stage.cost("mix", seconds, 2 * capacity, DIALOGS_S, EMERGENCIES_S, AFTER_S, capacity / 2)
        report(record, stage.kind, capacity, seconds, patience, done, stage.load.do("count"))
    return body


def share(part, of):
    return 100 * part / of if of else 0.0


def sent(part):
    return part["done"] + part["failed"] + part["refused"]


def latencies(part):
    return {k: part[k] for k in ("p50_us", "p99_us", "p999_us")}


def report(record, kind, capacity, seconds, patience, done, left):
    register, after = done["register"], done["after"]
    parts = {name: done[name] for name in ("register", "dialog", "sos") if name in done}
    tried, served = sum(map(sent, parts.values())), sum(p["done"] for p in parts.values())
    record.add("overload_capacity", kind, capacity)
    record.add("overload_offered", kind, share(tried / seconds, capacity), patience_s=patience,
               **{k: v for k, v in details(done).items() if k.endswith("share")})
    record.add("overload_served", kind, share(served / seconds, capacity), **latencies(register))
    record.add("overload_refused", kind, share(register["refused"], sent(register)),
               late=share(register["late"], register["refused"]))
    if register["refused"]:
        record.add("overload_told", kind, share(register["retry_after"], register["refused"]))
    record.add("overload_failed", kind, share(register["failed"], sent(register)))
    for figure, name in (("overload_dialogs", "dialog"), ("overload_emergency", "sos")):
        if name in parts:
            record.add(figure, kind, share(parts[name]["done"], sent(parts[name]) + parts[name]["lost"]),
                       **latencies(parts[name]))
    recovered = sent(after) > 0.9 * capacity / 2 * AFTER_S
    record.add("overload_recovery", kind, max(0.0, after["last_bad_s"] - seconds) if recovered else AFTER_S,
               **latencies(after))
    if not recovered:
        record.note(f"overload, {kind}: it has not recovered in {AFTER_S} s; connections left: {left['connected']}")
    if tried < 1.9 * capacity * seconds:
        record.note(f"overload, {kind}: only {tried / seconds / capacity:.2f} times the capacity could be offered "
                    f"({sum(p['lost'] for p in parts.values()) / seconds:.0f} requests a second found every client "
                    f"waiting; stand-ins at {100 * done['standin_share']:.0f} % of their core)")
