#!/usr/bin/env python3
"""Three eP-CSCFs that share nothing, each in a network namespace of its own, behind one list of addresses as a WWSF
hands it out (every client has all of them, in an order of its own):

    e1 10.233.0.11   e2 10.233.0.12   e3 10.233.0.13   on one bridge with core, gateway and clients, 10.233.0.1

Users register over all three, and calls stand on each. Then one eP-CSCF is killed (SIGKILL), and it is checked that
its users are registered again over the others, that the core reaches them there, and that calls of the others never
noticed; then it comes back and takes users again, and another one is drained (SIGTERM): its clients hear 1001.

tests/lab/instances.py [--preset NAME] [--users N] [--calls N]. Needs root. The load generator and the stand-ins are
those of tests/bench."""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "bench")]
import servers  # noqa: E402
from epclab.build import build  # noqa: E402
from epclab.ports import accepts  # noqa: E402
from epclab.runner import Runner  # noqa: E402
from epclab.sipmsg import branch, token  # noqa: E402
from epclab.wait import poll  # noqa: E402
from epclab.wic import Refused, WebSocket  # noqa: E402
from record import BenchError  # noqa: E402

HUB = "10.233.0.1"
CORE, GATEWAY = (HUB, 4060), (HUB, 2223)
PORT, PATH = 8443, "/sip"
RECONNECT_S = 2      # a client waits up to so long before it connects again (JsSIP's first interval)
FIRST = 1000         # user numbers: those below are the load generator's
DEADLINE_S = 60      # no measure: more than that is a fault


def ip(*args):
    done = subprocess.run(["ip", *args], capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"ip {' '.join(args)}: {done.stderr.strip()}")


