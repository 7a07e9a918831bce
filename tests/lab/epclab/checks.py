"""Checks on what crossed: every message decodes, and nothing crossed that must not."""
import glob
import os
import re
import subprocess

from . import addresses as a
from .epcscf import ROOT
from .runner import check
from .wait import LabError

# Marks of the dissector that are no fault of a message: (protocol and text, why).
EXCLUDED = [
    (re.compile(r"^tcp: "), "TCP's own notes (resets, window sizes, retransmissions of the kernel)"),
]

# SDP attributes that belong to the access side only (TS 23.228 U.1.1, RFC 8829).
WEBRTC_ATTRIBUTES = {
    "ice-ufrag", "ice-pwd", "ice-options", "ice-lite", "ice-mismatch", "candidate",
    "remote-candidates", "end-of-candidates", "fingerprint", "tls-id", "setup", "mid", "msid",
    "msid-semantic", "group", "bundle-only", "extmap", "extmap-allow-mixed", "rtcp-mux",
    "rtcp-mux-only", "rtcp-rsize", "rtcp-fb", "ssrc", "ssrc-group", "rid", "simulcast", "crypto",
    "sctp-port", "max-message-size", "dcmap"}
# Headers that a WIC may not speak to the core in (TS 24.229 4.4), whatever their value.
STRIPPED_HEADERS = {
    "proxy-authorization", "p-served-user", "p-user-database", "security-client",
    "security-verify", "p-profile-key"}
# What scenarios write into headers that the eP-CSCF replaces: it must not come through anywhere.
FORGED = "forged-by-the-wic"
JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")


def _decode_as(file, shards):
    """How to read the lab's ports; the secrets that open the WSS side lie beside the capture."""
    keys = os.path.splitext(file)[0] + ".keys"
    tls = ["-d", f"tcp.port=={a.WSS[1]},tls", "-o", f"http.tls.port:{a.WSS[1]}"]
    if os.path.exists(keys):
        tls += ["-o", f"tls.keylog_file:{keys}"]
    ports = [a.CORE[1], a.SCSCF[1], a.PHONE[1]] + [a.EPCSCF_CORE[1] + i for i in range(shards)]
    return [x for p in ports for proto in ("udp", "tcp")
            for x in ("-d", f"{proto}.port=={p},sip")] + ["-d", f"tcp.port=={a.PCRF[1]},diameter", *tls]


def _custom(file):
    return os.path.splitext(file)[0] + ".diameter.xml"


def _dissector(file):
    """tshark, with our vendor's AVPs in the place of its empty Custom.xml if they lie beside the capture;
    all else stays Wireshark's own opinion. It takes no other folder of dictionaries from root."""
    if not os.path.exists(_custom(file)):
        return ["tshark"]
    return ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /usr/share/wireshark/diameter/Custom.xml && exec "$@"',
            _custom(file), "tshark"]


def own_dictionary(lab):
    """Lay our vendor's AVPs beside the capture, for the checks of it."""
    done = subprocess.run([lab.epcscf.find(os.path.join("admin", "epcscfctl")), "dict", "export", "wireshark",
                           "--vendor", "32473", "--dir", os.path.join(ROOT, "dict")],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"epcscfctl dict export wireshark: {done.stderr.strip()[-300:]}")
    with open(_custom(lab.capture.file), "w") as f:
        f.write(done.stdout)


def check_rx(file, shards, messages):
    """As many Rx messages in the capture as the PCRF says that crossed, by command and direction."""
    found, told = {}, {}
    for row in _tshark(file, shards, "diameter and diameter.applicationId == 16777236", "diameter.cmd.code",
                       "diameter.flags.request"):
        for command, request in zip(row[0].split(), row[1].split()):
            name = {"265": "AA", "275": "ST", "258": "RA", "274": "AS"}.get(command, command)
            key = name + ("R" if request in ("1", "True") else "A")
            found[key] = found.get(key, 0) + 1
    for message in messages:
        told[message["command"]] = told.get(message["command"], 0) + 1
    print(f"    Rx in the capture: {found}", flush=True)
    check(found == told, f"the capture holds {found}, the PCRF's record {told}")


