"""Proves the lab's H.248 gateway (tests/lab/agw) without the daemon: a controller in Python, rtpengine behind
the gateway, and packets that go through."""
import argparse
import os
import queue
import re
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from epclab import addresses as a
from epclab.agw import Agw
from epclab.lab import DEFAULT_VAR
from epclab.mgc import Mgc
from epclab.rtpengine import Rtpengine
from epclab.runner import Runner, check, equal
from epclab.wait import LabError, expect, poll

BROWSER = """v=0
c=IN IP4 127.0.0.1
m=audio 54321 UDP/TLS/RTP/SAVPF 111 0 126
a=rtpmap:111 opus/48000/2
a=rtpmap:126 telephone-event/8000
a=rtcp-mux
a=ice-ufrag:8hhY
a=ice-pwd:asd88fgpdd777uzjYhagZg
a=candidate:1 1 udp 2130706431 127.0.0.1 54321 typ host
a=fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:2A:8D:2B:8E:9A:1C:0F:11:22:33:44:55
a=setup:%s
"""
WEBRTC_WISH = """v=0
c=IN IP4 $
m=audio $ UDP/TLS/RTP/SAVPF 111 0 126
a=rtpmap:111 opus/48000/2
a=rtpmap:126 telephone-event/8000
a=rtcp-mux
a=ice-ufrag:$
a=ice-pwd:$
a=candidate:$
a=fingerprint:sha-256 $
a=setup:%s
"""
PLAIN_WISH = "v=0\nc=IN IP4 $\nm=audio $ RTP/AVP 0\n"
CHOSEN = re.compile(r"a=ice-ufrag:\S+.*a=ice-pwd:\S+.*a=candidate:\S+.*a=fingerprint:sha-256 [0-9A-Fa-f:]{95}", re.S)


def plain(sock):
    return f"v=0\nc=IN IP4 {sock.getsockname()[0]}\nm=audio {sock.getsockname()[1]} RTP/AVP 0\n"


def add(side, wish, remote=None, mode="SendReceive", events="g/cause", realm=None):
    remote = f", Remote {{\n{remote}}}" if remote else ""
    return (f"Add = ip/1/{side}/$ {{ Media {{ Stream = 1 {{ LocalControl {{ Mode = {mode}, "
            f"ipdc/realm = \"{realm or side}\" }}, Local {{\n{wish}}}{remote} }} }}, Events = 7 {{ {events} }} }}")


def context_of(reply):
    found = re.search(r"(?:Context|C)\s*=\s*(\d+)", reply)
    check(found, f"no context in {reply}")
    return int(found.group(1))


def terms_of(reply):
    return re.findall(r"(?:Add|A)\s*=\s*([^\s{},]+)", reply)


def locals_of(reply):
    return re.findall(r"(?:Local|L)\s*\{\s*(v=0.*?)\}", reply, re.S)


def port_of(text):
    return int(re.search(r"m=audio (\d+)", text).group(1))


def address_of(text):
    return re.search(r"c=IN IP4 (\S+)", text).group(1), port_of(text)


class Bench:
    def __init__(self, var, udp, compact):
        self.rtpengine = Rtpengine(var)
        self.mgc = Mgc(a.IQ, udp)
        self.agw = Agw(var)
        self.agw.transport, self.agw.compact = "udp" if udp else "tcp", compact
        self.udp = udp

    def registration(self):
        try:
            return self.mgc.registered.get(timeout=20)
        except queue.Empty:
            raise LabError("no ServiceChange came", self.agw.log) from None

    def pair(self, access, core):
        reply = self.mgc.ask(f"Context = $ {{ {access}, {core} }}")
        check("Error" not in reply, reply)
        equal(len(terms_of(reply)), 2, f"terminations in {reply}")
        return context_of(reply), terms_of(reply), locals_of(reply)

    def release(self, context):
        """Subtract of all; nothing is left, here or there."""
        reply = self.mgc.ask(f"Context = {context} {{ W-Subtract = * {{ Audit {{ }} }} }}")
        check("Error" not in reply, reply)
        equal((self.agw.contexts(), self.agw.terminations(), self.rtpengine.calls()), (0, 0, []), "left over")


