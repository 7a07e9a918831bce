#!/usr/bin/env python3
"""Several PCRFs on stock freeDiameterd, and what becomes of them: stopped, killed, restarted, slow, busy,
flapping, behind an agent. After each, both sides must hold the same, and no call may have waited longer
than configured. The Rx client runs in a program of its own (rx_driver), which is killed and started
again too. Prints how long each fail-over took."""
import argparse
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "lab"))
from epclab.ports import own_net
from epclab.runner import Runner, check, equal
from epclab.wait import expect, poll

TIMEOUT_MS, FAILOVER_MS = 2000, 500
FAILOVER_LIMIT_MS = 3000  # the requirement
LOST_SESSION = 10         # EPC_PEV_LOST_SESSION
REALM = "ims.test"
CERTS = os.path.join(HERE, "..", "..", "lab", "pcrf", "certs.sh")
EDGE = f"epcscf.{REALM}"


def write(path, text):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)


class Node:
    """A freeDiameterd: a PCRF, or with relays_to a Diameter agent before some."""

    def __init__(self, world, name, relays_to=(), tls=False):
        self.world, self.name, self.relays_to, self.tls = world, f"{name}.{REALM}", relays_to, tls
        self.dir = os.path.join(world.dir, name)
        os.mkdir(self.dir)
        self.address = world.next_address()
        self.process, self.state_id = None, 1000
        self.certify(world.certs)
        self.rules()

    def path(self, name):
        return os.path.join(self.dir, name)

    def certify(self, certs, *names):
        subprocess.run([CERTS, certs, self.name, *names], check=True)
        self.certs = certs

    def connect_lines(self):
        security = "" if self.tls else "No_TLS; "
        port = 5868 if self.tls else 3868
        lines = [f'ConnectPeer = "{EDGE}" {{ {security}ConnectTo = "{self.address}"; Port = 3; }};']
        for agent in self.world.agents:
            if self in agent.relays_to:
                lines.append(f'ConnectPeer = "{agent.name}" {{ No_TLS; ConnectTo = "{self.address}"; '
                             'Port = 3; };')
        lines += [f'ConnectPeer = "{n.name}" {{ No_TLS; ConnectTo = "{n.address}"; Port = {port}; '
                  'TcTimer = 1; };' for n in self.relays_to]
        return "\n".join(lines)

    def start(self):
        self.state_id += 1
        tls, sec = self.certs, 5868 if self.tls else 0
        write(self.path("node.conf"), f'''Identity = "{self.name}";
Realm = "{REALM}";
Port = 3868;
SecPort = {sec};
No_SCTP;
No_IPv6;
TwTimer = 6;
TLS_Cred = "{tls}/{self.name}.cert.pem", "{tls}/{self.name}.key.pem";
TLS_CA = "{tls}/ca.pem";
LoadExtension = "{self.world.fdx}/dict_rx.fdx";
LoadExtension = "{self.world.fdx}/lab_pcrf.fdx" : "{self.path('lab.json')}";
{self.connect_lines()}
''')
        lab = {"listen": self.address, "record": self.path("rx.jsonl"), "state": self.path("state.json"),
               "rules": self.path("rules.json"), "origin_state_id": self.state_id}
        if self.relays_to:
            lab["agent"] = True
        write(self.path("lab.json"), json.dumps(lab))
        with open(self.path("log"), "a") as log:
            self.process = subprocess.Popen(["freeDiameterd", "-c", self.path("node.conf")], stdout=log,
                                            stderr=log, env={**os.environ, "LD_PRELOAD": ""})
        expect(self.listens, 10, f"{self.name} does not listen; see {self.path('log')}")
        return self

    def listens(self):
        check(self.process.poll() is None, f"{self.name} has ended; see {self.path('log')}")
        try:
            socket.create_connection((self.address, 3868), 1).close()
            return True
        except OSError:
            return False

    def send(self, number):
        os.kill(self.process.pid, number)

    def freeze(self):
        self.send(signal.SIGSTOP)

    def thaw(self):
        self.send(signal.SIGCONT)

    def kill(self, number=signal.SIGKILL):
        if self.process:
            if self.process.poll() is None:
                self.send(signal.SIGCONT)
                self.send(number)
            self.process.wait(20)
        self.process = None

    def rules(self, *rules):
        write(self.path("rules.json"), json.dumps({"rules": rules}))

    def sessions(self):
        try:
            with open(self.path("state.json")) as f:
                return json.load(f)["sessions"]
        except (OSError, ValueError):
            return -1

    def record(self, command=None):
        try:
            with open(self.path("rx.jsonl")) as f:
                lines = f.read().split("\n")[:-1]
        except OSError:
            return []
        return [m for m in map(json.loads, lines) if command in (None, m["command"])]

    def forget(self):
        """The record starts anew with the next process only; this just marks where we are."""
        self.mark = len(self.record())

    def since(self, command):
        return [m for m in self.record()[self.mark:] if m["command"] == command]


