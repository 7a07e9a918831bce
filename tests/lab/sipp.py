#!/usr/bin/env python3
"""tests/lab/sipp.py [--agw rtpengine|h248] [--preset NAME] [--var DIR]: SIPp as callee and caller on the core's
side, for what no phone does on request: forks, late offers, reliable responses, preconditions, UPDATE, glare.
The scenarios are tests/lab/sipp/*.xml; the browser's side is played here, by a client that has neither
reliable provisional responses nor preconditions."""
import argparse
import glob
import os
import subprocess
import sys

from epclab import addresses as a
from epclab.build import build
from epclab.lab import DEFAULT_VAR, Lab
from epclab.runner import Runner, check, equal
from epclab.sipmsg import branch, tag_of
from epclab.wait import LabError
from epclab.wic import Incoming, Wic, browser_answer, sample
from cli import explain

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sipp")
PHONE = f"sip:phone@{a.DOMAIN}"


class Sipp:
    """One call of one scenario, in the phone's place."""
    running = []

    def __init__(self, lab, scenario):
        self.dir = os.path.join(lab.var, "sipp")
        os.makedirs(self.dir, exist_ok=True)
        for old in glob.glob(os.path.join(self.dir, f"{scenario}_*")):
            os.unlink(old)
        self.scenario = scenario
        command = ["sipp", f"{a.CORE[0]}:{a.CORE[1]}", "-sf", os.path.join(HERE, scenario + ".xml"), "-i", a.PHONE[0],
                   "-p", str(a.PHONE[1]), "-mi", a.PHONE[0], "-m", "1", "-nostdin", "-trace_err", "-trace_msg",
                   "-error_file", os.path.join(self.dir, f"{scenario}_errors.log"),
                   "-message_file", os.path.join(self.dir, f"{scenario}_messages.log"), "-timeout", "40s",
                   "-timeout_error", "-recv_timeout", "15000"]
        self.child = subprocess.Popen(command, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, start_new_session=True)
        Sipp.running.append(self.child)

    @classmethod
    def end_all(cls):
        """A scenario that failed leaves its SIPp behind, on the port that the next one needs."""
        for child in cls.running:
            child.kill()
            child.wait()
        cls.running.clear()

    def done(self):
        try:
            status = self.child.wait(45)
        except subprocess.TimeoutExpired:
            self.child.kill()
            status = self.child.wait()
        if status == 0:
            return
        errors = os.path.join(self.dir, f"{self.scenario}_errors.log")
        said = open(errors, errors="replace").read().splitlines() if os.path.exists(errors) else []
        raise LabError(f"{self.scenario}: SIPp ended with {status}: {' '.join(said[:6])[:800]}; all messages: "
                       f"{self.dir}/{self.scenario}_messages.log")


def registered():
    wic = Wic()
    equal(wic.register_digest().status, 200, "REGISTER")
    return wic


def finish(lab, wic, sipp):
    sipp.done()
    wic.close()
    lab.settle(ignore=("registrations",))


def reliable_responses_and_preconditions(lab):
    wic, sipp = registered(), Sipp(lab, "callee_reliable")
    call = wic.invite(PHONE)
    progress = call.provisional()
    equal(progress.status, 183, "first provisional response")
    check(not progress.get("RSeq") and "100rel" not in progress.get("Require"), "the WIC was told of reliability")
    check(b"a=ice-ufrag" in progress.body and b"qos" not in progress.body, "SDP of the 183")
    equal(call.provisional().status, 180, "second provisional response")
    answer = call.result()
    equal(answer.status, 200, "INVITE")
    check(b"a=ice-ufrag" in answer.body, "the 200 must have the answer: the WIC saw only previews")
    equal(call.bye().status, 200, "BYE")
    finish(lab, wic, sipp)


