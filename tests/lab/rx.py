"""Rx against a second opinion: calls through a real eP-CSCF, core and media gateway, before a PCRF that
takes only what TS 29.214 lets it take (tests/lab/pcrf_erl). First that PCRF itself is proved, with
requests that are wrong in one way each."""
import argparse
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "fault"))
from epclab import addresses as a
from epclab.build import build
from epclab.checks import check_capture, check_leaks, check_rx, own_dictionary
from epclab.diameter import RX, Client, avp, tgpp
from epclab.lab import DEFAULT_VAR, Lab
from epclab.pcrf import avp as value_of
from epclab.runner import Runner, check, equal
from epclab.wait import expect, poll
from epclab.wic import Incoming, sample
from faults import PHONE, Bench, one_scenario

BROWSER = "chromium-audio-video.sdp"
NOT_AUTHORIZED = 5063


# ---- the PCRF itself ------------------------------------------------------------------------------------

UP = "permit in 17 from 10.0.0.1 to 198.51.100.20 40000"
DOWN = "permit out 17 from 198.51.100.20 to 10.0.0.1 50000"


def flow(*rules, number=1, extra=()):
    return tgpp(519, [tgpp(509, number), *(tgpp(507, r) for r in rules), *extra])


def component(*parts, number=1, media=0):
    return tgpp(517, [tgpp(518, number), *parts, *([tgpp(520, media)] if media is not None else [])])


def codec(text):
    return tgpp(524, text)


PLAIN = component(flow(UP, DOWN))


def aar(client, *components, kind=0, session=None, ue=b"\x0a\0\0\1", without=(), more=(), spoil=None):
    """An AAR and its result; `without`: codes of AVPs to leave out."""
    avps = {263: avp(263, session or client.session()), 258: avp(258, RX), 264: client.origin(),
            283: avp(283, a.DOMAIN), 517: b"".join(components or (PLAIN,)),
            505: tgpp(505, "icid-1"), 8: avp(8, ue), 533: tgpp(533, kind, m=False)}
    if kind == 1:
        avps.pop(8)
    for code in without:
        avps.pop(code, None)
    return client.request(265, RX, [*avps.values(), *more], spoil or (lambda octets: octets))[0]


# What is wrong: the expected result, the components, other arguments of aar().
WRONG = {
    "an AVP that ABNF demands is missing": (5005, (), {"without": [283]}),
    "no address of the UE": (5005, (), {"without": [8]}),
    "an AVP comes twice": (5009, (), {"more": [avp(8, b"\x0a\0\0\2")]}),
    "an unknown AVP with M": (5001, (), {"more": [tgpp(9999, 1)]}),
    "an unknown AVP with M in a component": (5001, (component(flow(UP), tgpp(9999, 1)),), {}),
    "a component without a number": (5005, (tgpp(517, [tgpp(520, 0)]),), {}),
    "a flow without a number": (5005, (component(tgpp(519, [tgpp(507, UP)])),), {}),
    "three filters in a sub-component": (5009, (component(flow(UP, DOWN, UP)),), {}),
    "a value out of its list": (5004, (component(flow(UP), tgpp(511, 9)),), {}),
    "M clear where it must be set": (5004, (component(flow(UP), tgpp(511, 2, m=False)),), {}),
    "M set where it must be clear": (5004, (), {"without": [533], "more": [tgpp(533, 0)]}),
    "an AVP longer than the message": (5014, (), {"spoil": lambda octets: octets[:-9] + b"\x40" + octets[-8:]}),
    "an address of a wrong size": (5004, (), {"ue": b"\x0a\0"}),
    "a range of ports": (5062, (component(flow(UP + "-40001")),), {}),
    "a list of ports": (5062, (component(flow(UP + ",40001")),), {}),
    "any address": (5062, (component(flow("permit in 17 from any to 198.51.100.20 40000")),), {}),
    "assigned": (5062, (component(flow("permit out 17 from 198.51.100.20 to assigned 4")),), {}),
    "deny": (5062, (component(flow(UP.replace("permit", "deny"))),), {}),
    "options": (5062, (component(flow(UP + " frag")),), {}),
    "port 9": (5062, (component(flow(DOWN.replace("50000", "9"))),), {}),
    "address 0.0.0.0": (5062, (component(flow(DOWN.replace("10.0.0.1", "0.0.0.0"))),), {}),
    "a name": (5062, (component(flow(DOWN.replace("10.0.0.1", "x.local"))),), {}),
    "another UE's address": (5062, (component(flow(UP.replace("10.0.0.1", "10.0.0.7"))),), {}),
    "no destination port": (5062, (component(flow("permit in 17 from 10.0.0.1 to 198.51.100.20")),), {}),
    "two filters of a direction": (5062, (component(flow(UP, UP.replace("40000", "40002"))),), {}),
    "a number twice": (5061, (PLAIN, component(flow(UP.replace("40000", "40002")))), {}),
    "a flow number twice": (5061, (component(flow(UP), flow(DOWN)),), {}),
    "one flow in two components": (5061, (PLAIN, component(flow(UP, DOWN), number=2)), {}),
    "a removed component that never was": (5061, (PLAIN, component(tgpp(511, 4), number=2, media=None)), {}),
    "a component without Media-Type": (5061, (component(flow(UP), media=None),), {}),
    "signalling next to media": (5004, (PLAIN, component(tgpp(519, [tgpp(509, 0), tgpp(512, 2)]),
                                                         number=0, media=4)), {}),
    "Codec-Data without its head": (5004, (component(flow(UP), codec("m=audio 1 RTP/AVP 0")),), {}),
    "Codec-Data with a fingerprint": (5004, (component(flow(UP), codec(
        "uplink\noffer\nm=audio 1 RTP/AVP 0\na=fingerprint:sha-256 00")),), {}),
    "WebRTC information unasked": (5004, (component(flow(UP), avp(9002, [], 32473, m=False)),), {}),
    "an update of an unknown session": (5002, (), {"kind": 1}),
    "restoration for a session that is not there": (5004, (), {"kind": 2}),
}


