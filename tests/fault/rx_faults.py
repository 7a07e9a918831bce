"""What a PCRF can do wrong to calls, end to end: stopped, killed, deaf, slow, late, answering twice or
garbage, saying things at the worst moment. No call hangs, SIP says what policy.mode says, nobody else
waits meanwhile, and in the end neither side holds a session. (Fail-over between PCRFs: rx/rx_peers.py.)"""
import argparse
import os
import re
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))
from epclab.build import build
from epclab.checks import check_capture, check_leaks
from epclab.lab import DEFAULT_VAR, Lab
from epclab.runner import Runner, check, equal
from epclab.wait import expect, poll
from epclab.wic import Incoming, sample
from faults import PHONE, one_scenario
from rx import RxBench, renumbered, session_of

AUDIO = "chromium-audio.sdp"
# Longer than policy.timeout_ms with all that SIP adds, shorter than any of SIP's own timers.
ANSWER_S = 10


class FaultBench(RxBench):
    @property
    def required(self):
        return self.lab.epcscf.policy == "required"

    def begin(self):
        expect(self.connected, 25, "the PCRF is not connected")
        super().begin()

    def end(self, ignore=()):
        # Nothing may be left either where the two could not speak for a time.
        super().end(ignore)
        check(self.lab.epcscf.metrics().get("rx_sessions_to_close", 0) == 0, "sessions still to be closed")

    def counted(self, name, by=1):
        """A counter may grow a little after the message that tells of it."""
        poll(lambda: self.lab.epcscf.metrics().get(name, 0) - self.before.get(name, 0) >= by, 5)
        super().counted(name, by)

    def connected(self):
        return self.lab.epcscf.metrics().get("rx_peers_open", 0) >= 1

    def pcrf_back(self):
        self.lab.pcrf.start()
        self.since = 0  # its record is a new one
        expect(self.connected, 25, "the PCRF did not come back")

    def others_are_served(self, waiting=None):
        """Another user's REGISTER and OPTIONS are answered while that call waits for the PCRF."""
        other = self.registered("bob")
        asked = other.request("OPTIONS", other.impu, to=other.impu, routes=other.service_route)
        other.wait(lambda m: m.method == "OPTIONS" and not m.is_response and _answer(other, m))
        equal(other.final(asked).status, 200, "OPTIONS")
        if waiting is not None:
            done = [m for m in list(waiting.wic.inbox.queue) + waiting.wic.kept if m is not None and m.is_response
                    and m.get("Call-ID") == waiting.call_id and m.status >= 200]
            check(not done, "the call was answered first: who held it?")
        other.close()
        self.open.remove(other)

    def outcome(self, call, unanswered=True):
        """503 where policy is required, else the call; unanswered: the PCRF said nothing usable."""
        answer = call.result(ANSWER_S)
        wanted = 503 if self.required and unanswered else 200
        equal(answer.status, wanted, f"INVITE ({answer.first})")
        if answer.status == 200:
            equal(call.bye(ANSWER_S).status, 200, "BYE")

    def works(self):
        """The next call is an ordinary one."""
        _, call = self.established()
        equal(call.bye().status, 200, "BYE")


def stopped(bench):
    """Ended as it should: DPR."""
    wic = bench.registered()
    bench.lab.pcrf.stop()
    try:
        expect(lambda: not bench.connected(), 10, "its end was not seen")
        bench.outcome(wic.invite(PHONE))
        bench.counted("rx_no_peer")
        bench.logged(r"policy-not-granted|policy|no-peer")
    finally:
        bench.pcrf_back()
    bench.works()


def killed_while_it_is_asked(bench):
    wic = bench.registered()
    bench.lab.pcrf.rules({"drop": True})
    before = bench.lab.epcscf.metrics()["rx_aar"]
    call = wic.invite(PHONE)
    expect(lambda: bench.lab.epcscf.metrics()["rx_aar"] > before, 5, "no AAR was sent")
    bench.lab.pcrf.kill()
    try:
        bench.outcome(call)
        bench.logged(r"policy-not-granted")
    finally:
        bench.pcrf_back()
    bench.works()


def deaf(bench):
    """It reads nothing more, its connection stays. Then it reads all at once: what it opens late is closed."""
    wic = bench.registered()
    bench.lab.pcrf.pause()
    try:
        call = wic.invite(PHONE)
        bench.others_are_served(call)
        bench.outcome(call)
        bench.counted("rx_timeout")
        bench.logged(r"policy-not-granted.*")
    finally:
        bench.lab.pcrf.resume()
    bench.works()


