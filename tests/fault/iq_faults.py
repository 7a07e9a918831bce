"""What an H.248 gateway can do wrong to calls, end to end: its link cut in each state of a call, restarts, each
class of error, slow, silent, twice, garbage, no room, out of service. No call hangs, SIP says what went wrong, and
in the end nothing is left: no context at the gateway (asked of itself), no dialog, no Rx session."""
import argparse
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))
from epclab import addresses as a
from epclab.agw import Agw
from epclab.build import build
from epclab.checks import check_iq, check_leaks
from epclab.lab import DEFAULT_VAR, Lab
from epclab.runner import Runner, check, equal
from epclab.wait import expect, poll
from epclab.wic import sample
from faults import PHONE, Bench, one_scenario

ANSWER_S = 12
# Short enough that nothing has to be waited for long, long enough for slow machines.
TIMEOUT_MS = 2000
IQ = ["recovery_ms: 3000", "audit_interval_ms: 1000", "audit_misses: 2", "avoid_ms: 0", "heartbeat_s: 2"]


class IqBench(Bench):
    def begin(self):
        self.lab.agw.rules()
        self.ready()
        super().begin()

    def ready(self, seconds=20):
        """Registered, audited, and the eP-CSCF would give it a call."""
        expect(self.lab.agw.registered, seconds, "the gateway did not register")
        expect(self.up, seconds, "the eP-CSCF does not use the gateway")

    def up(self):
        return re.search(r"state=up\b", self.lab.epcscf.ctl("gateways")[1]) is not None

    def end(self, ignore=()):
        self.lab.agw.rules()
        self.ready()
        super().end(ignore)
        equal(self.lab.agw.terminations(), 0, "terminations at the gateway")

    def counted(self, name, by=1):
        """A counter may grow a little after the message that tells of it."""
        poll(lambda: self.lab.epcscf.metrics().get(name, 0) - self.before.get(name, 0) >= by, 8)
        super().counted(name, by)

    def rule(self, command, **what):
        self.lab.agw.rules({"match": {"command": command}, "times": 1, **what})

    def outcome(self, *statuses, wic=None):
        """A call to the phone ends with one of these."""
        call = (wic or self.registered()).invite(PHONE)
        answer = call.result(ANSWER_S)
        check(answer.status in statuses, f"INVITE: {answer.first}, expected {statuses}")
        if answer.status == 200:
            equal(call.bye(ANSWER_S).status, 200, "BYE")
        return answer

    def works(self):
        """The next call is an ordinary one."""
        self.ready()
        _, call = self.established()
        equal(call.bye().status, 200, "BYE")

    def ends_by_itself(self, call, seconds=ANSWER_S):
        """Both sides are told."""
        call.wait_bye(seconds)
        check(poll(lambda: not self.lab.baresip.in_call(), 5), "the phone got no BYE")


def plain(bench):
    _, call = bench.established()
    equal(bench.lab.agw.contexts(), 1, "contexts in a call")
    equal(bench.lab.agw.modes().get("core/1"), "sendRecv", "mode of the core side")
    equal(call.bye().status, 200, "BYE")


# ---- the link -----------------------------------------------------------------------------------------

def cut_before_the_offer(bench):
    bench.rule("Add", cut="before")
    bench.outcome(503)
    bench.works()


def cut_after_the_offer(bench):
    """Carried out, but the reply is lost with the link: found and subtracted when it is back."""
    bench.rule("Add", cut="after")
    bench.outcome(503)
    bench.works()


def cut_before_the_answer(bench):
    bench.rule("Modify", cut="before")
    bench.outcome(500, 503)
    check(poll(lambda: not bench.lab.baresip.in_call(), 5), "the phone is left in a call")
    bench.works()


def cut_after_the_answer(bench):
    bench.rule("Modify", cut="after")
    bench.outcome(500, 503)
    check(poll(lambda: not bench.lab.baresip.in_call(), 5), "the phone is left in a call")
    bench.works()


def cut_in_a_call(bench):
    """Back in time with the contexts that it had: nobody notices."""
    _, call = bench.established()
    bench.lab.agw.cut()
    bench.logged("event=iq-gateway-lost")
    bench.ready()
    check(bench.lab.baresip.in_call(), "the call ended")
    equal(bench.lab.agw.contexts(), 1, "contexts")
    equal(call.bye().status, 200, "BYE")


