"""A WebRTC IMS client without a browser: SIP over WSS (RFC 7118) on the standard library. For what
a browser will not do on request: bad tokens, a wrong Origin, vanishing in the middle of a call."""
import base64
import hashlib
import os
import queue
import socket
import ssl
import struct
import threading
import time

from . import addresses as a
from .sipmsg import Message, branch, digest, split_list, tag_of, token, uri_of
from .wait import LabError

SAMPLES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "samples")
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Refused(LabError):
    """The handshake was answered with something other than 101."""

    def __init__(self, status, text):
        super().__init__(f"WebSocket handshake answered {status}")
        self.status, self.text = status, text


def _unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.keylog_filename = os.environ.get("SSLKEYLOGFILE")  # for the capture
    return context


class WebSocket:
    """RFC 6455 client, text messages out, both kinds in."""

    def __init__(self, address=a.WSS, path=a.WSS_PATH, origin=a.ORIGIN, protocol="sip", timeout=5,
                 source=None):
        raw = socket.create_connection(address, timeout, (source, 0) if source else None)
        self.raw = raw
        self.socket = _unverified().wrap_socket(raw, server_hostname="localhost")
        key = base64.b64encode(os.urandom(16))
        lines = [f"GET {path} HTTP/1.1", f"Host: {address[0]}:{address[1]}", "Upgrade: websocket",
                 "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 f"Sec-WebSocket-Key: {key.decode()}"]
        if protocol:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        if origin:
            lines.append(f"Origin: {origin}")
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.kept = b""
        head = self._until(b"\r\n\r\n").decode("latin-1")
        status = int(head.split()[1]) if head.startswith("HTTP/1.1 ") else 0
        if status != 101:
            self.socket.close()
            raise Refused(status, head)
        accept = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest()).decode()
        if f"sec-websocket-accept: {accept}".lower() not in head.lower():
            raise LabError("WebSocket handshake: wrong Sec-WebSocket-Accept")
        self.head = head
        self.lock = threading.Lock()
        self.closed_with = None
        self.answer_pings = True
        self.reader = None  # the thread in receive(), if there is one
        self.socket.settimeout(None)

    def _more(self):
        chunk = self.socket.recv(65536)
        if not chunk:
            raise EOFError
        self.kept += chunk

    def _until(self, mark):
        while mark not in self.kept:
            try:
                self._more()
            except (EOFError, OSError):
                head, self.kept = self.kept, b""
                return head
        head, _, self.kept = self.kept.partition(mark)
        return head

    def _exactly(self, n):
        while len(self.kept) < n:
            self._more()
        part, self.kept = self.kept[:n], self.kept[n:]
        return part

    def send(self, data, opcode=1):
        mask = os.urandom(4)
        n = len(data)
        if n < 126:
            length = bytes([0x80 | n])
        elif n < 65536:
            length = bytes([0x80 | 126]) + struct.pack("!H", n)
        else:
            length = bytes([0x80 | 127]) + struct.pack("!Q", n)
        body = bytes(b ^ mask[i & 3] for i, b in enumerate(data))
        with self.lock:
            self.socket.sendall(bytes([0x80 | opcode]) + length + mask + body)

    def receive(self):
        """The next whole message; None when the connection has ended."""
        whole = b""
        try:
            while True:
                first, second = self._exactly(2)
                n = second & 0x7F
                if n == 126:
                    n, = struct.unpack("!H", self._exactly(2))
                elif n == 127:
                    n, = struct.unpack("!Q", self._exactly(8))
                data = self._exactly(n)
                opcode = first & 0x0F
                if opcode == 9:
                    if self.answer_pings:
                        self.send(data, 10)
                elif opcode == 8:
                    self.closed_with = struct.unpack("!H", data[:2])[0] if n >= 2 else 1005
                    return None
                elif opcode in (0, 1, 2):
                    whole += data
                    if first & 0x80:
                        return whole
        except (EOFError, OSError, ValueError):
            return None

    def close(self):
        try:
            self.send(struct.pack("!H", 1000), 8)
        except OSError:
            pass
        self._shut()

    def vanish(self):
        """End with a reset, without a close frame or a TLS alert: a laptop whose lid was shut."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._shut(socket.SHUT_RD)  # lets the reading thread go, sends nothing

    def _shut(self, how=socket.SHUT_RDWR):
        try:
            self.socket.shutdown(how)
        except OSError:
            pass
        # Closed only when nobody reads: the next connection gets the same descriptor.
        if self.reader is not None and self.reader is not threading.current_thread():
            self.reader.join(3)
        self.socket.close()


def sample(name):
    """A browser's SDP from samples/."""
    with open(os.path.join(SAMPLES, name), "rb") as f:
        return f.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class Wic:
    """One user agent on one flow."""

    def __init__(self, user="alice", **ws):
        self.user = user
        if user in a.USERS:
            self.password, self.impi, self.impus = a.USERS[user]
        else:  # known to the HSS alone
            self.password, self.impi = None, f"{user}@{a.DOMAIN}"
            self.impus = a.SUBSCRIBERS[self.impi]["impus"]
        self.impu = self.impus[0]
        self.contact_user = token(4)
        self.instance = "-".join((token(4), token(2), token(2), token(2), token(6)))
        self.tag = token()
        self.reg_call_id, self.reg_cseq = token(8), 0
        self.reg_id = 1
        self.reg_tag = token()
        self.service_route = []
        self.connect(**ws)

    def connect(self, **ws):
        """A connection, also in place of one that is gone: the same instance, another flow."""
        self.ws = WebSocket(**ws)
        self.host = token() + ".invalid"
        self.inbox, self.kept = queue.Queue(), []
        self.ws.reader = threading.Thread(target=self._read, daemon=True)
        self.ws.reader.start()

    def _read(self):
        while True:
            data = self.ws.receive()
            if data is None:
                self.inbox.put(None)
                return
            if data.strip(b"\r\n"):
                self.inbox.put(Message.parse(data))

    # -- messages ------------------------------------------------------------------------------
    def send(self, message):
        self.ws.send(message.encode())

    def wait(self, match, seconds=8.0):
        """The next message that matches; others are kept. LabError at the deadline or the end."""
        for i, message in enumerate(self.kept):
            if match(message):
                return self.kept.pop(i)
        end = time.monotonic() + seconds
        while True:
            try:
                message = self.inbox.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise LabError(f"{self.user}: no matching SIP message within {seconds} s; kept: "
                               f"{[m.first for m in self.kept]}") from None
            if message is None:
                self.inbox.put(None)
                raise LabError(f"{self.user}: the connection ended (close code "
                               f"{self.ws.closed_with})")
            if match(message):
                return message
            self.kept.append(message)

    def wait_closed(self, seconds=8.0):
        """True when the eP-CSCF ends the connection before the deadline."""
        try:
            self.wait(lambda m: False, seconds)
        except LabError as e:
            return "connection ended" in str(e)

    def request(self, method, uri, *, to, from_=None, call_id=None, cseq=1, tag=None, to_tag="",
                routes=(), extra=(), body=b"", via_branch=None):
        headers = [("Via", f"SIP/2.0/WSS {self.host};branch={via_branch or branch()}"),
                   ("Max-Forwards", "70")]
        headers += [("Route", r) for r in routes]
        headers += [("From", f"<{from_ or self.impu}>;tag={tag or self.tag}"),
                    ("To", f"<{to}>" + (f";tag={to_tag}" if to_tag else "")),
                    ("Call-ID", call_id or token(8)), ("CSeq", f"{cseq} {method}")]
        message = Message(f"{method} {uri} SIP/2.0", headers + list(extra), body)
        self.send(message)
        return message

    def final(self, request, seconds=12.0):
        key = (request.get("Call-ID"), request.get("CSeq"))
        while True:
            m = self.wait(lambda m: m.is_response
                          and (m.get("Call-ID"), m.get("CSeq")) == key, seconds)
            if m.status >= 200:
                return m

    @property
    def contact(self):
        return f"<sip:{self.contact_user}@{self.host};transport=ws>"

    # -- registration ----------------------------------------------------------------------------
    def register(self, authorization=None, expires=600, impu=None, extra=()):
        """One REGISTER and its final answer."""
        impu = impu or self.impu
        self.reg_cseq += 1
        headers = [("Contact", f'{self.contact};reg-id={self.reg_id};+sip.instance="<urn:uuid:'
                               f'{self.instance}>";expires={expires}'),
                   ("Expires", str(expires)), ("Supported", "path, outbound, gruu"),
                   ("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE, MESSAGE, OPTIONS, INFO, NOTIFY")]
        if authorization:
            headers.append(("Authorization", authorization))
        sent = self.request("REGISTER", f"sip:{a.DOMAIN}", to=impu, from_=impu,
                            call_id=self.reg_call_id, cseq=self.reg_cseq, tag=self.reg_tag,
                            extra=headers + list(extra))
        answer = self.final(sent)
        if answer.status == 200:
            self.service_route = [r for v in answer.all("Service-Route") for r in split_list(v)]
        return answer

    def register_token(self, jwt, **options):
        return self.register(f"Bearer {jwt}", **options)

    def register_digest(self, password=None, **options):
        first = self.register(self.shell(), **options)
        if first.status != 401:
            return first
        return self.register(digest(first.get("WWW-Authenticate"), "REGISTER", f"sip:{a.DOMAIN}",
                                    self.impi, password or self.password), **options)

    def shell(self, algorithm=None):
        """Digest credentials that only say who we are (TS 24.229 5.1.1.2.2), and with which algorithm
        we mean to prove it."""
        return (f'Digest username="{self.impi}", realm="{a.DOMAIN}", uri="sip:{a.DOMAIN}", '
                'nonce="", response=""' + (f", algorithm={algorithm}" if algorithm else ""))

    def register_aka(self, client, shell=None, **options):
        """With a USIM (an aka.AkaClient), through a resynchronisation where one is needed."""
        answer = self.register(shell or self.shell(), **options)
        for _ in range(2):
            if answer.status != 401:
                break
            answer = self.register(client.answer(answer.get("WWW-Authenticate"),
                                                 f"sip:{a.DOMAIN}"), **options)
        return answer

    def unregister(self, authorization=None):
        return self.register(authorization, expires=0)

    # -- registration events -----------------------------------------------------------------------
    def subscribe_reg(self, impu=None, expires=600):
        """SUBSCRIBE to the own registration (RFC 3680); its final answer."""
        impu = impu or self.impu
        sent = self.request("SUBSCRIBE", impu, to=impu, from_=impu, routes=self.service_route,
                            extra=[("Event", "reg"), ("Accept", "application/reginfo+xml"),
                                   ("Expires", str(expires)), ("Contact", self.contact)])
        return self.final(sent)

    def wait_notify(self, holding="", seconds=8.0):
        """The next NOTIFY whose body holds the text, answered; others before it are answered too."""
        while True:
            notify = self.wait(lambda m: m.method == "NOTIFY" and not m.is_response, seconds)
            self.send(notify.reply(200, "OK"))
            if holding in notify.body.decode("utf-8", "replace"):
                return notify

    # -- calls ---------------------------------------------------------------------------------------
    def invite(self, uri, sdp=None, extra=(), from_=None):
        """Send an INVITE; returns a Call whose answer has not come yet."""
        return Call(self, uri, sdp if sdp is not None else sample("chromium-audio.sdp"), extra, from_)

    def close(self):
        self.ws.close()

    def vanish(self):
        self.ws.vanish()