def registers(b):
    text = b.registration()
    check(re.match(r"(MEGACO|!)/1 ", text), f"the first message is of version 1: {text}")
    for part in ("901 Cold Boot", "threegiq/4"):
        check(part in text, f"{part} is missing in {text}")
    b.agw.wait_registered()


def audits(b):
    reply = b.mgc.ask("Context = - { AuditValue = ROOT { Audit { Packages } } }")
    check(re.match(r"(MEGACO|!)/2 ", reply), f"the agreed version is 2: {reply}")
    for package in ("g-1", "gm-2", "adid-1"):
        check(package in reply, f"{package} is missing in {reply}")
    reply = b.mgc.ask("Context = - { AuditValue = ROOT { Audit { Media } } }")
    check("root/maxNumberOfContexts" in reply, reply)
    check("Error" not in b.mgc.ask("Context = - { AuditValue = ROOT { Audit { } } }"), "the empty audit")
    check("Error" not in b.mgc.ask("Context = - { AuditCapability = ROOT { Audit { Packages } } }"), "capabilities")


def browser_calls(b):
    """The description for the core and that for the browser, both of the first reply."""
    context, terms, told = b.pair(add("access", WEBRTC_WISH % "passive", BROWSER % "actpass"),
                                  add("core", PLAIN_WISH, mode="Inactive"))
    equal(len(told), 2, "Local descriptors in the reply")
    check(CHOSEN.search(told[0]), f"not all is chosen: {told[0]}")
    check("a=setup:passive" in told[0] and "a=ice-lite" in told[0], told[0])
    equal(address_of(told[1])[0], a.CORE_MEDIA, "the core's interface")
    reply = b.mgc.ask(f"Context = {context} {{ Modify = {terms[1]} {{ Media {{ Stream = 1 {{ LocalControl {{ "
                      "Mode = SendReceive }, Remote {\nv=0\nc=IN IP4 127.0.0.6\nm=audio 40000 RTP/AVP 0\n} } } } }")
    check("Error" not in reply and not locals_of(reply), reply)
    text = b.mgc.ask(f"Context = {context} {{ AuditValue = {terms[0]} {{ Audit {{ Media }} }} }}")
    equal(port_of(locals_of(text)[0]), port_of(told[0]), "the port towards the browser stays")
    listed = b.mgc.ask("Context = * { AuditValue = ROOT { Audit { } } }")
    equal(context_of(listed), context, "the list of contexts")
    b.release(context)


def browser_is_called(b):
    context, terms, told = b.pair(add("access", WEBRTC_WISH % "actpass"),
                                  add("core", PLAIN_WISH, "v=0\nc=IN IP4 127.0.0.6\nm=audio 40000 RTP/AVP 0\n",
                                      "Inactive"))
    check(told and CHOSEN.search(told[0]), f"nothing for the browser: {told}")
    reply = b.mgc.ask(f"Context = {context} {{ Modify = {terms[0]} {{ Media {{ Stream = 1 {{ Remote {{\n"
                      f"{BROWSER % 'active'}}} }} }} }}, Modify = {terms[1]} {{ Media {{ Stream = 1 {{ LocalControl {{ "
                      f"Mode = SendReceive }}, Local {{\n{PLAIN_WISH}}} }} }} }} }}")
    check("Error" not in reply, reply)
    equal(address_of(locals_of(reply)[0])[0], a.CORE_MEDIA, "towards the core")
    b.release(context)


def packet(number):
    return bytes((0x80, 0, number >> 8, number & 255)) + number.to_bytes(4, "big") * 2 + b"\x55" * 160