def avp(message, name):
    for a in message["avps"]:
        if a["name"] == name:
            return a.get("value")
    return None


class Driver:
    """The Rx client under test."""

    def __init__(self, world, peers, timeout_ms=TIMEOUT_MS, failover_ms=FAILOVER_MS, journal=True,
                 priorities=None, tls=False, prefix=(), log="edge.log"):
        self.world, self.peers = world, peers
        self.conf, self.log_path = world.path("edge.conf"), world.path(log)
        self.journal = world.path("rx.journal")
        sec = "" if tls else "No_TLS; "
        port = 5868 if tls else 3868
        connect = "\n".join(f'ConnectPeer = "{n.name}" {{ {sec}ConnectTo = "{n.address}"; Port = {port}; '
                            'TcTimer = 1; };' for n in peers)
        write(self.conf, f'''Identity = "{EDGE}";
Realm = "{REALM}";
Port = 0;
SecPort = 0;
ListenOn = "127.0.0.1";
No_SCTP;
No_IPv6;
TwTimer = 6;
TLS_Cred = "{world.certs}/{EDGE}.cert.pem", "{world.certs}/{EDGE}.key.pem";
TLS_CA = "{world.certs}/ca.pem";
LoadExtension = "{world.fdx}/dict_rx.fdx";
LoadExtension = "{world.fdx}/epcscf_rx.fdx";
{connect}
''')
        listed = [] if priorities is None else [f"{n.name}={p}" for n, p in zip(peers, priorities)]
        self.argv = [*prefix, world.driver, self.conf, str(timeout_ms), str(failover_ms),
                     self.journal if journal else "-", *listed]
        self.start()

    def start(self, wait=True):
        self.events, self.done, self.happened = queue.Queue(), {}, []
        self.log = open(self.log_path, "a")
        self.mark = self.log.tell()
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        threading.Thread(target=self.read, args=(self.process, self.events), daemon=True).start()
        if wait:
            self.wait_event("ready", 20)
        return self

    @staticmethod
    def read(process, events):
        for line in process.stdout:
            events.put(json.loads(line))
        events.put({"ev": "end"})

    def pump(self, seconds=0.0):
        try:
            while True:
                e = self.events.get(timeout=seconds) if seconds else self.events.get_nowait()
                seconds = 0
                if e["ev"] == "done":
                    self.done.setdefault(e["call"], []).append(e)
                self.happened.append(e)
        except queue.Empty:
            pass

    def wait_event(self, kind, seconds=10):
        def come():
            self.pump(0.05)
            for i, e in enumerate(self.happened):
                if e["ev"] == kind:
                    return self.happened.pop(i)
            check(not any(e["ev"] == "end" for e in self.happened), f"the driver ended; see {self.log_path}")
            return None
        return expect(come, seconds, f"no '{kind}' from the driver")

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def ask(self, verb, name, count=1, seconds=10):
        """Results of `open` or `update` for all calls of that name, in order."""
        had = {f"{name}{i}": len(self.done.get(f"{name}{i}", [])) for i in range(count)}
        self.say(f"{verb} {name} {count}")
        return self.results(had, seconds)

    def results(self, had, seconds=10):
        def all_there():
            self.pump(0.02)
            return all(len(self.done.get(c, [])) > n for c, n in had.items())
        expect(all_there, seconds, "not every request was answered")
        for call, n in had.items():
            equal(len(self.done[call]), n + 1, f"results of {call}")
        return [self.done[c][-1] for c in had]

    def close(self, name, count=1):
        self.say(f"close {name} {count}")

    def metrics(self):
        self.say("metrics")
        return self.wait_event("metrics")

    def peers_text(self):
        self.say("peers")
        return self.wait_event("peers")["text"].split("|")

    def wait_open(self, *nodes, seconds=15):
        def all_open():
            lines = self.peers_text()
            return all(any(line.startswith(f"peer={n.name} ") and "state=open" in line for line in lines)
                       for n in nodes)
        expect(all_open, seconds, f"{[n.name for n in nodes]} not connected")

    def logged(self, text, seconds=5):
        def there():
            with open(self.log_path, errors="replace") as f:
                f.seek(self.mark)
                return text in f.read()
        expect(there, seconds, f"the log does not say '{text}'")

    def kill(self):
        self.process.kill()
        self.process.wait(10)
        self.log.close()

    def stop(self):
        """In order. Returns its last metrics."""
        if self.process.poll() is not None:
            return None
        self.say("stop")
        last = self.wait_event("metrics", 20)
        equal(self.process.wait(30), 0, f"exit status of the driver; see {self.log_path}")
        self.log.close()
        return last