def client_of(lab):
    client = Client()
    expect(lambda: lab.pcrf.knows(client.host), 5, "the PCRF did not take its peer")
    return client


def strict_pcrf(lab):
    client = client_of(lab)
    try:
        equal(aar(client), 2001, "an AAR that is right")
        wrong = [f"{what}: {found} and not {wanted}" for what, (wanted, parts, rest) in WRONG.items()
                 for found in [aar(client, *parts, **rest)] if found != wanted]
        check(not wrong, "; ".join(wrong))
        equal(lab.pcrf.open_sessions(), 1, "sessions after one good AAR and many bad ones")
    finally:
        client.close()


def strict_pcrf_updates(lab):
    """What an update may say depends on what was said."""
    client = client_of(lab)
    try:
        sid = client.session()

        def update(*parts, **rest):
            return aar(client, *parts, kind=1, session=sid, **rest)
        equal(aar(client, PLAIN, session=sid), 2001, "the initial AAR")
        equal(aar(client, PLAIN, session=sid), 5061, "the same again")
        equal(update(PLAIN), 5061, "an update without a change")
        equal(update(component(tgpp(511, 3), media=None)), 2001, "hold")
        equal(update(component(media=1)), 5061, "another Media-Type")
        equal(update(component(flow(UP, DOWN), number=2)), 5061, "the flow of component 1 in component 2")
        equal(update(component(flow(UP.replace("40000", "40002")), number=2, media=1)), 2001, "a second component")
        equal(update(component(tgpp(511, 4), number=2, media=None)), 2001, "it goes")
        equal(update(component(tgpp(511, 4), number=2, media=None)), 5061, "it goes once more")
        equal(update(component(tgpp(511, 2), media=None), more=[tgpp(513, 2)]), 5004, "Specific-Action")
        equal(update(component(tgpp(511, 2), media=None), without=[505], more=[tgpp(505, "x")]), 5004, "another ICID")
        end = [avp(263, sid), client.origin(), avp(283, a.DOMAIN), avp(258, RX), avp(295, 1)]
        before = lab.pcrf.open_sessions()
        equal(client.request(275, RX, end)[0], 2001, "STR")
        equal(client.request(275, RX, end)[0], 5002, "STR once more")
        equal(lab.pcrf.open_sessions(), before - 1, "sessions")
    finally:
        client.close()


# ---- what the eP-CSCF says --------------------------------------------------------------------------------

