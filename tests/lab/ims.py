"""Registrations through the daemon at a core of S-CSCF modules and an HSS (the lab's second core):
each authentication scheme, what the HSS says, what the core withdraws, what happens when a part of the
core is away."""
import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from epclab import addresses as a
from epclab import tokens
from epclab.aka import AkaClient, digest_answer, parameters
from epclab.checks import check_capture, check_core_side, check_leaks
from epclab.lab import DEFAULT_VAR, Lab
from epclab.milenage import Milenage, Usim
from epclab.runner import Runner, check, equal
from epclab.scripted import NEXT_NONCE, Link
from epclab.sipmsg import digest, split_list, uri_of
from epclab.wait import LabError, expect, poll
from epclab.wic import Wic

HOME = f"sip:{a.DOMAIN}"
PHONE = f"sip:phone@{a.DOMAIN}"
CAROL = a.SUBSCRIBERS["carol@ims.test"]


class Bench:
    """The lab and what the scenarios need of it again and again."""

    def __init__(self, lab):
        self.lab, self.core, self.hss = lab, lab.kamailio, lab.hss
        self.open = []

    def begin(self):
        if self.hss:
            self.core.trust(True)
            self.core_mark = self.core.log_size()
        else:
            self.core.reset()
        self.lab.baresip.answer_mode("auto")
        self.mark = self.lab.epcscf.log_size()
        self.before = self.lab.epcscf.metrics()

    def end(self):
        """Close what is open, withdraw what the core still holds; then nothing may be held."""
        for wic in self.open:
            wic.close()
        self.open = []
        if self.hss and self.core.alive() and self.hss.alive():
            self.core.forget_bindings()
        self.lab.settle(15)

    def wic(self, user="alice", **ws):
        wic = Wic(user, **ws)
        self.open.append(wic)
        return wic

    def token(self, user="alice", **changes):
        kid = tokens.first_kid(os.path.join(self.lab.var, "epcscf", "wwsf-jwks.json"))
        return tokens.sign(tokens.claims(user, **changes), "ES256",
                           self.lab.certs.path("wwsf-key.pem"), kid)

    def registered(self, user="alice"):
        wic = self.wic(user)
        equal(wic.register_digest().status, 200, f"Digest registration of {user}")
        return wic

    def protections(self):
        """What the S-CSCF saw as integrity-protected since the scenario began, in order."""
        return [re.search(r"protected=(\S+)", line).group(1)
                for line in self.core.log_lines("event=scscf-register", self.core_mark)]

    def counted(self, name, by=1):
        grown = self.lab.epcscf.metrics().get(name, 0) - self.before.get(name, 0)
        check(grown >= by, f"counter {name} grew by {grown:.0f}, expected at least {by}")

    def logged(self, pattern):
        return self.lab.epcscf.wait_log(re.compile(pattern, re.I), self.mark)


# ---- the peers themselves ------------------------------------------------------------------------------

