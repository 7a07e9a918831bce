#!/usr/bin/env python3
"""What `epcscfctl rx` tells of Rx sessions: granted, refused, unanswered, failed over, aborted, held back.
The facts must be in the words for people and in the JSON for scripts, for a session that lives and for one
that has ended."""
import json
import re
import sys

from rx_peers import main
from epclab.runner import check, equal
from epclab.wait import expect


def ask(edge, *words):
    edge.say("rx " + " ".join(words))
    return edge.wait_event("rx")


def explain(edge, who):
    return ask(edge, "explain", who)["text"]


def objects(edge, *words):
    return [json.loads(line) for line in ask(edge, *words, "--json")["text"].splitlines()]


def says(text, *facts):
    at = 0
    for fact in facts:  # in this order
        m = re.compile(fact).search(text, at)
        check(m, f"'{fact}' is not said, or not there, in:\n{text}")
        at = m.end()


def value(avps, *path):
    for name in path:
        found = [a for a in avps if a["name"] == name]
        check(found, f"no {name} among {[a['name'] for a in avps]}")
        avps = found[0]["value"]
    return avps


def granted_and_ended(w):
    a, = w.pcrfs(1)
    edge = w.run(a)
    edge.ask("open", "c")
    edge.ask("update", "c")
    live = objects(edge, "sessions")
    equal(len(live), 1, "live sessions")
    s = live[0]
    equal((s["call_id"], s["impu"], s["ue"], s["state"], s["pcrf"], s["live"]),
          ("c0", "sip:alice@ims.test", "10.45.0.2", "Open", a.name, True), "the line of a live session")
    says(s["last"], "SUCCESS")
    says(ask(edge, "sessions")["text"], "session=epcscf", "call=c0 ", "state=Open ", f"pcrf={a.name} ", "age_s=")

    whole = objects(edge, "show", s["session_id"])[0]
    first, second = whole["exchanges"]
    equal((first["kind"], first["initial"], second["initial"], first["code"]), ("AAR", True, False, 2001),
          "the exchanges")
    equal(first["why"], "- Service-Info-Status=FINAL <- offer and answer\n1 Media-Type=AUDIO <- \"m=audio\"\n",
          "why")
    mcd = value(first["request"], "Media-Component-Description")
    equal(value(mcd, "Flow-Status"), "2(ENABLED)", "an enumerated value by name")
    equal(value(mcd, "Max-Requested-Bandwidth-UL"), "81000", "what was sent")
    equal(value(first["answer"], "Result-Code")[:4], "2001", "what came back")
    check(first["took_ms"] >= 0, "how long it took")
    text = ask(edge, "show", "c0")["text"]
    says(text, "1. 20..-..-..T..:..:......Z AAR to pcrf", "sent:", "Media-Component-Description\n",
         "Media-Sub-Component\n", "Flow-Description = \"permit in 17", "Framed-IP-Address = 10.45.0.2", "came back:",
         "Result-Code = 2001", "2. .*AAR to pcrf")
    says(explain(edge, "sip:alice@ims.test"), "Call c0 of sip:alice", "UE at 10.45.0.2", "AAR that opens",
         "the session:", "Specific-Action=1.*, 2.* <- policy.specific_actions", "Framed-IP-Address=10.45.0.2 <- source",
         "Service-Info-Status=FINAL <- offer and answer", "component 1:", "Media-Type=AUDIO <- \"m=audio\"",
         "Result after .* ms: .*SUCCESS", "AAR that updates")

    edge.close("c")
    w.settled()
    equal(objects(edge, "sessions"), [], "live sessions at the end")
    equal([o["state"] for o in objects(edge, "sessions", "--all")], ["Ended"], "ended sessions")
    says(explain(edge, "c0"), "Ended", "STR, which ends the session", "SUCCESS")


def refused_with_bandwidth(w):
    a, = w.pcrfs(1)
    edge = w.run(a)
    a.rules({"experimental": 5063, "acceptable": [{"component": 1, "ul": 64000, "dl": 48000}]})
    edge.ask("open", "c")
    edge.say("note c")
    text = explain(edge, "c0")
    says(text, "AAR that opens", "5063", "Asked for component 1: uplink 81000 bit/s downlink 81000",
         "Acceptable for component 1: uplink 64000 bit/s downlink 48000", "SIP: refused with 503")
    whole = objects(edge, "explain", "c0")[0]
    equal(whole["exchanges"][0]["code"], 5063, "code")
    equal([x["kind"] for x in whole["exchanges"]], ["AAR", "sip"], "steps")
    edge.close("c")
    w.settled()
    equal(explain(edge, "c0"), text, "the explanation of the ended call")


def no_ip_can_session(w):
    a, = w.pcrfs(1)
    edge = w.run(a)
    a.rules({"experimental": 5065})
    edge.ask("open", "c")
    says(explain(edge, "c0"), "5065", "no IP-CAN session", "10.45.0.2, a private", "NAT", "policy.access")
    edge.close("c")
    w.settled()


