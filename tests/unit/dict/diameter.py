"""A peer that sends whatever octets a test wants: just enough of RFC 6733 to be let in."""
import socket
import struct

RX, TGPP, ETSI, WEBRTC = 16777236, 10415, 13019, 32473
CODES = {"AA": 265, "RA": 258, "ST": 275, "AS": 274}
# Written down here once more, apart from dict/: name -> code, vendor, M.
AVPS = {"Session-Id": (263, 0, 1), "Origin-Host": (264, 0, 1), "Origin-Realm": (296, 0, 1),
        "Destination-Realm": (283, 0, 1), "Destination-Host": (293, 0, 1), "Auth-Application-Id": (258, 0, 1),
        "Result-Code": (268, 0, 1), "Experimental-Result": (297, 0, 1), "Vendor-Id": (266, 0, 1),
        "Experimental-Result-Code": (298, 0, 1), "Termination-Cause": (295, 0, 1), "Origin-State-Id": (278, 0, 1),
        "Failed-AVP": (279, 0, 1), "Host-IP-Address": (257, 0, 1), "Product-Name": (269, 0, 0),
        "Vendor-Specific-Application-Id": (260, 0, 1), "Supported-Vendor-Id": (265, 0, 1),
        "Framed-IP-Address": (8, 0, 1), "Subscription-Id": (443, 0, 1), "Subscription-Id-Type": (450, 0, 1),
        "Subscription-Id-Data": (444, 0, 1), "AF-Application-Identifier": (504, TGPP, 1), "Abort-Cause": (500, TGPP, 1),
        "Access-Network-Charging-Address": (501, TGPP, 1),
        "Flow-Description": (507, TGPP, 1), "Flow-Number": (509, TGPP, 1), "Flow-Status": (511, TGPP, 1),
        "Specific-Action": (513, TGPP, 1), "Media-Component-Description": (517, TGPP, 1),
        "Media-Component-Number": (518, TGPP, 1), "Media-Sub-Component": (519, TGPP, 1), "Media-Type": (520, TGPP, 1),
        "Service-Info-Status": (527, TGPP, 1), "Codec-Data": (524, TGPP, 1), "Rx-Request-Type": (533, TGPP, 0),
        "Service-URN": (525, TGPP, 1), "Reservation-Priority": (458, ETSI, 0),
        "WebRTC-Session-Info": (9001, WEBRTC, 0), "WebRTC-Media-Info": (9002, WEBRTC, 0),
        "AGW-Identity": (9010, WEBRTC, 0), "ICE-Mode": (9013, WEBRTC, 0), "AGW-Access-Address": (9030, WEBRTC, 0),
        "AGW-Access-Port": (9031, WEBRTC, 0), "ICE-State": (9036, WEBRTC, 0)}


def raw(code, vendor, flags, data, length=None):
    """One AVP; a wrong length may be asked for."""
    head = 12 if vendor else 8
    out = struct.pack("!II", code, (flags | (0x80 if vendor else 0)) << 24 | (head + len(data) if length is None else length))
    if vendor:
        out += struct.pack("!I", vendor)
    return out + data + b"\0" * (-len(data) % 4)


def avp(name, value, mandatory=None):
    """@value: bytes, text, a number of 32 bits, or a list of AVPs already made."""
    code, vendor, must = AVPS[name]
    if isinstance(value, list):
        value = b"".join(value)
    elif isinstance(value, str):
        value = value.encode()
    elif isinstance(value, int):
        value = struct.pack("!i" if value < 0 else "!I", value)
    return raw(code, vendor, 0x40 if (must if mandatory is None else mandatory) else 0, value)


def parse(data):
    """[(code, vendor, flags, value)] of some AVPs."""
    found = []
    while len(data) >= 8:
        code, word = struct.unpack("!II", data[:8])
        flags, length = word >> 24, word & 0xffffff
        vendor, head = (struct.unpack("!I", data[8:12])[0], 12) if flags & 0x80 else (0, 8)
        found.append((code, vendor, flags, data[head:length]))
        data = data[length + (-length % 4):]
    return found


class Message:
    def __init__(self, octets):
        self.flags, self.code = octets[4], int.from_bytes(octets[5:8], "big")
        self.app, self.hop, self.end = struct.unpack("!III", octets[8:20])
        self.avps = parse(octets[20:])

    def value(self, name):
        code, vendor, _ = AVPS[name]
        for c, v, _, value in self.avps:
            if (c, v) == (code, vendor):
                return value
        return None

    def number(self, name):
        value = self.value(name)
        return int.from_bytes(value, "big") if value is not None else None

    def failed(self):
        """(code, vendor) of the AVPs in Failed-AVP."""
        return [(c, v) for c, v, _, _ in parse(self.value("Failed-AVP") or b"")]


def message(code, flags, avps, app=RX, hop=1, end=1):
    body = b"".join(avps)
    return struct.pack("!IIIII", 1 << 24 | 20 + len(body), flags << 24 | code, app, hop, end) + body


def capture(path, packets):
    """Diameter messages as TCP segments from port 3868, in a pcap of raw IP."""
    with open(path, "wb") as f:
        f.write(struct.pack("!IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
        seq = 1
        for p in packets:
            tcp = struct.pack("!HHIIBBHHH", 3868, 40000, seq, 1, 5 << 4, 0x18, 65535, 0, 0) + p
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, socket.inet_aton("192.0.2.1"),
                             socket.inet_aton("192.0.2.2"))
            f.write(struct.pack("!IIII", 0, 0, len(ip + tcp), len(ip + tcp)) + ip + tcp)
            seq += len(p)


class Peer:
    """A connection after CER and CEA; answers watchdogs by itself."""
    host, realm = "af.ims.test", "ims.test"

    def __init__(self, address, port, timeout=10):
        self.socket = socket.create_connection((address, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.hop = 100
        app = avp("Vendor-Specific-Application-Id", [avp("Vendor-Id", TGPP), avp("Auth-Application-Id", RX)])
        ip = b"\0\1" + socket.inet_aton(self.socket.getsockname()[0])
        self.send(257, 0x80, [avp("Origin-Host", self.host), avp("Origin-Realm", self.realm),
                              avp("Host-IP-Address", ip), avp("Vendor-Id", 0), avp("Product-Name", "test"),
                              avp("Supported-Vendor-Id", TGPP), app], app=0)
        if self.receive().number("Result-Code") != 2001:
            raise AssertionError("the capabilities exchange was refused")

    def send(self, code, flags, avps, app=RX, hop=None, end=None):
        self.hop += 1
        self.socket.sendall(message(code, flags, avps, app, self.hop if hop is None else hop,
                                    self.hop if end is None else end))
        return self.hop

    def read(self, n):
        data = b""
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                raise AssertionError("the node closed the connection")
            data += part
        return data

    def receive(self):
        while True:
            head = self.read(4)
            m = Message(head + self.read(int.from_bytes(head[1:], "big") - 4))
            if m.code == 280 and m.flags & 0x80:
                self.send(280, 0, [avp("Result-Code", 2001), avp("Origin-Host", self.host),
                                   avp("Origin-Realm", self.realm)], app=0, hop=m.hop, end=m.end)
            else:
                return m

    def ask(self, code, avps):
        """The answer to a request."""
        hop = self.send(code, 0xc0, avps)
        while True:
            m = self.receive()
            if m.hop == hop and not m.flags & 0x80:
                return m

    def close(self):
        self.socket.close()