class Call:
    """The calling side of a dialog."""

    def __init__(self, wic, uri, sdp, extra, from_):
        self.wic, self.uri = wic, uri
        self.call_id, self.tag, self.cseq = token(8), token(), 1
        self.branch = branch()
        headers = [("Contact", wic.contact), ("Content-Type", "application/sdp"),
                   ("Supported", "outbound, path, gruu"),
                   ("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE, OPTIONS")]
        self.sent = wic.request("INVITE", uri, to=uri, from_=from_, call_id=self.call_id,
                                tag=self.tag, via_branch=self.branch,
                                routes=wic.service_route, extra=headers + list(extra), body=sdp)
        self.answer = None
        self.routes, self.target, self.to_tag = [], uri, ""

    def provisional(self, seconds=8.0):
        return self.wic.wait(lambda m: m.is_response and m.get("Call-ID") == self.call_id
                             and 100 < m.status < 200, seconds)

    def result(self, seconds=15.0):
        """The final answer, ACKed as RFC 3261 13.2.2.4 and 17.1.1.3 say."""
        answer = self.wic.final(self.sent, seconds)
        self.answer = answer
        self.to_tag = tag_of(answer.get("To"))
        if answer.status < 300:
            self.routes = [r for v in reversed(answer.all("Record-Route"))
                           for r in reversed(split_list(v))]
            self.target = uri_of(answer.get("Contact"))
            self.wic.request("ACK", self.target, to=self.uri, call_id=self.call_id, tag=self.tag,
                             to_tag=self.to_tag, routes=self.routes)
        else:
            self.wic.request("ACK", self.uri, to=self.uri, call_id=self.call_id, tag=self.tag,
                             to_tag=self.to_tag, via_branch=self.branch,
                             routes=self.wic.service_route)
        return answer

    def cancel(self):
        return self.wic.request("CANCEL", self.uri, to=self.uri, call_id=self.call_id,
                                tag=self.tag, via_branch=self.branch,
                                routes=self.wic.service_route)

    def request(self, method, extra=(), body=b""):
        self.cseq += 1
        return self.wic.request(method, self.target, to=self.uri, call_id=self.call_id,
                                cseq=self.cseq, tag=self.tag, to_tag=self.to_tag,
                                routes=self.routes, extra=extra, body=body)

    def bye(self, seconds=8.0):
        return self.wic.final(self.request("BYE"), seconds)

    def again(self, sdp, method="INVITE"):
        """A new offer within the call; its final answer, ACKed."""
        sent = self.request(method, [("Contact", self.wic.contact), ("Content-Type", "application/sdp")], sdp)
        answer = self.wic.final(sent)
        if method == "INVITE":
            self.wic.request("ACK", self.target, to=self.uri, call_id=self.call_id, cseq=self.cseq,
                             tag=self.tag, to_tag=self.to_tag, routes=self.routes)
        return answer

    def wait_bye(self, seconds=10.0):
        """The BYE of the other side, answered."""
        bye = self.wic.wait(lambda m: m.method == "BYE" and not m.is_response
                            and m.get("Call-ID") == self.call_id, seconds)
        self.wic.send(bye.reply(200, "OK"))
        return bye


