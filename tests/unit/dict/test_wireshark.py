#!/usr/bin/env python3
"""The dictionaries beside Wireshark's own: where both know an AVP they agree, or the difference is listed with
its reason in wireshark-differences.tsv; and tshark reads what epcscfctl exports.
test_wireshark.py FOLDER-OF-fdx PATH-OF-epcscfctl [--write]
--write: lists the differences anew; reasons are kept, new lines have none and fail until they have."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET

import diameter
from diameter import RX, TGPP, WEBRTC, avp, capture, message, raw

FDX = CTL = ""
HERE = os.path.dirname(os.path.abspath(__file__))
LISTED = os.path.join(HERE, "wireshark-differences.tsv")
DATA = "/usr/share/wireshark"
COLUMNS = ["avp", "field", "ours", "wireshark", "reason"]
# Two names of one type.
SAME_TYPE = {("Address", "IPAddress"), ("Unsigned32", "AppId"), ("Unsigned32", "VendorId"),
             ("OctetString", "OctetStringOrUTF8")}


# ---- Wireshark's files -------------------------------------------------------------------------------------

def wireshark_tree():
    """dictionary.xml with the files that it names."""
    folder = os.path.join(DATA, "diameter")
    with open(os.path.join(folder, "dictionary.xml"), encoding="utf-8") as f:
        text = f.read()
    parts = dict(re.findall(r'<!ENTITY\s+(\w+)\s+SYSTEM\s+"([^"]+)"', text))
    text = text[text.index("<dictionary>"):]

    def part(found):
        with open(os.path.join(folder, parts[found.group(1)]), encoding="utf-8") as f:
            return re.sub(r"<\?xml.*?\?>", "", f.read(), count=1)

    return ET.fromstring(re.sub(r"&(\w+);", lambda m: part(m) if m.group(1) in parts else m.group(0), text))


def signed(code):
    """An enumerated value as the standard has it: four octets with a sign."""
    n = int(code)
    return n - (1 << 32) if n >= 1 << 31 else n


def wireshark_avps():
    """{(code, vendor): [definitions]}; some codes have several."""
    tree, found = wireshark_tree(), {}
    vendors = {v.get("vendor-id"): int(v.get("code")) for v in tree.iter("vendor")}
    for a in tree.iter("avp"):
        kind = a.find("type")
        values = {signed(e.get("code")): e.get("name") for e in a.iter("enum")}
        key = (int(a.get("code")), vendors.get(a.get("vendor-id", "None"), 0))
        found.setdefault(key, []).append({
            "name": a.get("name"), "type": "Grouped" if kind is None else kind.get("type-name"),
            "M": {"must": "set", "mustnot": "clear"}.get(a.get("mandatory", "may"), "either"), "values": values})
    return found


def our_avps():
    done = subprocess.run([CTL, "dict", "list", "--json", "--dir", FDX], stdout=subprocess.PIPE, check=True)
    found = {}
    for a in json.loads(done.stdout):
        show = subprocess.run([CTL, "dict", "show", f"{a['code']}@{a['vendor']}", "--json", "--dir", FDX],
                              stdout=subprocess.PIPE, check=True)
        values = {v["value"]: v["name"] for v in json.loads(show.stdout)[0]["values"]}
        found[(a["code"], a["vendor"])] = {"name": a["name"], "type": a["type"], "M": a["M"], "values": values}
    return found


def plain(name):
    """Names of values are written with blanks, hyphens or underscores, in any case."""
    return re.sub(r"[^A-Z0-9]", "", name.upper())


def few(values, side, names):
    """Values that one side alone has: each, or how many when they are many."""
    if len(values) > 6:
        rows = [("values", f"{len(values)} more")]
    else:
        rows = [(f"value {v}", names[v]) for v in sorted(values)]
    return [(field, text, "-") if side == "ours" else (field, "-", text) for field, text in rows]


def compare(ours, theirs):
    """[(field, ours, Wireshark's)] of one AVP."""
    out = []
    if ours["name"] != theirs["name"]:
        out.append(("name", ours["name"], theirs["name"]))
    if ours["type"] != theirs["type"] and (ours["type"], theirs["type"]) not in SAME_TYPE:
        out.append(("type", ours["type"], theirs["type"]))
    if ours["M"] != theirs["M"] and theirs["M"] != "either":
        out.append(("M", ours["M"], theirs["M"]))
    both = set(ours["values"]) & set(theirs["values"])
    out += [(f"value {v}", ours["values"][v], theirs["values"][v]) for v in sorted(both)
            if plain(ours["values"][v]) != plain(theirs["values"][v])]
    # Whole lists of other applications' values are one difference.
    more, less = set(ours["values"]) - both, set(theirs["values"]) - both
    out += few(more, "ours", ours["values"]) + few(less, "theirs", theirs["values"])
    return out


def differences():
    theirs, found, shared = wireshark_avps(), [], 0
    for (code, vendor), a in sorted(our_avps().items()):
        if (code, vendor) not in theirs:
            continue
        shared += 1
        nearest = min((compare(a, t) for t in theirs[(code, vendor)]), key=len)
        found += [(f"{a['name']} {code}@{vendor}", *d) for d in nearest]
    return found, shared


def listed():
    rows = []
    with open(LISTED, encoding="utf-8") as f:
        for n, line in enumerate(f):
            fields = line.rstrip("\n").split("\t")
            assert len(fields) == len(COLUMNS) and (n or fields == COLUMNS), f"line {n + 1}"
            if n:
                rows.append(fields)
    return rows


def write():
    reasons = {tuple(r[:4]): r[4] for r in listed()} if os.path.exists(LISTED) else {}
    with open(LISTED, "w", encoding="utf-8") as f:
        f.write("\t".join(COLUMNS) + "\n")
        f.writelines("\t".join([*d, reasons.get(d, "")]) + "\n" for d in differences()[0])


class Comparison(unittest.TestCase):
    def test_differences_are_the_listed_ones(self):
        found, shared = differences()
        rows = listed()
        self.assertGreater(shared, 150)
        known = {tuple(r[:4]) for r in rows}
        self.assertEqual(sorted(set(found) - known), [], "new differences")
        self.assertEqual(sorted(known - set(found)), [], "differences that are no more")
        self.assertEqual([r for r in rows if not r[4].strip()], [], "without a reason")


# ---- the export ------------------------------------------------------------------------------------------------

def example():
    media = avp("WebRTC-Media-Info", [avp("AGW-Access-Address", b"\0\1\xc6\x33\x64\x14"), avp("AGW-Access-Port", 40000),
                                      avp("ICE-State", 3)])
    mcd = avp("Media-Component-Description", [avp("Media-Component-Number", 1), avp("Media-Type", -1), media])
    session = avp("WebRTC-Session-Info", [avp("AGW-Identity", "agw.ims.test"), avp("ICE-Mode", 1)])
    action = raw(582, TGPP, 0, b"\0\0\0\2")  # later than Wireshark 4.0
    return message(265, 0xc0, [avp("Session-Id", "af;1;1"), avp("Auth-Application-Id", RX), avp("Origin-Host", "af"),
                               avp("Origin-Realm", "ims.test"), avp("Destination-Realm", "ims.test"),
                               avp("Framed-IP-Address", bytes([10, 45, 0, 2])), mcd, session, action])


class Export(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="epc-shark-")
        self.addCleanup(folder.cleanup)
        self.dir = folder.name
        os.chmod(self.dir, 0o755)
        # Wireshark's data with another diameter folder.
        for name in os.listdir(DATA):
            if name != "diameter":
                os.symlink(os.path.join(DATA, name), os.path.join(self.dir, name))
        os.mkdir(os.path.join(self.dir, "diameter"))

    def export(self, name, *options):
        done = subprocess.run([CTL, "dict", "export", "wireshark", "--dir", FDX, *options], stdout=subprocess.PIPE,
                              check=True)
        path = os.path.join(self.dir, "diameter", name)
        if os.path.islink(path):
            os.unlink(path)
        with open(path, "wb") as f:
            f.write(done.stdout)
        return path

    def link(self, names):
        for name in names:
            os.symlink(os.path.join(DATA, "diameter", name), os.path.join(self.dir, "diameter", name))

    def decoded(self):
        capture(os.path.join(self.dir, "rx.pcap"), [example()])
        # Only an ordinary user's tshark reads its data from elsewhere.
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
        done = subprocess.run([*user, "tshark", "-r", os.path.join(self.dir, "rx.pcap"), "-O", "diameter", "-d",
                               "tcp.port==3868,diameter"], env={**os.environ, "WIRESHARK_DATA_DIR": self.dir,
                                                                "HOME": self.dir, "XDG_CONFIG_HOME": self.dir},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotRegex(done.stderr, "(?i)error|cannot|unknown")
        return done.stdout

    def shows(self, text, parts):
        avps = "\n".join(re.findall(r"(?m)^ *((?:AVP: |Command|Application|Unknown|.*: ).*)$", text))
        for part in parts:
            self.assertTrue(part in text, f"no '{part}' in\n{avps}")
        strange = [line for line in text.splitlines() if re.search(r"(?i)malformed|unknown avp", line)]
        self.assertEqual([line.strip() for line in strange if " 582 " not in line], [])

    WEB = ["AVP: WebRTC-Session-Info(9001)", "AGW-Identity: agw.ims.test", "ICE-Mode: LITE (1)",
           "AVP: WebRTC-Media-Info(9002)", "ICE-State: COMPLETED (3)", "AGW-Access-Port: 40000"]

    def test_dictionary_is_valid(self):
        self.link(["dictionary.dtd"])
        done = subprocess.run(["xmllint", "--noout", "--valid", self.export("dictionary.xml")], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        # The DTD wants names that begin with a letter: 3GPP-... and 5GMM-Cause cannot obey, nor do Wireshark's.
        faults = [line for line in done.stderr.splitlines() if "validity error" in line and
                  not re.search(r"attribute name of (avp|gavp) is not valid", line)]
        self.assertEqual(faults, [])
        self.assertIn(done.returncode, (0, 3, 4), done.stderr)

    def test_dictionary_decodes(self):
        self.link(["dictionary.dtd"])
        self.export("dictionary.xml")
        self.shows(self.decoded(), ["Command Code: AA (265)", "3GPP Rx (16777236)", "AVP: Media-Component-Description(517)",
                                    "Media-Type: OTHER", "10.45.0.2", "AUTHORIZE_AND_ENABLE_MPS_FOR_DTS (2)", *self.WEB])

    def test_fragment_beside_wiresharks_own(self):
        names = os.listdir(os.path.join(DATA, "diameter"))
        self.link(names)
        self.assertNotIn("WebRTC-Session-Info", self.decoded())
        self.export("Custom.xml", "--vendor", str(WEBRTC))
        self.shows(self.decoded(), ["AVP: Media-Component-Description(517)", *self.WEB])

    def test_another_enterprise(self):
        names = os.listdir(os.path.join(DATA, "diameter"))
        self.link(names)
        self.export("Custom.xml", "--vendor", "54321", "--webrtc-vendor", "54321")
        self.assertNotIn("WebRTC-Session-Info", self.decoded())
        for name in [n for n, a in diameter.AVPS.items() if a[1] == WEBRTC]:
            code, _, must = diameter.AVPS[name]
            self.addCleanup(diameter.AVPS.__setitem__, name, (code, WEBRTC, must))
            diameter.AVPS[name] = (code, 54321, must)
        self.shows(self.decoded(), self.WEB)


if __name__ == "__main__":
    FDX, CTL = sys.argv[1:3]
    os.umask(0o022)  # another user reads what it writes
    if "--write" in sys.argv:
        write()
    else:
        unittest.main(argv=sys.argv[:1])