def deaf_to_many(bench):
    """A burst of calls, each with a session on either side."""
    alice, bob = bench.registered("alice"), bench.registered("bob")
    bench.lab.pcrf.pause()
    taken = []
    stop = threading.Event()

    def answer():
        while not stop.is_set():
            try:
                other = Incoming(bob, 0.5)
            except Exception:  # nothing came in this half second
                continue
            other.accept()
            taken.append(other)
    robot = threading.Thread(target=answer)
    robot.start()
    try:
        calls = [alice.invite("sip:bob@ims.test", sample(AUDIO)) for _ in range(8)]
        expect(lambda: len(taken) == len(calls), 10, "not all calls arrived")
        for call in calls:
            answer = call.result(ANSWER_S)
            # The called side's 503 becomes 500 on its way back through the core (RFC 3261 16.7).
            check(answer.status in ((500, 503) if bench.required else (200,)), f"INVITE ({answer.first})")
        stop.set()
        robot.join()
        bench.counted("rx_timeout", len(calls))
        for call in calls if not bench.required else []:
            end = call.request("BYE")
            next(t for t in taken if t.wic is bob).wic.wait(
                lambda m: m.method == "BYE" and not m.is_response and _answer(bob, m), ANSWER_S)
            equal(alice.final(end, ANSWER_S).status, 200, "BYE")
    finally:
        stop.set()
        robot.join()
        bench.lab.pcrf.resume()
    for wic in (alice, bob):
        wic.close()
        bench.open.remove(wic)
    bench.works()


def _answer(wic, request):
    wic.send(request.reply(200, "OK"))
    return True


def slow(bench):
    """Within the time it is waited for, and the call is served as always."""
    wic = bench.registered()
    bench.lab.pcrf.rules({"delay_ms": 1200})
    call = wic.invite(PHONE)
    bench.others_are_served(call)
    bench.outcome(call, unanswered=False)


def late(bench):
    """The session that a late AAA opens is closed with STR."""
    wic = bench.registered()
    bench.lab.pcrf.rules({"delay_ms": 3000, "times": 1})
    bench.outcome(wic.invite(PHONE))
    expect(lambda: bench.sent("STR"), 10, "the late session was not closed")
    bench.counted("rx_late")


def twice(bench):
    """The second copy of an answer belongs to nothing."""
    wic = bench.registered()
    bench.lab.pcrf.rules({"twice": True}, {"match": {"command": "STR"}, "twice": True})
    bench.outcome(wic.invite(PHONE), unanswered=False)
    bench.lab.pcrf.rules()
    bench.works()


def late_and_twice(bench):
    wic = bench.registered()
    bench.lab.pcrf.rules({"delay_ms": 3000, "twice": True, "times": 1})
    bench.outcome(wic.invite(PHONE))
    expect(lambda: bench.sent("STR"), 10, "the late session was not closed")


# What breaks the dictionary: freeDiameter drops it, with an AVP of its own that it forgets to free (1.2.1).
OCTETS = ("avp_length", "avp_zero", "group_length", "no_session", "noise", "short")
# What it passes on, and what is no answer to the request.
GARBAGE = ("number_length", "no_result", "session", "end_to_end", "hop_by_hop", "command", "mandatory")


def garbage(bench, kind):
    """Neither granted nor crashed: as if nothing had been answered; then all goes on."""
    wic = bench.registered()
    bench.lab.pcrf.rules({"garbage": kind, "times": 1})
    call = wic.invite(PHONE)
    answer = call.result(ANSWER_S)
    if bench.required:
        check(answer.status in (500, 503), f"INVITE ({answer.first})")
        bench.logged(r"policy-not-granted")
    else:
        check(answer.status in (200, 500), f"INVITE ({answer.first})")
    if answer.status == 200:
        equal(call.bye(ANSWER_S).status, 200, "BYE")
    # Some of it ends the connection, at once or a little later.
    expect(lambda: bench.connected() and wic.invite(PHONE).result(ANSWER_S).status == 200, 25,
           "no call succeeds after it")


def aborted_while_it_ends(bench):
    """BYE first: the ASR meets an STR under way."""
    _, call = bench.established()
    bench.lab.pcrf.rules({"match": {"command": "STR"}, "push_asr": 0, "delay_ms": 500})
    equal(call.bye(ANSWER_S).status, 200, "BYE")
    bench.counted("rx_asr")
    equal(len({session_of(m) for m in bench.sent("STR")}), len(bench.sent("STR")), "one STR for a session")


def aborted_before_it_ends(bench):
    """ASR first: the BYE meets a call under release."""
    _, call = bench.established()
    result = []
    push = threading.Thread(target=lambda: result.append(bench.lab.pcrf.abort("call")))
    push.start()
    end = call.request("BYE")
    call.wic.wait(lambda m: (m.method == "BYE" and not m.is_response and _answer(call.wic, m))
                  or (m.is_response and m.get("CSeq") == end.get("CSeq")), ANSWER_S)
    push.join()
    check(result and result[0] in (2001, 5002), f"ASA {result}")
    check(poll(lambda: not bench.lab.baresip.in_call(), 5), "the phone got no BYE")
    expect(lambda: bench.sent("STR"), 5, "no STR")
    equal(len(bench.sent("STR")), 1, "STR")