def browser_answer(offer, kinds=("audio", "video")):
    """What a browser answers: the codecs that it knows, its own ports, keys and candidates (of the
    samples); m-lines of other kinds are refused."""
    own, session = {}, []
    for section in sample("chromium-audio-video.sdp").decode().split("\r\nm="):
        if section.startswith("v="):
            session = [line for line in section.split("\r\n") if not line.startswith("a=group")]
        else:
            own[section.split()[0]] = section.split("\r\n")
    lines = session
    for section in offer.decode().split("\r\nm=")[1:]:
        theirs = section.split("\r\n")
        kind, port, proto, *formats = theirs[0].split()
        if kind not in kinds or kind not in own or port == "0":
            lines += [f"m={kind} 0 {proto} {formats[0]}", "c=IN IP4 0.0.0.0"]
            continue
        mine = [line for line in own[kind] if line.startswith(("a=ice-", "a=fingerprint", "a=candidate"))]
        codecs = [line for line in theirs if line.startswith(("a=rtpmap", "a=fmtp", "a=mid"))]
        direction = "a=recvonly" if "a=sendonly" in theirs else "a=sendrecv"
        lines += [f"m={kind} {own[kind][0].split()[1]} {proto} {' '.join(formats)}",
                  own[kind][1], *mine, "a=setup:active", "a=rtcp-mux", direction, *codecs]
    return "\r\n".join(line for line in lines if line).encode() + b"\r\n"