def forked(lab):
    wic, sipp = registered(), Sipp(lab, "callee_forks")
    call = wic.invite(PHONE)
    early = [call.provisional() for _ in range(3)]
    equal([tag_of(e.get("To")) for e in early], ["first", "second", "first"], "dialogs of the provisional responses")

    def identity(message):
        return [line for line in message.body.split(b"\r\n") if line.startswith((b"a=ice-ufrag", b"a=ice-pwd",
                                                                                  b"a=fingerprint"))]
    check(identity(early[0]) and identity(early[0]) == identity(early[1]), "both dialogs must have one ICE identity")
    answer = call.result()
    equal((answer.status, tag_of(answer.get("To"))), (200, "first"), "INVITE")
    equal(identity(answer), identity(early[0]), "ICE and DTLS identity of the answer")
    equal(call.bye().status, 200, "BYE")
    finish(lab, wic, sipp)


def crossing(wic, call):
    """A re-INVITE that fails; the ACK is of its transaction."""
    call.cseq += 1
    via = branch()
    wic_request = dict(to=call.uri, call_id=call.call_id, cseq=call.cseq, tag=call.tag, to_tag=call.to_tag,
                       routes=call.routes, via_branch=via)
    answer = wic.final(wic.request("INVITE", call.target, **wic_request, body=sample("chromium-audio.sdp"),
                                   extra=[("Contact", wic.contact), ("Content-Type", "application/sdp")]))
    wic.request("ACK", call.target, **wic_request)
    return answer


def glare_and_update(lab):
    wic, sipp = registered(), Sipp(lab, "callee_offers")
    call = wic.invite(PHONE)
    equal(call.result().status, 200, "INVITE")
    again = wic.wait(lambda m: m.method == "INVITE" and not m.is_response)
    equal(crossing(wic, call).status, 491, "a re-INVITE that crosses another")
    wic.send(again.reply(200, "OK", [("Contact", wic.contact), ("Content-Type", "application/sdp")],
                         browser_answer(again.body), tag=call.tag))
    update = wic.wait(lambda m: m.method == "UPDATE" and not m.is_response)
    check(b"a=inactive" in update.body, "hold by UPDATE")
    wic.send(update.reply(200, "OK", [("Contact", wic.contact), ("Content-Type", "application/sdp")],
                          browser_answer(update.body).replace(b"a=sendrecv", b"a=inactive"), tag=call.tag))
    equal(call.bye().status, 200, "BYE")
    finish(lab, wic, sipp)


def late_offer(lab):
    wic, sipp = registered(), Sipp(lab, "caller_late_offer")
    call = Incoming(wic)
    check(not call.invite.body, "an offer in the INVITE")
    call.ring()
    call.accept(sample("chromium-audio.sdp"))
    ack = wic.wait(lambda m: m.method == "ACK")
    check(b"a=ice-ufrag" in ack.body and b"UDP/TLS/RTP/SAVPF" in ack.body, "answer in the ACK")
    call.wait_bye()
    finish(lab, wic, sipp)


def required_of_the_browser(lab):
    wic, sipp = registered(), Sipp(lab, "caller_requires")
    call = Incoming(wic)
    check("100rel" not in call.invite.get("Require") + call.invite.get("Supported"), "100rel reached the WIC")
    check("precondition" not in call.invite.get("Require") and b"qos" not in call.invite.body,
          "preconditions reached the WIC")
    call.ring()
    call.accept()
    call.acked()
    call.wait_bye()
    finish(lab, wic, sipp)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--agw", choices=("rtpengine", "h248"), default="rtpengine")
    p.add_argument("--preset", default="release")
    p.add_argument("--var", default=os.path.join(DEFAULT_VAR, "sipp"))
    options = p.parse_args()
    build(options.preset, say=print)
    run = Runner(f"SIPp {options.agw}")
    lab = Lab(options.var, 1, "required", options.preset, capture=False, agw=options.agw)
    lab.components.remove(lab.baresip)  # SIPp stands in its place
    lab.epcscf.overrides = {"\nmedia:\n": "\ncalls:\n  preconditions: offer\nmedia:\n"}
    with lab:
        for scenario in (reliable_responses_and_preconditions, forked, glare_and_update, late_offer,
                         required_of_the_browser):
            run.run(scenario.__name__.replace("_", " "), scenario, lab)
            Sipp.end_all()
    return run.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as e:
        explain(e)
        print("0 passed, 1 failed", flush=True)
        sys.exit(1)
