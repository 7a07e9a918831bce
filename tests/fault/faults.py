"""What goes wrong at an edge, each against real peers: who is told what, why it says so in the log,
and that nothing is held afterwards, by our own gauges and by the peers' own counts."""
import argparse
import json
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from epclab import addresses as a
from epclab import tokens
from epclab.build import build
from epclab.checks import FORGED, check_capture, check_core_side, check_leaks
from epclab.epcscf import RSA_ISSUER, RSA_KID
from epclab.lab import DEFAULT_VAR, Lab
from epclab.runner import Runner, check, equal
from epclab.sipmsg import token
from epclab.wait import LabError, expect, poll
from epclab.wic import Refused, WebSocket, Wic, sample

PHONE = f"sip:phone@{a.DOMAIN}"
# Experimental-Result-Codes of TS 29.214 5.5.
NOT_AUTHORIZED = 5063
PERMISSION_DENIED_IN_ROAMING = 5065


class Bench:
    """A lab and what the scenarios need of it again and again."""

    def __init__(self, lab):
        self.lab = lab
        self.mark = 0
        self.open = []

    def begin(self):
        self.lab.pcrf.rules()
        if self.lab.baresip.in_call():  # left over by a scenario that failed
            self.lab.baresip.stop()
            self.lab.baresip.start()
        self.lab.baresip.answer_mode("auto")
        self.lab.kamailio.forget_bindings()
        self.mark = self.lab.epcscf.log_size()
        self.before = self.lab.epcscf.metrics()

    def end(self, ignore=()):
        """Close what is open; then nothing may be held any more."""
        for wic in self.open:
            wic.close()
        self.open = []
        self.lab.settle(15, ignore)
        check(poll(lambda: not self.lab.baresip.in_call(), 5), "the phone is still in a call")

    def logged(self, pattern):
        """The daemon's log must say why, since the scenario began."""
        return self.lab.epcscf.wait_log(re.compile(pattern, re.I), self.mark)

    def counted(self, name, by=1):
        grown = self.lab.epcscf.metrics().get(name, 0) - self.before.get(name, 0)
        check(grown >= by, f"counter {name} grew by {grown:.0f}, expected at least {by}")

    def explained(self, call, *facts):
        """`epcscfctl rx explain` tells these, in this order."""
        status, text = self.lab.epcscf.ctl("rx", "explain", call.call_id)
        equal(status, 0, f"exit status of rx explain ({text})")
        at = 0
        for fact in facts:
            m = re.compile(fact).search(text, at)
            check(m, f"rx explain does not say '{fact}', or not there:\n{text}")
            at = m.end()
        return text

    def wic(self, user="alice", **ws):
        wic = Wic(user, **ws)
        self.open.append(wic)
        return wic

    def good_token(self, user="alice", **changes):
        certs = self.lab.certs
        kid = tokens.first_kid(os.path.join(self.lab.var, "epcscf", "wwsf-jwks.json"))
        return tokens.sign(tokens.claims(user, **changes), "ES256", certs.path("wwsf-key.pem"), kid)

    def registered(self, user="alice"):
        wic = self.wic(user)
        answer = wic.register_token(self.good_token(user))
        equal(answer.status, 200, f"REGISTER of {user} with a good token ({answer.first})")
        check(wic.service_route, "the 200 must carry the core's Service-Route")
        return wic

    def established(self, wic=None):
        wic = wic or self.registered()
        call = wic.invite(PHONE)
        answer = call.result()
        equal(answer.status, 200, f"INVITE to the phone ({answer.first})")
        expect(self.lab.baresip.in_call, 5, "the phone was not in a call")
        # An answer to this one shows that the ACK before it has been read: a WIC that vanishes takes along
        # what is still on its way.
        wic.final(wic.request("OPTIONS", PHONE, to=PHONE, routes=wic.service_route))
        return wic, call


# ---- registration -------------------------------------------------------------------------------------

def refused_token(bench, jwt, status, error, reason):
    wic = bench.wic()
    answer = wic.register_token(jwt)
    equal(answer.status, status, f"REGISTER ({answer.first})")
    challenge = answer.get("WWW-Authenticate")
    if error:
        check(f'error="{error}"' in challenge and challenge.startswith("Bearer"),
              f"WWW-Authenticate says {challenge!r}")
        check("authz_server=" in challenge, "the challenge must name the authorization server")
    bench.logged(reason)
    bench.counted("auth_tokens_refused")
    equal(bench.lab.kamailio.bindings(), [], "bindings at the core")