def _tshark(file, shards, display, *fields):
    command = [*_dissector(file), "-n", "-r", file, *_decode_as(file, shards), "-Y", display, "-T", "fields",
               "-E", "separator=/t", "-E", "aggregator=/s", "-E", "occurrence=a"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace")
    if done.returncode:
        raise LabError(f"tshark could not read {file}: {done.stderr.strip()[-300:]}")
    return [line.split("\t") for line in done.stdout.splitlines()]


def _marks(file, shards):
    """[(frame, protocol: text)] of every malformed or expert mark of a warning or worse."""
    done = subprocess.run([*_dissector(file), "-n", "-r", file, *_decode_as(file, shards), "-q", "-z",
                           # Cx is between the lab's own peers; Kamailio's has an AVP of its own.
                           "expert,warn,sip or sdp or megaco or (diameter and not ip.addr == "
                           f"{a.HSS[0]})"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"tshark could not read {file}: {done.stderr.strip()[-300:]}")
    marks = []
    # Frequency  Group  Protocol  Summary, under headings by severity.
    for line in done.stdout.splitlines():
        found = re.match(r"\s*(\d+)\s+(\S+)\s+(\S+)\s{2,}(.*)$", line)
        if found:
            marks.append((int(found.group(1)), f"{found.group(3).lower()}: {found.group(4)}"))
    return marks


def check_capture(file, shards=1, diameter=True):
    """Every SIP, SDP and Diameter message decodes without a malformed or expert mark; prints how
    many there were and what was left out and why."""
    counts = {}
    for proto in ("sip", "sdp", "diameter"):
        counts[proto] = len(_tshark(file, shards, proto, "frame.number"))
    bad, excluded = [], {}
    for count, text in _marks(file, shards):
        why = next((w for pattern, w in EXCLUDED if pattern.search(text)), None)
        if why:
            excluded[why] = excluded.get(why, 0) + count
        else:
            bad.append(f"{count} x {text}")
    sip_ports = " or ".join(f"udp.port == {p}" for p in [a.CORE[1], a.SCSCF[1], a.PHONE[1]] +
                            [a.EPCSCF_CORE[1] + i for i in range(shards)])
    # A datagram on a SIP port that holds more than a keep-alive and yet is not SIP.
    stray = [row[0] for row in _tshark(file, shards, f"({sip_ports}) and udp.length > 12 and not sip "
                                       "and not icmp", "frame.number")]
    wss = len(_tshark(file, shards, f"sip and tcp.port == {a.WSS[1]}", "frame.number"))
    print(f"    {file}: {counts['sip']} SIP ({wss} of them over WSS), {counts['sdp']} SDP, "
          f"{counts['diameter']} Diameter frames decoded", flush=True)
    for why, count in excluded.items():
        print(f"    left out: {count} marks: {why}", flush=True)
    check(not bad, "the dissector marked messages: " + "; ".join(bad))
    check(not stray, f"datagrams on SIP ports that are not SIP: frames {stray[:10]}")
    check(counts["sip"] > wss, "no SIP was captured towards the core")
    check(wss > 0, "no SIP was captured over WSS")
    check(counts["diameter"] > 0 or not diameter, "no Diameter was captured")


def check_iq(file, shards, crossed=None):
    """Every Iq message in the capture decodes, and there are as many as the gateway says that crossed: `crossed`
    is how many it had in its record just before the capture ended, and just after."""
    port = f"(tcp.port == {a.IQ[1]} and tcp.len > 0) or (udp.port == {a.IQ[1]} and udp.length > 8)"
    found = sum(len(row[0].split()) for row in _tshark(file, shards, "megaco", "megaco.version"))
    # Parts of a message that TCP cut have no dissector of their own.
    stray = [row[0] for row in _tshark(file, shards, f"({port}) and not megaco and not tcp.reassembled_in "
                                       "and not icmp and not tcp.analysis.flags", "frame.number")]
    print(f"    Iq in the capture: {found} messages", flush=True)
    check(found > 0, "no Iq was captured")
    check(not stray, f"what is on the Iq port and no H.248: frames {stray[:10]}")
    if crossed:
        check(crossed[0] <= found <= crossed[1],
              f"the capture holds {found} messages, the gateway's record {crossed[0]} to {crossed[1]}")


def check_core_side(file, shards=1):
    """What the eP-CSCF sent to the core holds no WebRTC attribute and no stripped header."""
    source = f"ip.src == {a.EPCSCF_CORE[0]}"
    faults, seen = [], 0
    for frame, media, attributes, session in _tshark(
            file, shards, f"sdp and not megaco and {source}", "frame.number", "sdp.media", "sdp.media_attr",
            "sdp.session_attr"):
        seen += 1
        if re.search(r"SAVPF|SAVP|AVPF|UDP/TLS|DTLS|TCP/TLS", media):
            faults.append(f"frame {frame}: media line {media}")
        names = {x.split(":")[0] for x in f"{attributes} {session}".split()}
        hit = sorted(names & WEBRTC_ATTRIBUTES)
        if hit:
            faults.append(f"frame {frame}: attributes {' '.join(hit)}")
    for frame, headers in _tshark(file, shards, f"sip and {source}", "frame.number", "sip.msg_hdr"):
        names = {line.partition(":")[0].strip().lower()
                 for line in re.split(r"\\r\\n|\\n|\r\n", headers)}
        hit = sorted(names & STRIPPED_HEADERS)
        if hit:
            faults.append(f"frame {frame}: headers {' '.join(hit)}")
        if FORGED in headers:
            faults.append(f"frame {frame}: a header that a WIC forged")
        if re.search(r"authorization:\s*bearer", headers, re.I):
            faults.append(f"frame {frame}: a Bearer credential")
    check(not faults, "the core saw what it must not: " + "; ".join(faults[:10]))
    return seen


def check_leaks(lab):
    """No token in any log, trace, record or capture; no password in a log; no WebRTC at the core."""
    found = []
    secrets = [password.encode() for password, _, _ in a.USERS.values()]
    files = glob.glob(os.path.join(lab.var, "log", "*")) + [lab.epcscf.trace, lab.pcrf.record,
                                                            lab.capture.file]
    for path in files:
        if not os.path.exists(path):
            continue
        with open(path, "rb") as f:
            data = f.read()
        if JWT.search(data):
            found.append(f"a token in {path}")
        if any(s in data for s in secrets):
            found.append(f"a password in {path}")
        if path in (lab.epcscf.trace, lab.epcscf.log) and \
                re.search(rb"a=ice-pwd:(?!\*\*\*)[^\\\s\"]", data):
            found.append(f"an ice-pwd in {path}")
    check(not found, "; ".join(found))
    offers = check_core_side(lab.capture.file, lab.capture.shards)
    print(f"    {len(files)} files without a secret; {offers} session descriptions to the core "
          "without a WebRTC attribute", flush=True)
