"""What crossed the lab's reference points, as a capture file."""
import os
import signal

from . import addresses as a
from .process import Component


class Capture(Component):
    """tshark on the loopback interface: signalling only, so that the file stays small. The WSS side
    is encrypted and left out; the daemon's own trace has it in clear."""
    name = "capture"
    program = "tshark"
    package = "tshark"
    stop_signal = signal.SIGINT

    def __init__(self, var, shards):
        super().__init__(var)
        self.file = os.path.join(self.dir, "lab.pcapng")
        self.shards = shards

    def filter(self):
        first = a.EPCSCF_CORE[1]
        sip = [a.CORE[1], a.PHONE[1]] + [first + i for i in range(self.shards)]
        ports = " or ".join(f"port {p}" for p in sip + [a.PCRF[1], a.RTPENGINE_NG[1]])
        return ports

    def prepare(self):
        if os.path.exists(self.file):
            os.unlink(self.file)

    def command(self):
        return ["tshark", "-q", "-n", "-i", "lo", "-B", "16", "-f", self.filter(), "-w", self.file]

    def is_ready(self):
        return os.path.exists(self.file) and os.path.getsize(self.file) > 0