def expired(bench):
    refused_token(bench, bench.good_token(exp=1_000_000_000, iat=999_999_000), 401,
                  "invalid_token", r"token_refused.*expired")


def wrong_audience(bench):
    refused_token(bench, bench.good_token(aud="someone-else"), 401, "invalid_token",
                  r"token_refused.*audience")


def missing_scope(bench):
    refused_token(bench, bench.good_token(scope="mail"), 401, "invalid_scope",
                  r"token_refused.*scope")


def unsigned(bench):
    kid = tokens.first_kid(os.path.join(bench.lab.var, "epcscf", "wwsf-jwks.json"))
    refused_token(bench, tokens.sign(tokens.claims("alice"), "none", kid=kid), 401,
                  "invalid_token", r"token_refused.*alg")


def broken_signature(bench):
    jwt = bench.good_token()
    head, body, signature = jwt.split(".")
    swapped = ("A" if signature[10] != "A" else "B")
    refused_token(bench, f"{head}.{body}.{signature[:10]}{swapped}{signature[11:]}", 401,
                  "invalid_token", r"token_refused.*signature")


def hs256_with_public_key(bench):
    """The classic: the RSA public key as an HMAC secret."""
    pem = tokens.public_pem(bench.lab.certs.path("rsa-key.pem"))
    refused_token(bench, tokens.sign(tokens.claims("alice", iss=RSA_ISSUER), "HS256", secret=pem,
                                     kid=RSA_KID), 401, "invalid_token", r"token_refused.*alg")


def rsa_token_is_good(bench):
    """The counter-test of the one above: same issuer, same key, signed as it should be."""
    jwt = tokens.sign(tokens.claims("alice", iss=RSA_ISSUER), "RS256",
                      bench.lab.certs.path("rsa-key.pem"), RSA_KID)
    wic = bench.wic()
    equal(wic.register_token(jwt).status, 200, "REGISTER")
    equal(wic.unregister(f"Bearer {jwt}").status, 200, "de-registration")


def other_identity(bench):
    wic = bench.wic("alice")
    answer = wic.register_token(bench.good_token("bob"))
    equal(answer.status, 403, f"alice's REGISTER with bob's token ({answer.first})")
    bench.logged(r"event=refused.*status=403.*identity")
    equal(bench.lab.kamailio.bindings(), [], "bindings at the core")


def foreign_wwsf(bench):
    wic = bench.wic()
    answer = wic.register_token(bench.good_token(azp="another-wwsf"))
    equal(answer.status, 403, f"a token of another WWSF ({answer.first})")
    bench.logged(r"token_refused.*WWSF")


def both_forms_of_the_token(bench):
    """RFC 8898's form and TS 24.371's form."""
    for form in ("Bearer {}", 'Bearer access_token="{}"'):
        wic = bench.wic()
        text = form.format(bench.good_token())
        equal(wic.register(text).status, 200, form)
        equal(wic.unregister(text).status, 200, "de-registration")
        wic.close()


def digest_end_to_end(bench):
    wic = bench.wic()
    equal(wic.register_digest().status, 200, "Digest REGISTER")
    equal(bench.lab.epcscf.gauges()["registrations"], 1, "registrations")
    wrong = bench.wic("bob")
    equal(wrong.register_digest("not-the-password").status, 403, "Digest with a wrong password")


# ---- handshake ------------------------------------------------------------------------------------------

def wrong_origin(bench):
    for origin in ("https://evil.example", "null", None):
        try:
            WebSocket(origin=origin).close()
        except Refused as e:
            equal(e.status, 403, f"handshake with Origin {origin}")
        else:
            check(False, f"the handshake with Origin {origin} succeeded")
    bench.logged(r"origin")
    bench.counted("wss_refused_origin", 3)


def no_subprotocol(bench):
    try:
        WebSocket(protocol=None).close()
    except Refused as e:
        equal(e.status, 400, "handshake without subprotocol")
    else:
        check(False, "the handshake without the sip subprotocol succeeded")
    bench.counted("wss_refused_protocol")


def garbage(bench):
    """Whatever a browser's script may write on its connection."""
    wic = bench.wic()
    wic.ws.send(b"\r\n\r\n")
    wic.ws.send(b"REGISTER\r\n\r\n")
    wic.ws.send(b"INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid\r\n\r\n")
    wic.ws.send(os.urandom(300), 2)
    other = bench.wic()
    equal(other.register_token(bench.good_token()).status, 200, "REGISTER next to garbage")


