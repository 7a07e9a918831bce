"""A hostile or broken peer on every side of a running node: mutated and misplaced SIP from WICs and
from the core, calls driven in any order, broken WebSocket, TLS and HTTP, forged gateway replies. After
each burst an innocent WIC must still be able to call; at the end nothing may be held and no sanitizer
may have spoken. The seed is printed: --seed repeats the choices (not the timing)."""
import argparse
import glob
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from epclab import addresses as a
from epclab import tokens
from epclab.build import build
from epclab.epcscf import ROOT
from epclab.lab import DEFAULT_VAR, Lab
from epclab.runner import Runner, check, equal
from epclab.sipmsg import Message, branch, token
from epclab.wait import LabError, poll
from epclab.wic import Call, WebSocket, Wic, sample

PHONE = f"sip:phone@{a.DOMAIN}"
TESTS = os.path.join(ROOT, "tests")
GAUGES = ("registrations", "sessions", "gateway_contexts", "rx_sessions", "sip_wic_transactions",
          "sip_core_transactions", "wss_flows")
# The longest transaction timer of RFC 3261 is 32 s (B, F, H, J); some are chained.
DRAIN_SECONDS = 80
REPORT = re.compile(r"runtime error:|ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|LeakSanitizer: detected")
METHODS = ("INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "PRACK", "INFO", "OPTIONS", "MESSAGE", "REFER",
           "NOTIFY", "SUBSCRIBE", "PUBLISH", "REGISTER", "FOO")
NUMBERS = ("0", "-1", "1", "4294967295", "4294967296", "2147483648", "99999999999999999999", "x", "", " ")
URIS = ("sip:phone@ims.test", "sip:", "sip:@", "tel:+1", "tel:", "sip:a@[::1", "sip:%00@ims.test",
        "sip:x@ims.test;lr;lr=%", "sips:x@ims.test", "urn:service:sos", "data:,x", "<>", "*",
        "sip:127.0.0.3:5060;lr", "sip:orig@127.0.0.2:4060;lr", "sip:x@127.0.0.3:99999",
        "sip:" + "u" * 3000 + "@ims.test", "sip:x@ims.test?Route=%3Csip:127.0.0.9%3E&body=x")
NAMES = ("Via", "Route", "Record-Route", "Contact", "CSeq", "Call-ID", "From", "To", "Max-Forwards",
         "Content-Type", "Content-Length", "Require", "Supported", "Path", "Service-Route", "Expires",
         "Authorization", "Proxy-Require", "RSeq", "RAck", "Session-Expires", "Min-SE", "Replaces",
         "P-Asserted-Identity", "P-Preferred-Identity", "P-Access-Network-Info", "P-Charging-Vector",
         "Content-Encoding", "Content-Disposition", "Identity", "Date", "Subject", "X-Unknown")
VALUES = ("", " ", ",", ",,,,", ";", "<", "\"", "\"\\", "(((((", "%s%n", "\x00", "\xff\xfe", "é", "*",
          "a" * 5000, "<sip:x>;" * 50, "SIP/2.0/WSS x;branch=z9hG4bK", "SIP/2.0/UDP 127.0.0.3;branch=",
          "1 INVITE", "0 ACK", "4294967296 BYE", "100rel, precondition, timer", "Digest ", "Bearer ",
          "Bearer " + "A." * 800, "Digest username=\"", "multipart/mixed", "application/sdp;x=\"")


def read(pattern):
    found = {}
    for path in sorted(glob.glob(os.path.join(TESTS, "golden", pattern), recursive=True)):
        with open(path, "rb") as f:
            found[os.path.relpath(path, TESTS)] = f.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    check(found, f"there is nothing like {pattern}")
    return list(found.values())


