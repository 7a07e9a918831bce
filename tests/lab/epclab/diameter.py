"""A bare Diameter client: whatever octets a test wants, and what came back. No state, no dictionary."""
import itertools
import socket
import struct

from . import addresses as a
from .wait import LabError

TGPP, RX = 10415, 16777236


def avp(code, data, vendor=0, m=True):
    """data: octets, text, a number (Unsigned32) or a list of AVPs."""
    if isinstance(data, int):
        data = struct.pack("!I", data & 0xFFFFFFFF)
    elif isinstance(data, str):
        data = data.encode()
    elif isinstance(data, list):
        data = b"".join(data)
    flags = (0x80 if vendor else 0) | (0x40 if m else 0)
    head = struct.pack("!IB", code, flags)
    n = (12 if vendor else 8) + len(data)
    head += n.to_bytes(3, "big") + (struct.pack("!I", vendor) if vendor else b"")
    return head + data + b"\0" * (-n % 4)


def tgpp(code, data, m=True):
    return avp(code, data, TGPP, m)


def parse(data):
    """[(code, vendor, octets)], one level."""
    found = []
    while len(data) >= 8:
        code, flags = struct.unpack("!IB", data[:5])
        n = int.from_bytes(data[5:8], "big")
        head = 12 if flags & 0x80 else 8
        if n < head or n > len(data):
            raise LabError(f"AVP {code} of {n} octets")
        vendor = struct.unpack("!I", data[8:12])[0] if flags & 0x80 else 0
        found.append((code, vendor, data[head:n]))
        data = data[n + -n % 4:]
    return found


class Client:
    _ids = itertools.count(1)

    def __init__(self, address=a.PCRF, realm=a.DOMAIN):
        # A name of its own: a peer that comes back has to prove itself with watchdogs first.
        self.host, self.realm = f"af{next(self._ids)}.{realm}", realm
        self.socket = socket.create_connection(address, 3)
        self.socket.settimeout(5)
        code, _ = self.request(257, 0, [
            self.origin(), avp(257, b"\0\1\x7f\0\0\1"), avp(266, TGPP), avp(269, "bare", m=False),
            avp(265, TGPP), avp(260, [avp(266, TGPP), avp(258, RX)])])
        if code != 2001:
            raise LabError(f"CER was answered {code}")

    def origin(self):
        return avp(264, self.host) + avp(296, self.realm)

    def session(self):
        return f"{self.host};1;{next(self._ids)}"

    def request(self, command, app, avps, spoil=lambda octets: octets):
        """The result code of the answer, experimental or not, and its AVPs."""
        body = b"".join(avps)
        number = next(self._ids)
        flags = 0xC0 if app else 0x80
        message = (b"\1" + (20 + len(body)).to_bytes(3, "big") + bytes([flags]) + command.to_bytes(3, "big")
                   + struct.pack("!III", app, number, number) + body)
        self.socket.sendall(spoil(message))
        while True:
            head, body = self._message()
            if not head[4] & 0x80:
                break
        found = parse(body)
        for code, vendor, data in found:
            if code == 268 and not vendor:
                return struct.unpack("!I", data)[0], found
            if code == 297 and not vendor:
                inner = dict((c, d) for c, _, d in parse(data))
                return struct.unpack("!I", inner[298])[0], found
        raise LabError("an answer without a result")

    def _message(self):
        head = self._exactly(20)
        return head, self._exactly(int.from_bytes(head[1:4], "big") - 20)

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            chunk = self.socket.recv(n - len(data))
            if not chunk:
                raise LabError("the peer closed the connection")
            data += chunk
        return data

    def close(self):
        self.socket.close()