def not_registered(bench):
    wic = bench.wic()
    answer = wic.invite(PHONE).result()
    check(answer.status in (401, 403), f"INVITE without a registration: {answer.first}")
    equal(bench.lab.epcscf.gauges()["sessions"], 0, "sessions")


# ---- calls ------------------------------------------------------------------------------------------------

def plain_call(bench):
    wic, call = bench.established()
    sdp = call.answer.body.decode()
    for need in ("a=ice-ufrag", "a=fingerprint", "a=rtcp-mux", "UDP/TLS/RTP/SAVPF", "a=candidate"):
        check(need in sdp, f"the answer to the WIC has no {need}")
    check("a=group:BUNDLE" not in sdp, "the answer must not accept BUNDLE")
    if bench.lab.epcscf.policy != "off":
        equal(bench.lab.pcrf.open_sessions() >= 1, True, "the PCRF holds a session")
    equal(len(bench.lab.rtpengine.calls()), 1, "calls at the gateway")
    equal(call.bye().status, 200, "BYE")


def spoofed_headers(bench):
    """What a WIC says about itself does not reach the core."""
    wic = bench.registered()
    # checks.FORGED is in each value that must not come through.
    call = wic.invite(PHONE, extra=[
        ("P-Asserted-Identity", f"<sip:{FORGED}@ims.test>"),
        ("P-Served-User", f"<sip:{FORGED}@ims.test>"),
        ("P-Charging-Vector", f"icid-value={FORGED};icid-generated-at=192.0.2.9"),
        ("P-Charging-Function-Addresses", f"ccf={FORGED}"),
        ("P-Profile-Key", f"<sip:{FORGED}@ims.test>"),
        ("P-Visited-Network-ID", f'"{FORGED}"'), ("History-Info", f"<sip:{FORGED}@x>;index=1"),
        ("P-Access-Network-Info", f"IEEE-802.11;{FORGED};network-provided"),
        ("Proxy-Authorization", "Bearer " + bench.good_token())])
    answer = call.result()
    if answer.status == 200:
        equal(call.bye().status, 200, "BYE")
        with open(bench.lab.kamailio.log, errors="replace") as f:
            asserted = re.findall(r"event=originating method=INVITE pai=(\S+)", f.read())
        equal(asserted[-1], "sip:alice@ims.test", "the identity that the core saw")
    else:
        check(answer.status in (400, 401, 403), f"INVITE with forged headers: {answer.first}")


def pcrf_refuses(bench):
    wic = bench.registered()
    bench.lab.pcrf.rules({"match": {"command": "AAR"}, "experimental": NOT_AUTHORIZED})
    call = wic.invite(PHONE)
    answer = call.result()
    check(answer.status in (403, 488, 500), f"INVITE that the PCRF refuses: {answer.first}")
    bench.explained(call, "AAR that opens the session", "5063", "is not allowed to this subscriber",
                    f"SIP: refused with {answer.status}")
    bench.logged(r"5063|not.?authorized")
    bench.counted("rx_aaa_refused")


def pcrf_refuses_bandwidth(bench):
    wic = bench.registered()
    bench.lab.pcrf.rules({"match": {"command": "AAR"}, "experimental": NOT_AUTHORIZED,
                          "acceptable": [{"component": 1, "ul": 8000, "dl": 8000}]})
    call = wic.invite(PHONE)
    answer = call.result()
    equal(answer.status, 488, f"INVITE refused with Acceptable-Service-Info ({answer.first})")
    check("370" in (answer.get("Warning") or ""), f"Warning: {answer.get('Warning')}")
    check(b"b=AS:8\r\n" in answer.body and b"m=audio 0 " in answer.body, f"body of the 488: {answer.body}")
    bench.explained(call, "Asked for component 1", "Acceptable for component 1: uplink 8000", "SIP: refused with 488")
    bench.counted("rx_aaa_refused")