def cut_for_long(bench):
    """Longer than calls are held for."""
    _, call = bench.established()
    bench.lab.agw.cut(6000)
    bench.ends_by_itself(call)
    bench.works()


def cut_in_a_re_offer(bench):
    """The re-INVITE fails, the call goes on."""
    _, call = bench.established()
    bench.rule("Modify", cut="before")
    moved = call.again(re.sub(rb"56517", b"56519", sample("chromium-audio.sdp").replace(b"a=ice-ufrag:", b"a=ice-ufrag:N")))
    check(moved.status in (200, 500, 503), f"re-INVITE: {moved.first}")
    bench.ready()
    equal(call.bye().status, 200, "BYE")


def cut_at_the_release(bench):
    for when in ("before", "after"):
        _, call = bench.established()
        bench.rule("Subtract", cut=when)
        equal(call.bye(ANSWER_S).status, 200, "BYE")
        bench.ready()
        expect(lambda: bench.lab.agw.contexts() == 0, 15, "the context is still there")


# ---- restarts -----------------------------------------------------------------------------------------

def restarted_cold(bench):
    _, call = bench.established()
    bench.lab.agw.restart("cold")
    bench.ends_by_itself(call)
    bench.works()


def restarted_warm(bench):
    """902: what survived goes on."""
    _, call = bench.established()
    bench.lab.agw.restart("warm")
    bench.logged("event=iq-gateway-lost|iq-gateway-up")
    expect(lambda: bench.lab.agw.registrations() > 0 and bench.up(), 20, "the gateway did not come back")
    check(bench.lab.baresip.in_call(), "the call ended")
    equal(call.bye(ANSWER_S).status, 200, "BYE")


def lost_its_contexts(bench):
    """It says that it was only disconnected; the audit tells better."""
    _, call = bench.established()
    bench.lab.agw.restart("lost")
    bench.ends_by_itself(call)
    bench.works()


def killed(bench):
    _, call = bench.established()
    bench.lab.agw.kill()
    bench.lab.rtpengine.stop()
    bench.lab.rtpengine.start()
    bench.lab.agw.start()
    bench.ends_by_itself(call)
    bench.works()


def restarted_in_each_step(bench):
    for command in ("Add", "Modify", "Subtract"):
        bench.rule(command, restart="cold")
        answer = bench.outcome(*((200,) if command == "Subtract" else (500, 503)))
        check(answer, command)
        bench.ready()
        check(poll(lambda: not bench.lab.baresip.in_call(), 5), f"{command}: the phone is left in a call")
        equal(bench.lab.agw.contexts(), 0, f"{command}: contexts")


def daemon_killed(bench):
    """What it had at the gateway is subtracted when the gateway comes to the next one."""
    lab = bench.lab
    wic, _ = bench.established()
    lab.epcscf.kill()
    lab.baresip.stop()
    lab.baresip.start()
    lab.epcscf.start()
    bench.mark = 0
    bench.ready()
    expect(lambda: lab.agw.contexts() == 0, 15, "the dead daemon's context is still there")
    wic.close()
    bench.open = []
    expect(lambda: lab.pcrf.open_sessions() == 0, 10, "the PCRF still has the session of the dead daemon")
    bench.before = lab.epcscf.metrics()


# ---- errors -------------------------------------------------------------------------------------------

# H.248.8 code: what the WIC is told.
ERRORS = {400: 500, 403: 500, 410: 500, 412: 503, 421: 500, 422: 500, 430: 503, 432: 503, 442: 500, 443: 500,
          500: 500, 501: 500, 502: 503, 503: 503, 506: 503, 510: 503, 515: 488, 517: 500, 521: 503, 526: 503,
          529: 503, 530: 503, 533: 500, 581: 500}


def errors_of_the_offer(bench):
    wic = bench.registered()
    for i, (code, status) in enumerate(ERRORS.items()):
        level = ("transaction", "action", "command")[i % 3]
        bench.rule("Add", error=code, level=level)
        answer = wic.invite(PHONE).result(ANSWER_S)
        equal(answer.status, status, f"error {code} of the {level} ({answer.first})")
        if status == 503 and code not in (411, 430):
            check(answer.get("Retry-After"), f"error {code}: no Retry-After")
        bench.ready()
    equal(bench.lab.agw.contexts(), 0, "contexts")


