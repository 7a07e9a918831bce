"""A stand-in for the eP-CSCF's core side, to prove the IMS core and the phone without the daemon:
plays 127.0.0.3 over UDP or TCP."""
import queue
import socket
import threading
import time

from . import addresses as a
from .sipmsg import Message, branch, token
from .wait import LabError


class Edge:
    def __init__(self, ip=a.EPCSCF_CORE[0], port=a.EPCSCF_CORE[1]):
        self.ip, self.port = ip, port
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((ip, port))
        self.tcp = None
        self.inbox = queue.Queue()
        self.kept = []
        self.tag = token()
        self.readers = []
        self._start(self._read_udp)

    def _start(self, function, *args):
        self.readers.append(threading.Thread(target=function, args=args, daemon=True))
        self.readers[-1].start()

    def close(self):
        for s in filter(None, (self.udp, self.tcp)):
            try:
                s.shutdown(socket.SHUT_RDWR)  # wakes the reader, also of a datagram socket
            except OSError:
                pass
        for reader in self.readers:
            reader.join(3)
        for s in filter(None, (self.udp, self.tcp)):
            s.close()

    def _read_udp(self):
        while True:
            try:
                data, peer = self.udp.recvfrom(65536)
            except OSError:
                return
            if not data and not peer:
                return
            if data.strip(b"\r\n\0"):
                self.inbox.put((Message.parse(data), peer, "udp"))

    def _read_tcp(self, conn):
        kept = b""
        while True:
            try:
                chunk = conn.recv(65536)
            except OSError:
                return
            if not chunk:
                return
            kept += chunk
            while b"\r\n\r\n" in kept:
                head, _, rest = kept.partition(b"\r\n\r\n")
                length = int(Message.parse(head + b"\r\n\r\n").get("Content-Length", "0"))
                if len(rest) < length:
                    break
                self.inbox.put((Message.parse(head + b"\r\n\r\n" + rest[:length]), a.CORE, "tcp"))
                kept = rest[length:]

    def send(self, message, proto="udp", to=a.CORE):
        if proto == "udp":
            self.udp.sendto(message.encode(), to)
            return
        if self.tcp is None:
            self.tcp = socket.create_connection(to, 2, source_address=(self.ip, 0))
            self.tcp.settimeout(None)
            self._start(self._read_tcp, self.tcp)
        self.tcp.sendall(message.encode())

    def request(self, method, uri, *, from_, to, call_id, cseq=1, extra=(), body=b"", proto="udp",
                routes=(), to_tag="", via_branch=None):
        via = f"SIP/2.0/{proto.upper()} {self.ip}:{self.port};branch={via_branch or branch()};rport"
        headers = [("Via", via), ("Max-Forwards", "70")]
        headers += [("Route", r) for r in routes]
        headers += [("From", f"<{from_}>;tag={self.tag}"),
                    ("To", f"<{to}>" + (f";tag={to_tag}" if to_tag else "")),
                    ("Call-ID", call_id), ("CSeq", f"{cseq} {method}")]
        headers += list(extra)
        message = Message(f"{method} {uri} SIP/2.0", headers, body)
        self.send(message, proto)
        return message

    def wait(self, match, seconds=5.0):
        """The next message for which match(message) is true; others are kept for later waits."""
        for i, entry in enumerate(self.kept):
            if match(entry[0]):
                return self.kept.pop(i)
        end = time.monotonic() + seconds
        while True:
            try:
                entry = self.inbox.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                seen = [e[0].first for e in self.kept]
                raise LabError(f"no matching SIP message within {seconds} s; seen: {seen}") from None
            if match(entry[0]):
                return entry
            self.kept.append(entry)
            if time.monotonic() >= end:
                raise LabError(f"no matching SIP message within {seconds} s")

    def final(self, request, seconds=5.0):
        """The final response to request."""
        key = (request.get("Call-ID"), request.get("CSeq"))
        while True:
            message, _, _ = self.wait(
                lambda m: m.is_response and (m.get("Call-ID"), m.get("CSeq")) == key, seconds)
            if message.status >= 200:
                return message