def pcrf_refuses_for_now(bench):
    """4261 with Retry-Interval: 503, the WIC is told when; the same is not asked again meanwhile."""
    wic = bench.registered()
    bench.lab.pcrf.rules({"match": {"command": "AAR"}, "experimental": 4261, "retry_interval": 4})
    answer = wic.invite(PHONE).result()
    equal(answer.status, 503, f"INVITE refused with 4261 ({answer.first})")
    equal(answer.get("Retry-After"), "4", "Retry-After")
    call = wic.invite(PHONE)
    again = call.result()
    equal(again.status, 503, f"INVITE once more ({again.first})")
    bench.counted("rx_held_back")
    bench.explained(call, "No Rx session: nothing was sent", "4261", "may be asked again in", "SIP: refused with 503")
    bench.lab.pcrf.rules()

    def granted():
        later = wic.invite(PHONE)
        return later.result().status == 200 and later.bye().status == 200
    check(poll(granted, 15, every=0.5), "the same is still held back after its Retry-Interval")


def what_the_pcrf_knows_reaches_the_core(bench):
    """Charging identifier and address of the AAA in P-Charging-Vector, the UE's place in
    P-Access-Network-Info, of what goes to the core from then on; never towards the WIC."""
    wic = bench.registered()
    bench.lab.pcrf.rules({"match": {"command": "AAR"}, "answer_avps": [
        {"name": "Access-Network-Charging-Address", "address": "192.0.2.8"},
        {"name": "Access-Network-Charging-Identifier",
         "avps": [{"name": "Access-Network-Charging-Identifier-Value", "value": "0x00c0ffee"}]},
        {"name": "IP-CAN-Type", "value": 5}, {"name": "RAT-Type", "value": 1004}]})
    _, call = bench.established(wic)
    equal(call.bye().status, 200, "BYE")
    with open(bench.lab.epcscf.trace) as f:
        lines = [json.loads(line) for line in f if call.call_id in line and line.endswith("\n")]
    seen = [x["text"] for x in lines if x["point"] == "Mw" and x["dir"] == "out" and x["text"].startswith("BYE ")]
    check(seen, "no BYE towards the core in the trace")
    check('pdngw=192.0.2.8;eps-info="eps-item=1;eps-sig=no;ecid=00c0ffee"' in seen[-1], seen[-1])
    check("3GPP-E-UTRAN;network-provided" in seen[-1], seen[-1])
    for x in lines:
        if x["point"] == "Gm" and x["dir"] == "out":
            check("ecid=" not in x["text"] and "network-provided" not in x["text"], f"the WIC saw {x['text']}")


def pcrf_has_no_ip_can_session(bench):
    wic = bench.registered()
    bench.lab.pcrf.rules({"match": {"command": "AAR"}, "experimental": 5065})
    call = wic.invite(PHONE)
    answer = call.result()
    if answer.status == 200:
        call.bye()
    bench.explained(call, "no IP-CAN session for the UE", "127.0.0.1", "Likely",
                    "SIP: refused with 503" if answer.status == 503 else "SIP: the call goes on without")


def rx_sessions_of_a_call(bench):
    """Listed while it lives, explained when it is over; what nobody knows is said so."""
    ctl = bench.lab.epcscf.ctl
    wic, call = bench.established()
    status, text = ctl("rx", "sessions", "--json")
    mine = [s for s in map(json.loads, text.splitlines()) if s["call_id"] == call.call_id]
    check(mine and mine[0]["state"] == "Open", f"rx sessions: {text}")
    status, text = ctl("rx", "show", mine[0]["session_id"])
    check(status == 0 and "Media-Component-Description" in text, f"rx show: {text}")
    equal(call.bye().status, 200, "BYE")
    expect(lambda: call.call_id not in ctl("rx", "sessions")[1], 5, "the session is still listed")
    check(f"call={call.call_id} " in ctl("rx", "sessions", "--ended")[1], "the ended session is not listed")
    bench.explained(call, "AAR that opens the session", "Framed-IP-Address=127.0.0.1 <- source address", "component 1:",
                    "Media-Type=AUDIO <- uplink \"m=audio", "Max-Requested-Bandwidth-UL=.* <- .*policy.audio_bw_bps",
                    "Flow-Description=\"permit in 17 .*gateway", "SUCCESS", "STR", "SUCCESS")

    status, text = ctl("rx", "explain", "nobody")
    check(status == 1 and "no Rx session has the" in text and "rx sessions --all" in text, f"unknown: {text}")
    for words in ((), ("explain",), ("show", "a", "b"), ("sessions", "--some"), ("list",)):
        status, text = ctl("rx", *words)
        check(status == 1 and text.startswith("usage: rx sessions"), f"rx {words}: {status} {text}")


def rx_without_policy(bench):
    status, text = bench.lab.epcscf.ctl("rx", "sessions")
    check(status == 1 and "policy.mode is off" in text, f"rx sessions: {status} {text}")