class World:
    def __init__(self, options):
        self.driver, self.fdx = options.driver, options.fdx
        self.dir = tempfile.mkdtemp(prefix="epc-rx-peers-")
        self.certs = self.path("certs")
        subprocess.run([CERTS, self.certs, EDGE], check=True)
        self.net, self.claim = own_net()
        self.host = 0
        self.agents, self.nodes, self.edge = [], [], None
        self.serial = 0

    def path(self, name):
        return os.path.join(self.dir, name)

    def next_address(self):
        self.host = self.host % 250 + 1
        return f"{self.net}.{self.host}"

    def pcrfs(self, count=2, **options):
        self.serial += 1
        self.nodes = [Node(self, f"pcrf{chr(97 + i)}{self.serial}", **options) for i in range(count)]
        return self.nodes

    def run(self, *nodes, **options):
        for n in nodes:
            n.start()
            n.mark = 0
        self.edge = Driver(self, self.peers_of(nodes), **options)
        self.edge.wait_open(*self.peers_of(nodes))
        return self.edge

    def peers_of(self, nodes):
        behind = [n for a in self.agents for n in a.relays_to]
        return [n for n in nodes if n not in behind]

    def settled(self, *nodes, seconds=15, held=0):
        """Both sides hold the same: nobody anything, or what `held` says."""
        nodes = nodes or [n for n in self.nodes if n.process]
        check(poll(lambda: sum(n.sessions() for n in nodes) == held, seconds),
              f"PCRFs hold {[n.sessions() for n in nodes]}, not {held}")

        def ours():
            m = self.edge.metrics()
            return m["rx_sessions"] == held and m["rx_sessions_to_close"] == 0
        check(poll(ours, seconds), f"the edge does not hold {held}: {self.edge.metrics()}")
        equal(sum(n.sessions() for n in nodes), held, "sessions at the PCRFs")

    def end(self):
        problem = None
        try:
            if self.edge and self.edge.process.poll() is None:
                self.edge.stop()
        except Exception as e:
            self.edge.process.kill()
            problem = e
        for n in self.nodes + self.agents:
            n.kill()
        journal = self.path("rx.journal")
        for f in (journal, journal + ".lock"):
            if os.path.exists(f):
                os.unlink(f)
        self.agents, self.nodes, self.edge = [], [], None
        if problem:
            raise problem


def granted(results, what, limit_ms=FAILOVER_LIMIT_MS):
    bad = [r for r in results if r["outcome"] != "granted"]
    check(not bad, f"{what}: {len(bad)} of {len(results)} not granted, e.g. {bad[:1]}")
    slowest = max(r["ms"] for r in results)
    check(slowest < limit_ms, f"{what} took {slowest} ms")
    return slowest


def figure(what, ms):
    print(f"     {what}: {ms} ms", flush=True)


# ---- scenarios ------------------------------------------------------------------------------------------

def priority_and_stickiness(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 2])
    granted(edge.ask("open", "c", 6), "calls")
    equal((a.sessions(), b.sessions()), (6, 0), "sessions")
    granted(edge.ask("update", "c", 6), "updates")
    equal({avp(m, "Destination-Host") for m in a.record("AAR")[6:]}, {a.name}, "Destination-Host of updates")
    edge.close("c", 6)
    w.settled()