def milenage_agrees(bench):
    """Ours, a test set of TS 35.208 (4.3, set 1) and an independent implementation."""
    h = bytes.fromhex
    k, rand, sqn, amf = (h(CAROL["k"]), h("23553cbe9637a89d218ae64dae47bf35"), h("ff9bb4d0b607"),
                         h("b9b9"))
    m = Milenage.of_op(k, h("cdc202d5123e20f62b6d676ac72cb318"))
    found = {name: value.hex() for name, value in (
        ("opc", m.opc), ("f1", m.f1(rand, sqn, amf)), ("f1*", m.f1star(rand, sqn, amf)),
        ("f2", m.f2(rand)), ("f3", m.f3(rand)), ("f4", m.f4(rand)), ("f5", m.f5(rand)),
        ("f5*", m.f5star(rand)))}
    equal(found, {"opc": CAROL["opc"], "f1": "4a9ffac354dfafb3", "f1*": "01cfaf9ec4e871e9",
                  "f2": "a54211d5e3ba50bf", "f3": "b40ba9a3c58b2a05bbf0d987b21bf8cb",
                  "f4": "f769bcd751044604127672711c6d3441", "f5": "aa689c648370",
                  "f5*": "451e8beca43b"}, "test set 1")
    for number in range(4):
        rand, opc = os.urandom(16), os.urandom(16)
        number = int.from_bytes(os.urandom(5), "big") << 5
        usim = Usim(k, opc, number + 64)
        challenge, xres, ck, ik = usim.vector(rand, number.to_bytes(6, "big"))
        kind, auts = usim.answer(rand, challenge[16:])
        equal(kind, "auts", "an old sequence number")
        said = _auc_gen(k, opc, rand, "-s", str(number), "-f", "8000")
        equal((said["AUTN"], said["RES"], said["CK"], said["IK"]),
              (challenge[16:].hex(), xres.hex(), ck.hex(), ik.hex()), "osmo-auc-gen")
        said = _auc_gen(k, opc, rand, "-A", auts.hex())
        check(str(number + 64) in said["text"], f"osmo-auc-gen reads AUTS as {said['text']}")


def _auc_gen(k, opc, rand, *more):
    done = subprocess.run(["osmo-auc-gen", "-3", "-a", "milenage", "-k", k.hex(), "--opc", opc.hex(),
                           "-r", rand.hex(), *more], capture_output=True, text=True)
    check(done.returncode == 0, f"osmo-auc-gen failed: {done.stderr}")
    found = dict(re.findall(r"^([\w .]+):\s*(\S+)", done.stdout, re.M))
    found["text"] = done.stdout
    return found


# ---- SIP Digest ----------------------------------------------------------------------------------------

def digest_registration(bench):
    wic = bench.wic()
    first = wic.register(wic.shell())
    equal(first.status, 401, "REGISTER without an answer")
    challenge = parameters(first.get("WWW-Authenticate"))
    equal((challenge["realm"], challenge["algorithm"], challenge["qop"]), (a.DOMAIN, "MD5", "auth"),
          "the challenge")
    answer = wic.register(digest(first.get("WWW-Authenticate"), "REGISTER", HOME, wic.impi,
                                 wic.password))
    equal(answer.status, 200, f"the answer to the challenge ({answer.first})")
    equal(bench.protections(), ["-", "tls-pending"], "integrity-protected at the S-CSCF")
    check(bench.hss.registered(wic.impi), "the HSS has the user as registered")
    check("reg-id" in answer.get("Contact") and wic.instance in answer.get("Contact"),
          f"Contact: {answer.get('Contact')}")
    equal(wic.service_route, [f"<sip:orig@{a.SCSCF[0]}:{a.SCSCF[1]};lr>"], "Service-Route")
    check(not answer.all("P-Charging-Function-Addresses"), "charging addresses reached the WIC")


def digest_wrong_password(bench):
    wic = bench.wic()
    equal(wic.register_digest("not-it").status, 403, "a wrong password")
    bench.counted("registrations_refused")
    check(not bench.hss.registered(wic.impi), "the HSS has the user as registered")
    equal(wic.register_digest().status, 200, "then the right one, on the same connection")


def digest_stale_nonce(bench):
    wic = bench.wic()
    first = wic.register(wic.shell())
    stale = re.sub(r'nonce="[^"]*"', 'nonce="00112233445566778899aabbccddeeff"',
                   first.get("WWW-Authenticate"))
    again = wic.register(digest(stale, "REGISTER", HOME, wic.impi, wic.password))
    equal(again.status, 401, "an answer to a nonce that the core does not know")
    final = wic.register(digest(again.get("WWW-Authenticate"), "REGISTER", HOME, wic.impi,
                                wic.password))
    equal(final.status, 200, "the answer to the new nonce")