def pcrf_silent(bench):
    """required: 503; optional: the call goes on."""
    wic = bench.registered()
    bench.lab.pcrf.rules({"match": {"command": "AAR"}, "drop": True})
    call = wic.invite(PHONE)
    answer = call.result()
    if bench.lab.epcscf.policy == "required":
        equal(answer.status, 503, f"INVITE with a silent PCRF ({answer.first})")
    else:
        equal(answer.status, 200, f"INVITE with a silent PCRF ({answer.first})")
        equal(call.bye().status, 200, "BYE")
    bench.counted("rx_timeout")
    bench.logged(r"rx|policy|diameter")
    bench.explained(call, "no answer in time", "policy.timeout_ms", "SIP: refused with 503"
                    if answer.status == 503 else "SIP: the call goes on without policy control")


def pcrf_slow(bench):
    """An answer after our timeout: the session that it opened is closed again."""
    wic = bench.registered()
    bench.lab.pcrf.rules({"match": {"command": "AAR"}, "delay_ms": 3500})
    call = wic.invite(PHONE)
    answer = call.result()
    if answer.status == 200:
        call.bye()
    expect(lambda: bench.lab.pcrf.open_sessions() == 0 and
           bench.lab.epcscf.metrics().get("rx_late", 0) > bench.before.get("rx_late", 0), 10,
           "the late session was not closed")


def pcrf_aborts(bench):
    """ASR in the middle of a call: both sides get BYE."""
    wic = bench.registered()
    bench.lab.pcrf.rules({"match": {"command": "AAR"}, "abort_after_ms": 1000, "abort_cause": 0})
    _, call = bench.established(wic)
    call.wait_bye()
    check(poll(lambda: not bench.lab.baresip.in_call(), 5), "the phone got no BYE")
    bench.logged(r"policy-push|abort|ASR")
    bench.explained(call, "AAR", "SUCCESS", "ASR, by which the PCRF ends the session", "BEARER_RELEASED",
                    "SIP: call released: ended by the policy function", "STR")
    bench.counted("rx_asr")


def pcrf_gone(bench):
    """The PCRF's process dies before the call."""
    lab = bench.lab
    wic = bench.registered()
    lab.pcrf.kill()
    try:
        call = wic.invite(PHONE)
        answer = call.result(20)
        if lab.epcscf.policy == "required":
            equal(answer.status, 503, f"INVITE without a PCRF ({answer.first})")
            bench.logged(r"policy|rx|diameter")
        else:
            equal(answer.status, 200, f"INVITE without a PCRF ({answer.first})")
            equal(call.bye(15).status, 200, "BYE")
        bench.end()
    finally:
        lab.pcrf.start()
        expect(lambda: _pcrf_back(lab), 25, "the PCRF did not come back")


def pcrf_dies_mid_call(bench):
    """An established call survives its PCRF; its release does not hang on the missing STA."""
    lab = bench.lab
    _, call = bench.established()
    lab.pcrf.kill()
    try:
        equal(call.bye(15).status, 200, "BYE without a PCRF")
        bench.end()
    finally:
        lab.pcrf.start()
        expect(lambda: _pcrf_back(lab), 25, "the PCRF did not come back")


def killed_mid_call(bench):
    """kill -9 of the daemon with a call up: its next start ends the Rx session that was left open."""
    lab = bench.lab
    wic, _ = bench.established()
    check(lab.pcrf.open_sessions() > 0, "the PCRF has no session of the call")
    lab.epcscf.kill()
    for peer in (lab.rtpengine, lab.baresip):  # what they hold of the call is not what this is about
        peer.stop()
        peer.start()
    lab.epcscf.start()
    bench.mark = 0
    expect(lambda: lab.pcrf.open_sessions() == 0, 10, "the PCRF still has the session of the dead daemon")
    bench.logged(r"event=journal-found")
    wic.close()
    bench.open = []
    bench.before = lab.epcscf.metrics()


def _pcrf_back(lab):
    """Connected again: what /health says where the PCRF is required; else a call that asks it."""
    if lab.epcscf.policy == "required":
        return lab.epcscf.is_ready()
    return lab.pcrf.is_ready()


