"""Users who are there and do nothing: memory of each (PSS), and what 15,000 of them cost while nothing happens."""
import resource
import time

import servers
from servers import cpu_seconds, pss_kb
from stage import check, in_turns

KINDS = ("epcscf", "kamailio")
SPARE = 500      # descriptors that a server needs for other things than users
MOST = 30000     # users, however many descriptors there may be
IDLE_USERS = 15000


def descriptor_limit():
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[1] - SPARE, MOST)


def measure(options, record):
    limit = descriptor_limit()
    sizes = (1000, 5000) if options.quick else (1000, 10000, limit)
    idle_users = min(5000 if options.quick else IDLE_USERS, limit)
    if idle_users < IDLE_USERS:
        record.note(f"idle CPU: {idle_users} users instead of {IDLE_USERS}")

    record.note(f"idle users: the eP-CSCF pings each every {servers.PING_INTERVAL_S} s (its default), Kamailio none")

    def body(stage, record):
        empty = pss_kb(stage.server.pid)
        for users in steps(options, stage.kind, sizes, idle_users):
            stage.connected(users)
            if users == idle_users and (stage.kind == "epcscf" or options.turn == 0):
                record.add("idle_cpu", stage.kind, 100 * idle_share(stage))
            if users in sizes:
                figure = f"memory_{'limit' if users == limit else users}"
                record.add(figure, stage.kind, per_user(stage, empty, users), users=users)
        if options.turn == 0 and not options.quick:
            after_traffic(stage, record, empty, users)
    in_turns(options, record, KINDS, body)


def steps(options, kind, sizes, idle_users):
    """Kamailio gets its connections one by one, which takes long: the largest numbers only once."""
    if kind == "kamailio" and (options.quick or options.turn > 0):
        return sizes[:1] if options.quick else sizes[:2]
    return sorted({*sizes, idle_users})


def per_user(stage, empty, users):
    time.sleep(1)
    return (pss_kb(stage.server.pid) - empty) / users


def idle_share(stage):
    """Of one core, over a whole interval of keep-alive pings, so that each user had one."""
    seconds = servers.PING_INTERVAL_S
    time.sleep(3)
    before, began = cpu_seconds(stage.server.pid), time.monotonic()
    stage.rest(seconds)
    return (cpu_seconds(stage.server.pid) - before) / (time.monotonic() - began)


def after_traffic(stage, record, empty, users):
    """What is left when everybody has refreshed and the transactions' timers (32 s) have run out."""
    check(stage.load.do("refresh", 5, 64), "refresh")
    stage.rest(36)
    record.add("memory_after", stage.kind, per_user(stage, empty, users), users=users)