def packets_pass_and_are_counted(b):
    """Plain RTP on both sides: the Mode of the core side gates each direction."""
    socks = {}
    for side, ip in (("access", "127.0.0.1"), ("core", "127.0.0.6")):
        socks[side] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        socks[side].bind((ip, 0))
        socks[side].settimeout(0.1)
    other = {"access": "core", "core": "access"}
    context, terms, told = b.pair(add("access", PLAIN_WISH, plain(socks["access"])),
                                  add("core", PLAIN_WISH, plain(socks["core"]), "Inactive"))
    ends = dict(zip(("access", "core"), map(address_of, told)))
    sent = {"access": 0, "core": 0}

    def passes(side, wanted):
        """Packets until one comes out (or ten that do not come out)."""
        for _ in range(100 if wanted else 10):
            sent[side] += 1
            socks[side].sendto(packet(sent[side]), ends[side])
            try:
                if len(socks[other[side]].recv(2048)) == 172:
                    return True
            except TimeoutError:
                pass
        return False
    try:
        for mode, in_, out in (("Inactive", False, False), ("ReceiveOnly", True, False), ("SendOnly", False, True),
                               ("SendReceive", True, True)):
            reply = b.mgc.ask(f"Context = {context} {{ Modify = {terms[1]} {{ Media {{ Stream = 1 {{ LocalControl "
                              f"{{ Mode = {mode} }} }} }} }} }}")
            check("Error" not in reply, reply)
            equal(passes("core", in_), in_, f"{mode}: core to access")
            equal(passes("access", out), out, f"{mode}: access to core")
        reply = b.mgc.ask(f"Context = {context} {{ Subtract = {terms[0]} {{ Audit {{ Statistics }} }}, "
                          f"Subtract = {terms[1]} {{ Audit {{ Statistics }} }} }}")
        figures = [{k: int(v) for k, v in re.findall(r"(\w+/\w+)\s*=\s*(\d+)", part)}
                   for part in reply.split("ip/1/core")]
        equal(figures[0]["rtp/pr"], sent["access"], f"packets of the access side in {reply}")
        equal(figures[1]["rtp/pr"], sent["core"], f"packets of the core side in {reply}")
        check(figures[0]["nt/or"] >= 172 * sent["access"] and figures[0]["nt/dur"] > 0, reply)
        equal((b.agw.contexts(), b.rtpengine.calls()), (0, []), "left over")
    finally:
        for s in socks.values():
            s.close()


def refuses(b):
    """Each with its own code, and with what is left as it was."""
    context, terms, _ = b.pair(add("access", WEBRTC_WISH % "passive", BROWSER % "actpass"), add("core", PLAIN_WISH))
    for code, actions in (
            (411, "Context = 99 { Subtract = * { Audit { } } }"),
            (430, f"Context = {context} {{ Modify = ip/1/core/9999 }}"),
            (434, f"Context = {context} {{ Add = ip/1/core/$ }}"),
            (440, f"Context = {context} {{ Modify = {terms[0]} {{ Signals {{ nosuch/thing }} }} }}"),
            (443, f"Context = {context} {{ Move = {terms[0]} }}")):
        reply = b.mgc.ask(actions)
        check(re.search(rf"(?:Error|ER)\s*=\s*{code}\b", reply), f"{code} expected: {reply}")
    equal(b.agw.terminations(), 2, "terminations")
    b.release(context)


def reports(b):
    """Heartbeat and silence, each by itself; a context that the controller does not know any more goes."""
    context, _, _ = b.pair(
        add("access", PLAIN_WISH, "v=0\nc=IN IP4 127.0.0.1\nm=audio 50002 RTP/AVP 0\n",
            events="g/cause, adid/ipstop { dt = 1, dir = BOTH }"),
        add("core", PLAIN_WISH, "v=0\nc=IN IP4 127.0.0.6\nm=audio 40002 RTP/AVP 0\n",
            events="hangterm/thb { timerx = 1 }"))
    seen = set()

    def both():
        try:
            _, text = b.mgc.requests.get(timeout=1)
        except queue.Empty:
            return False
        seen.update(re.findall(r"adid/ipstop|hangterm/thb", text))
        return len(seen) == 2
    expect(both, 20, "silence and heartbeat were not both reported")
    b.mgc.answer_notify = 'Error = 411 { "unknown" }'
    try:
        expect(lambda: b.agw.contexts() == 0, 20, f"context {context} hangs")
    finally:
        b.mgc.answer_notify = ""
    equal(b.rtpengine.calls(), [], "calls of rtpengine")