def gateway_gone(bench):
    lab = bench.lab
    wic = bench.registered()
    lab.rtpengine.kill()
    try:
        answer = wic.invite(PHONE).result(20)
        check(answer.status in (500, 503), f"INVITE without a gateway: {answer.first}")
        bench.logged(r"gateway|rtpengine|status=503")
        bench.counted("gateway_timeouts")
        bench.end()
    finally:
        lab.rtpengine.start()


def gateway_dies_mid_call(bench):
    lab = bench.lab
    _, call = bench.established()
    lab.rtpengine.kill()
    try:
        equal(call.bye(15).status, 200, "BYE without a gateway")
        bench.end()
    finally:
        lab.rtpengine.start()


def wic_vanishes(bench):
    """No BYE, no close frame: the phone is told, everything is released."""
    wic, _ = bench.established()
    wic.vanish()
    bench.open.remove(wic)
    check(poll(lambda: not bench.lab.baresip.in_call(), 12), "the phone got no BYE")
    bench.logged(r"flow|connection|lost")


def comes_back(bench, wic):
    wic.vanish()
    wic.connect()
    answer = wic.register_token(bench.good_token())
    equal(answer.status, 200, f"REGISTER on a new connection ({answer.first})")


def call_goes_on_after_a_new_connection(bench):
    """The connection is cut under a call, several times, and made anew by the same instance; with more
    than one thread, it ends up on any of them."""
    wic, call = bench.established()
    for _ in range(4):
        comes_back(bench, wic)
        equal(bench.lab.epcscf.gauges()["sessions"], 1, "calls")
    bench.counted("sessions_rebound", 4)
    sdp = sample("chromium-audio.sdp").replace(b"a=ice-ufrag:", b"a=ice-ufrag:new")
    restart = call.request("INVITE", [("Contact", wic.contact), ("Content-Type", "application/sdp")], sdp)
    answer = wic.final(restart)
    equal(answer.status, 200, f"re-INVITE with an ICE restart ({answer.first})")
    wic.request("ACK", call.target, to=call.uri, call_id=call.call_id, cseq=call.cseq, tag=call.tag,
                to_tag=call.to_tag, routes=call.routes)
    check(bench.lab.baresip.in_call(), "the phone's call must have gone on")
    bench.lab.baresip.hangup()
    call.wait_bye()


def phone_hangs_up_while_the_wic_is_away(bench):
    """BYE in the time of grace: answered at once, and passed to the WIC when it is back."""
    wic, call = bench.established()
    wic.vanish()
    expect(lambda: bench.lab.epcscf.metrics().get("sessions_held") == 1, 5, "the call was not held")
    bench.lab.baresip.hangup()
    expect(lambda: bench.lab.epcscf.gauges()["sessions"] == 0, 5, "the call was not ended")
    wic.connect()
    equal(wic.register_token(bench.good_token()).status, 200, "REGISTER")
    call.wait_bye()


def wic_vanishes_while_ringing(bench):
    bench.lab.baresip.answer_mode("manual")
    wic = bench.registered()
    wic.invite(PHONE).provisional()
    wic.vanish()
    bench.open.remove(wic)
    check(poll(lambda: not bench.lab.baresip.in_call(), 12), "the phone still rings")


def caller_gives_up(bench):
    """CANCEL while it rings."""
    bench.lab.baresip.answer_mode("manual")
    wic = bench.registered()
    call = wic.invite(PHONE)
    call.provisional()
    equal(wic.final(call.cancel()).status, 200, "CANCEL")
    equal(call.result().status, 487, "INVITE")
    check(poll(lambda: not bench.lab.baresip.in_call(), 5), "the phone still rings")


def phone_hangs_up(bench):
    _, call = bench.established()
    bench.lab.baresip.hangup()
    call.wait_bye()


def called_by_the_phone(bench):
    """Terminating call, refused by the WIC."""
    wic = bench.registered()
    since = bench.lab.baresip.dial("sip:alice@ims.test")
    invite = wic.wait(lambda m: m.method == "INVITE" and not m.is_response)
    sdp = invite.body.decode()
    for need in ("a=ice-ufrag", "a=fingerprint", "a=setup:actpass", "UDP/TLS/RTP/SAVPF"):
        check(need in sdp, f"the offer to the WIC has no {need}")
    wic.send(invite.reply(486, "Busy Here", tag=token()))
    closed = bench.lab.baresip.control.wait_event("CALL_CLOSED", since)
    check("486" in closed["param"], f"the phone saw {closed['param']}")