def digest_refresh(bench):
    wic = bench.registered()
    bound = bench.lab.epcscf.gauges()["registrations"]
    answer = wic.register_digest()
    equal(answer.status, 200, f"refresh ({answer.first})")
    equal(bench.protections(), ["-", "tls-pending", "tls-yes", "tls-yes"],
          "integrity-protected at the S-CSCF")
    equal(bench.lab.epcscf.gauges()["registrations"], bound, "bindings after the refresh")
    last = wic.register_digest(expires=0)
    equal(last.status, 200, f"de-registration ({last.first})")
    check(poll(lambda: not bench.hss.registered(wic.impi), 5), "the HSS still has the user")


def digest_unknown_user(bench):
    """An unknown user, an unknown identity and another's: the WIC cannot tell one from the other."""
    answers = []
    for impi, impu in (("mallory@ims.test", "sip:alice@ims.test"),
                       ("alice@ims.test", "sip:nobody@ims.test"),
                       ("alice@ims.test", "sip:bob@ims.test")):
        wic = bench.wic()
        wic.impi = impi
        answers.append(wic.register(wic.shell(), impu=impu))
    equal([m.first for m in answers], ["SIP/2.0 403 Forbidden"] * 3, "the answers")
    equal([sorted(n for n, _ in m.headers) for m in answers[1:]],
          [sorted(n for n, _ in answers[0].headers)] * 2, "their header fields")


# ---- AKA -------------------------------------------------------------------------------------------------

def aka_client(**changes):
    return AkaClient("carol@ims.test", CAROL["k"], CAROL["opc"], **changes)


def aka_registration(bench):
    wic, client = bench.wic("carol"), aka_client()
    first = wic.register(wic.shell())
    equal(first.status, 401, "REGISTER without an answer")
    challenge = first.get("WWW-Authenticate")
    given = parameters(challenge)
    equal(given["algorithm"], "AKAv1-MD5", "algorithm")
    check("ik" not in given and "ck" not in given, "the WIC must not see the session keys")
    answer = wic.register(client.answer(challenge, HOME))
    equal(client.outcome[0], "ok", "AUTN is the HSS's")
    equal(answer.status, 200, f"the answer to the challenge ({answer.first})")
    for key in client.outcome[2:]:
        check(key.hex() not in str(first).lower(), "a session key reached the WIC")
        check(key.hex() not in bench.lab.epcscf.log_text(bench.mark).lower(),
              "a session key is in the daemon's log")
    bench.aka_keys = [key.hex() for key in client.outcome[2:]]


def aka_wrong_key(bench):
    wic = bench.wic("carol")
    answer = wic.register(wic.shell())
    other = AkaClient("carol@ims.test", "00" * 16, CAROL["opc"])
    refused = wic.register(other.answer(answer.get("WWW-Authenticate"), HOME))
    equal(other.outcome, ("mac",), "a USIM with another key")
    equal(refused.status, 403, "an answer without the key")


def aka_resynchronisation(bench):
    """The USIM is ahead of the HSS: AUTS goes to the HSS, which starts again from there."""
    wic, client = bench.wic("carol"), aka_client(sqn=0x1000000)
    bench.hss.ask("sqn", "carol@ims.test", "20")
    answer = wic.register(wic.shell())
    again = wic.register(client.answer(answer.get("WWW-Authenticate"), HOME))
    equal(client.outcome[0], "auts", "an old sequence number")
    equal(again.status, 401, "a new challenge after AUTS")
    final = wic.register(client.answer(again.get("WWW-Authenticate"), HOME))
    equal(client.outcome[0], "ok", "the new sequence number")
    equal(final.status, 200, f"the answer to it ({final.first})")
    check(bench.core.log_lines("event=resynchronised", bench.core_mark), "no resynchronisation")


# ---- trusted node authentication ---------------------------------------------------------------------

