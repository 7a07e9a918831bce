"""Proves the peers of the lab without the daemon: each starts, answers as the scenarios rely on, and
stops. The core side of the eP-CSCF is played by epclab/edge.py."""
import argparse
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from epclab import addresses as a
from epclab.edge import Edge
from epclab.lab import DEFAULT_VAR, Lab
from epclab.ports import holder
from epclab.runner import Runner, check, equal
from epclab.sipmsg import digest, split_list, tag_of, token, uri_of
from epclab.wait import LabError, expect, poll

SDP = (b"v=0\r\no=- 1 1 IN IP4 127.0.0.4\r\ns=-\r\nc=IN IP4 127.0.0.4\r\nt=0 0\r\n"
       b"m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n")
AUTH_DONE = ('Digest username="alice@ims.test", realm="ims.test", uri="sip:ims.test", nonce="", '
             'response="", integrity-protected="auth-done"')


def register(edge, authorization, impu="sip:alice@ims.test", expires=600, proto="udp"):
    headers = [("Path", f"<sip:tok{edge.tag}@{edge.ip}:{edge.port};lr;ob>"), ("Require", "path"),
               ("Supported", "path,outbound"),
               ("Contact", '<sip:ab@x.invalid;transport=ws>;reg-id=1;'
                           f'+sip.instance="<urn:uuid:1>";expires={expires}')]
    if authorization:
        headers.append(("Authorization", authorization))
    return edge.final(edge.request("REGISTER", "sip:ims.test", from_=impu, to=impu, proto=proto,
                                   call_id=token(), extra=headers))


def challenge_of(edge):
    answer = register(edge, None)
    equal(answer.status, 401, "REGISTER without credentials")
    return answer.get("WWW-Authenticate")


def auth_done_only_from_the_edge(lab, edge):
    answer = register(edge, AUTH_DONE)
    equal(answer.status, 200, "auth-done from the eP-CSCF")
    equal(answer.get("Service-Route"), "<sip:orig@127.0.0.2:4060;lr>", "Service-Route")
    equal(answer.get("P-Associated-URI"), "<sip:alice@ims.test>, <tel:+15550001>",
          "P-Associated-URI")
    check("+sip.instance" in answer.get("Contact"), "the 200 must carry the instance")
    stranger = Edge("127.0.0.9", 5060)
    try:
        equal(register(stranger, AUTH_DONE).status, 403, "auth-done from elsewhere")
    finally:
        stranger.close()
    equal(register(edge, AUTH_DONE, impu="sip:bob@ims.test").status, 403, "another's identity")
    equal([b["path"] for b in lab.kamailio.bindings()],
          [f"<sip:tok{edge.tag}@127.0.0.3:5060;lr;ob>"], "the registrar's bindings")


def digest_registration(lab, edge):
    for user, password, status in (("alice@ims.test", "wonderland", 200),
                                   ("alice", "wonderland", 200), ("alice@ims.test", "no", 403)):
        answer = register(edge, digest(challenge_of(edge), "REGISTER", "sip:ims.test", user,
                                       password))
        equal(answer.status, status, f"Digest as {user} with {password}")


def call_to_the_phone(lab, edge, proto):
    equal(register(edge, AUTH_DONE, proto=proto).status, 200, "REGISTER")
    call = dict(from_="sip:alice@ims.test", to="sip:phone@ims.test", call_id=token(), proto=proto)
    padding = [("X-Pad", "p" * 900)] * (6 if proto == "tcp" else 0)
    invite = edge.request("INVITE", "sip:phone@ims.test", **call, body=SDP,
                          routes=["<sip:orig@127.0.0.2:4060;lr>"],
                          extra=[("Record-Route", "<sip:tok@127.0.0.3:5060;lr>"),
                                 ("P-Asserted-Identity", "<sip:alice@ims.test>"),
                                 ("Contact", "<sip:ab@x.invalid;transport=ws>"),
                                 ("Content-Type", "application/sdp")] + padding)
    ok = edge.final(invite)
    equal(ok.status, 200, "INVITE to the phone")
    call["to_tag"] = tag_of(ok.get("To"))
    call["routes"] = [r for v in reversed(ok.all("Record-Route"))
                      for r in reversed(split_list(v))][1:]
    edge.request("ACK", uri_of(ok.get("Contact")), **call)
    expect(lab.baresip.in_call, 3, "the phone was not in a call")
    equal(edge.final(edge.request("BYE", uri_of(ok.get("Contact")), cseq=2, **call)).status, 200,
          "BYE")
    # Its table of RTP comes only if it had the time to send some.
    expect(lambda: not lab.baresip.in_call(), 5, "the phone is still in the call")


