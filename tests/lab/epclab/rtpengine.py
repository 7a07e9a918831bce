"""The media gateway of the lab: rtpengine in user space, an access and a core interface."""
import itertools
import json
import os
import socket

from . import addresses as a
from .process import Component


class Rtpengine(Component):
    name = "rtpengine"
    program = "rtpengine"
    package = "rtpengine-daemon"
    media_ports = (30000, 32999)
    _cookie = itertools.count(1)

    def ports(self):
        return [("udp", *a.RTPENGINE_NG)]

    def command(self):
        return ["rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--table=-1",
                f"--interface=access/{a.ACCESS_MEDIA}", f"--interface=core/{a.CORE_MEDIA}",
                f"--listen-ng={a.RTPENGINE_NG[0]}:{a.RTPENGINE_NG[1]}", "--num-threads=2",
                f"--port-min={self.media_ports[0]}", f"--port-max={self.media_ports[1]}",
                "--log-level=6", "--timeout=60", "--silent-timeout=600", "--delete-delay=0",
                f"--pidfile={os.path.join(self.dir, 'rtpengine.pid')}"]

    def ng(self, command, timeout=1.0, **members):
        """One NG request; None when it is not answered."""
        cookie = f"lab{os.getpid()}-{next(self._cookie)}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            try:
                s.connect(a.RTPENGINE_NG)
                s.send(f"{cookie} {json.dumps(dict(members, command=command))}".encode())
                head, _, body = s.recv(65536).partition(b" ")
                return json.loads(body) if head.decode() == cookie else None
            except (OSError, ValueError):
                return None

    def is_ready(self):
        return (self.ng("ping", 0.3) or {}).get("result") == "pong"

    def calls(self):
        """Call-IDs that it holds."""
        return (self.ng("list", limit="1000") or {}).get("calls", [])
