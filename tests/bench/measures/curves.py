"""Growth of cost: with users, with calls that stand, with octets of headers, with media lines; and two shards beside
one. Each point is microseconds of the server's CPU for one more operation; what standing calls cost by themselves
(the media gateway is asked about them) is a curve of its own and not part of that."""
import os
import time

from servers import cpu_seconds
from stage import SDP, attempt, check, details, in_turns

BOTH = ("epcscf", "kamailio")


def measure(options, record):
    seconds = 1 if options.quick else min(options.seconds, 1.5)
    users_curve(options, record, seconds)
    headers_curve(options, record, seconds)
    calls_curve(options, record, seconds)
    media_curve(options, record, seconds)
    shards(options, record)


def each_us(done):
    return 1e6 * done["cpu_s"] / max(1, done["done"])


def refresh_us(stage, seconds):
    stage.load.do("refresh", 0.3, 32)
    return each_us(check(stage.cost("refresh", seconds, 32), "refresh"))


def call_us(stage, seconds, standing=0.0):
    """standing: CPU-seconds a second that go to something else."""
    stage.load.do("call", 0.8, 16)
    done = check(stage.cost("call", seconds, 16), "call")
    return each_us({**done, "cpu_s": done["cpu_s"] - standing * done["seconds"]})


def standing_share(stage, seconds):
    time.sleep(0.5)
    before, began = cpu_seconds(stage.server.pid), time.monotonic()
    stage.rest(seconds)
    return (cpu_seconds(stage.server.pid) - before) / (time.monotonic() - began)


def users_curve(options, record, seconds):
    def body(stage, record):
        for users in (100, 1000, 3000) if options.quick else (100, 1000, 5000, 10000):
            if users <= 5000 or stage.kind == "epcscf":
                stage.connected(users)
                record.point("users", stage.kind, users, refresh_us(stage, seconds))
    in_turns(options, record, BOTH[:1] if options.quick else BOTH, body)


def headers_curve(options, record, seconds):
    def body(stage, record):
        stage.connected(100)
        for octets in (0, 1000, 4000) if options.quick else (0, 500, 1000, 2000, 4000, 8000):
            stage.load.do("padding", octets)
            record.point("headers", stage.kind, octets, refresh_us(stage, seconds))
    in_turns(options, record, BOTH[:1] if options.quick else BOTH, body)


def calls_curve(options, record, seconds):
    def body(stage, record):
        counts = (0, 100, 1000) if options.quick else (0, 100, 1000, 3000)
        stage.connected(counts[-1] + 500)
        for calls in counts:
            check(stage.load.do("hold", calls), "hold")
            standing = standing_share(stage, max(2, seconds))
            record.point("standing", stage.kind, calls, 100 * standing)
            record.point("calls", stage.kind, calls, call_us(stage, seconds, standing))
        check(stage.load.do("hangup"), "hangup")
    in_turns(options, record, BOTH[:1] if options.quick else BOTH, body, gateway=True, rx=True, ring=False)


def media_curve(options, record, seconds):
    def body(stage, record):
        stage.connected(200)
        for lines in (1, 4) if options.quick else (1, 2, 4, 8):
            stage.load.do("sdp", sdp_with(stage.dir, lines))
            record.point("media", stage.kind, lines, call_us(stage, seconds))
    in_turns(options, record, ("epcscf",), body, gateway=True, rx=True, ring=False)


def sdp_with(folder, lines):
    """A browser's offer with its audio stream so many times, bundled."""
    with open(SDP, newline="") as f:
        head, stream = f.read().split("m=", 1)
    head = head.replace("a=group:BUNDLE 0", "a=group:BUNDLE " + " ".join(map(str, range(lines))))
    path = os.path.join(folder, f"offer-{lines}.sdp")
    with open(path, "w", newline="") as f:
        f.write(head + "".join("m=" + stream.replace("a=mid:0", f"a=mid:{i}") for i in range(lines)))
    return path


def shards(options, record):
    """By the clock two shards need cores of their own; what they cost is seen per CPU-second."""
    for _ in range(options.rounds):
        for count in (1, 2):
            def body(stage, record):
                stage.connected(1000)
                stage.load.do("refresh", 0.5, 128)
                done = check(stage.cost("refresh", options.seconds, 128), "refresh")
                record.add("shards_clock", f"{count} shard" + "s" * (count > 1), done["done"] / done["seconds"],
                           **details(done))
                record.add("shards_cpu", f"{count} shard" + "s" * (count > 1), done["done"] / done["cpu_s"])
            if options.wants("epcscf"):
                attempt(options, record, "epcscf", body, shards=count)