class Mutator:
    """Changes to messages and descriptions, all from one random source."""

    def __init__(self, rng):
        self.rng = rng
        self.messages = read("sip/messages/*.sip")
        self.sdps = read("sdp/*/*.sdp")

    def octets(self, data, most=6):
        """Flips, cuts, copies and insertions without regard to what they hit."""
        r, data = self.rng, bytearray(data)
        for _ in range(r.randint(1, most)):
            if not data:
                break
            i = r.randrange(len(data))
            j = min(len(data), i + r.choice((1, 2, 8, 60)))
            what = r.randrange(6)
            if what == 0:
                data[i] ^= 1 << r.randrange(8)
            elif what == 1:
                data[i:j] = b""
            elif what == 2:
                data[i:i] = data[i:j] * r.choice((1, 2, 40))
            elif what == 3:
                data[i:i] = r.choice((b"\r\n", b"\r\n\r\n", b"\x00", b"\n", b" ", b":", b"<", b"\"", b";", b","))
            elif what == 4:
                data[i] = r.randrange(256)
            else:
                del data[i:len(data) if r.random() < 0.2 else j]
        return bytes(data)

    def headers(self, m):
        """Headers doubled, dropped, moved, replaced, or very many of them."""
        r = self.rng
        for _ in range(r.randint(1, 3)):
            what, i = r.randrange(9), r.randrange(len(m.headers)) if m.headers else 0
            if not m.headers or what == 0:
                m.headers.insert(i, (r.choice(NAMES), r.choice(VALUES)))
            elif what == 1:
                m.headers.append(m.headers[i])
            elif what == 2:
                del m.headers[i]
            elif what == 3:
                r.shuffle(m.headers)
            elif what == 4:
                m.headers[i] = (m.headers[i][0], r.choice(VALUES))
            elif what == 5:
                m.headers[i:i] = [(r.choice(NAMES), r.choice(VALUES)[:20])] * r.choice((30, 300, 1500))
            elif what == 6:
                m.set("CSeq", f"{r.choice(NUMBERS)} {r.choice(METHODS)}")
            elif what == 7:
                name = r.choice(("Route", "Record-Route", "Contact", "Path", "To", "From", "Via"))
                m.headers.insert(0, (name, f"<{r.choice(URIS)}>" if name != "Via" else
                                     f"SIP/2.0/{r.choice(('WSS', 'UDP', 'X'))} {r.choice(('x', '[::1', '127.0.0.3'))}"
                                     f";branch={r.choice(('', 'z9hG4bK', branch(), 'z9hG4bK' + 'b' * 3000))}"))
            else:
                m.first = m.first.replace(m.first.split(" ")[min(1, m.first.count(" "))],
                                          r.choice(URIS + NUMBERS), 1)
        return m

    def sdp(self, data=None):
        """A description that is nearly one."""
        r = self.rng
        lines = (data or r.choice(self.sdps)).split(b"\r\n")
        for _ in range(r.randint(0, 4)):
            i = r.randrange(len(lines))
            what = r.randrange(10)
            if what == 0:
                del lines[i]
            elif what == 1:
                lines[i:i] = [lines[i]] * r.choice((1, 2, 200))
            elif what == 2:
                lines[i] = self.octets(lines[i], 2)
            elif what == 3:
                r.shuffle(lines)
            elif what == 4:
                lines[i] = re.sub(rb"\d+", r.choice(NUMBERS).encode(), lines[i])
            elif what == 5:
                lines.append(r.choice((b"m=audio 9 UDP/TLS/RTP/SAVPF 111", b"m=video 0 RTP/AVP 96",
                                       b"m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
                                       b"m=image 9 udptl t38", b"m=", b"m=audio 9 RTP/AVP " + b"0 " * 900)))
            elif what == 6:
                lines.append(r.choice((b"a=group:BUNDLE 0 0 0 1 x", b"a=mid:", b"a=mid:" + b"m" * 4000,
                                       b"a=rtpmap:0", b"a=rtpmap:111 opus/48000/" + b"9" * 40, b"a=fmtp:",
                                       b"a=ssrc:x", b"a=candidate:", b"a=setup:holdconn", b"a=inactive",
                                       b"a=fingerprint:sha-256 00", b"a=ice-ufrag:", b"b=AS:-1",
                                       b"c=IN IP6 ::", b"c=IN IP4 0.0.0.0", b"a=crypto:1 x inline:y")))
            elif what == 7:
                lines = lines[:i] + [b"m=" + l for l in lines[i:]]
            elif what == 8:
                lines += [b"m=audio 9 RTP/AVP 0", b"a=mid:z"] * r.choice((1, 20, 70))
            else:
                lines = lines[:max(1, i)]
        return b"\r\n".join(lines)[:60000]

    def body(self):
        """(Content-Type, body): a description, alone or in many boxes."""
        r = self.rng
        body, kind = self.sdp(), "application/sdp"
        for depth in range(r.choice((0, 0, 0, 1, 2, 40))):
            mark = f"b{depth}".encode() if r.random() < 0.8 else b"b"
            parts = b"--%s\r\nContent-Type: %s\r\n\r\n%s\r\n" % (mark, kind.encode(), body)
            body = parts * r.choice((1, 1, 2)) + (b"--%s--\r\n" % mark if r.random() < 0.8 else b"")
            kind = f'multipart/{r.choice(("mixed", "alternative", "x"))};boundary={mark.decode()}'
            if len(body) > 30000:
                break
        return kind, body

    def extra(self):
        r = self.rng
        return [(r.choice(NAMES), r.choice(VALUES)) for _ in range(r.choice((0, 0, 0, 1, 2)))]

    def message(self, user="alice", data=None):
        """A mutated message of the captures, now and then in the name of a registered user."""
        r = self.rng
        data = data or r.choice(self.messages)
        if r.random() < 0.4:
            return self.octets(data)
        m = Message.parse(data)
        if r.random() < 0.6:
            m.set("From", f"<sip:{user}@{a.DOMAIN}>;tag={token(4)}")
            m.set("Call-ID", token(6))
        if r.random() < 0.3 and m.body:
            m.body = self.sdp(m.body)
        m = self.headers(m)
        whole = m.encode()
        return self.octets(whole, 2) if r.random() < 0.2 else whole