def equals_share(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 1])
    granted(edge.ask("open", "c", 60), "calls")
    shared = a.sessions(), b.sessions()
    check(min(shared) > 10, f"shared {shared[0]} to {shared[1]}")  # by chance, one in ten million
    granted(edge.ask("update", "c", 60), "updates")
    equal((a.sessions(), b.sessions()), shared, "sessions after the updates")
    edge.close("c", 60)
    w.settled()


def link_lost_during_set_up(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 2])
    a.rules({"match": {}, "delay_ms": 20000})
    edge.say("open c 20")
    expect(lambda: len(a.record("AAR")) == 20, 5, "the AARs did not arrive")
    a.kill()
    results = edge.results({f"c{i}": 0 for i in range(20)})
    figure("call in set-up, link lost", granted(results, "calls"))
    first, again = a.record("AAR"), b.record("AAR")
    equal(len(again), 20, "AARs at the second PCRF")
    check(all(m["retransmitted"] for m in again), "the T flag")
    equal({(avp(m, "Session-Id"), m["end_to_end"]) for m in again},
          {(avp(m, "Session-Id"), m["end_to_end"]) for m in first}, "Session-Id and End-to-End identifier")
    equal(b.sessions(), 20, "sessions at the second")
    a.start()
    edge.wait_open(a)
    edge.close("c", 20)
    w.settled(a, b)


def silent_during_set_up(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 2])
    a.freeze()
    figure("call in set-up, peer silent", granted(edge.ask("open", "c", 10), "calls"))
    figure("next call, peer known to be silent", granted(edge.ask("open", "d", 1), "a later call", 400))
    a.thaw()
    expect(lambda: len(a.record("STR")) == 10, 10, "the silent PCRF was not told the end")
    w.settled(a, b, held=11)
    equal(b.sessions(), 11, "sessions at the second")
    check(edge.metrics()["rx_duplicates"] == 10, "granted twice")
    edge.close("c", 10)
    edge.close("d", 1)
    w.settled()


def silent_before_an_update(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 2])
    granted(edge.ask("open", "c", 10), "calls")
    a.freeze()
    figure("update, peer silent", granted(edge.ask("update", "c", 10), "updates"))
    equal(b.sessions(), 10, "sessions at the second")
    a.thaw()
    w.settled(a, b, held=10)
    equal(a.sessions(), 0, "sessions at the first")
    edge.close("c", 10)
    w.settled()


def killed_before_an_update(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 2])
    granted(edge.ask("open", "c", 10), "calls")
    a.kill()
    figure("update, PCRF killed", granted(edge.ask("update", "c", 10), "updates"))
    equal(b.sessions(), 10, "sessions at the second")
    a.start()
    edge.wait_open(a)
    w.settled(a, b, held=10)
    edge.close("c", 10)
    w.settled()


def restart_is_seen(w):
    (a,) = w.pcrfs(1)
    edge = w.run(a)
    granted(edge.ask("open", "c", 8), "calls")
    a.kill()
    a.start()
    edge.wait_open(a)
    edge.logged("event=pcrf-restarted")
    for _ in range(8):
        equal(edge.wait_event("event")["kind"], LOST_SESSION, "event")
    equal(edge.metrics()["rx_sessions"], 0, "sessions after the restart")
    a.forget()
    granted(edge.ask("update", "c", 8), "updates after the restart")
    equal({avp(m, "Rx-Request-Type") for m in a.since("AAR")}, {0}, "Rx-Request-Type")
    w.settled(held=8)
    edge.close("c", 8)
    w.settled()


def own_state_id_grows(w):
    (a,) = w.pcrfs(1)
    edge = w.run(a)
    granted(edge.ask("open", "c", 2), "calls")
    edge.close("c", 2)
    w.settled()
    edge.stop()
    edge.start()
    edge.wait_open(a)
    granted(edge.ask("open", "d", 1), "a call")
    ids = [avp(m, "Origin-State-Id") for m in a.record("AAR")]
    check(ids[0] == ids[1] < ids[2], f"Origin-State-Id: {ids}")
    edge.close("d", 1)
    w.settled()