class Incoming:
    """The called side of a dialog."""

    def __init__(self, wic, seconds=10.0):
        self.wic = wic
        self.invite = wic.wait(lambda m: m.method == "INVITE" and not m.is_response
                               and not tag_of(m.get("To")), seconds)
        self.tag, self.cseq = token(), 0

    def ring(self):
        self.wic.send(self.invite.reply(180, "Ringing", [("Contact", self.wic.contact)], tag=self.tag))

    def accept(self, body=None, request=None):
        """200, also to an INVITE within the call; see acked()."""
        request = request or self.invite
        self.wic.send(request.reply(200, "OK", [
            ("Contact", self.wic.contact), ("Content-Type", "application/sdp"),
            ("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE, OPTIONS")],
            body if body is not None else browser_answer(request.body), tag=self.tag))

    def acked(self):
        self.wic.wait(lambda m: m.method == "ACK" and m.get("Call-ID") == self.call_id)

    def refuse(self, status=486, phrase="Busy Here"):
        self.wic.send(self.invite.reply(status, phrase, tag=self.tag))

    def accept_next(self, body=None):
        """The next INVITE within the call."""
        again = self.wic.wait(lambda m: m.method == "INVITE" and not m.is_response and tag_of(m.get("To")))
        self.accept(body, again)
        return again

    def bye(self, seconds=8.0):
        self.cseq += 1
        routes = [r for v in self.invite.all("Record-Route") for r in split_list(v)]
        return self.wic.final(self.wic.request(
            "BYE", uri_of(self.invite.get("Contact")), to=uri_of(self.invite.get("From")),
            from_=uri_of(self.invite.get("To")), call_id=self.invite.get("Call-ID"), cseq=self.cseq,
            tag=self.tag, to_tag=tag_of(self.invite.get("From")), routes=routes), seconds)

    wait_bye = Call.wait_bye

    @property
    def call_id(self):
        return self.invite.get("Call-ID")