def errors_of_the_answer(bench):
    wic = bench.registered()
    for code in (500, 510, 411, 430):
        bench.rule("Modify", error=code)
        answer = wic.invite(PHONE).result(ANSWER_S)
        check(answer.status in (500, 503), f"error {code} ({answer.first})")
        check(poll(lambda: not bench.lab.baresip.in_call(), 5), f"error {code}: the phone is left in a call")
        bench.ready()


def half_an_offer(bench):
    """The first Add is carried out, the second one refused."""
    bench.rule("Add", error=510, at=2)
    bench.outcome(503)
    expect(lambda: bench.lab.agw.terminations() == 0, 15, "half a context is left")


def refused_element(bench):
    """The call is set up without what the gateway does not want."""
    bench.rule("Add", error=445, text="Unsupported or unknown property ds/dscp")
    bench.outcome(200)
    bench.logged("event=elements-refused")
    record = [m["text"] for m in bench.lab.agw.messages() if "Add" in m["commands"]]
    check("ds/dscp" in record[-2] and "ds/dscp" not in record[-1], "the second try is as the first")
    bench.lab.agw.restart("cold")  # from there on it may be asked again
    bench.works()


def errors_of_the_release(bench):
    for what in ({"error": 500}, {"error": 411}, {"error": 430}, {"error": 510, "level": "transaction"}):
        _, call = bench.established()
        bench.rule("Subtract", **what)
        equal(call.bye(ANSWER_S).status, 200, "BYE")
        expect(lambda: bench.lab.epcscf.gauges()["gateway_contexts"] == 0, 15, f"{what}: the context is still held")
        if what["error"] == 411: # it said that there is none: that the rule lied is not ours to find out
            bench.lab.agw.told("forget")
        expect(lambda: bench.lab.agw.contexts() == 0, 15, f"{what}: the context is still there")


# ---- time ---------------------------------------------------------------------------------------------

def slow(bench):
    bench.lab.agw.rules({"delay_ms": 700})
    bench.outcome(200)


def pending(bench):
    """TransactionPending lengthens the wait."""
    bench.rule("Add", pendings=3, delay_ms=TIMEOUT_MS + 1000)
    bench.outcome(200)
    bench.counted("iq_pendings_in", 2)


def pending_without_end(bench):
    bench.rule("Add", pendings=20, delay_ms=20000)
    bench.outcome(500, 503)


def no_answer(bench):
    bench.rule("Add", drop=True)
    bench.outcome(503)
    bench.works()


def carried_out_without_an_answer(bench):
    """Nobody knows the context: the gateway asks (hangterm/thb), is told so and drops it."""
    bench.rule("Add", mute=True)
    bench.outcome(503)
    expect(lambda: bench.lab.agw.contexts() == 0, 20, "the context hangs")


def late(bench):
    """The context of a reply that comes too late is subtracted."""
    bench.rule("Add", hold_ms=TIMEOUT_MS + 1500)
    bench.outcome(503)
    bench.counted("iq_late_replies")
    expect(lambda: bench.lab.agw.contexts() == 0, 15, "the late context is left")


def no_answer_to_the_answer(bench):
    bench.rule("Modify", mute=True)
    bench.outcome(500, 503)
    check(poll(lambda: not bench.lab.baresip.in_call(), 5), "the phone is left in a call")


def no_answer_to_the_release(bench):
    for what in ({"drop": True}, {"mute": True}):
        _, call = bench.established()
        bench.rule("Subtract", **what)
        equal(call.bye(ANSWER_S).status, 200, "BYE")
        expect(lambda: bench.lab.agw.contexts() == 0 and bench.lab.epcscf.gauges()["gateway_contexts"] == 0, 20,
               "the context is still there")


def deaf(bench):
    """The connection stays, nothing comes: it counts as lost, and its calls end."""
    _, call = bench.established()
    bench.lab.agw.deaf()
    try:
        bench.ends_by_itself(call, 40)
        bench.logged("event=iq-gateway-lost")
    finally:
        bench.lab.agw.deaf(False)
    bench.works()


def stopped(bench):
    """The whole process stands still, then reads all at once."""
    wic = bench.registered()
    bench.lab.agw.pause()
    try:
        bench.outcome(503, wic=wic)
    finally:
        bench.lab.agw.resume()
    bench.works()


# ---- what is no proper reply ----------------------------------------------------------------------------

def twice(bench):
    bench.lab.agw.rules({"twice": True})
    bench.outcome(200)
    bench.counted("iq_stray", 2)


