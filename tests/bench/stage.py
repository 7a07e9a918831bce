"""One server with the load on it and the stand-ins behind it, and how servers take turns."""
import os
import shutil
import sys
import tempfile
import time

import servers
from peer import Peer
from record import BenchError, Record
from servers import IMS, PLAIN, Load, Process, certificates, cpu_seconds, machine_cpu_seconds

SDP = os.path.join(servers.TESTS, "lab/samples/chromium-audio.sdp")
STANDINS = 1  # the core (of the machine) on which the load and the stand-ins run


class Stage:
    """kind: "epcscf", "kamailio", "kamailio IMS" or "tls" (nothing but TLS and WebSocket).
    shards: of the eP-CSCF; gateway, rx: with these stand-ins, and the eP-CSCF told to use them; ring: the called
    phone rings first; slack: most outstanding handshakes that the server bears."""

    def __init__(self, options, kind, shards=1, gateway=False, rx=False, ring=True):
        self.kind = kind
        self.build = os.path.join(servers.ROOT, "build", options.preset)
        self.dir = tempfile.mkdtemp(prefix="epc-bench-")
        os.chmod(self.dir, 0o755)
        self.parts, self.server, self.load, self.processes = [], None, None, 0
        try:
            self.open(shards, gateway, rx, ring)
        except BaseException:
            self.close()
            raise

    def open(self, shards, gateway, rx, ring):
        ours = self.kind == "epcscf"
        self.cert, self.key, token = certificates(self.dir)
        if self.kind != "tls":
            self.parts.append(servers.stand_in_core(self.build, self.dir, core=STANDINS, ring=ring))
        if ours and gateway:
            self.parts.append(servers.stand_in_gateway(self.build, self.dir, core=STANDINS))
        self.peer = Peer(self.build, self.dir, core=STANDINS) if ours and rx else None
        if self.peer:
            self.parts.append(self.peer)
        self.server = self.start(shards)
        self.parts.append(self.server)
        self.load = Load(self.build, self.dir, "/sip" if ours else "/", token if ours else None, core=STANDINS, sdp=SDP)

    def start(self, shards):
        if self.kind == "epcscf":
            return servers.epcscf(self.build, self.dir, shards, self.peer and self.peer.conf["ours"])
        if self.kind == "tls":
            return servers.bare_tls(self.build, self.dir, self.cert, self.key)
        return servers.kamailio(self.dir, IMS if self.kind.endswith("IMS") else PLAIN)

    def busy(self):
        """CPU-seconds of everything on the stand-ins' core."""
        return sum(cpu_seconds(p.pid) for p in [*self.parts, self.load.own] if p is not self.server)

    def cost(self, *words):
        """A command of the load (load/main.c), and what it took: cpu_s of the server, and how much of a core the
        server, the stand-ins and all who are not of this benchmark had."""
        def now():
            return time.monotonic(), cpu_seconds(self.server.pid), self.busy(), machine_cpu_seconds()
        before = now()
        done = self.load.do(*words)
        wall, server, standins, machine = (b - a for a, b in zip(before, now()))
        done["cpu_s"] = server
        done["server_share"], done["standin_share"] = server / wall, standins / wall
        done["others_share"] = max(0.0, machine - server - standins) / wall
        self.look()
        return done

    def look(self):
        for part in self.parts:
            if not part.alive():
                raise BenchError(f"{part.name} has ended by itself ({part.last_words()})")
        left = len(servers.tree(self.server.pid))
        if left < self.processes:
            raise BenchError(f"{self.processes - left} of {self.processes} processes of {self.kind} have ended")
        self.processes = left

    def connected(self, users, register=True):
        """Kamailio does not bear handshakes side by side: it gets them one after the other."""
        check(self.load.do("connect", users, 1 if self.kind.startswith("kamailio") else 64), "connect")
        if register:
            check(self.load.do("register"), "register")
        self.look()

    def rest(self, seconds):
        """Nothing is asked; pings are answered, and everybody must still be there afterwards."""
        before = self.load.do("count")
        time.sleep(seconds)
        after = self.load.do("count")
        self.look()
        if after != before:
            raise BenchError(f"while nothing happened {before} became {after}")

    def close(self):
        if self.load:
            self.load.stop()
        for part in reversed(self.parts):
            part.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


def check(done, what, most=0.01):
    """No figure out of a run in which more than a few operations failed."""
    bad = done["failed"] + done["refused"]
    if bad > most * (done["done"] + bad) or not done["done"] + bad and done.get("started"):
        raise BenchError(f"{what}: {bad} of {done['done'] + bad} failed, the first: {done['fault']}")
    return done


def rate(done):
    """Operations per CPU-second of the server."""
    return done["done"] / max(done["cpu_s"], 1e-6)


def details(done):
    return {k: done[k] for k in ("p50_us", "p99_us", "p999_us", "server_share", "standin_share", "others_share")
            if k in done}


def attempt(options, record, kind, body, **how):
    """body(stage, record) on a fresh server. A server that crashes (Debian's Kamailio with OpenSSL 3 can) is started
    again, and it is said; what it did before does not count."""
    for left in (2, 1, 0):
        scratch, stage, name = Record(), None, kind
        try:
            stage = Stage(options, kind, **how)
            body(stage, scratch)
            record.merge(scratch)
            return True
        except BenchError as e:
            text = f"{name}: {e}" + ("; started again" if left else "; no figure")
            print("  " + text, file=sys.stderr, flush=True)
            record.note(text)
            if stage and kind == "epcscf" and stage.server and not stage.server.alive():
                record.faults.append(f"the eP-CSCF has ended: {e}")
        finally:
            if stage:
                stage.close()
    return False


def in_turns(options, record, kinds, body, **how):
    """Every kind once a round, one after the other, so that a change of the machine's pace meets all."""
    for turn in range(options.rounds):
        for kind in kinds:
            if options.wants(kind):
                options.turn = turn
                attempt(options, record, kind, body, **how)