class Attack:
    """The peers that misbehave, and what they do."""

    def __init__(self, lab, rng):
        self.lab, self.rng, self.mutate = lab, rng, Mutator(rng)
        self.wics, self.calls = [], []
        self.done = {}
        self.core = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # a trusted address
        self.core.bind((a.CORE[0], 0))

    def token(self, user):
        kid = tokens.first_kid(os.path.join(self.lab.var, "epcscf", "wwsf-jwks.json"))
        return tokens.sign(tokens.claims(user), "ES256", self.lab.certs.path("wwsf-key.pem"), kid)

    def registered(self, user):
        wic = Wic(user)
        answer = wic.register_token(self.token(user))
        equal(answer.status, 200, f"REGISTER of {user} ({answer.first})")
        return wic

    def wic(self):
        """One of the hostile WICs; those that were thrown out are replaced."""
        for gone in [w for w in self.wics if not w.ws.reader.is_alive()]:
            gone.close()
            self.wics.remove(gone)
        if len(self.wics) < 4:
            if self.rng.random() < 0.7:
                # Not alice: a second device of hers may rightly end the innocent one's registration.
                self.wics.append(self.registered("bob"))
            else:
                self.wics.append(Wic(self.rng.choice(("alice", "bob"))))
        return self.rng.choice(self.wics)

    # -- Gm: messages ------------------------------------------------------------------------------
    def captured(self):
        wic = self.wic()
        for _ in range(self.rng.randint(1, 12)):
            wic.ws.send(self.mutate.message(wic.user), self.rng.choice((1, 1, 1, 2)))

    def bad_register(self):
        wic = self.wic()
        wic.reg_cseq += 1
        m = Message(f"REGISTER sip:{a.DOMAIN} SIP/2.0", [
            ("Via", f"SIP/2.0/WSS {wic.host};branch={branch()}"), ("Max-Forwards", "70"),
            ("From", f"<{wic.impu}>;tag={wic.reg_tag}"), ("To", f"<{wic.impu}>"),
            ("Call-ID", wic.reg_call_id), ("CSeq", f"{wic.reg_cseq} REGISTER"),
            ("Contact", wic.contact + f";reg-id={self.rng.choice(NUMBERS)};expires={self.rng.choice(NUMBERS)}"),
            ("Authorization", "Bearer " + self.token(wic.user)), ("Supported", "path, outbound, gruu")])
        for _ in range(self.rng.choice((1, 1, 5))):
            wic.ws.send(self.mutate.headers(m).encode())

    def bursts(self):
        """The same request again and again, and as many others at once."""
        wic = self.wic()
        for _ in range(self.rng.choice((10, 60))):
            method = self.rng.choice(METHODS)
            sent = wic.request(method, PHONE, to=PHONE, routes=wic.service_route,
                               extra=[("Contact", wic.contact)])
            if self.rng.random() < 0.5:
                wic.send(sent)

    # -- Gm: calls ---------------------------------------------------------------------------------
    def offer(self):
        """An INVITE with a description that is nearly good, then whatever comes to mind."""
        wic, r = self.wic(), self.rng
        kind, body = self.mutate.body()
        call = Call.__new__(Call)
        call.wic, call.uri, call.target, call.routes, call.to_tag = wic, PHONE, PHONE, [], ""
        call.call_id, call.tag, call.cseq, call.branch, call.answer = token(8), token(), 1, branch(), None
        call.sent = wic.request("INVITE", r.choice((PHONE, PHONE, "sip:bob@ims.test", "sip:nobody@ims.test")),
                                to=PHONE, call_id=call.call_id, tag=call.tag, via_branch=call.branch,
                                routes=wic.service_route, body=body,
                                extra=[("Contact", wic.contact), ("Content-Type", kind)] + self.mutate.extra())
        self.calls.append(call)
        if r.random() < 0.5:
            self.poke(call)

    def established(self):
        """A good call, then re-INVITEs, answers and ends in any order."""
        call = self.wic().invite(PHONE, self.rng.choice((None, sample("chromium-audio-video.sdp"))))
        self.calls.append(call)
        try:
            call.result(4)
        except LabError:
            return
        for _ in range(self.rng.randint(1, 5)):
            self.poke(call)

    def poke(self, call=None):
        r = self.rng
        call = call or (r.choice(self.calls) if self.calls else None)
        if call is None or not call.wic.ws.reader.is_alive():
            return
        what = r.randrange(9)
        if what == 0:
            call.cancel()
        elif what == 1:
            call.wic.request("ACK", call.target, to=call.uri, call_id=call.call_id, tag=call.tag,
                             to_tag=call.to_tag, routes=call.routes, cseq=r.choice((call.cseq, 7)),
                             body=r.choice((b"", self.mutate.sdp())),
                             extra=[("Content-Type", "application/sdp")])
        elif what == 2:
            call.request("BYE")
        elif what == 3:
            kind, body = self.mutate.body()
            call.request("INVITE", [("Contact", call.wic.contact), ("Content-Type", kind)] +
                         self.mutate.extra(), body)
        elif what == 4:
            call.request("UPDATE", [("Contact", call.wic.contact), ("Content-Type", "application/sdp")],
                         self.mutate.sdp())
        elif what == 5:
            call.wic.ws.send(self.mutate.headers(call.sent).encode())
        elif what == 6:
            call.request(r.choice(METHODS), self.mutate.extra(), r.choice((b"", b"x" * 3000)))
        elif what == 7:
            call.wic.send(Message(f"SIP/2.0 {r.choice((100, 180, 200, 404, 699))} X", call.sent.headers,
                                  self.mutate.sdp()))
        else:
            call.to_tag = r.choice(("", call.to_tag, token(4)))

    def callee(self):
        """A WIC that is called and answers as no user agent would."""
        r = self.rng
        there, here = self.registered("bob"), self.registered("bob")
        self.wics += [there, here]
        uri = "sip:bob@ims.test"
        call = here.invite(uri, b"" if r.random() < 0.2 else None)
        self.calls.append(call)
        try:
            invite = there.wait(lambda m: m.method == "INVITE" and not m.is_response, 2)
        except LabError:
            return  # an older binding of bob was called
        tag = token(4)
        for _ in range(r.randint(1, 5)):
            status = r.choice((100, 180, 183, 200, 200, 302, 486, 606, 999))
            answer = invite.reply(status, "X", [("Contact", there.contact), ("Content-Type", "application/sdp")],
                                  self.mutate.sdp() if status < 300 else b"", r.choice((tag, token(4))))
            what = r.randrange(8)
            if what == 0:
                answer.set("CSeq", f"{r.choice(NUMBERS)} {r.choice(METHODS)}")
            elif what == 1:
                vias = answer.all("Via")
                vias[0] = re.sub(r"branch=[^;,]*", "branch=" + branch(), vias[0])
                answer.headers = [("Via", v) for v in vias] + [h for h in answer.headers if h[0] != "Via"]
            elif what == 2:
                answer = self.mutate.headers(answer)
            elif what == 3:
                call.cancel()
            elif what == 4:
                there.ws.send(self.mutate.octets(answer.encode(), 2))
                continue
            elif what == 5 and r.random() < 0.3:
                r.choice((there, here)).vanish()
                return
            there.send(answer)
        if r.random() < 0.5:
            there.request(r.choice(("BYE", "INVITE", "CANCEL")), "sip:x@x.invalid", to=here.impu,
                          call_id=invite.get("Call-ID"), tag=tag, to_tag=call.tag,
                          routes=invite.all("Record-Route"), body=self.mutate.sdp())

    def drop(self):
        wic = self.wic()
        self.rng.choice((wic.close, wic.vanish))()

    # -- Mw ----------------------------------------------------------------------------------------
    def to_core_side(self, data):
        shard = self.rng.randrange(self.lab.epcscf.shards)
        to = (a.EPCSCF_CORE[0], a.EPCSCF_CORE[1] + shard)
        if self.rng.random() < 0.85:
            self.core.sendto(data[:65000], to)
            return
        try:
            with socket.create_connection(to, 2, source_address=(a.CORE[0], 0)) as s:
                s.sendall(data[:self.rng.randint(1, len(data))] if data and self.rng.random() < 0.3 else data)
        except OSError:
            pass  # it may well hang up on us

    def core_captured(self):
        for _ in range(self.rng.randint(1, 12)):
            self.to_core_side(self.mutate.message())

    def core_replayed(self):
        """What crossed Mw and Gm lately, changed: real branches, tags and flow tokens."""
        with open(self.lab.epcscf.trace, "rb") as f:
            f.seek(max(0, f.seek(0, 2) - 120000))
            lines = f.read().split(b"\n")[1:-1]
        texts = []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry.get("point") == "Mw" and "SIP/2.0" in entry.get("text", ""):
                texts.append(entry["text"])
        for text in self.rng.sample(texts, min(len(texts), self.rng.randint(1, 8))):
            m = Message.parse(text.encode("utf-8", "replace"))
            paths = re.findall(r"<sip:[^>]*@127\.0\.0\.3:[^>]*>", " ".join(v for _, v in m.headers))
            if not m.is_response and paths:
                m.set("Route", self.rng.choice(paths))
                m.first = re.sub(r"^\S+", self.rng.choice(METHODS), m.first) if self.rng.random() < 0.3 else m.first
                if self.rng.random() < 0.5:
                    m.set("CSeq", f"{self.rng.randint(0, 3)} {m.first.split()[0]}")
                    m.headers.insert(0, ("Via", f"SIP/2.0/UDP {a.CORE[0]}:{self.core.getsockname()[1]};branch={branch()}"))
            elif m.is_response and self.rng.random() < 0.5:
                m.first = f"SIP/2.0 {self.rng.choice((100, 183, 200, 401, 408, 487, 503))} X"
            if self.rng.random() < 0.4:
                m.body = self.mutate.sdp()
                m.set("Content-Type", "application/sdp")
            self.to_core_side(m.encode() if self.rng.random() < 0.4 else self.mutate.headers(m).encode())

    # -- transports and the node's other ports ----------------------------------------------------
    def frames(self):
        """WebSocket frames that RFC 6455 forbids, and some that it only discourages."""
        wic, r = self.wic(), self.rng
        mask = b"\0\0\0\0"
        whole = self.mutate.message(wic.user)[:120]
        wicked = r.choice((
            bytes([0x81, len(whole)]) + whole,                                   # not masked
            bytes([0x01, 0x80 | len(whole)]) + mask + whole,                     # never finished
            bytes([0x80, 0x80 | len(whole)]) + mask + whole,                     # continues nothing
            bytes([0xF1, 0x80 | len(whole)]) + mask + whole,                     # reserved bits
            bytes([0x83, 0x80]) + mask, bytes([0x89, 0xFE, 0x10, 0x00]) + mask,  # opcode; long ping
            bytes([0x81, 0xFF]) + struct.pack("!Q", 1 << 62) + mask,             # larger than memory
            bytes([0x88, 0x81]) + mask + b"x", bytes([0x81, 0x82]) + mask + b"\xff\xfe",
            (bytes([0x89, 0x80]) + mask) * 300, os.urandom(200),
            bytes([0x81, 0x80 | len(whole)]) + mask + whole[:40]))               # cut short
        try:
            with wic.ws.lock:
                wic.ws.socket.sendall(wicked)
        except OSError:
            pass

    def huge(self):
        self.wic().ws.send(b"REGISTER sip:x SIP/2.0\r\nX: " + b"y" * self.rng.choice((60000, 70000, 300000)))

    def half_open(self):
        """TCP, TLS and HTTP that stop half-way, on all three listeners."""
        r = self.rng
        to = r.choice((a.WSS, a.WWSF, a.METRICS))
        try:
            with socket.create_connection(to, 2) as s:
                s.sendall(r.choice((b"\x16\x03\x01\x02\x00\x01", os.urandom(400), b"GET ", b"\x16\x03\x01\xff\xff" * 9,
                                    b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * r.choice((1, 2000)),
                                    b"POST /metrics HTTP/9\r\n\r\n", b"\r\n" * 900, b"GET /" + b"x" * 20000)))
        except OSError:
            pass
        try:
            r.choice((lambda: WebSocket(path="/../" + "x" * r.choice((1, 3000)), timeout=2),
                      lambda: WebSocket(origin="x" * 3000, timeout=2),
                      lambda: WebSocket(protocol="sip\r\nContent-Length: 99", timeout=2)))().close()
        except (LabError, OSError):
            pass

    def control(self):
        """The control socket, which root alone may open: wrong words and endless lines all the same."""
        r = self.rng
        words = (b"flows", b"sessions", b"registrations", b"counters", b"help", b"", b"release", b"close")
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(1)
                s.connect(os.path.join(self.lab.epcscf.dir, "control.sock"))
                s.sendall(r.choice((os.urandom(300), b"x" * 100000, b"\n" * 500, b"\0\n",
                                    b"".join(r.choice(words) + b" " * r.choice((0, 1)) + r.choice((b"", b"1", b"%n"))
                                             + b"\n" for _ in range(30)))))
                if r.random() < 0.5:
                    s.recv(100)
        except OSError:
            pass

    def forged_gateway(self):
        """Replies from a port that is not the gateway's, to every UDP socket of the node."""
        done = subprocess.run(["ss", "-Hunap"], capture_output=True, text=True)
        ports = {int(m.group(2)) for m in re.finditer(
            r"(127\.0\.0\.1|0\.0\.0\.0):(\d+)\s.*pid=(\d+)", done.stdout)
            if int(m.group(3)) == self.lab.epcscf.child.pid}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((a.RTPENGINE_NG[0], 0))
            for port in ports:
                for text in (b'1_0 {"result":"ok","sdp":"v=0"}', b"x", os.urandom(60), b"1_0 " + b"[" * 900):
                    s.sendto(text, (a.RTPENGINE_NG[0], port))

    KINDS = ((captured, 4), (bad_register, 2), (bursts, 1), (offer, 5), (established, 3), (poke, 6),
             (callee, 3), (drop, 1), (core_captured, 3), (core_replayed, 6), (frames, 1), (huge, 1),
             (half_open, 1), (control, 1), (forged_gateway, 1))

    def burst(self):
        functions, weights = zip(*self.KINDS)
        for function in self.rng.choices(functions, weights, k=self.rng.randint(5, 25)):
            self.done[function.__name__] = self.done.get(function.__name__, 0) + 1
            try:
                function(self)
            except (LabError, OSError) as e:
                # A hostile peer may be refused or cut off; the innocent one is asked afterwards.
                self.done["cut off"] = self.done.get("cut off", 0) + 1
                if not self.lab.epcscf.alive():
                    raise LabError(f"the daemon ended during {function.__name__}: {e}",
                                   self.lab.epcscf.log) from None

    def calm(self):
        """The hostile WICs go, some of them without a word."""
        for wic in self.wics:
            try:
                self.rng.choice((wic.close, wic.vanish))()
            except OSError:
                wic.close()  # its connection had already ended
        self.wics, self.calls = [], []


