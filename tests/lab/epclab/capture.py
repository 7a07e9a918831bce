"""What crossed the lab's reference points, as a capture file."""
import os
import signal
import socket

from . import addresses as a
from .process import Component
from .wait import poll


class Capture(Component):
    """tshark on the loopback interface: signalling only, so that the file stays small. The WICs of the
    lab write their TLS secrets beside it, so that the WSS side decodes as well."""
    name = "capture"
    program = "tshark"
    package = "tshark"
    stop_signal = signal.SIGINT

    def __init__(self, var, shards):
        super().__init__(var)
        self.file = os.path.join(self.dir, "lab.pcapng")
        self.keys = os.path.join(self.dir, "lab.keys")
        self.shards = shards

    def filter(self):
        first = a.EPCSCF_CORE[1]
        sip = [a.CORE[1], a.SCSCF[1], a.PHONE[1]] + [first + i for i in range(self.shards)]
        ports = " or ".join(f"port {p}" for p in sip + [a.WSS[1], a.PCRF[1], a.RTPENGINE_NG[1], a.IQ[1]])
        return ports

    def prepare(self):
        for file in (self.file, self.keys, os.path.join(self.dir, "lab.diameter.xml")):
            if os.path.exists(file):
                os.unlink(file)
        # Chromium reads it by itself, the WICs in Python through wic.py.
        os.environ["SSLKEYLOGFILE"] = self.keys

    def command(self):
        return ["tshark", "-q", "-n", "-i", "lo", "-B", "16", "-f", self.filter(), "-w", self.file]

    def is_ready(self):
        return os.path.exists(self.file) and os.path.getsize(self.file) > 0

    def stop(self):
        """First see a mark of our own in the file: then all before it is there too."""
        if self.alive():
            mark = b"lab-capture-" + os.urandom(8).hex().encode()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(mark, a.RTPENGINE_NG)
            poll(lambda: self._holds(mark), 5)
        return super().stop()

    def _holds(self, mark):
        with open(self.file, "rb") as f:
            f.seek(max(0, os.path.getsize(self.file) - 262144))
            return mark in f.read()
