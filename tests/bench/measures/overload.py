"""Twice the capacity, offered for a minute by clients that do not wait for one another. Most of it is REGISTER; some
requests belong to calls in progress, some are emergency calls: these come first. Capacity is what the same server
does in a closed loop just before. A client waits for its answer before it sends again, so that many clients stand
for twice the capacity only if each gives up in time: an answer that comes later than that is none. Afterwards half
the capacity is offered: recovery is the time until the last request began that was refused, failed or took longer
than 100 ms."""
from measures.idle import descriptor_limit
from stage import attempt, check

CALLS, DIALOGS_S, EMERGENCIES_S = 200, 20, 5


def measure(options, record):
    seconds = 8 if options.quick else options.overload_seconds
    users = 8000 if options.quick else descriptor_limit()
    for turn in range(options.rounds):
        for kind in ("epcscf", "kamailio"):
            if options.wants(kind) and (kind == "epcscf" or (turn == 0 and not options.quick)):
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
        done = stage.cost("mix", seconds, 2 * capacity, DIALOGS_S, EMERGENCIES_S)
        stage.load.do("patience", 10)
        after = stage.cost("refresh-rate", 6, capacity / 2)
        done["patience_s"] = patience
        report(record, stage.kind, capacity, seconds, done, after)
    return body


def share(part, of):
    return 100 * part / of if of else 0.0


def report(record, kind, capacity, seconds, done, after):
    register = done.get("register", done)
    offered = (done["started"] + done["lost"]) / seconds
    record.add("overload_offered", kind, share(done["started"] / seconds, capacity), standin_share=done["standin_share"],
               server_share=done["server_share"], patience_s=done["patience_s"])
    record.add("overload_served", kind, share(done["done"] / done["seconds"], capacity),
               **{k: register[k] for k in ("p50_us", "p99_us", "p999_us")})
    record.add("overload_refused", kind, share(register["refused"], done["started"]))
    record.add("overload_told", kind, share(register["retry_after"], register["refused"]) if register["refused"] else 0.0)
    record.add("overload_failed", kind, share(register["failed"], done["started"]))
    for figure, name in (("overload_dialogs", "dialog"), ("overload_emergency", "sos")):
        of = done.get(name)
        if of:
            record.add(figure, kind, share(of["done"], of["done"] + of["failed"] + of["refused"] + of["lost"]),
                       **{k: of[k] for k in ("p50_us", "p99_us", "p999_us")})
    record.add("overload_recovery", kind, after["last_bad_s"])
    if done["started"] < 1.9 * capacity * seconds:
        record.note(f"overload, {kind}: of {offered:.0f} requests a second due only {done['started'] / seconds:.0f} "
                    f"could be sent ({done['lost'] / seconds:.0f} a second found every client waiting; stand-ins at "
                    f"{100 * done['standin_share']:.0f} % of their core)")