class RxBench(Bench):
    """Every scenario ends without a fault found and without a session on either side."""

    def begin(self):
        super().begin()
        self.lab.pcrf.webrtc(False)
        self.since = len(self.lab.pcrf.messages())

    def end(self, ignore=()):
        super().end(ignore)
        self.lab.pcrf.no_faults(self.since)

    def sent(self, command="AAR"):
        """What the PCRF got since the scenario began, of calls only."""
        paths = self.signalling_sessions()
        return [m for m in self.lab.pcrf.messages(self.since)
                if m["dir"] == "in" and m["command"] == command and session_of(m) not in paths]

    def signalling_sessions(self, since=0):
        return {session_of(m) for m in self.lab.pcrf.messages(since) if m["command"] == "AAR" and signalling(m)}

    def wait_sent(self, count, command="AAR"):
        return expect(lambda: len(self.sent(command)) >= count and self.sent(command), 8,
                      f"the PCRF got no {count} {command}")

    def two(self, sdp=None):
        """alice calls bob, both on WICs: (alice's call, bob's)."""
        alice, bob = self.registered("alice"), self.registered("bob")
        call = alice.invite("sip:bob@ims.test", sdp if sdp is not None else sample(BROWSER))
        other = Incoming(bob)
        other.ring()
        other.accept()
        equal(call.result().status, 200, "INVITE to the other WIC")
        other.acked()
        return call, other


def signalling(message):
    """The first AAR of an AF signalling session."""
    return value_of(message, "Media-Component-Description", "Media-Component-Number") == 0


def components(message):
    """{number: [AVPs]} of an AAR."""
    found = {}
    for part in message["avps"]:
        if part["name"] == "Media-Component-Description":
            number = next(x["value"] for x in part["avps"] if x["name"] == "Media-Component-Number")
            found[number] = part["avps"]
    return found


def member(avps, name):
    return next((x.get("value", x.get("avps")) for x in avps if x["name"] == name), None)


def session_of(message):
    return value_of(message, "Session-Id")


def of_session(messages, session):
    return [m for m in messages if session_of(m) == session]


def numbers_stable(messages):
    """Within a session a component keeps its Media-Type, a flow the UE's end of its filter's kind."""
    types = {}
    for m in messages:
        for number, avps in components(m).items():
            kind = member(avps, "Media-Type")
            if kind is not None:
                key = session_of(m), number
                equal(types.setdefault(key, kind), kind, f"Media-Type of component {number}")


def flow_rules(avps):
    return [y["value"] for x in avps if x["name"] == "Media-Sub-Component"
            for y in x["avps"] if y["name"] == "Flow-Description"]


def audio(bench):
    """Originating: one AAR with all that there is to say, one STR."""
    wic, call = bench.established()
    first, = bench.wait_sent(1)
    equal(value_of(first, "Rx-Request-Type"), 0, "Rx-Request-Type")
    equal(value_of(first, "Framed-IP-Address"), "127.0.0.1", "Framed-IP-Address")
    equal(value_of(first, "Subscription-Id", "Subscription-Id-Data"), wic.impu, "Subscription-Id")
    check(value_of(first, "Reservation-Priority") is None, "Reservation-Priority of a plain call")
    part = components(first)[1]
    equal(member(part, "Media-Type"), 0, "Media-Type")
    equal(member(part, "Flow-Status"), 2, "Flow-Status")
    equal(len(flow_rules(part)), 2, "filters")
    equal(call.bye().status, 200, "BYE")
    end, = bench.wait_sent(1, "STR")
    equal(session_of(end), session_of(first), "Session-Id")


def audio_and_video(bench):
    """Real browser SDP on both sides: a session for each WIC, two components in each."""
    call, other = bench.two()
    found = bench.wait_sent(2)
    equal(len({session_of(m) for m in found}), 2, "Rx sessions")
    for m in [of_session(found, s)[-1] for s in {session_of(m) for m in found}]:
        equal({n: member(c, "Media-Type") for n, c in components(m).items()}, {1: 0, 2: 1}, "components")
    numbers_stable(found)
    equal(bench.lab.pcrf.open_sessions() >= 2, True, "sessions at the PCRF")
    end = call.request("BYE")
    other.wait_bye()
    equal(call.wic.final(end).status, 200, "BYE")
    bench.wait_sent(2, "STR")


