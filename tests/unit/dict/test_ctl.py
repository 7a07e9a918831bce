#!/usr/bin/env python3
"""epcscfctl dict, as engineers use it: without a daemon, on the delivered files and on files of their own.
test_ctl.py PATH-OF-epcscfctl FOLDER-OF-dict"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

from diameter import RX, avp, capture, message

CTL = DICT = ""


def ctl(*words):
    done = subprocess.run([CTL, "dict", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


class Ctl(unittest.TestCase):
    def ok(self, *words):
        code, out, err = ctl(*words, "--dir", DICT)
        self.assertEqual((code, err), (0, ""), words)
        return out

    def test_show(self):
        out = self.ok("show", "Media-Type")
        for part in ("code      520", "10415 (3GPP)", "Enumerated", "M set", "TS 29.214 5.3.19", "1 VIDEO", "-1 OTHER",
                     "0..1  in Media-Component-Description"):
            self.assertIn(part, out)
        self.assertEqual(self.ok("show", "media-type"), out)
        self.assertEqual(self.ok("show", "520"), out)
        self.assertEqual(self.ok("show", "520@10415"), out)
        # Two vendors have a 458.
        self.assertIn("User-Equipment-Info", self.ok("show", "458"))
        self.assertNotIn("User-Equipment-Info", self.ok("show", "458@13019"))
        self.assertIn("RAR)", self.ok("show", "rar"))
        found = json.loads(self.ok("show", "Flows", "--json"))
        self.assertEqual([r["name"] for r in found["content"]][:2], ["Media-Component-Number", "Flow-Number"])
        self.assertIn("Re-Auth-Request", found["appears"])

    def test_not_found(self):
        for word in ("Media-Typ", "520@7", "9999"):
            code, out, err = ctl("show", word, "--dir", DICT)
            self.assertEqual((code, out), (1, ""), word)
            self.assertIn(word, err)
        self.assertIn("perhaps Media-Type", ctl("show", "Media-Typ", "--dir", DICT)[2])
        self.assertIn("AAR", ctl("tree", "XYR", "--dir", DICT)[2])

    def test_list(self):
        everything = self.ok("list").splitlines()
        webrtc = self.ok("list", "--vendor", "32473").splitlines()
        self.assertTrue(webrtc and set(webrtc) < set(everything))
        in_asr = [a["name"] for a in json.loads(self.ok("list", "--command", "ASR", "--json"))]
        self.assertIn("Abort-Cause", in_asr)
        self.assertIn("Proxy-State", in_asr)
        self.assertNotIn("Media-Type", in_asr)
        self.assertIn("54321", self.ok("list", "--vendor", "54321", "--webrtc-vendor", "54321"))

    def test_tree(self):
        out = self.ok("tree", "AAR")
        lines = [line.split("  ") for line in out.splitlines()]
        self.assertIn("265, REQ, PXY", out)
        self.assertTrue(out.splitlines()[1].strip().startswith("< Session-Id >"))
        for part in ("{ Origin-Host }", "*[ Media-Component-Description ]", "    { Media-Component-Number }",
                     "0*2[ Codec-Data ]", "        { Flow-Number }", "[ WebRTC-Media-Info ]"):
            self.assertTrue(any(part.strip() in line for line in map("  ".join, lines)), part)
        tree = json.loads(self.ok("tree", "RAR", "--json"))
        action = [a for a in tree["content"] if a["name"] == "Specific-Action"][0]
        self.assertEqual((action["min"], action["max"]), (1, "unbounded"))

    def test_wrong_usage(self):
        for words, told in (((), "a subcommand is missing"), (("shout",), "no subcommand shout"),
                            (("show",), "a name is missing"), (("show", "a", "b"), "one word too many: b"),
                            (("list", "--vendor"), "a value is missing after --vendor"),
                            (("list", "--vendor", "x"), "a number is expected, not x"),
                            (("show", "x", "--colour"), "no such option here: --colour"),
                            (("tree", "AAR", "--vendor", "1"), "no such option here: --vendor"),
                            (("export", "html"), "knows wireshark and markdown"),
                            (("list", "--dir", "/nonexistent"), "/nonexistent/base.json: No such file")):
            code, out, err = ctl(*words)
            self.assertEqual((code, out), (2, ""), words)
            self.assertIn(told, err)
        self.assertEqual(ctl("--help")[0], 0)

    def test_check_of_the_delivered_files(self):
        self.assertTrue(self.ok("check").startswith("no faults, 0 remarks"))

    def checked(self, document, *options):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            f.write(document if isinstance(document, str) else json.dumps(document))
            f.flush()
            return ctl("check", *options, f.name, "--dir", DICT)

    def test_check_of_own_files(self):
        own = {"Vendors": [{"Code": 99999, "Name": "Own"}],
               "AVPs": [{"Code": 1, "Vendor": 99999, "Name": "Own-Thing", "Flags": {"Must": "V"}, "Type": "Enumerated"}],
               "CommandRules": [{"Command": "AA-Request", "Extends": True,
                                 "Content": [{"AVP": "Own-Thing", "Vendor": 99999, "Max": 1}]}]}
        code, out, _ = self.checked(own, "--add")
        self.assertEqual(code, 0)
        self.assertIn("'Own-Thing': Enumerated, but without values", out)
        code, out, _ = self.checked(own)
        self.assertEqual(code, 1)
        self.assertIn("'AA-Request': there is no such command", out)
        own["AVPs"][0]["Flags"] = {"Must": "M"}
        own["AVPs"].append({"Code": 520, "Vendor": 10415, "Name": "Mine", "Flags": {"Must": "V"}, "Type": "Tme"})
        code, out, _ = self.checked(own, "--add")
        self.assertEqual(code, 1)
        # All faults at once.
        for part in ("V is not in Must", "type 'Tme' is not known", "'Media-Type'", "same code 520"):
            self.assertIn(part, out)
        self.assertIn("line 1", self.checked("{")[1])
        self.assertEqual(ctl("check", "/nonexistent.json")[0], 2)

    def test_check_of_messages(self):
        own = [avp("Session-Id", "af;1;1"), avp("Auth-Application-Id", RX), avp("Origin-Host", "af"),
               avp("Origin-Realm", "ims.test"), avp("Destination-Realm", "ims.test")]
        with tempfile.NamedTemporaryFile("wb", suffix=".pcap") as f:
            capture(f.name, [message(265, 0xc0, own)])
            code, out, _ = ctl("check", "--message", f.name, "--dir", DICT)
            self.assertEqual((code, out), (0, "1 messages, 0 with faults\n"))
            capture(f.name, [message(265, 0xc0, own), message(265, 0xc0, own[1:]), message(274, 0xc0, own)])
            code, out, _ = ctl("check", "--message", f.name, "--dir", DICT)
            self.assertEqual(code, 1)
            for part in ("AAR", "Session-Id", "ASR", "Abort-Cause", "3 messages, 2 with faults"):
                self.assertIn(part, out)
        self.assertEqual(ctl("check", "--message", "/nonexistent", "--dir", DICT)[0], 2)
        self.assertIn("a file is missing", ctl("check", "--message")[2])

    def test_reference_page_is_up_to_date(self):
        with open(os.path.join(DICT, "REFERENCE.md"), encoding="utf-8") as f:
            self.assertEqual(f.read(), self.ok("export", "markdown"),
                             "epcscfctl dict export markdown >dict/REFERENCE.md")


if __name__ == "__main__":
    CTL, DICT = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