def innocent_calls(lab, wic):
    check(lab.epcscf.alive(), "the daemon has ended")
    if not poll(lambda: not lab.baresip.in_call(), 5):
        lab.baresip.stop()  # calls that the attack left at the phone by forging; not our node's fault
        lab.baresip.start()
    call = wic.invite(PHONE)
    answer = call.result(10)
    equal(answer.status, 200, f"the innocent WIC's INVITE ({answer.first})")
    equal(call.bye().status, 200, "the innocent WIC's BYE")


def one_burst(lab, attack, innocent):
    try:
        attack.burst()
        attack.calm()
        innocent_calls(lab, innocent)
    except LabError as e:
        e.log = e.log or lab.epcscf.log
        raise


def drained(lab):
    def left():
        values = lab.epcscf.metrics()
        return {g: int(values.get(g, -1)) for g in GAUGES if values.get(g, -1) != 0}
    if not poll(lambda: not left(), DRAIN_SECONDS, 0.5):
        raise LabError(f"still held after {DRAIN_SECONDS} s: {left()}", lab.epcscf.log)


def no_report(lab):
    found = [line for line in lab.epcscf.log_text().splitlines() if REPORT.search(line)]
    check(not found, f"the sanitizer reports {found[:3]} (whole text in {lab.epcscf.log})")