def video_that_the_phone_refuses(bench):
    """Offered, answered with port 0: never told, for there is nothing to remove."""
    wic = bench.registered()
    call = wic.invite(PHONE, sample(BROWSER))
    equal(call.result().status, 200, "INVITE")
    found = bench.wait_sent(1)
    equal(list(components(found[0])), [1], "components of the first AAR")
    equal(call.bye().status, 200, "BYE")


def hold(bench):
    """Hold and resume; a flow with RTCP on it stays enabled, so that there may be nothing to say."""
    _, call = bench.established()
    count = len(bench.wait_sent(1))
    held = sample("chromium-audio.sdp").replace(b"a=sendrecv", b"a=sendonly").replace(b" 2 IN IP4", b" 3 IN IP4")
    equal(call.again(held).status, 200, "hold")
    equal(call.again(sample("chromium-audio.sdp").replace(b" 2 IN IP4", b" 4 IN IP4")).status, 200, "resume")
    for m in bench.sent()[count:]:
        equal(value_of(m, "Rx-Request-Type"), 1, "Rx-Request-Type")
        check(value_of(m, "Supported-Features") is None, "features in an update")
    equal(call.bye().status, 200, "BYE")
    found = bench.sent()
    numbers_stable(found)
    equal(len({session_of(m) for m in found}), 1, "Rx sessions")


def renumbered(sdp, version):
    return re.sub(rb"(o=\S+ \S+) \d+ ", rb"\1 %d " % version, sdp)


def video_comes_and_goes(bench):
    """re-INVITE adds an m-line, another sets its port to 0: the component comes, then is removed."""
    whole = sample(BROWSER)
    cut = whole.index(b"m=video")
    only = whole[:cut].replace(b"a=group:BUNDLE 0 1", b"a=group:BUNDLE 0")
    call, other = bench.two(only)
    count = len(bench.wait_sent(2))

    def again(sdp):
        sent = call.request("INVITE", [("Contact", call.wic.contact), ("Content-Type", "application/sdp")], sdp)
        other.accept_next()
        answer = call.wic.final(sent)
        equal(answer.status, 200, f"re-INVITE ({answer.first})")
        call.wic.request("ACK", call.target, to=call.uri, call_id=call.call_id, cseq=call.cseq, tag=call.tag,
                         to_tag=call.to_tag, routes=call.routes)
        other.acked()
    again(renumbered(whole, 7))
    more = expect(lambda: [m for m in bench.sent()[count:] if 2 in components(m)], 8, "no AAR with component 2")
    equal(member(components(more[0])[2], "Media-Type"), 1, "Media-Type of component 2")
    count = len(bench.sent())
    again(renumbered(whole[:cut] + re.sub(rb"^m=video \d+", b"m=video 0", whole[cut:]), 8))
    gone = expect(lambda: [m for m in bench.sent()[count:] if 2 in components(m)], 8, "component 2 was not removed")
    equal(member(components(gone[0])[2], "Flow-Status"), 4, "Flow-Status of component 2")
    equal(len(components(gone[0])[2]), 2, "AVPs of a removed component")
    numbers_stable(bench.sent())
    end = call.request("BYE")
    other.wait_bye()
    equal(call.wic.final(end).status, 200, "BYE")


def called(bench):
    """Terminating: the phone calls a WIC."""
    wic = bench.registered()
    bench.lab.baresip.dial("sip:alice@ims.test")
    call = Incoming(wic)
    call.ring()
    call.accept()
    call.acked()
    expect(bench.lab.baresip.in_call, 5, "the phone was not in a call")
    found = bench.wait_sent(1)
    equal(value_of(found[0], "Subscription-Id", "Subscription-Id-Data"), wic.impu, "Subscription-Id")
    equal(call.bye().status, 200, "BYE of the WIC")


def refused_by_the_other(bench):
    """486: whatever was opened is closed."""
    alice, bob = bench.registered("alice"), bench.registered("bob")
    call = alice.invite("sip:bob@ims.test", sample(BROWSER))
    other = Incoming(bob)
    other.refuse()
    equal(call.result().status, 486, "INVITE")


def refused_by_the_pcrf(bench):
    wic = bench.registered()
    bench.lab.pcrf.rules({"experimental": NOT_AUTHORIZED})
    answer = wic.invite(PHONE).result()
    check(answer.status in (403, 488, 500), f"INVITE that the PCRF refuses: {answer.first}")
    bench.counted("rx_aaa_refused")