def too_busy(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 2])
    a.rules({"match": {}, "result": 3004, "error_bit": True})
    granted(edge.ask("open", "c", 1), "a call")
    granted(edge.ask("open", "d", 5), "more calls")
    equal(len(a.record("AAR")), 1, "requests to the busy PCRF")
    equal(b.sessions(), 6, "sessions at the second")
    b.rules({"match": {}, "result": 3004, "error_bit": True})
    (r,) = edge.ask("open", "e", 1)
    equal(r["outcome"], "unreachable", "both are busy")
    a.rules()
    expect(lambda: edge.ask("open", "f", 1)[0]["outcome"] == "granted", 10, "the PCRF is still avoided")
    check(a.sessions() == 1, "the first PCRF is asked again")
    b.rules()
    for name, n in (("c", 1), ("d", 5), ("e", 1), ("f", 1)):
        edge.close(name, n)
    w.settled()


def not_delivered(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 2])
    for code in (3002, 3005):
        a.rules({"match": {}, "result": code, "error_bit": True})
        granted(edge.ask("open", f"c{code}x", 2), f"calls past {code}")
    equal((a.sessions(), b.sessions()), (0, 4), "sessions")
    for code in (3002, 3005):
        edge.close(f"c{code}x", 2)
    w.settled()


def redirects(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 2])
    to_b = {"match": {}, "result": 3006, "error_bit": True, "redirect_usage": 2,
            "redirect": ["aaa://stranger.elsewhere.test", f"aaa://{b.name}:3868;transport=tcp"]}
    a.rules({**to_b, "redirect_cache_s": 60})
    granted(edge.ask("open", "c", 1), "a redirected call")
    equal([avp(m, "Destination-Host") for m in b.record("AAR")], [b.name], "Destination-Host")
    granted(edge.ask("open", "d", 3), "calls while the redirect is remembered")
    equal(len(a.record("AAR")), 1, "requests to who redirects")
    granted(edge.ask("update", "c", 1), "an update")
    for name, n in (("c", 1), ("d", 3)):
        edge.close(name, n)
    w.settled()


def redirects_that_lead_nowhere(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 2])
    away = {"match": {}, "result": 3006, "error_bit": True}
    a.rules({**away, "redirect": ["aaa://stranger.elsewhere.test"]})
    granted(edge.ask("open", "c", 1), "a stranger is not followed, the other PCRF is asked")
    edge.logged("event=redirect-refused")
    a.rules({**away, "redirect": [f"aaa://{b.name}"]})
    b.rules({**away, "redirect": [f"aaa://{a.name}"]})
    (r,) = edge.ask("open", "d", 1)
    equal(r["outcome"], "unreachable", "a circle is left")
    check(len(a.record("AAR")) == 2 and len(b.record("AAR")) == 2, "asked once each")
    edge.close("c", 1)
    edge.close("d", 1)
    w.settled()


def behind_an_agent(w):
    a, b = w.pcrfs()
    agent = Node(w, f"dra{w.serial}", relays_to=[a, b])
    w.agents = [agent]
    edge = w.run(a, b, agent)

    def both_there():
        with open(agent.path("log"), errors="replace") as f:
            text = f.read()
        return all(f"'{n.name}'" in text and "STATE_OPEN" in text for n in (a, b))
    poll(both_there, 5)
    expect(lambda: edge.ask("open", "p", 1)[0]["outcome"] == "granted", 10, "no PCRF behind the agent")
    edge.close("p", 1)
    granted(edge.ask("open", "c", 6), "calls through the agent")
    here, there = (a, b) if a.sessions() else (b, a)
    here.forget()
    granted(edge.ask("update", "c", 6), "updates")
    hosts = {avp(m, "Destination-Host") for n in (a, b) for m in n.record("AAR")
             if avp(m, "Rx-Request-Type") == 1}
    check(hosts <= {a.name, b.name} and hosts, f"Destination-Host of updates: {hosts}")
    w.settled(a, b, held=6)
    here.kill()
    figure("update, PCRF behind the agent killed", granted(edge.ask("update", "c", 6), "updates"))
    equal(there.sessions(), 6, "sessions at the other PCRF")
    here.start()
    edge.close("c", 6)
    w.settled(a, b)