def called_after_it_left(bench):
    """The core still knows the binding, the connection is gone: 430 or 480, never a hang."""
    wic = bench.registered()
    wic.vanish()
    bench.open.remove(wic)
    since = bench.lab.baresip.dial("sip:alice@ims.test")
    closed = bench.lab.baresip.control.wait_event("CALL_CLOSED", since, 15)
    check(re.search(r"4\d\d", closed["param"]), f"the phone saw {closed['param']}")


def wic_calls_wic(bench):
    """Through the core and back, on one shard or across two."""
    alice, bob = bench.registered("alice"), bench.registered("bob")
    call = alice.invite("sip:bob@ims.test", sample("chromium-audio-video.sdp"))
    invite = bob.wait(lambda m: m.method == "INVITE" and not m.is_response)
    bob.send(invite.reply(180, "Ringing", [("Contact", bob.contact)], tag="b1"))
    call.provisional()
    bob.send(invite.reply(603, "Decline", tag="b1"))
    equal(call.result().status, 603, "INVITE")


def message_between_wics(bench):
    """Outside of a call: the identity is asserted, what the sender claims is not passed on."""
    alice, bob = bench.registered("alice"), bench.registered("bob")
    sent = alice.request("MESSAGE", "sip:bob@ims.test", to="sip:bob@ims.test",
                         routes=alice.service_route, body=b"hello",
                         extra=[("Content-Type", "text/plain"),
                                ("P-Asserted-Identity", "<sip:somebody@ims.test>")])
    got = bob.wait(lambda m: m.method == "MESSAGE" and not m.is_response)
    equal(got.body, b"hello", "the text that arrived")
    equal(got.get("P-Asserted-Identity"), "<sip:alice@ims.test>", "the asserted identity")
    bob.send(got.reply(200, "OK", tag=token()))
    equal(alice.final(sent).status, 200, "MESSAGE")


def options_between_wics(bench):
    """The answer's session description shows what must stay at the edge: it is taken off."""
    alice, bob = bench.registered("alice"), bench.registered("bob")
    sent = alice.request("OPTIONS", "sip:bob@ims.test", to="sip:bob@ims.test",
                         routes=alice.service_route, extra=[("Accept", "application/sdp")])
    got = bob.wait(lambda m: m.method == "OPTIONS" and not m.is_response)
    bob.send(got.reply(200, "OK", [("Content-Type", "application/sdp")], tag=token(),
                       body=sample("chromium-audio.sdp")))
    answer = alice.final(sent)
    equal(answer.status, 200, "OPTIONS")
    equal(answer.body, b"", "the body of the answer")


def wic_falls_silent(bench):
    """The connection stays, nobody answers its pings: flow and call end within the configured time."""
    wic, _ = bench.established()
    wic.ws.answer_pings = False
    check(poll(lambda: not bench.lab.baresip.in_call(), 20), "the phone got no BYE")
    bench.counted("wss_ping_timeout")
    bench.open.remove(wic)


def calls_outlive_the_token(bench):
    """Nobody renews the token: nothing new begins, the call goes on, and the connection ends with it."""
    wic = bench.wic()
    answer = wic.register_token(bench.good_token(exp=int(time.time()) + 33))
    equal(answer.status, 200, f"REGISTER ({answer.first})")
    _, call = bench.established(wic)

    def refused():
        answer = wic.final(wic.request("OPTIONS", PHONE, to=PHONE, routes=wic.service_route))
        return answer.status == 401 and 'error="invalid_token"' in answer.get("WWW-Authenticate")
    check(poll(refused, 45, every=1), "requests passed although the token had ended")
    check(bench.lab.baresip.in_call(), "the call ended with the token")
    bench.logged(r"token_over.*calls=kept")
    equal(call.bye().status, 200, "BYE")
    check(wic.wait_closed(10), "the connection stayed open")
    equal(wic.ws.closed_with, 1008, "close code")
    bench.open.remove(wic)


def malformed_offer(bench):
    wic = bench.registered()
    for sdp in (b"v=0\r\nm=audio 5 UDP/TLS/RTP/SAVPF /\r\n", b"rubbish", b"v=0\r\n" * 50):
        answer = wic.invite(PHONE, sdp).result()
        check(400 <= answer.status < 600, f"INVITE with a broken SDP: {answer.first}")
    bench.counted("sdp_refused")