def cancelled(bench):
    wic = bench.registered()
    bench.lab.baresip.answer_mode("manual")
    call = wic.invite(PHONE)
    call.provisional()
    equal(wic.final(call.cancel()).status, 200, "CANCEL")
    equal(call.result().status, 487, "INVITE")


def refused_change(bench):
    """The old authorisation holds, and the next update counts from what was granted."""
    _, call = bench.established()
    bench.wait_sent(1)
    bench.lab.pcrf.rules({"match": {"request_type": 1}, "experimental": NOT_AUTHORIZED, "times": 1})
    moved = re.sub(rb"56517", b"56519", renumbered(sample("chromium-audio.sdp"), 5))
    check(call.again(moved).status in (200, 488, 500, 503), "re-INVITE with another port")
    moved = re.sub(rb"56517", b"56521", renumbered(sample("chromium-audio.sdp"), 6))
    equal(call.again(moved).status, 200, "re-INVITE with a third port")
    expect(lambda: any("56521" in r for m in bench.sent() for c in components(m).values() for r in flow_rules(c)),
           8, "the third port never reached the PCRF")
    check(bench.lab.baresip.in_call(), "the call ended")
    equal(call.bye().status, 200, "BYE")


def session_lost_at_the_pcrf(bench):
    """5002 on an update: a new session with all that holds."""
    _, call = bench.established()
    first = bench.wait_sent(1)[0]
    bench.lab.pcrf.lose()
    moved = re.sub(rb"56517", b"56523", renumbered(sample("chromium-audio.sdp"), 5))
    equal(call.again(moved).status, 200, "re-INVITE")
    expect(lambda: [m for m in bench.sent() if session_of(m) != session_of(first)
                    and value_of(m, "Rx-Request-Type") == 0], 8, "no new session was opened")
    equal(call.bye().status, 200, "BYE")


def reports(bench):
    """RAR with each Specific-Action that we asked for: RAA 2001, and the call goes on unless it says
    that all is lost."""
    _, call = bench.established()
    for action in (1, 3, 6, 8, 12, 18):
        equal(bench.lab.pcrf.report("call", [action]), 2001, f"RAA to Specific-Action {action}")
    equal(bench.lab.pcrf.report("pcrf.ims.test;0;0;nobody", [4]), 5002, "RAA for an unknown session")
    equal(bench.lab.pcrf.abort("pcrf.ims.test;0;0;nobody"), 5002, "ASA for an unknown session")
    check(bench.lab.baresip.in_call(), "the call ended")
    equal(call.bye().status, 200, "BYE")


def aborted(bench):
    _, call = bench.established()
    equal(bench.lab.pcrf.abort("call"), 2001, "ASA")
    call.wait_bye()
    check(poll(lambda: not bench.lab.baresip.in_call(), 5), "the phone got no BYE")
    bench.wait_sent(1, "STR")


def out_of_credit(bench):
    _, call = bench.established()
    equal(bench.lab.pcrf.report("call", [7]), 2001, "RAA")
    call.wait_bye()
    bench.wait_sent(1, "STR")


def media_lost(bench):
    """Every component is lost: the call ends after the grace; recovered in time, it goes on."""
    _, call = bench.established()
    equal(bench.lab.pcrf.report("call", [2], [1]), 2001, "RAA to the loss")
    equal(bench.lab.pcrf.report("call", [3], [1]), 2001, "RAA to the recovery")
    equal(bench.lab.pcrf.report("call", [4], [1]), 2001, "RAA to the release")
    call.wait_bye(20)
    bench.wait_sent(1, "STR")