def two_agents(w):
    (a,) = w.pcrfs(1)
    w.agents = [Node(w, f"dra{x}{w.serial}", relays_to=[a]) for x in "ab"]
    first, second = w.agents
    edge = w.run(a, first, second, priorities=[1, 2])
    expect(lambda: edge.ask("open", "p", 1)[0]["outcome"] == "granted", 10, "no PCRF behind the agent")
    edge.close("p", 1)
    granted(edge.ask("open", "c", 4), "calls through the first agent")
    first.kill()
    a.forget()
    figure("update, agent killed", granted(edge.ask("update", "c", 4), "updates"))
    equal({avp(m, "Rx-Request-Type") for m in a.since("AAR")}, {1}, "the session goes on by another way")
    edge.close("c", 4)
    w.settled(a)


def realm_without_a_route(w):
    """The realm of the PCRF's answer leads nowhere: the same host by way of the configured one."""
    (a,) = w.pcrfs(1)
    edge = w.run(a, priorities=[1])
    a.rules({"match": {}, "origin_realm": "elsewhere.test"})
    granted(edge.ask("open", "c", 1), "a call")
    a.rules({"match": {"request_type": 1}, "result": 3003, "error_bit": True})
    edge.ask("update", "c", 1)
    a.rules({"match": {}, "origin_realm": "elsewhere.test"})
    equal([(avp(m, "Destination-Realm"), avp(m, "Destination-Host")) for m in a.record("AAR")],
          [(REALM, None), ("elsewhere.test", a.name), (REALM, a.name)], "where the requests went")
    granted(edge.ask("update", "c", 1), "a later update")
    edge.close("c", 1)
    w.settled()


def crash_closes_what_was_open(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 1])
    granted(edge.ask("open", "c", 40), "calls")
    a.rules({"match": {}, "delay_ms": 700})
    edge.say("open d 10")  # in the middle of their set-up
    expect(lambda: a.sessions() + b.sessions() == 50, 5, "the AARs did not arrive")
    edge.kill()
    a.rules()
    with open(edge.journal, "ab") as f:
        f.write(b"00000000\t+\tnonsense\n0123abcd\t+\ttorn off in the mid")
    a.kill()
    edge.start()
    edge.wait_open(b)
    edge.logged("event=journal-damaged")
    expect(lambda: b.sessions() == 0, 10, "sessions of the dead process are left")
    granted(edge.ask("open", "e", 2), "new calls meanwhile")
    a.start()
    edge.wait_open(a)
    w.settled(a, b, held=2)
    edge.close("e", 2)
    w.settled()
    edge.stop()
    with open(edge.journal) as f:
        equal(len(f.readlines()), 1, "lines of the journal after an orderly end")
    equal(os.stat(edge.journal).st_mode & 0o777, 0o600, "mode of the journal")


def journal_outlives_a_frozen_pcrf(w):
    (a,) = w.pcrfs(1)
    edge = w.run(a, timeout_ms=400)
    granted(edge.ask("open", "c", 5), "calls")
    a.freeze()
    edge.say("stop")
    edge.logged("event=journal-left", 15)  # the STRs are not answered
    edge.kill()  # freeDiameter waits 15 s for the answer to its DPR
    with open(edge.journal) as f:
        equal(len(f.readlines()), 6, "lines of the journal")
    a.thaw()
    edge.start()
    w.settled()


def one_process_at_a_time(w):
    (a,) = w.pcrfs(1)
    edge = w.run(a)
    second = subprocess.run(edge.argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    check(second.returncode != 0 and "another process uses it" in second.stderr, "a second process started")


def disk_full(w):
    (a,) = w.pcrfs(1)
    edge = w.run(a, log="full.log",
                 prefix=("sh", "-c", 'trap "" XFSZ; ulimit -f 20; exec "$0" "$@"'))  # in 512 octets
    granted(edge.ask("open", "c", 100), "calls with a full disk")
    check(edge.metrics()["rx_journal_faults"] > 0, "no fault was counted")
    edge.logged("event=journal-fault")
    edge.close("c", 100)
    w.settled()


def flapping(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 2])
    slowest = 0
    for i in range(4):
        slowest = max(slowest, granted(edge.ask("open", f"r{i}x", 10), "calls"))
        a.kill(signal.SIGKILL if i % 2 else signal.SIGTERM)
        slowest = max(slowest, granted(edge.ask("update", f"r{i}x", 10), "updates"))
        a.start()
        edge.wait_open(a)
    figure("slowest request while a PCRF flaps", slowest)
    for i in range(4):
        edge.close(f"r{i}x", 10)
    w.settled()