def token_registration(bench):
    wic = bench.wic()
    answer = wic.register_token(bench.token())
    equal(answer.status, 200, f"REGISTER with a token ({answer.first})")
    equal(bench.protections(), ["auth-done"], "integrity-protected at the S-CSCF")
    check(bench.hss.registered(wic.impi), "the HSS has the user as registered")


def core_does_not_trust(bench):
    bench.core.trust(False)
    wic = bench.wic()
    answer = wic.register_token(bench.token())
    equal(answer.status, 500, f"REGISTER with a token ({answer.first})")
    check(not answer.all("WWW-Authenticate"), "the core's challenge reached the WIC")
    bench.counted("registrations_tna_challenged")
    bench.logged("tna_challenged")
    bench.core.trust(True)
    equal(wic.register_token(bench.token()).status, 200, "when the core trusts again")


# ---- identities --------------------------------------------------------------------------------------

def asserted(bench, wic, preferred=None, from_=None):
    """The P-Asserted-Identity that the S-CSCF saw on an INVITE of the WIC's."""
    mark = bench.core.log_size()
    extra = [("P-Preferred-Identity", f"<{preferred}>")] if preferred else []
    call = wic.invite(PHONE, extra=extra, from_=from_)
    status = call.result().status
    if status == 200:
        equal(call.bye().status, 200, "BYE")
    seen = re.findall(r"event=originating method=INVITE pai=(\S+)",
                      "\n".join(bench.core.log_lines("event=originating", mark)))
    check(seen, f"{preferred}: no INVITE at the S-CSCF (the WIC got {status})")
    return seen[0]


def associated(answer):
    return [uri_of(v) for x in answer.all("P-Associated-URI") for v in split_list(x)]


def implicit_set(bench):
    """One REGISTER registers them all; each may be asserted, a stranger's may not."""
    wic = bench.wic()
    answer = wic.register_digest()
    facts = a.SUBSCRIBERS[wic.impi]
    equal(associated(answer), facts["impus"] + facts["wildcarded"], "P-Associated-URI")
    for preferred, wanted in ((None, wic.impu), ("tel:+15550001", "tel:+15550001"),
                              ("sip:bob@ims.test", wic.impu)):
        equal(asserted(bench, wic, preferred), wanted, f"asserted for {preferred}")


def barred_identity(bench):
    """It may register, for there are others in its set (TS 29.228 6.1.1.1), but is never asserted."""
    barred = a.SUBSCRIBERS["alice@ims.test"]["barred"][0]
    wic = bench.wic()
    answer = wic.register_digest(impu=barred)
    equal(answer.status, 200, f"REGISTER of a barred identity ({answer.first})")
    check(barred not in associated(answer), "a barred identity in P-Associated-URI")
    equal(asserted(bench, wic, barred, from_=barred), wic.impu, "asserted for a barred identity")


def wildcarded_identity(bench):
    """Whatever matches the expression between the marks (TS 23.003 13.4A) may be asserted."""
    wic = bench.registered()
    equal(asserted(bench, wic, "sip:alice-77@ims.test"), "sip:alice-77@ims.test",
          "asserted for an identity of the wildcard")
    equal(asserted(bench, wic, "sip:alicia@ims.test"), wic.impu, "asserted for one outside of it")


def called_through_the_scscf(bench):
    """LIR, the S-CSCF's lookup and the Path that the eP-CSCF gave: the call comes down the right
    connection, and after the de-registration no longer."""
    wic = bench.registered()
    since = bench.lab.baresip.dial(wic.impu)
    invite = wic.wait(lambda m: m.method == "INVITE" and not m.is_response)
    equal(uri_of(wic.contact), invite.uri, "Request-URI")
    wic.send(invite.reply(486, "Busy Here", tag="busy"))
    closed = bench.lab.baresip.control.wait_event("CALL_CLOSED", since)
    check("486" in closed["param"], f"the phone saw {closed['param']}")
    equal(wic.register_digest(expires=0).status, 200, "de-registration")
    expect(lambda: not bench.hss.registered(wic.impi), 5, "the HSS still has the user")
    since = bench.lab.baresip.dial(wic.impu)
    closed = bench.lab.baresip.control.wait_event("CALL_CLOSED", since)
    check("480" in closed["param"], f"the phone saw {closed['param']}")