def signalling_path(bench):
    """One AF signalling session per registration (TS 29.214 4.4.5): it opens after the 200, a REGISTER on
    the same flow opens no other, and it ends with the registration. Losing the path refuses what comes to
    the user, not what the user sends."""
    before = bench.signalling_sessions()
    wic = bench.registered()
    opened = expect(lambda: bench.signalling_sessions() - before, 5, "no signalling session was opened")
    equal(len(opened), 1, "signalling sessions")
    equal(wic.register_token(bench.good_token()).status, 200, "REGISTER once more")
    equal(bench.lab.pcrf.report("signalling", [4]), 2001, "RAA to the loss of the path")
    bench.lab.baresip.dial("sip:alice@ims.test")
    closed = bench.lab.baresip.control.wait_event("CALL_CLOSED", len(bench.lab.baresip.control.events) - 1, 10)
    check("500" in closed["param"], f"the phone saw {closed['param']}")
    _, call = bench.established(wic)
    equal(call.bye().status, 200, "BYE")
    equal(wic.unregister(f"Bearer {bench.good_token()}").status, 200, "de-registration")
    ends = expect(lambda: [m for m in bench.lab.pcrf.messages(bench.since) if m["command"] == "STR"
                           and m["dir"] == "in" and session_of(m) in opened], 5, "the signalling session did not end")
    equal(len(ends), 1, "STR")
    equal(bench.signalling_sessions() - before, opened, "signalling sessions")


def webrtc_information(bench):
    """Asked for by the feature of the first AAA: it comes in later AARs, never with M, never a secret."""
    bench.lab.pcrf.webrtc(True)
    _, call = bench.established()
    first = bench.wait_sent(1)[0]
    check(any(member(f["avps"], "Vendor-Id") == 32473 for f in first["avps"] if f["name"] == "Supported-Features"),
          "the first AAR does not offer WebRTC information")
    moved = re.sub(rb"56517", b"56525", renumbered(sample("chromium-audio.sdp"), 5))
    equal(call.again(moved).status, 200, "re-INVITE")
    found = expect(lambda: [m for m in bench.sent() if any(member(c, "WebRTC-Media-Info")
                                                           for c in components(m).values())], 8,
                   "no WebRTC-Media-Info after it was asked for")
    info = member(components(found[0])[1], "WebRTC-Media-Info")
    check(member(info, "AGW-Access-Port"), f"what the PCRF got: {[x['name'] for x in info]}")
    check("/fvPNDYJ3oLWWmb1Ty1Hfrl3" not in str(bench.sent()), "an ice-pwd reached the PCRF")
    equal(call.bye().status, 200, "BYE")


def capture_decodes(lab):
    """Wireshark's dictionary finds no fault, and no message is missing in it or in the PCRF's record."""
    own_dictionary(lab)
    check_capture(lab.capture.file, lab.capture.shards)
    check_rx(lab.capture.file, lab.capture.shards, lab.pcrf.messages())


CALLS = [audio, audio_and_video, video_that_the_phone_refuses, hold, video_comes_and_goes, called,
         refused_by_the_other, refused_by_the_pcrf, cancelled, refused_change, session_lost_at_the_pcrf,
         reports, aborted, out_of_credit, media_lost, signalling_path, webrtc_information]


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--preset", default="dev")
    p.add_argument("--shards", type=int, default=1)
    p.add_argument("--no-build", action="store_true")
    p.add_argument("--var", default=os.path.join(DEFAULT_VAR, "rx"))
    p.add_argument("-k", default="", help="only scenarios whose name holds this text")
    options = p.parse_args()
    run = Runner("rx")
    if not options.no_build and not run.run("build", build, options.preset):
        return run.finish()
    lab = Lab(options.var, options.shards, preset=options.preset, pcrf="erlang")
    lab.epcscf.grace_ms = 2000
    lab.epcscf.overrides = {"  timeout_ms: 2000\n": "  timeout_ms: 2000\n  signalling_session: true\n"}
    if not run.run("the strict PCRF starts", lab.start, [lab.pcrf]):
        return run.finish()
    try:
        run.run("the strict PCRF refuses what is wrong", strict_pcrf, lab)
        run.run("the strict PCRF knows what an update may say", strict_pcrf_updates, lab)
    finally:
        lab.stop()
    if not run.run("the lab starts", lab.start):
        return run.finish()
    bench = RxBench(lab)
    try:
        for function in (f for f in CALLS if options.k in f.__name__):
            if not run.run(function.__name__.replace("_", " "), one_scenario, bench, function) \
                    and not lab.epcscf.alive():
                lab.epcscf.stop()
                lab.epcscf.start()
        status = lab.epcscf.stop()
        run.run("the daemon ends well", equal, status, 0, "exit status")
        lab.capture.stop()
        run.run("another dissector reads every message", capture_decodes, lab)
        run.run("nothing leaks", check_leaks, lab)
    finally:
        lab.stop()
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
