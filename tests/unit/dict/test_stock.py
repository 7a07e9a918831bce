#!/usr/bin/env python3
"""dict_rx.fdx in stock freeDiameterd: what each Rx command accepts and refuses, alone and beside other
dictionaries in any order.
test_stock.py FOLDER-OF-fdx PATH-OF-epcscfctl"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from diameter import ETSI, RX, TGPP, WEBRTC, Peer, avp, raw

FDX = ""
HERE = os.path.dirname(os.path.abspath(__file__))
CERTS = os.path.join(HERE, "..", "..", "lab", "pcrf", "certs.sh")
OTHERS = ["dict_nasreq.fdx", "dict_dcca.fdx", "dict_dcca_3gpp.fdx"]
PORT = 3868


class Node:
    """freeDiameterd with dict_sink.fdx on an address of its own."""

    def __init__(self, before=(), after=(), argument=None):
        self.dir = tempfile.mkdtemp(prefix="epc-dict-")
        pid = os.getpid()
        self.address = f"127.{32 + (pid >> 16) % 32}.{pid >> 8 & 255}.{pid & 255 | 1}"
        subprocess.run(["sh", CERTS, self.dir, "node.ims.test"], check=True)
        load = [f'"{d}"' for d in before] + [f'"{FDX}/dict_rx.fdx"' + (f' : "{argument}"' if argument else "")]
        load += [f'"{d}"' for d in after] + [f'"{FDX}/dict_sink.fdx" : "{self.address}"']
        conf = os.path.join(self.dir, "node.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write('Identity = "node.ims.test";\nRealm = "ims.test";\nPort = %d;\nSecPort = 0;\nNo_SCTP;\n'
                    'No_IPv6;\nTwTimer = 30;\nTcTimer = 60;\n'
                    'TLS_Cred = "%s/node.ims.test.cert.pem", "%s/node.ims.test.key.pem";\nTLS_CA = "%s/ca.pem";\n'
                    'ConnectPeer = "af.ims.test" { No_TLS; ConnectTo = "%s"; Port = 3; };\n'
                    % (PORT, self.dir, self.dir, self.dir, self.address))
            f.writelines(f"LoadExtension = {e};\n" for e in load)
        self.log = open(os.path.join(self.dir, "log"), "w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(["freeDiameterd", "-c", conf], stdout=self.log, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL)

    def text(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            return f.read()

    def peer(self, patience_s=20):
        until = time.monotonic() + patience_s
        while True:
            try:
                return Peer(self.address, PORT)
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise AssertionError("freeDiameterd does not serve:\n" + self.text()) from None
                time.sleep(0.02)

    def wait_for(self, pattern, patience_s=20):
        until = time.monotonic() + patience_s
        while True:
            found = re.search(pattern, self.text())
            if found:
                return found
            if time.monotonic() > until or self.process.poll() is not None:
                raise AssertionError(f"'{pattern}' does not come in:\n" + self.text())
            time.sleep(0.02)

    def stop(self):
        """Exit status after an orderly end."""
        self.process.terminate()
        return self.process.wait(30)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir)


def head(without=(), more=()):
    all_of = [("Session-Id", "af.ims.test;1;1"), ("Auth-Application-Id", RX), ("Origin-Host", Peer.host),
              ("Origin-Realm", Peer.realm), *more]
    return [avp(n, v) for n, v in all_of if n not in without]


def to(without=()):
    return [avp(n, v) for n, v in (("Destination-Realm", "ims.test"), ("Destination-Host", "node.ims.test"))
            if n not in without]


MSC = avp("Media-Sub-Component", [
    avp("Flow-Number", 1), avp("Flow-Description", "permit in 17 from 10.45.0.2 to 198.51.100.20 40000"),
    avp("Flow-Description", "permit out 17 from 198.51.100.20 to 10.45.0.2 50000")])
MCD = avp("Media-Component-Description", [avp("Media-Component-Number", 1), avp("Media-Type", 0), MSC,
                                          avp("Codec-Data", "uplink\noffer\n"), avp("Codec-Data", "downlink\nanswer\n")])

# The part of each request that is its own, by the name of the AVP.
OWN = {265: [], 258: [("Specific-Action", 2)], 275: [("Termination-Cause", 1)], 274: [("Abort-Cause", 0)]}
# What each request cannot be without.
REQUIRED = {265: ["Session-Id", "Auth-Application-Id", "Origin-Host", "Origin-Realm", "Destination-Realm"],
            258: ["Session-Id", "Auth-Application-Id", "Origin-Host", "Origin-Realm", "Destination-Realm",
                  "Destination-Host", "Specific-Action"],
            275: ["Session-Id", "Auth-Application-Id", "Origin-Host", "Origin-Realm", "Destination-Realm",
                  "Termination-Cause"],
            274: ["Session-Id", "Auth-Application-Id", "Origin-Host", "Origin-Realm", "Destination-Realm",
                  "Destination-Host", "Abort-Cause"]}
# The base protocol has its own word for requests that cannot be routed back, or anywhere.
ROUTING = {"Origin-Host", "Origin-Realm", "Destination-Realm"}
# One AVP that each may hold once.
ONCE = {265: ("Service-Info-Status", 0), 258: ("Abort-Cause", 0), 275: ("Origin-State-Id", 7), 274: ("Abort-Cause", 0)}
CODE_OF = {"Session-Id": (263, 0), "Auth-Application-Id": (258, 0), "Destination-Host": (293, 0),
           "Destination-Realm": (283, 0), "Origin-Host": (264, 0), "Origin-Realm": (296, 0),
           "Specific-Action": (513, TGPP), "Termination-Cause": (295, 0), "Abort-Cause": (500, TGPP),
           "Service-Info-Status": (527, TGPP), "Origin-State-Id": (278, 0)}


def request(code, without=(), more=()):
    own = [avp(n, v) for n, v in OWN[code] if n not in without]
    return head(without) + to(without) + own + list(more)


class Stock(unittest.TestCase):
    """With dict_rx.fdx as the only dictionary."""
    before, after = [], []

    @classmethod
    def setUpClass(cls):
        cls.node = Node(cls.before, cls.after)
        cls.peer = cls.node.peer()

    @classmethod
    def tearDownClass(cls):
        cls.peer.close()
        cls.node.end()

    def accepted(self, code, avps):
        m = self.peer.ask(code, avps)
        self.assertEqual(m.number("Result-Code"), 2001, f"{code}: Failed-AVP {m.failed()}")

    def refused(self, code, avps, result, failed=None):
        m = self.peer.ask(code, avps)
        self.assertEqual(m.number("Result-Code"), result, f"{code}: Failed-AVP {m.failed()}")
        if failed is not None:
            self.assertIn(failed, m.failed(), code)

    def test_correct_requests(self):
        for code in OWN:
            self.accepted(code, request(code))
        features = raw(628, TGPP, 0, avp("Vendor-Id", TGPP) + raw(629, TGPP, 0, b"\0\0\0\1") + raw(630, TGPP, 0, b"\0\0\0\x37"))
        self.accepted(265, request(265, more=[
            MCD, avp("Rx-Request-Type", 0), features, avp("Framed-IP-Address", bytes([10, 45, 0, 2])),
            avp("Specific-Action", 2), avp("Specific-Action", 4), avp("Reservation-Priority", 3),
            avp("Subscription-Id", [avp("Subscription-Id-Type", 2), avp("Subscription-Id-Data", "sip:a@ims.test")]),
            avp("WebRTC-Session-Info", [avp("AGW-Identity", "agw"), avp("ICE-Mode", 1)])]))
        self.accepted(258, request(258, more=[avp("Specific-Action", 4), avp("Abort-Cause", 0)]))

    def test_missing_avps(self):
        for code, names in REQUIRED.items():
            for name in names:
                m = self.peer.ask(code, request(code, without=[name]))
                self.assertNotEqual(m.number("Result-Code"), 2001, (code, name))
                if name not in ROUTING:
                    self.assertEqual(m.number("Result-Code"), 5005, (code, name))
                    self.assertIn(CODE_OF[name], m.failed(), (code, name))

    def test_session_id_comes_first(self):
        for code in OWN:
            avps = request(code)
            self.refused(code, avps[1:] + avps[:1], 5005, CODE_OF["Session-Id"])

    def test_too_many(self):
        for code, (name, value) in ONCE.items():
            twice = [avp(name, value)] * (1 if (name, value) in OWN[code] else 2)
            self.refused(code, request(code, more=twice), 5009, CODE_OF[name])

    def test_groups(self):
        self.refused(265, request(265, more=[avp("Media-Component-Description", [avp("Media-Type", 0)])]), 5005,
                     (518, TGPP))
        self.refused(265, request(265, more=[avp("Media-Component-Description", [
            avp("Media-Component-Number", 1), avp("Media-Component-Number", 2)])]), 5009, (518, TGPP))
        flows = [avp("Flow-Number", 1)] + [avp("Flow-Description", "permit in ip from any to any")] * 3
        self.refused(265, request(265, more=[avp("Media-Component-Description", [
            avp("Media-Component-Number", 1), avp("Media-Sub-Component", flows)])]), 5009, (507, TGPP))
        self.refused(265, request(265, more=[avp("WebRTC-Session-Info", [avp("ICE-Mode", 1)] * 2)]), 5009,
                     (9013, WEBRTC))

    def test_unknown_avps(self):
        for code in OWN:
            # Passed over without M, refused with it; so is a known code of another vendor.
            self.accepted(code, request(code, more=[raw(4711, 99999, 0, b"xxxx")]))
            self.refused(code, request(code, more=[raw(4711, 99999, 0x40, b"xxxx")]), 5001, (4711, 99999))
            self.refused(code, request(code, more=[raw(513, 99999, 0x40, b"\0\0\0\2")]), 5001, (513, 99999))
        self.refused(265, request(265, more=[raw(517, 0, 0x40, b"xxxx")]), 5001, (517, 0))
        self.accepted(265, request(265, more=[raw(458, ETSI, 0, b"\0\0\0\1")]))

    def test_wrong_lengths_and_values(self):
        for code in OWN:
            self.refused(code, request(code, more=[raw(513, TGPP, 0x40, b"\0\0\2")]), 5014, (513, TGPP))
            self.refused(code, request(code, more=[raw(278, 0, 0x40, b"\0\0\0\0\2")]), 5014, (278, 0))
            # An Address needs its family, and its octets.
            self.refused(code, request(code, more=[raw(501, TGPP, 0x40, b"\x0a")]), 5004, (501, TGPP))
            self.refused(code, request(code, more=[raw(501, TGPP, 0x40, b"\0\1\x0a\0\0")]), 5004, (501, TGPP))
            self.accepted(code, request(code, more=[raw(501, TGPP, 0x40, b"\0\1\x0a\0\0\1")]))
        self.refused(265, request(265, more=[raw(8, 0, 0x40, b"10.45.0.2")]), 5004, (8, 0))
        self.refused(265, request(265, more=[raw(97, 0, 0x40, b"\0\x80" + bytes(8))]), 5004, (97, 0))
        self.accepted(265, request(265, more=[raw(97, 0, 0x40, b"\0\x80" + bytes(16))]))
        self.refused(265, request(265, more=[avp("Media-Component-Description", [
            avp("Media-Component-Number", 1), avp("WebRTC-Media-Info", [avp("AGW-Access-Address", b"\0\2abc")])])]), 5004,
            (9030, WEBRTC))

    # ---- answers

    def answer(self, code, without=(), more=(), result=True):
        """What the sink says of our answer to its request."""
        at = len(self.node.text())
        self.peer.send(265, 0xc0, request(265, more=[avp("AF-Application-Identifier", f"ask {code}")]))
        while True:
            m = self.peer.receive()
            if m.flags & 0x80:
                break
        self.assertEqual(m.code, code)
        session = m.value("Session-Id")
        avps = [avp(n, v) for n, v in (("Session-Id", session), ("Auth-Application-Id", RX), ("Origin-Host", Peer.host),
                                       ("Origin-Realm", Peer.realm)) if n not in without]
        if result:
            avps.append(avp("Result-Code", 2001))
        self.peer.send(code, 0x40, avps + list(more), hop=m.hop, end=m.end)
        self.node.wait_for(r"(?s)\A.{%d}.*sink: answer %d (accepted|refused)[^\n]*\n" % (at, code))
        return re.findall(r"sink: answer %d ([^\n]*)" % code, self.node.text()[at:])[0]

    def test_answers(self):
        trouble = [avp("Experimental-Result", [avp("Vendor-Id", TGPP), avp("Experimental-Result-Code", 5065)])]
        for code in OWN:
            self.assertEqual(self.answer(code), "accepted", code)
            self.assertEqual(self.answer(code, result=False, more=trouble), "accepted", code)
            self.assertIn("refused", self.answer(code, without=["Origin-Host"]), code)
            self.assertIn("refused", self.answer(code, more=[avp("Origin-State-Id", 7)] * 2), code)
            self.assertIn("refused", self.answer(code, more=[raw(4711, 99999, 0x40, b"xxxx")]), code)
            self.assertIn("refused", self.answer(code, more=[raw(278, 0, 0x40, b"\0")]), code)
        self.assertEqual(self.answer(258, more=[MCD, avp("Service-URN", "sos")]), "accepted")


class OthersBefore(Stock):
    before = OTHERS


class OthersAfter(Stock):
    after = OTHERS


class InBetween(Stock):
    before, after = OTHERS[:1], OTHERS[1:]


class Settings(unittest.TestCase):
    """The argument of dict_rx.fdx."""

    def node(self, argument):
        node = Node(argument=argument)
        self.addCleanup(node.end)
        return node

    def verdict(self, argument, code, avps):
        peer = self.node(argument).peer()
        self.addCleanup(peer.close)
        return peer.ask(code, avps).number("Result-Code")

    def test_another_enterprise(self):
        group = raw(9001, 54321, 0x40, raw(9013, 54321, 0, b"\0\0\0\1"))
        # With M only what is known passes.
        self.assertEqual(self.verdict("webrtc_vendor=54321", 265, request(265, more=[group])), 2001)

    def test_without_webrtc(self):
        group = raw(9001, WEBRTC, 0x40, raw(9013, WEBRTC, 0, b"\0\0\0\1"))
        self.assertEqual(self.verdict("webrtc=off", 265, request(265, more=[group])), 5001)

    def test_without_check(self):
        self.assertEqual(self.verdict("check=off", 274, request(274, without=["Abort-Cause"])), 2001)

    def test_orderly_end(self):
        node = self.node(None)
        node.peer().close()
        self.assertEqual(node.stop(), 0)

    def test_faults_are_named(self):
        for argument, told in (("webrtc_vendor=0", "webrtc_vendor is an enterprise number"),
                               ("webrtc_vendor=x", "not 'x'"), ("webrtc_vendor=10415", "take your enterprise's number"),
                               ("colour=red", "'colour=red' is none of"), ("/nonexistent.json", "cannot read /nonexistent.json"),
                               ("webrtc=/nonexistent.json", "cannot read /nonexistent.json")):
            node = self.node(argument)
            node.wait_for(re.escape(told))
            self.assertNotIn("core state: Running", node.text())
        self.assertNotEqual(node.process.wait(20), 0)


if __name__ == "__main__":
    FDX = sys.argv[1]
    unittest.main(argv=sys.argv[:1])