GARBAGE = ("noise", "empty", "truncated", "brace", "version", "mid", "id", "context", "termination", "description",
           "deep")


def garbage(bench, kind):
    bench.rule("Add", garbage=kind)
    answer = bench.registered().invite(PHONE).result(ANSWER_S)
    check(answer.status in (200, 500, 503), f"INVITE: {answer.first}")
    for wic in bench.open:
        wic.close()
    bench.open = []
    bench.lab.agw.rules()
    expect(lambda: bench.lab.agw.contexts() == 0, 20, "a context is left")
    bench.works()


# ---- room and service -----------------------------------------------------------------------------------

def no_room(bench):
    """It has told how many contexts it has; no more are asked for."""
    agw = bench.lab.agw
    agw.stop()
    agw.settings["max_contexts"] = 1
    agw.start()
    try:
        bench.ready()
        wic, call = bench.established()
        answer = wic.invite(PHONE).result(ANSWER_S)
        equal(answer.status, 503, f"a call without room ({answer.first})")
        check(answer.get("Retry-After"), "no Retry-After")
        equal(call.bye().status, 200, "BYE")
        bench.end()
    finally:
        del agw.settings["max_contexts"]
        agw.stop()
        agw.start()
        bench.ready()
    bench.works()


def leaves_at_once(bench):
    _, call = bench.established()
    bench.lab.agw.leave("forced", "908 MG Impending Failure")
    bench.ends_by_itself(call)
    bench.outcome(503)
    bench.lab.agw.told("forget")
    bench.lab.agw.told("back")
    bench.works()


def leaves_in_its_own_time(bench):
    """What is up goes on, nothing new is asked of it."""
    wic, call = bench.established()
    bench.lab.agw.leave("graceful", "905 Termination taken out of service")
    bench.outcome(503, wic=wic)
    check(bench.lab.baresip.in_call(), "the call ended")
    equal(call.bye().status, 200, "BYE")
    expect(lambda: bench.lab.agw.contexts() == 0, 10, "contexts")
    bench.lab.agw.restart("cold")
    bench.works()


def termination_out_of_service(bench):
    _, call = bench.established()
    (context, terminations), = bench.lab.agw.held().items()
    equal(bench.lab.agw.service(context, terminations[0]), "ok", "ServiceChange")
    bench.ends_by_itself(call)
    bench.works()


def bearer_lost(bench):
    for text in ("DTLS_session_establishment_failure", "ICE_connectivity_check_failure", "bearer_lost"):
        _, call = bench.established()
        equal(bench.lab.agw.notify("any", "access", "g/cause", stream=1, Generalcause="FT", Failurecause=text), "ok",
              "Notify")
        bench.ends_by_itself(call)
        expect(lambda: bench.lab.agw.contexts() == 0, 10, "contexts")


# ---- datagrams ------------------------------------------------------------------------------------------

def a_datagram_is_lost(bench):
    """On the way there and on the way back: repeated, and carried out once."""
    for what in ("drop", "mute"):
        before = bench.lab.agw.opened()
        bench.rule("Add", **{what: True})
        bench.outcome(200)
        equal(bench.lab.agw.opened(), before + 1, f"{what}: contexts made")
    bench.counted("iq_repeated", 2)


def a_report_ends_the_call(bench):
    """As over TCP."""
    _, call = bench.established()
    equal(bench.lab.agw.notify("any", "access", "g/cause", stream=1, Generalcause="FT", Failurecause="x"), "ok", "Notify")
    bench.ends_by_itself(call)


# ---- two gateways ---------------------------------------------------------------------------------------

def second(bench):
    lab = bench.lab
    agw = Agw(lab.var, "agw2", a.AGW2, a.AGW2_CONTROL)
    agw.start()
    try:
        agw.wait_registered()
        # Each shard may name each gateway.
        expect(lambda: len(set(re.findall(r"gateway=(\S+) .*state=up\b", lab.epcscf.ctl("gateways")[1]))) == 2, 20,
               "two gateways are not up")
    except BaseException:
        agw.stop()
        raise
    return agw


