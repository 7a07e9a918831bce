"""The plain RTP phone of the lab, sip:phone@ims.test: baresip with a tone as its microphone."""
import json
import os
import queue
import re
import socket
import threading

from . import addresses as a
from .kamailio import fill
from .process import Component
from .wait import LabError, poll

MODULES = "/usr/lib/baresip/modules"


class Control:
    """The ctrl_tcp socket: one JSON object per netstring, answers and events mixed."""

    def __init__(self):
        self.socket = socket.create_connection(a.PHONE_CONTROL, 2)
        self.socket.settimeout(None)
        self.answers, self.events = {}, []
        self.changed = threading.Condition()
        self.count = 0
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        kept = b""
        while True:
            try:
                chunk = self.socket.recv(65536)
            except OSError:
                return
            if not chunk:
                return
            kept += chunk
            while b":" in kept:
                head, _, rest = kept.partition(b":")
                length = int(head)
                if len(rest) < length + 1:
                    break
                self._take(json.loads(rest[:length]))
                kept = rest[length + 1:]

    def _take(self, item):
        with self.changed:
            if item.get("response"):
                self.answers[item.get("token")] = item
            else:
                self.events.append(item)
            self.changed.notify_all()

    def command(self, command, params="", seconds=3):
        self.count += 1
        mine = f"t{self.count}"
        text = json.dumps({"command": command, "params": params, "token": mine}).encode()
        self.socket.sendall(b"%d:%s," % (len(text), text))
        with self.changed:
            if not self.changed.wait_for(lambda: mine in self.answers, seconds):
                raise LabError(f"baresip did not answer the command {command}")
            return self.answers.pop(mine)

    def wait_event(self, kind, since=0, seconds=10):
        """The first event of that type after position `since`."""
        def found():
            return [e for e in self.events[since:] if e.get("type") == kind]
        with self.changed:
            self.changed.wait_for(found, seconds)
            hits = found()
        if not hits:
            seen = [e.get("type") for e in self.events[since:]]
            raise LabError(f"baresip did not report {kind} within {seconds} s; it reported {seen}")
        return hits[0]

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.reader.join(3)
        self.socket.close()


class Baresip(Component):
    name = "baresip"
    program = "baresip"
    package = "baresip-core"
    rtp_ports = (20000, 20999)

    def __init__(self, var):
        super().__init__(var)
        self._control = None

    def ports(self):
        return [("udp", *a.PHONE), ("tcp", *a.PHONE), ("tcp", *a.PHONE_CONTROL)]

    def prepare(self):
        with open(os.path.join(self.dir, "config"), "w") as f:
            f.write(fill("baresip.config.in", {
                "PHONE_IP": a.PHONE[0], "PHONE_PORT": a.PHONE[1], "RTP_MIN": self.rtp_ports[0],
                "RTP_MAX": self.rtp_ports[1], "MODULES": MODULES,
                "CONTROL_PORT": a.PHONE_CONTROL[1]}))
        with open(os.path.join(self.dir, "accounts"), "w") as f:
            f.write(f'<sip:phone@{a.DOMAIN}>;regint=0;outbound="sip:{a.CORE[0]}:{a.CORE[1]}";'
                    "answermode=auto;audio_codecs=opus/48000/2,PCMU/8000/1,PCMA/8000/1\n")
        open(os.path.join(self.dir, "contacts"), "w").close()

    def command(self):
        return ["baresip", "-4", "-f", self.dir]

    def is_ready(self):
        try:
            return self.control.command("reginfo", seconds=1)["ok"]
        except (OSError, LabError):
            self._drop_control()
            return False

    @property
    def control(self):
        if self._control is None:
            self._control = Control()
        return self._control

    def _drop_control(self):
        if self._control:
            self._control.close()
        self._control = None

    def stop(self):
        self._drop_control()
        return super().stop()

    # -- what the scenarios use --------------------------------------------------------------
    def dial(self, uri):
        """Start a call; returns the position in the event list before it."""
        since = len(self.control.events)
        answer = self.control.command("dial", uri)
        if not answer["ok"]:
            raise LabError(f"baresip refused to dial: {answer.get('data')}", self.log)
        return since

    def hangup(self):
        self.control.command("hangup")

    def answer_mode(self, mode):
        """auto, manual or early."""
        self.control.command("answermode", mode)

    def in_call(self):
        data = self.control.command("listcalls")["data"]
        count = re.search(r"active calls \((\d+)\)", data, re.I)
        return count is not None and int(count.group(1)) > 0

    def call_state(self):
        return self.control.command("callstat")["data"]

    def summaries(self):
        """[(packets sent, packets received)] of the audio of the calls that ended, in order: the
        table that baresip prints at the end of each call that had media."""
        with open(self.log, errors="replace") as f:
            text = f.read()
        return [(int(sent), int(received)) for sent, received in
                re.findall(r"^audio +Transmit: +Receive:\s+packets: +(\d+) +(\d+)", text, re.M)]

    def wait_summary(self, count_before, seconds=5):
        """(sent, received) of the next call to end after summaries() had count_before entries."""
        hit = poll(lambda: self.summaries()[count_before:], seconds)
        if not hit:
            raise LabError("baresip printed no RTP summary at the end of the call", self.log)
        return hit[0]