def unanswered(w):
    a, = w.pcrfs(1)
    edge = w.run(a, timeout_ms=600)
    a.rules({"drop": True})
    edge.ask("open", "c")
    says(explain(edge, "c0"), f"went to {a.name}", "Result after (5|6|7)[0-9][0-9] ms: no answer in time",
         "policy.timeout_ms .600 ms")
    a.rules()
    edge.close("c")
    w.settled()


def answered_too_late(w):
    a, = w.pcrfs(1)
    edge = w.run(a, timeout_ms=400)
    a.rules({"delay_ms": 700})
    edge.ask("open", "c")
    expect(lambda: "came too late" in explain(edge, "c0"), 10, "the late answer is not told")
    says(explain(edge, "c0"), "no answer in time; late: .*SUCCESS", "too late", "STR")
    a.rules()
    edge.close("c")
    w.settled()


def failed_over(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 2])
    a.rules({"result": 3004, "error_bit": True})
    edge.ask("open", "c")
    says(explain(edge, "c0"), f"went to {b.name}", "It was tried at:", f"to {a.name}: too busy .3004",
         f"to {b.name}: answered", "SUCCESS")
    edge.close("c")
    w.settled()


def failed_over_in_vain(w):
    a, b = w.pcrfs()
    edge = w.run(a, b, priorities=[1, 2])
    a.freeze()
    b.freeze()
    edge.say("open c 1")
    # Before its end is known: where it has been.
    expect(lambda: f"to {b.name}: no answer yet" in explain(edge, "c0"), 10, "the second attempt is not told")
    edge.results({"c0": 0})
    says(explain(edge, "c0"), f"to {a.name}: no answer within policy.failover_ms", f"to {b.name}",
         "no answer in time")
    a.thaw()
    b.thaw()
    expect(lambda: a.record("STR") and b.record("STR"), 10, "what they granted too late is not ended")
    edge.close("c")
    w.settled()


def aborted(w):
    a, = w.pcrfs(1)
    edge = w.run(a)
    a.rules({"abort_after_ms": 20, "abort_cause": 2})
    edge.ask("open", "c")
    edge.wait_event("event")
    says(explain(edge, "c0"), "ASR, by which the PCRF ends the session, came from", "answered .*SUCCESS",
         "Abort-Cause = 2.INSUFFICIENT_BEARER_RESOURCES")
    edge.close("c")
    w.settled()
    says(explain(edge, "c0"), "ASR", "STR")


def bearer_lost(w):
    a, = w.pcrfs(1)
    edge = w.run(a)
    a.rules({"rar_after_ms": 20, "specific_action": [4], "lost": [1]})
    edge.ask("open", "c")
    edge.wait_event("event")
    says(explain(edge, "c0"), "RAR came from", "Specific-Action = 4.INDICATION_OF_RELEASE_OF_BEARER", "Flows\n",
         "Media-Component-Number = 1")
    says(ask(edge, "show", "c0")["text"], "2. .* RAR from", "received:", "Session-Id", "answered: .*SUCCESS")
    edge.close("c")
    w.settled()


def held_back(w):
    a, = w.pcrfs(1)
    edge = w.run(a)
    a.rules({"experimental": 4261, "retry_interval": 60})
    edge.ask("open", "first")
    says(explain(edge, "first0"), "4261", "asked again in 60 s")
    edge.ask("open", "other")   # the driver's second shard
    a.forget()
    edge.ask("open", "second")  # the same as the first, for the same UE
    text = explain(edge, "second0")
    says(text, "No Rx session: nothing was sent", "4261", "Not sent", "asked again in")
    equal(objects(edge, "explain", "second0")[0]["state"], "Not-Sent", "state")
    equal(a.since("AAR"), [], "AARs")
    edge.close("first")
    edge.close("other")
    edge.close("second")
    w.settled()


def lost_and_opened_anew(w):
    a, = w.pcrfs(1)
    edge = w.run(a)
    a.rules({"match": {"request_type": 1}, "result": 5002})
    edge.ask("open", "c")
    edge.ask("update", "c")
    text = explain(edge, "c0")
    says(text, "Ended", "AAR that opens", "AAR that updates", "5002", "does not know the session any more",
         "\n\nCall c0", "Open", "AAR that opens", "SUCCESS")
    equal(ask(edge, "explain", "c0")["told"], 2, "Rx sessions of the call")
    edge.close("c")
    w.settled()


def nobody_connected(w):
    a, = w.pcrfs(1)
    edge = w.run(a)
    a.kill()
    expect(lambda: not any("state=open" in line for line in edge.peers_text()), 15, "the PCRF is still open")
    edge.ask("open", "c")
    says(explain(edge, "c0"), "No PCRF could be asked")
    edge.close("c")
    a.start()
    edge.wait_open(a)
    w.settled()


def nobody_known(w):
    a, = w.pcrfs(1)
    edge = w.run(a)
    got = ask(edge, "explain", "nobody@nowhere")
    equal((got["told"], got["text"]), (0, ""), "an unknown call")


SCENARIOS = [granted_and_ended, refused_with_bandwidth, no_ip_can_session, unanswered, answered_too_late, failed_over,
             failed_over_in_vain, aborted, bearer_lost, held_back, lost_and_opened_anew, nobody_connected, nobody_known]

if __name__ == "__main__":
    sys.exit(main(SCENARIOS, "rx explain", __doc__))