def stalled_peer_holds_up_nobody(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 1])
    a.freeze()
    results = edge.ask("open", "c", 600, 30)
    figure("slowest of 600 calls, half of them to a peer that takes nothing", granted(results, "calls"))
    a.thaw()
    edge.close("c", 600)
    w.settled(a, b, seconds=20)


def over_tls(w):
    (a,) = w.pcrfs(1, tls=True)
    edge = w.run(a, tls=True)
    granted(edge.ask("open", "c", 3), "calls over TLS")
    edge.close("c", 3)
    w.settled()
    edge.stop()
    a.kill()
    stranger = w.path(f"strange-certs{w.serial}")
    a.certify(stranger)
    a.start()
    edge.start()
    edge.logged("event=peer-down", 15)
    (r,) = edge.ask("open", "d", 1)
    equal(r["outcome"], "unreachable", "a PCRF with a certificate of another CA")
    with open(edge.log_path) as f:
        f.seek(edge.mark)
        print("     " + next((line.strip() for line in f if "peer-down" in line), ""))


def another_form(w):
    """Who is left wants the request in another form: the session begins anew there."""
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, "2/open5gs"])
    a.freeze()
    figure("call in set-up, the other PCRF has another profile", granted(edge.ask("open", "c", 5), "calls"))
    a.thaw()
    w.settled(a, b, held=5)
    edge.close("c", 5)
    expect(lambda: edge.ask("open", "d", 1)[0]["outcome"] == "granted" and a.sessions(), 10,
           "the first PCRF is not asked any more")
    edge.close("d", 1)
    w.settled(a, b)
    granted(edge.ask("open", "e", 5), "calls")
    equal(a.sessions(), 5, "sessions at the first")
    a.kill()
    figure("update, the other PCRF has another profile", granted(edge.ask("update", "e", 5), "updates"))
    equal(b.sessions(), 5, "sessions at the second")
    edge.close("e", 5)
    a.start()
    edge.wait_open(a)
    w.settled(a, b)
    a.rules({"match": {}, "result": 3002, "error_bit": True})
    b.rules({"match": {}, "result": 3002, "error_bit": True})
    (r,) = edge.ask("open", "f", 1)
    equal(r["outcome"], "unreachable", "neither delivers")
    check(len(a.record("AAR")) + len(b.record("AAR")) < 40, "asked in circles")
    edge.close("f", 1)
    w.settled(a, b)


SCENARIOS = (priority_and_stickiness, equals_share, link_lost_during_set_up, silent_during_set_up,
             silent_before_an_update, killed_before_an_update, restart_is_seen, own_state_id_grows, too_busy,
             not_delivered, redirects, redirects_that_lead_nowhere, behind_an_agent, two_agents, realm_without_a_route,
             crash_closes_what_was_open, journal_outlives_a_frozen_pcrf, one_process_at_a_time, disk_full,
             another_form, flapping, stalled_peer_holds_up_nobody, over_tls)


def main(scenarios=SCENARIOS, title="rx peers", about=__doc__):
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--fdx", required=True, help="folder with the extensions")
    parser.add_argument("-k", default="", help="only scenarios with this in their name")
    parser.add_argument("--keep", action="store_true", help="leave the files there")
    options = parser.parse_args()
    runner = Runner(title)
    world = World(options)
    for scenario in scenarios:
        if options.k not in scenario.__name__:
            continue

        def both(s=scenario):
            try:
                s(world)
            except Exception:
                if world.edge:
                    print(f"--- {world.edge.log_path}")
                    subprocess.run(["tail", "-n", "25", world.edge.log_path])
                try:
                    world.end()
                except Exception as e:
                    print(f"     and at its end: {e}")
                raise
            world.end()
        runner.run(scenario.__name__, both)
    status = runner.finish()
    if options.keep or status:
        print(f"files: {world.dir}")
    else:
        shutil.rmtree(world.dir)
    return status


if __name__ == "__main__":
    sys.exit(main())