def main():
    p = argparse.ArgumentParser(prog="tests/fault/abuse", description=__doc__)
    p.add_argument("--preset", default="asan")
    p.add_argument("--shards", type=int, default=2)
    p.add_argument("--seconds", type=float, default=60, help="how long to attack")
    p.add_argument("--seed", type=int, default=1, help="of the random choices")
    p.add_argument("--var", default=os.path.join(DEFAULT_VAR, "abuse"))
    p.add_argument("--no-build", action="store_true")
    options = p.parse_args()
    os.environ.setdefault("LSAN_OPTIONS", f"suppressions={os.path.join(TESTS, 'lsan.supp')}")
    run = Runner("abuse")
    print(f"seed {options.seed}", flush=True)
    if not options.no_build and not run.run("build", build, options.preset):
        return run.finish()
    lab = Lab(options.var, options.shards, "required", options.preset, capture=False)
    lab.epcscf.grace_ms = 2000  # what a scenario leaves behind is soon gone
    if not run.run("the lab starts", lab.start):
        return run.finish()
    try:
        attack = Attack(lab, random.Random(options.seed))
        innocent = attack.registered("alice")
        end, n = time.monotonic() + options.seconds, 0
        while time.monotonic() < end and not run.failed:
            n += 1
            run.run(f"burst {n}", one_burst, lab, attack, innocent)
        innocent.close()
        print(f"    done: {attack.done}", flush=True)
        if lab.epcscf.alive():
            run.run("nothing is held afterwards", drained, lab)
        status = lab.epcscf.stop()
        run.run("the daemon ends well", equal, status, 0, "exit status")
        run.run("no sanitizer report", no_report, lab)
    finally:
        lab.stop()
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