# ---- what the core withdraws ------------------------------------------------------------------------

def deregistered_by_the_wic(bench):
    wic = bench.registered()
    equal(wic.register_digest(expires=0).status, 200, "de-registration")
    check(poll(lambda: not bench.hss.registered(wic.impi), 5), "the HSS still has the user")
    expect(lambda: bench.lab.epcscf.gauges()["registrations"] == 0, 5, "the binding was not dropped")


def wic_subscribes(bench):
    """The WIC's own subscription goes along Service-Route; its NOTIFYs come down its connection."""
    wic = bench.registered()
    answer = wic.subscribe_reg()
    equal(answer.status, 200, f"SUBSCRIBE ({answer.first})")
    first = wic.wait_notify()
    equal(first.get("Event"), "reg", "Event")
    text = first.body.decode()
    check('state="full"' in text and wic.contact_user in text, f"the first NOTIFY: {text}")
    bench.hss.deregister(wic.impi)
    last = wic.wait_notify('state="terminated"').body.decode()
    check(re.search(rf'aor="{wic.impu}"[^>]*state="terminated"', last), f"the last NOTIFY: {last}")


def withdrawn_by_the_hss(bench):
    """RTR: the S-CSCF tells the eP-CSCF and the WIC; the binding goes and its call with it."""
    mark = bench.core.log_size()
    wic = bench.registered()
    equal(wic.subscribe_reg().status, 200, "the WIC's SUBSCRIBE")
    expect(lambda: len(bench.core.log_lines("event=reg-subscribe", mark)) >= 2, 5,
           "the eP-CSCF did not subscribe")
    call = wic.invite(PHONE)
    equal(call.result().status, 200, "INVITE to the phone")
    expect(bench.lab.baresip.in_call, 5, "the phone was not in a call")
    bench.hss.deregister(wic.impi)
    expect(lambda: bench.lab.epcscf.gauges()["registrations"] == 0, 8, "the binding was not dropped")
    call.wait_bye()
    expect(lambda: not bench.lab.baresip.in_call(), 5, "the phone is still in the call")
    wic.wait_notify('state="terminated"')
    bench.lab.settle(10)
    equal(wic.register_digest().status, 200, "the WIC registers anew")


# ---- parts of the core that are away -----------------------------------------------------------------

def hss_away(bench):
    bench.hss.stop()
    bench.core.wait_cx(False)
    wic = bench.wic()
    answer = wic.register_digest()
    check(answer.status in (403, 480, 500, 503, 504), f"REGISTER without an HSS: {answer.first}")
    bench.counted("registrations_refused")
    bench.hss.start()
    bench.core.wait_cx()
    equal(wic.register_digest().status, 200, "when the HSS is back")


def hss_silent(bench):
    """The HSS hangs: the I-CSCF gives up in time, the WIC is told."""
    os.kill(bench.hss.child.pid, signal.SIGSTOP)
    try:
        wic = bench.wic()
        answer = wic.register_digest()
        check(answer.status in (480, 500, 503, 504), f"REGISTER with a silent HSS: {answer.first}")
    finally:
        os.kill(bench.hss.child.pid, signal.SIGCONT)
    expect(lambda: bench.hss.is_ready(), 5, "the HSS did not wake up")
    bench.core.wait_cx()
    equal(wic.register_digest().status, 200, "when the HSS answers again")


def core_restart(bench):
    """A core that forgot everything: the refresh registers anew."""
    wic = bench.registered()
    bench.core.kill()
    answer = wic.register(wic.shell())
    check(answer.status in (408, 500, 503, 504), f"REGISTER without a core: {answer.first}")
    bench.hss.ask("forget")
    bench.core.start()
    equal(wic.register_digest().status, 200, "when the core is back")
    call = wic.invite(PHONE)
    equal(call.result().status, 200, "a call after that")
    equal(call.bye().status, 200, "BYE")