def misbehaves(b):
    ping = "Context = - { AuditValue = ROOT { Audit { } } }"
    any_ = {"match": {"command": "any"}}
    b.agw.rules({**any_, "error": 510, "level": "transaction", "times": 1})
    check("510" in b.mgc.ask(ping), "transaction error")
    b.agw.rules({**any_, "pendings": 2, "delay_ms": 300, "times": 1})
    number = b.mgc.send(ping)
    answers = [b.mgc.answer(number) for _ in range(3)]
    equal([bool(re.search(r"(?:Pending|PN)\s*=", t)) for t in answers], [True, True, False], f"{answers}")
    b.agw.rules({**any_, "twice": True, "times": 1})
    number = b.mgc.send(ping)
    equal(b.mgc.answer(number), b.mgc.answer(number), "the same twice")
    b.agw.rules({**any_, "garbage": "id", "times": 1})
    b.mgc.send(ping)
    check(b.mgc.answers.setdefault(4294967290, queue.Queue()).get(timeout=10), "a reply with another number")
    b.agw.rules({**any_, "drop": True, "times": 1})
    number = b.mgc.send(ping)
    check("Error" not in b.mgc.ask(ping), "the next request")
    check(b.mgc.answers[number].empty(), "the dropped request was answered")
    # Half of it, as a gateway would that runs out of something in between.
    b.agw.rules({"match": {"command": "Add"}, "error": 510, "at": 2, "times": 1})
    reply = b.mgc.ask(f"Context = $ {{ {add('access', PLAIN_WISH)}, {add('core', PLAIN_WISH)} }}")
    check("510" in reply and len(terms_of(reply)) == 2, reply)
    equal(b.agw.terminations(), 1, "terminations of half a request")
    b.release(context_of(reply))
    b.agw.rules()


def comes_back(b):
    context, _, _ = b.pair(add("access", WEBRTC_WISH % "passive", BROWSER % "actpass"), add("core", PLAIN_WISH))
    if not b.udp:
        b.agw.cut()
        check(re.search(r"Disconnected|=DC", b.registration()), "Disconnected")
        b.agw.wait_registered()
        equal(list(b.agw.held()), [context], "contexts after a cut")
    b.agw.restart("warm")
    check("902" in b.registration(), "warm")
    b.agw.wait_registered()
    equal(list(b.agw.held()), [context], "contexts after a warm restart")
    b.agw.restart("cold")
    check("901" in b.registration(), "cold")
    b.agw.wait_registered()
    equal((b.agw.contexts(), b.rtpengine.calls()), (0, []), "contexts after a cold restart")
    check("Error" not in b.mgc.ask("Context = - { AuditValue = ROOT { Audit { } } }"), "audit")


SCENARIOS = (registers, audits, browser_calls, browser_is_called, packets_pass_and_are_counted, refuses, reports,
             misbehaves, comes_back)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--preset", default="dev", help="(there is nothing built in it)")
    p.add_argument("--var", default=os.path.join(DEFAULT_VAR, "agw"))
    options = p.parse_args()
    run = Runner("agw")
    for udp, compact in ((False, False), (True, True)):
        bench = Bench(options.var, udp, compact)
        kind = "UDP, compact" if udp else "TCP, pretty"
        try:
            if run.run(f"starts ({kind})", lambda: (bench.rtpengine.start(), bench.agw.start())):
                for scenario in SCENARIOS:
                    run.run(f"{scenario.__name__.replace('_', ' ')} ({kind})", scenario, bench)
                run.run(f"nothing was found at fault ({kind})",
                        lambda: equal(bench.agw.faults(), 4, "faults, but for those on purpose"))
        finally:
            bench.agw.stop()
            bench.rtpengine.stop()
            bench.mgc.close()
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