def another_takes_the_call(bench):
    """Refused by one, carried out by the other; and calls of one that is gone end, those of the other go on."""
    other = second(bench)
    try:
        # The two in turn: two calls ask each of them, and one is refused.
        bench.rule("Add", error=510)
        wic = bench.registered()
        calls = []
        for _ in range(2):
            call = wic.invite(PHONE)
            answer = call.result(ANSWER_S)
            equal(answer.status, 200, f"INVITE ({answer.first})")
            calls.append(call)
        bench.counted("iq_failovers")
        check(other.contexts() >= 1, "the other one has no call")
        for call in calls:
            equal(call.bye(ANSWER_S).status, 200, "BYE")
        expect(lambda: other.contexts() == 0, 10, "the other one's contexts")
        bench.lab.agw.leave("forced", "905 Termination taken out of service")
        for _ in range(2):
            equal(bench.established(wic)[1].bye(ANSWER_S).status, 200, "BYE")
        bench.lab.agw.told("back")
        bench.ready()
    finally:
        if other.alive():
            equal(other.faults(), 0, "faults that the other one found")
            other.leave("forced", "905 Termination taken out of service")
        other.stop()
    bench.works()


BASE = [plain, cut_before_the_offer, cut_after_the_offer, cut_before_the_answer, cut_after_the_answer, cut_in_a_call,
        cut_for_long, cut_in_a_re_offer, cut_at_the_release, restarted_cold, restarted_warm, lost_its_contexts, killed,
        restarted_in_each_step, daemon_killed, errors_of_the_offer, errors_of_the_answer, half_an_offer,
        refused_element, errors_of_the_release, slow, pending, pending_without_end, no_answer,
        carried_out_without_an_answer, late, no_answer_to_the_answer, no_answer_to_the_release, deaf, stopped, twice,
        no_room, leaves_at_once, leaves_in_its_own_time, termination_out_of_service, bearer_lost, another_takes_the_call]


# Over UDP and with short tokens: what the transport changes.
UDP = [plain, a_datagram_is_lost, a_report_ends_the_call, restarted_cold, restarted_warm, pending, twice, deaf]


def scenarios(options, udp):
    found = [(f.__name__.replace("_", " "), f) for f in (UDP if udp else BASE)]
    if not udp:
        found += [(f"garbage {kind}", lambda b, k=kind: garbage(b, k)) for kind in GARBAGE]
    return [(name, f) for name, f in found if options.k in name.replace(" ", "_")]


def one_lab(run, options, shards, udp):
    wanted = scenarios(options, udp)
    title = f"{shards} shard{'s' if shards > 1 else ''}, {'UDP' if udp else 'TCP'}: "
    lab = Lab(os.path.join(options.var, f"{shards}-{'udp' if udp else 'tcp'}"), shards, "required", options.preset,
              agw="h248")
    lab.epcscf.grace_ms = 1000
    lab.epcscf.iq = IQ + (["compact: true"] if udp else [])
    if udp:
        lab.agw.transport, lab.agw.compact = "udp", True
        lab.agw.settings["silence_ms"] = 4000
    lab.epcscf.overrides = {"  ice_timeout_ms:": f"  timeout_ms: {TIMEOUT_MS}\n  ice_timeout_ms:"}
    if not wanted or not run.run(title + "the lab starts", lab.start):
        return
    bench = IqBench(lab)
    try:
        for name, function in wanted:
            def scenario(b, f=function):
                f(b)
            scenario.__name__ = name
            if not run.run(title + name, one_scenario, bench, scenario):
                lab.agw.stop()  # the next one begins with a new gateway
                lab.rtpengine.stop()
                lab.rtpengine.start()
                lab.agw.start()
                if not lab.epcscf.alive():
                    lab.epcscf.stop()
                    lab.epcscf.start()
        run.run(title + "the daemon ends well", equal, lab.epcscf.stop(), 0, "exit status")
        lab.capture.stop()
        run.run(title + "nothing leaks", check_leaks, lab)
        if udp: # in the other lab there is garbage in between
            run.run(title + "every Iq message decodes", check_iq, lab.capture.file, shards)
    finally:
        lab.stop()


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--preset", default="dev")
    p.add_argument("--shards", default="1", help="numbers of shards to run with")
    p.add_argument("--var", default=os.path.join(DEFAULT_VAR, "iq-faults"))
    p.add_argument("-k", default="", help="only scenarios whose name holds this text")
    p.add_argument("--no-build", action="store_true")
    options = p.parse_args()
    run = Runner("iq faults")
    if not options.no_build and not run.run("build", build, options.preset):
        return run.finish()
    for shards in (int(s) for s in options.shards.split(",")):
        for udp in (False, True):
            one_lab(run, options, shards, udp)
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