# ---- what only the scripted core can do ----------------------------------------------------------------

def akav2_over_tls(bench):
    """IMS AKA for WebRTC: AKAv2-SHA-256 where the TLS connection comes first (TS 33.203 P.1)."""
    bench.core.reset(["AKAv2-SHA-256"])
    wic, client = bench.wic("carol"), aka_client()
    first = wic.register(wic.shell("AKAv2-SHA-256"))
    equal(first.status, 401, f"REGISTER without an answer ({first.first})")
    given = parameters(first.get("WWW-Authenticate"))
    equal(given["algorithm"], "AKAv2-SHA-256", "algorithm")
    check("ik" not in given and "ck" not in given, "the WIC must not see the session keys")
    answer = wic.register(client.answer(first.get("WWW-Authenticate"), HOME))
    equal(answer.status, 200, f"the answer to the challenge ({answer.first})")
    again = wic.register_aka(client, wic.shell("AKAv2-SHA-256"))
    equal(again.status, 200, f"refresh ({again.first})")
    equal([e["protected"] for e in bench.core.seen], ["tls-connected"] * 4, "integrity-protected")


def several_challenges(bench):
    """RFC 8760 2.4: one header field each, in the core's order; the WIC answers the one it knows."""
    offered = ["SHA-512-256", "SHA-256", "MD5"]
    for chosen in offered:
        bench.core.reset(offered)
        wic = bench.wic()
        challenges = wic.register(wic.shell()).all("WWW-Authenticate")
        equal([parameters(c)["algorithm"] for c in challenges], offered, "the challenges")
        answer = wic.register(digest_answer(challenges[offered.index(chosen)], wic.impi,
                                            wic.password, HOME))
        equal(answer.status, 200, f"an answer with {chosen} ({answer.first})")
        equal([e["protected"] for e in bench.core.seen], [None, "tls-pending"], "integrity-protected")


def what_a_200_carries(bench):
    wic = bench.wic()
    answer = wic.register_digest()
    equal(answer.status, 200, f"REGISTER ({answer.first})")
    check(NEXT_NONCE in answer.get("Authentication-Info"), "Authentication-Info must pass")
    check(answer.get("Date").endswith("GMT"), "Date must pass")
    equal(answer.get("Require"), "outbound", "Require")


def two_flows_of_one_instance(bench):
    """RFC 5626: reg-id tells them apart, and each is reached along its own Path."""
    first, second = bench.wic(), bench.wic()
    second.instance, second.reg_id = first.instance, 2
    second.contact_user = first.contact_user + "2"
    for wic in (first, second):
        equal(wic.register_digest().status, 200, f"reg-id {wic.reg_id}")
    equal(bench.lab.epcscf.gauges()["registrations"], 2, "registrations")
    (_, contact1, path1), (_, contact2, path2) = bench.core.accepted
    check(path1 != path2, "the flows must have tokens of their own")
    for wic, contact, path in ((first, contact1, path1), (second, contact2, path2)):
        with Answering(wic, "OPTIONS"):
            equal(bench.core.options(contact, path), 200, f"OPTIONS to reg-id {wic.reg_id}")
    first.close()
    bench.open.remove(first)
    expect(lambda: bench.core.options(contact1, path1) == 430, 5, "a lost flow did not give 430")
    with Answering(second, "OPTIONS"):
        equal(bench.core.options(contact2, path2), 200, "OPTIONS to the flow that is left")


class Answering:
    """with Answering(wic, method): the WIC answers one such request meanwhile."""

    def __init__(self, wic, method):
        self.thread = threading.Thread(target=self._answer, args=(wic, method), daemon=True)

    @staticmethod
    def _answer(wic, method):
        request = wic.wait(lambda m: m.method == method and not m.is_response, 5)
        wic.send(request.reply(200, "OK", tag="answering"))

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.thread.join(6)


