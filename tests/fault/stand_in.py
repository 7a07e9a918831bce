"""The network around a node under attack: an IMS core that answers and keeps every octet it was sent,
and traps at addresses where nothing may ever arrive."""
import hashlib
import re
import socket
import threading

from epclab import addresses as a
from epclab.sipmsg import Message, token, uri_of
from epclab.wait import poll

ROUTE = f"<sip:orig@{a.CORE[0]}:{a.CORE[1]};lr>"


def cut_stream(kept):
    """Whole messages off the front of a TCP stream (RFC 3261 18.3), and the rest."""
    found = []
    while True:
        kept = kept.lstrip(b"\r\n")
        head, mark, rest = kept.partition(b"\r\n\r\n")
        if not mark:
            return found, kept
        length = re.search(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)[ \t]*\r?$", head)
        n = int(length.group(1)) if length else 0
        if len(rest) < n:
            return found, kept
        found.append(head + mark + rest[:n])
        kept = rest[n:]


class Core:
    """UDP and TCP at the core's address. A REGISTER is taken on auth-done or a right Digest answer, as
    an S-CSCF would; anything else gets 200, an INVITE 486."""

    def __init__(self):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(a.CORE)
        self.tcp = socket.create_server(a.CORE)
        self.lock = threading.Lock()
        self.raw = []      # (proto, octets) as they came
        self.seen = []     # Message, with .octets
        self.connections = []
        self.paths = {}    # AoR: Path of the last registration
        for target in (self._read_udp, self._accept):
            threading.Thread(target=target, daemon=True).start()

    def close(self):
        for s in [self.udp, self.tcp, *self.connections]:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    # -- in --------------------------------------------------------------------------------------
    def _read_udp(self):
        while True:
            try:
                data, peer = self.udp.recvfrom(65536)
            except OSError:
                return
            if data.strip(b"\r\n\0"):
                self._take("udp", data, lambda answer, to=peer: self.udp.sendto(answer, to))

    def _accept(self):
        while True:
            try:
                s, _ = self.tcp.accept()
            except OSError:
                return
            self.connections.append(s)
            threading.Thread(target=self._read_tcp, args=(s,), daemon=True).start()

    def _read_tcp(self, s):
        kept = b""
        while True:
            try:
                chunk = s.recv(65536)
            except OSError:
                return
            if not chunk:
                return
            messages, kept = cut_stream(kept + chunk)
            for data in messages:
                self._take("tcp", data, s.sendall)

    def _take(self, proto, data, answer):
        message = Message.parse(data)
        message.octets = data
        with self.lock:
            self.raw.append((proto, data))
            self.seen.append(message)
        if not message.is_response and message.first.split()[0] != "ACK":
            try:
                answer(self._answer(message).encode())
            except OSError:
                pass

    # -- out -------------------------------------------------------------------------------------
    def _answer(self, m):
        if m.first.startswith("INVITE "):
            return m.reply(486, "Busy Here", tag=token(4))
        if not m.first.startswith("REGISTER "):
            return m.reply(200, "OK", tag=token(4))
        authorization = m.get("Authorization")
        impu = uri_of(m.get("To"))
        good = 'integrity-protected="auth-done"' in authorization
        if not good and 'response="' in authorization and 'response=""' not in authorization:
            good = self._digest_good(authorization)
        if not good:
            return m.reply(401, "Unauthorized", [("WWW-Authenticate", f'Digest realm="{a.DOMAIN}", '
                           'nonce="n1", algorithm=MD5, qop="auth"')], tag=token(4))
        self.paths[impu] = m.get("Path")
        contact = m.get("Contact")
        return m.reply(200, "OK", [("Service-Route", ROUTE), ("P-Associated-URI", f"<{impu}>"),
                                   ("Path", m.get("Path")), ("Supported", "path, outbound")] +
                       ([("Contact", contact)] if "expires=0" not in contact and contact != "*" else []),
                       tag=token(4))

    @staticmethod
    def _digest_good(authorization):
        part = dict(re.findall(r'(\w+)="?([^",]*)"?', authorization))
        user = next((u for u, v in a.USERS.items() if part.get("username") in (u, v[1])), None)
        if not user or part.get("nonce") != "n1":
            return False
        def md5(text):
            return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        h1 = md5(f"{part['username']}:{a.DOMAIN}:{a.USERS[user][0]}")
        h2 = md5(f"REGISTER:{part.get('uri', '')}")
        return part.get("response") == md5(f"{h1}:n1:{part.get('nc')}:{part.get('cnonce')}:auth:{h2}")

    def send(self, message, to=a.EPCSCF_CORE):
        self.udp.sendto(message.encode(), to)

    # -- what the attacks ask ----------------------------------------------------------------------
    def mark(self):
        with self.lock:
            return len(self.seen)

    def since(self, mark, match=lambda m: True):
        with self.lock:
            return [m for m in self.seen[mark:] if match(m)]

    def wait(self, mark, match, seconds=5):
        return poll(lambda: self.since(mark, match), seconds)


class Trap:
    """UDP and TCP at an address that no message may be sent to."""

    def __init__(self, ip, port=5060):
        self.ip, self.port = ip, port
        self.caught = []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((ip, port))
        self.tcp = socket.create_server((ip, port))
        threading.Thread(target=self._udp, daemon=True).start()
        threading.Thread(target=self._tcp, daemon=True).start()

    def _udp(self):
        while True:
            try:
                self.caught.append(("udp", self.udp.recvfrom(65536)[0]))
            except OSError:
                return

    def _tcp(self):
        while True:
            try:
                s, peer = self.tcp.accept()
            except OSError:
                return
            self.caught.append(("tcp", repr(peer).encode()))
            s.close()

    def close(self):
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