def aborted_before_it_is_granted(bench):
    """ASR before the AAA of the same session."""
    wic = bench.registered()
    bench.lab.pcrf.rules({"push_asr": 0, "delay_ms": 400, "times": 1})
    call = wic.invite(PHONE)
    answer = call.result(ANSWER_S)
    if answer.status == 200:
        call.wait_bye()
    check(poll(lambda: not bench.lab.baresip.in_call(), 5), "the phone is in a call")
    bench.counted("rx_asr")


def reported_while_it_is_asked(bench):
    """RAR between an AAR and its AAA; all is lost and comes back."""
    _, call = bench.established()
    bench.lab.pcrf.rules({"match": {"request_type": 1}, "push_rar": [2], "delay_ms": 400, "times": 1})
    moved = re.sub(rb"56517", b"56519", renumbered(sample(AUDIO), 5))
    equal(call.again(moved).status, 200, "re-INVITE")
    bench.counted("rx_rar")
    equal(bench.lab.pcrf.report("call", [3]), 2001, "RAA")
    check(bench.lab.baresip.in_call(), "the call ended")
    equal(call.bye().status, 200, "BYE")


def reported_for_nobody(bench):
    equal(bench.lab.pcrf.report("pcrf.ims.test;0;0;nobody", [4]), 5002, "RAA")
    equal(bench.lab.pcrf.abort("pcrf.ims.test;0;0;nobody"), 5002, "ASA")
    bench.counted("rx_unknown_session", 2)
    bench.works()


def forgets_before_the_end(bench):
    """STR for what it does not know any more: 5002, and done."""
    _, call = bench.established()
    bench.lab.pcrf.lose()
    equal(call.bye(ANSWER_S).status, 200, "BYE")


def flapping(bench):
    """It leaves and comes back, under a call and between calls."""
    _, call = bench.established()
    for _ in range(3):
        before = bench.lab.epcscf.metrics()["rx_peer_downs"]
        bench.lab.pcrf.flap()
        expect(lambda: bench.lab.epcscf.metrics()["rx_peer_downs"] > before, 10, "its end was not seen")
        expect(bench.connected, 25, "the PCRF is not connected")
    equal(call.bye(ANSWER_S).status, 200, "BYE")
    bench.works()


BASE = [stopped, killed_while_it_is_asked, deaf, deaf_to_many, slow, late, twice, late_and_twice,
        aborted_while_it_ends, aborted_before_it_ends, aborted_before_it_is_granted,
        reported_while_it_is_asked, reported_for_nobody, forgets_before_the_end, flapping]


def scenarios(options, policy):
    """[(name, function)]; in optional mode what the mode changes."""
    found = [(f.__name__.replace("_", " "), f) for f in BASE
             if policy == "required" or f in (stopped, killed_while_it_is_asked, deaf, deaf_to_many, late)]
    kinds = OCTETS + GARBAGE if policy == "required" else ("no_result", "avp_length")
    found += [(f"{'octets' if kind in OCTETS else 'garbage'} {kind}", lambda b, k=kind: garbage(b, k))
              for kind in kinds]
    return [(name, f) for name, f in found if options.k in name.replace(" ", "_")]


def one_lab(run, options, shards, policy):
    wanted = scenarios(options, policy)
    title = f"{shards} shard{'s' if shards > 1 else ''}, policy {policy}: "
    lab = Lab(os.path.join(options.var, f"{shards}-{policy}"), shards, policy, options.preset, pcrf="erlang")
    lab.epcscf.grace_ms = 1000
    if not wanted or not run.run(title + "the lab starts", lab.start):
        return
    bench = FaultBench(lab)
    try:
        for name, function in wanted:
            def scenario(b, f=function):
                f(b)
            scenario.__name__ = name
            if not run.run(title + name, one_scenario, bench, scenario):
                lab.pcrf.resume()
                if not lab.pcrf.alive():
                    lab.pcrf.start()
                if not lab.epcscf.alive():
                    lab.epcscf.stop()
                    lab.epcscf.start()
        run.run(title + "the daemon ends well", equal, lab.epcscf.stop(), 0, "exit status")
        lab.capture.stop()
        run.run(title + "nothing leaks", check_leaks, lab)
        if options.decode:
            run.run(title + "every captured message decodes", check_capture, lab.capture.file, shards)
    finally:
        lab.stop()


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--preset", default="dev")
    p.add_argument("--shards", default="1", help="numbers of shards to run with")
    p.add_argument("--policy", default="required,optional")
    p.add_argument("--var", default=os.path.join(DEFAULT_VAR, "rx-faults"))
    p.add_argument("-k", default="", help="only scenarios whose name holds this text")
    p.add_argument("--decode", action="store_true", help="also look at the capture (without garbage)")
    p.add_argument("--no-build", action="store_true")
    options = p.parse_args()
    run = Runner("rx faults")
    if not options.no_build and not run.run("build", build, options.preset):
        return run.finish()
    for shards in (int(s) for s in options.shards.split(",")):
        for policy in options.policy.split(","):
            one_lab(run, options, shards, policy)
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