# ---- registration events, each as a core may send them (TS 24.229 5.2.3, RFC 3680) ---------------------

def own_subscription(bench, user="alice"):
    """A registered WIC and the Call-ID of the eP-CSCF's own subscription, confirmed by its NOTIFY."""
    wic = bench.registered(user)
    key = bench.core.subscribed(wic.impu)
    expect(lambda: bench.core.answers(key), 5, "the first NOTIFY was not answered")
    equal(bench.core.answers(key), [200], "the first NOTIFY")
    return wic, key


def subscribes_once(bench):
    wic, key = own_subscription(bench)
    subscribe = bench.core.subscriptions[key]["first"]
    equal(uri_of(subscribe.get("To")), wic.impu, "To")
    equal(subscribe.uri, wic.impu, "Request-URI")
    equal(subscribe.get("Event"), "reg", "Event")
    check("application/reginfo+xml" in subscribe.get("Accept"), "Accept")
    equal(subscribe.get("Expires"), "600000", "Expires")
    check(a.EPCSCF_CORE[0] in subscribe.get("From") and a.EPCSCF_CORE[0] in subscribe.get("Contact")
          and a.EPCSCF_CORE[0] in subscribe.get("P-Asserted-Identity"), "it must be in our own name")
    check("icid-value=" in subscribe.get("P-Charging-Vector"), "P-Charging-Vector")
    other = bench.registered()
    equal(other.register_digest().status, 200, "refresh of a second WIC of the user")
    equal(len(bench.core.subscriptions), 1, "subscriptions for one user")


def dropped_by_event(bench):
    """The core ends a registration in each way that it has: binding gone, connection kept for the WIC
    to hear of it and come back."""
    for event in ("deactivated", "probation", "expired", "unregistered"):
        bench.core.reset()
        wic, key = own_subscription(bench)
        bench.core.event(key, "terminated", event, more=' retry-after="5"' if event == "probation"
                         else "")
        expect(lambda: bench.lab.epcscf.gauges()["registrations"] == 0, 5,
               f"{event}: the binding was not dropped")
        equal(bench.core.answers(key)[-1], 200, f"{event}: the NOTIFY")
        equal(wic.register_digest().status, 200, f"{event}: the WIC comes back")
        expect(lambda: bench.lab.epcscf.gauges()["registrations"] == 1, 5, f"{event}: it is bound again")
        wic.close()
        bench.open.remove(wic)
        bench.lab.settle(15)
        expect(lambda: bench.lab.epcscf.metrics()["reg_subscriptions"] == 0, 5,
               f"{event}: the subscription was not ended")


def rejected_by_the_core(bench):
    wic, key = own_subscription(bench)
    bench.core.event(key, "terminated", "rejected", registration="terminated",
                     subscription="terminated;reason=noresource")
    expect(lambda: bench.lab.epcscf.gauges()["registrations"] == 0, 5, "the binding was not dropped")
    check(wic.wait_closed(8), "the connection must be closed")
    equal(wic.ws.closed_with, 1008, "close code")


def shortened_by_the_core(bench):
    """Network-initiated re-authentication: the binding ends sooner unless the WIC refreshes it."""
    wic, key = own_subscription(bench)
    bench.core.event(key, "active", "shortened", more=' expires="2"')
    expect(lambda: bench.lab.epcscf.gauges()["registrations"] == 0, 10,
           "the binding did not end when the core said")