class Network:
    def __init__(self, count):
        self.names = [f"epc{os.getpid()}e{i}" for i in range(1, count + 1)]
        self.made = []

    def __enter__(self):
        """This process moves into the hub's namespace, with all that it starts."""
        own_network()
        ip("link", "set", "lo", "up")
        ip("link", "add", "hub", "type", "bridge")
        ip("addr", "add", HUB + "/24", "dev", "hub")
        ip("link", "set", "hub", "up")
        for i, name in enumerate(self.names, 1):
            ip("netns", "add", name)
            self.made.append(name)
            ip("link", "add", f"e{i}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"e{i}", "master", "hub", "up")
            for words in (("link", "set", "lo", "up"), ("addr", "add", f"10.233.0.1{i}/24", "dev", "eth0"),
                          ("link", "set", "eth0", "up")):
                ip("-n", name, *words)
        return self

    def __exit__(self, *_):
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def own_network():
    import ctypes
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:
        raise BenchError("no network namespace to be had: root is needed")


class Edge:
    """One eP-CSCF: its own folder, keys and namespace."""

    def __init__(self, number, namespace, build, folder):
        self.address, self.namespace, self.build = f"10.233.0.1{number}", namespace, build
        self.dir = os.path.join(folder, f"e{number}")
        os.makedirs(self.dir)
        self.token = servers.certificates(self.dir)[2]
        with open(os.path.join(self.dir, "epcscf.yaml"), "w") as f:
            f.write(servers.EPCSCF.format(
                dir=self.dir, shards=1, edge=f"{self.address}:{PORT}", origin=servers.ORIGIN, wwsf=servers.WWSF,
                core_host=self.address, core_port=5060, core="%s:%d" % CORE, core_ip=CORE[0], issuer=servers.ISSUER,
                audience=servers.AUDIENCE, gateway="%s:%d" % GATEWAY, policy="mode: off"))
        self.process = None

    def start(self):
        self.process = servers.Process(
            ["ip", "netns", "exec", self.namespace, os.path.join(self.build, "epcscf/epcscf"), "--config",
             os.path.join(self.dir, "epcscf.yaml")], self.dir, "epcscf", ready=lambda: accepts(self.address, PORT))

    def signal(self, number):
        self.process.process.send_signal(number)  # ip(8) has become the daemon
        self.process.process.wait(30)

    def stop(self):
        if self.process:
            self.process.stop()


class User(threading.Thread):
    """A client as a browser phone is one: it stays registered, over the next address of its list if it must."""

    def __init__(self, number, addresses):
        super().__init__(daemon=True)
        self.number, self.addresses, self.turn = number, random.sample(addresses, len(addresses)), 0
        self.ws, self.on, self.closed_with, self.ending = None, None, None, False
        self.call_id, self.cseq, self.instance = token(16), 0, token(16)

    def run(self):
        while not self.ending:
            address = self.addresses[self.turn % len(self.addresses)]
            try:
                self.ws = WebSocket((address, PORT), PATH, servers.ORIGIN)
                self.stay(address)
            except (OSError, Refused):
                pass
            self.on = None
            self.turn += 1
            if not self.ending:
                time.sleep(random.uniform(0, RECONNECT_S))

    def stay(self, address):
        self.cseq += 1
        uri = f"sip:u{self.number}@ims.test"
        self.ws.send((f"REGISTER sip:ims.test SIP/2.0\r\nVia: SIP/2.0/WSS x{self.number}.invalid;branch={branch()}\r\n"
                      f"Max-Forwards: 70\r\nFrom: <{uri}>;tag={token(8)}\r\nTo: <{uri}>\r\nCall-ID: {self.call_id}\r\n"
                      f"CSeq: {self.cseq} REGISTER\r\nExpires: 600\r\nSupported: path, outbound\r\n"
                      f"Contact: <sip:c{self.number}@x{self.number}.invalid;transport=ws>;reg-id=1;"
                      f"+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-{self.number:012d}>\"\r\n"
                      "Content-Length: 0\r\n\r\n").encode())
        while True:
            message = self.ws.receive()
            if message is None:
                self.closed_with = self.ws.closed_with
                return
            if message.startswith(b"SIP/2.0 200"):
                self.on = address
            elif message.startswith(b"SIP/2.0 ") and message[8:9] > b"2":
                raise OSError(message.split(b"\r\n")[0].decode())

    def end(self):
        self.ending = True
        if self.ws:
            try:
                self.ws.close()
            except OSError:
                pass


class Calls:
    """Calls that stand on one eP-CSCF, held by the load generator."""

    def __init__(self, edge, count):
        self.edge, self.count = edge, count
        argv = [os.path.join(edge.build, "tests/bench/load/bench_load"), "--server", f"{edge.address}:{PORT}",
                "--host", "localhost", "--path", PATH, "--origin", servers.ORIGIN, "--core", "%s:%d" % CORE,
                "--token", edge.token, "--kid", servers.KID, "--issuer", servers.ISSUER,
                "--audience", servers.AUDIENCE, "--wwsf", servers.WWSF,
                "--sdp", os.path.join(HERE, "samples/chromium-audio.sdp")]
        self.load = servers.Load.__new__(servers.Load)
        self.load.own = servers.Process(argv, edge.dir, "load", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.load.read()
        for words in (("connect", count), ("register",), ("hold", count)):
            self.whole(*words)

    def whole(self, *words):
        done = self.load.do(*words)
        if done["failed"] + done["refused"] or not done["done"]:
            raise BenchError(f"{words[0]} on {self.edge.address}: {done}")

    def go_on(self):
        self.whole("dialog-rate", 1, 10)

    def hang_up(self):
        self.whole("hangup")

    def stop(self):
        self.load.stop()


# ---- the story ------------------------------------------------------------------------------------------

def spread(users):
    return {a: sum(u.on == a for u in users) for a in sorted({u.on for u in users if u.on})}


def until_registered(users, forbidden=None):
    began = time.monotonic()
    if not poll(lambda: all(u.on and u.on != forbidden for u in users), DEADLINE_S):
        raise BenchError(f"not all are registered: {spread(users)} of {len(users)}")
    return time.monotonic() - began


def kill_one(edges, users, calls):
    victim = edges[0]
    moved = [u for u in users if u.on == victim.address]
    others = {u: u.on for u in users if u.on != victim.address}
    if not moved or not others:
        raise BenchError(f"the users are not spread: {spread(users)}")
    victim.signal(signal.SIGKILL)
    took = until_registered(users, victim.address)
    if any(u.on != where for u, where in others.items()):
        raise BenchError("users of the others have moved too")
    for c in calls[1:]:
        c.go_on()
    print(f"  {victim.address} killed: its {len(moved)} users registered over the others after {took:.1f} s "
          f"(clients wait up to {RECONNECT_S} s); calls of the others go on; now {spread(users)}")


def bring_back(edges, users, parts):
    edges[0].start()
    late = [User(FIRST + len(users) + i, [edges[0].address]) for i in range(5)]
    for u in late:
        u.start()
    parts.append(Ending(late))
    until_registered(late)
    print(f"  {edges[0].address} started again and takes users: {spread(users + late)}")


def drain_one(edges, users, calls):
    gone = edges[1]
    calls[1].hang_up()
    moved = [u for u in users if u.on == gone.address]
    gone.signal(signal.SIGTERM)
    took = until_registered(users, gone.address)
    told = {u.closed_with for u in moved}
    if told != {1001}:
        raise BenchError(f"the drained clients were told {told}, not 1001")
    calls[2].go_on()
    print(f"  {gone.address} drained: its {len(moved)} clients heard 1001, registered elsewhere after {took:.1f} s: "
          f"{spread(users)}")


def story(options, runner, network, folder, parts):
    binaries = os.path.join(servers.ROOT, "build", options.preset)
    servers.CORE, servers.GATEWAY = CORE, GATEWAY
    parts.append(servers.stand_in_core(binaries, folder))
    parts.append(servers.stand_in_gateway(binaries, folder))
    edges = [Edge(i, name, binaries, folder) for i, name in enumerate(network.names, 1)]
    for e in edges:
        parts.append(e)
        e.start()
    addresses = [e.address for e in edges]
    users = [User(FIRST + i, addresses) for i in range(options.users)]
    parts += [Ending(users)]
    for u in users:
        u.start()
    until_registered(users)
    print(f"  {len(users)} users registered: {spread(users)}")
    calls = []
    for e in edges:
        calls.append(Calls(e, options.calls))
        parts.append(calls[-1])
    if not runner.run("one is killed, its users are back over the others", kill_one, edges, users, calls):
        return
    runner.run("it comes back", bring_back, edges, users, parts)
    runner.run("another one is drained", drain_one, edges, users, calls)


class Ending:
    def __init__(self, users):
        self.users = users

    def stop(self):
        for u in self.users:
            u.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="dev")
    parser.add_argument("--users", type=int, default=60)
    parser.add_argument("--calls", type=int, default=10, help="on each eP-CSCF")
    parser.add_argument("--no-build", action="store_true")
    options = parser.parse_args()
    runner, folder, parts = Runner("instances"), tempfile.mkdtemp(prefix="epc-instances-"), []
    if not options.no_build:
        build(options.preset, say=print, options=("-DEPC_PAGE=OFF",))
    with Network(3) as network:
        try:
            story(options, runner, network, folder, parts)
            return runner.finish()
        finally:
            for p in reversed(parts):
                p.stop()
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