def originating_checks(lab, edge):
    invite = edge.request("INVITE", "sip:phone@ims.test", from_="sip:alice@ims.test",
                          to="sip:phone@ims.test", call_id=token(), body=SDP,
                          routes=["<sip:orig@127.0.0.2:4060;lr>"],
                          extra=[("Contact", "<sip:ab@x.invalid>"),
                                 ("Content-Type", "application/sdp")])
    equal(edge.final(invite).status, 403, "INVITE without P-Asserted-Identity")


def call_from_the_phone(lab, edge):
    equal(register(edge, AUTH_DONE).status, 200, "REGISTER")
    since = lab.baresip.dial("sip:alice@ims.test")
    invite, _, _ = edge.wait(lambda m: m.method == "INVITE" and not m.is_response)
    equal(invite.uri, "sip:ab@x.invalid;transport=ws", "Request-URI")
    equal(uri_of(invite.get("Route")), f"sip:tok{edge.tag}@127.0.0.3:5060;lr;ob", "Route")
    equal(invite.get("P-Called-Party-ID"), "<sip:alice@ims.test>", "P-Called-Party-ID")
    edge.send(invite.reply(486, "Busy Here", tag=token()))
    closed = lab.baresip.control.wait_event("CALL_CLOSED", since)
    check("486" in closed["param"], f"the phone saw {closed['param']}")
    equal(register(edge, AUTH_DONE, expires=0).status, 200, "de-registration")
    for user, status in (("alice", "480"), ("ghost", "404")):
        since = lab.baresip.dial(f"sip:{user}@ims.test")
        closed = lab.baresip.control.wait_event("CALL_CLOSED", since)
        check(status in closed["param"], f"calling {user}: {closed['param']}, expected {status}")


def gateway_answers(lab, edge):
    offer = lab.rtpengine.ng("offer", sdp=SDP.decode(), **{"call-id": "peers", "from-tag": "a",
                             "direction": ["core", "access"], "transport-protocol": "UDP/TLS/RTP/SAVPF"})
    check(offer and offer["result"] == "ok", f"offer: {offer}")
    check("c=IN IP4 127.0.0.1" in offer["sdp"], "the access interface is 127.0.0.1")
    equal(lab.rtpengine.calls(), ["peers"], "calls held")
    lab.rtpengine.ng("delete", **{"call-id": "peers", "from-tag": "a"})
    check(poll(lambda: not lab.rtpengine.calls(), 3), "the call is still held after delete")


def ports_name_their_holder(lab, edge):
    check("kamailio" in (holder("udp", *a.CORE) or ""), "holder of the core's port")
    other = type(lab.kamailio)(os.path.join(lab.var, "second"))
    try:
        other.start()
    except LabError as e:
        check(re.search(r"127\.0\.0\.2:4060 is in use by kamailio", str(e)), str(e))
    else:
        other.stop()
        check(False, "a second core started on the same port")


def pcrf_runs(lab, edge):
    check(lab.pcrf.alive(), "the PCRF has ended")
    equal(lab.pcrf.open_sessions(), 0, "open sessions of the PCRF")


def leftovers_are_cleaned(lab, edge):
    """As after kill -9 of the script: the daemon lives, only its pid file tells."""
    orphan = type(lab.rtpengine)(lab.var)
    pid = lab.rtpengine.child.pid
    lab.clean_leftovers()
    check(poll(lambda: lab.rtpengine.child.poll() is not None, 3), f"process {pid} still runs")
    lab.rtpengine.stop()
    for component in (lab.kamailio, lab.pcrf, lab.baresip, lab.capture):
        component.stop()
    orphan.start()
    orphan.stop()


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--preset", default="dev")
    p.add_argument("--var", default=os.path.join(DEFAULT_VAR, "peers"))
    options = p.parse_args()
    run = Runner("peers")
    lab = Lab(options.var, preset=options.preset)
    lab.epcscf.grace_ms = 2000  # what a scenario leaves behind is soon gone
    peers = [c for c in lab.components if c is not lab.epcscf]
    if not run.run("every peer starts and is ready", lab.start, peers):
        return run.finish()
    edge = Edge()
    try:
        for scenario in (auth_done_only_from_the_edge, digest_registration, originating_checks,
                         call_from_the_phone, gateway_answers, ports_name_their_holder, pcrf_runs):
            run.run(scenario.__name__.replace("_", " "), scenario, lab, edge)
        for proto in ("udp", "tcp"):
            run.run(f"call to the phone over {proto}", call_to_the_phone, lab, edge, proto)
        run.run("leftovers are cleaned", leftovers_are_cleaned, lab, edge)
    finally:
        edge.close()
        lab.stop()
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