def stray_notify(bench):
    """A NOTIFY in no dialog of ours: 481; one from a stranger's address: nothing happens."""
    wic, key = own_subscription(bench)
    dialog = bench.core.subscriptions[key]
    bench.core.subscriptions["stray"] = dict(dialog)
    bench.core.event("stray", "terminated", "deactivated")
    expect(lambda: bench.core.answers("stray"), 5, "the stray NOTIFY was not answered")
    equal(bench.core.answers("stray"), [481], "a NOTIFY in another dialog")
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with stranger:
        stranger.bind(("127.0.0.9", 0))
        dialog["link"], proper = Link("UDP", a.EPCSCF_CORE, lambda m: stranger.sendto(
            m.encode(), a.EPCSCF_CORE)), dialog["link"]
        bench.core.event(key, "terminated", "deactivated")
        dialog["link"] = proper
        dialog["cseq"] += 1
    bench.core.event(key, "active", "registered")
    expect(lambda: len(bench.core.answers(key)) >= 2, 5, "the next NOTIFY was not answered")
    equal(bench.lab.epcscf.gauges()["registrations"], 1, "registrations")


SCENARIOS = (milenage_agrees, digest_registration, digest_wrong_password, digest_stale_nonce,
             digest_refresh, digest_unknown_user, aka_registration, aka_wrong_key,
             aka_resynchronisation, token_registration, core_does_not_trust, implicit_set,
             barred_identity, wildcarded_identity, called_through_the_scscf,
             deregistered_by_the_wic,
             wic_subscribes, withdrawn_by_the_hss, hss_away, hss_silent, core_restart)

SCRIPTED = (akav2_over_tls, several_challenges, what_a_200_carries, two_flows_of_one_instance,
            subscribes_once, dropped_by_event, rejected_by_the_core, shortened_by_the_core, stray_notify)


def one(bench, scenario):
    bench.begin()
    try:
        scenario(bench)
    except LabError as e:
        if not getattr(e, "log", None):
            e.log = bench.core.log
        raise
    finally:
        bench.end()


def session_keys_stay_in_the_core(bench):
    """They did cross between the S-CSCF and the eP-CSCF, and nowhere else."""
    keys = getattr(bench, "aka_keys", None)
    check(keys, "no AKA registration went through")
    with open(bench.lab.capture.file, "rb") as f:
        captured = f.read()
    check(keys[0].encode() in captured, "the S-CSCF gave no key: nothing is proved")
    for path in (bench.lab.epcscf.trace, bench.lab.epcscf.log):
        with open(path, "rb") as f:
            text = f.read()
        check(not any(key.encode() in text for key in keys), f"a session key in {path}")


def ends_well(lab):
    """A sanitizer that found something gives the daemon another status."""
    equal(lab.epcscf.stop(), 0, "exit status of the daemon")


def one_core(run, options, core, scenarios):
    """The scenarios of one kind of core, each in its turn, in a lab of their own."""
    chosen = [s for s in scenarios if options.k in s.__name__]
    if not chosen:
        return
    lab = Lab(os.path.join(options.var, core), shards=options.shards, preset=options.preset, core=core)
    lab.epcscf.grace_ms = 2000  # what a scenario leaves behind is soon gone
    if not run.run(f"the {core} core starts and is ready", lab.start):
        return
    bench = Bench(lab)
    try:
        for scenario in chosen:
            run.run(scenario.__name__.replace("_", " "), one, bench, scenario)
        run.run("the daemon ends as it should", ends_well, lab)
        lab.capture.stop()
        if options.k:
            return
        if core == "ims":
            run.run("session keys stay in the core", session_keys_stay_in_the_core, bench)
        run.run("every captured message decodes", check_capture, lab.capture.file, options.shards)
        run.run("nothing leaks", check_leaks, lab)
    finally:
        lab.stop()


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--preset", default="dev")
    p.add_argument("--shards", type=int, default=1)
    p.add_argument("--var", default=os.path.join(DEFAULT_VAR, "ims"))
    p.add_argument("-k", default="", help="only scenarios whose name holds this text")
    options = p.parse_args()
    run = Runner("ims")
    one_core(run, options, "ims", SCENARIOS)
    one_core(run, options, "scripted", SCRIPTED)
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