def stopped_mid_call(bench):
    """SIGTERM: calls end with BYE, gateway and PCRF are told, the daemon ends with status 0."""
    lab = bench.lab
    _, call = bench.established()
    lab.epcscf.stop_seconds = 15
    status = lab.epcscf.stop()
    bench.open = []
    try:
        equal(status, 0, "exit status of the daemon")
        check(poll(lambda: not lab.baresip.in_call(), 5), "the phone got no BYE")
        equal(lab.rtpengine.calls(), [], "calls at the gateway")
        check(poll(lambda: lab.pcrf.open_sessions() == 0, 5), "the PCRF still holds a session")
    finally:
        lab.epcscf.start()


REGISTRATION = [both_forms_of_the_token, digest_end_to_end, rsa_token_is_good, expired,
                wrong_audience, missing_scope, unsigned, broken_signature, hs256_with_public_key,
                other_identity, foreign_wwsf]
HANDSHAKE = [wrong_origin, no_subprotocol, garbage, not_registered]
CALLS = [plain_call, spoofed_headers, caller_gives_up, phone_hangs_up, called_by_the_phone,
         called_after_it_left, wic_calls_wic, message_between_wics, options_between_wics,
         malformed_offer, calls_outlive_the_token, wic_falls_silent, wic_vanishes, call_goes_on_after_a_new_connection,
         phone_hangs_up_while_the_wic_is_away,
         wic_vanishes_while_ringing, gateway_gone, gateway_dies_mid_call]
RX = [pcrf_refuses, pcrf_refuses_bandwidth, pcrf_refuses_for_now, what_the_pcrf_knows_reaches_the_core,
      pcrf_has_no_ip_can_session, rx_sessions_of_a_call, pcrf_silent,
      pcrf_slow, pcrf_aborts, pcrf_gone, pcrf_dies_mid_call,
      killed_mid_call]
# In the other modes only what the mode changes.
BY_POLICY = {"required": REGISTRATION + HANDSHAKE + CALLS + RX + [stopped_mid_call],
             "optional": [plain_call, pcrf_refuses, pcrf_silent, pcrf_gone],
             "off": [plain_call, wic_vanishes, rx_without_policy]}


def one_scenario(bench, function):
    bench.begin()
    try:
        function(bench)
    except BaseException:
        for wic in bench.open:
            wic.close()
        bench.open = []
        if not bench.lab.epcscf.alive():
            raise LabError(f"{function.__name__}: the daemon has ended", bench.lab.epcscf.log) from None
        raise
    bench.end()


def one_lab(run, options, shards, policy):
    wanted = [f for f in BY_POLICY[policy] if options.k in f.__name__]
    if not wanted:
        return
    title = f"{shards} shard{'s' if shards > 1 else ''}, policy {policy}: "
    lab = Lab(os.path.join(options.var, f"{shards}-{policy}"), shards, policy, options.preset)
    lab.epcscf.grace_ms = 2000  # what a scenario leaves behind is soon gone
    if policy == "off":
        lab.components.remove(lab.pcrf)
    if not run.run(title + "the lab starts", lab.start):
        return
    bench = Bench(lab)
    try:
        if policy == "off":
            lab.pcrf.rules = lambda *_: None
        for function in wanted:
            name = function.__name__.replace("_", " ")
            if not run.run(title + name, one_scenario, bench, function) and not lab.epcscf.alive():
                lab.epcscf.stop()
                lab.epcscf.start()
        status = lab.epcscf.stop()
        run.run(title + "the daemon ends well", equal, status, 0, "exit status")
        lab.capture.stop()
        run.run(title + "every captured message decodes", check_capture, lab.capture.file, shards,
                policy != "off")
        run.run(title + "the core saw no WebRTC", check_core_side, lab.capture.file, shards)
        run.run(title + "nothing leaks", check_leaks, lab)
    finally:
        lab.stop()


def main():
    p = argparse.ArgumentParser(prog="tests/fault/run", description=__doc__)
    p.add_argument("--preset", default="dev")
    p.add_argument("--shards", default="1,2", help="numbers of shards to run with")
    p.add_argument("--policy", default="required,optional,off")
    p.add_argument("--var", default=os.path.join(DEFAULT_VAR, "fault"))
    p.add_argument("-k", default="", help="only scenarios whose name holds this text")
    p.add_argument("--no-build", action="store_true")
    options = p.parse_args()
    run = Runner("fault")
    if not options.no_build and not run.run("build", build, options.preset):
        return run.finish()
    for shards in (int(s) for s in options.shards.split(",")):
        for policy in options.policy.split(","):
            one_lab(run, options, shards, policy)
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
