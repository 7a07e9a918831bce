"""A media gateway controller for the proof of the lab's gateway: it listens, answers registrations as told,
sends transactions as text and hands out what comes back, as text. It understands no more of H.248 than needed."""
import queue
import re
import socket
import threading

from .wait import LabError

_REQUEST = re.compile(r"\A\S+\s+\S+\s+(?:Transaction|T)\s*=\s*(\d+)\s*\{")
_ANSWER = re.compile(r"\A\S+\s+\S+\s+(?:Reply|P|Pending|PN)\s*=\s*(\d+)")


class Mgc:
    def __init__(self, address, udp=False):
        self.mid = f"[{address[0]}]:{address[1]}"
        self.udp = udp
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(address)
        if not udp:
            self.sock.listen(4)
        self.peer = None                # address (UDP) or connection
        self.last = 0
        self.answers = {}               # transaction id: queue of texts
        self.requests = queue.Queue()   # (id, text) of the gateway's own
        self.registered = queue.Queue() # text of each ServiceChange
        self.services = "Version = 2, Profile = threegiq/4"
        self.answer_notify = ""         # instead of an empty reply: { Error = ... }
        self.open = True
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        self.open = False
        for s in (self.peer if not self.udp else None, self.sock):
            if s is not None:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()
        self.thread.join(5)

    # -- octets ------------------------------------------------------------------------------------------
    def _serve(self):
        while self.open:
            try:
                if self.udp:
                    data, self.peer = self.sock.recvfrom(65536)
                    self._heard(data.decode())
                else:
                    self.peer = self.sock.accept()[0]
                    self._read(self.peer)
            except OSError:
                if not self.udp or not self.open:
                    continue

    def _read(self, conn):
        stream = conn.makefile("rb")
        while True:
            head = stream.read(4)
            if len(head) < 4:
                conn.close()
                return
            size = int.from_bytes(head[2:], "big") - 4
            self._heard(stream.read(size).decode())

    def write(self, text):
        data = text.encode()
        if self.udp:
            self.sock.sendto(data, self.peer)
        else:
            self.peer.sendall(b"\3\0" + (len(data) + 4).to_bytes(2, "big") + data)

    # -- messages ------------------------------------------------------------------------------------------
    def _heard(self, text):
        request = _REQUEST.search(text)
        if request:
            number = int(request.group(1))
            if re.search(r"(?:ServiceChange|SC)\s*=\s*ROOT", text, re.I):
                self.write(f"MEGACO/1 {self.mid}\nReply = {number} {{ Context = - {{ ServiceChange = ROOT {{ "
                           f"Services {{ {self.services} }} }} }} }}")
                self.registered.put(text)
                return
            self.requests.put((number, text))
            what = re.search(r"(?:Context|C)\s*=\s*(\S+?)\s*\{\s*(?:Notify|N|ServiceChange|SC)\s*=\s*([^\s{]+)", text)
            kind = "ServiceChange" if "ervice" in text or "SC=" in text else "Notify"
            self.write(f"MEGACO/2 {self.mid}\nReply = {number} {{ Context = {what.group(1)} {{ "
                       + (self.answer_notify or f"{kind} = {what.group(2)}") + " } }")
            return
        answer = _ANSWER.search(text)
        self.answers.setdefault(int(answer.group(1)) if answer else 0, queue.Queue()).put(text)

    def send(self, actions):
        """One transaction; its number."""
        self.last += 1
        self.answers.setdefault(self.last, queue.Queue())
        self.write(f"MEGACO/2 {self.mid}\nTransaction = {self.last} {{ {actions} }}")
        return self.last

    def answer(self, number, seconds=15):
        try:
            return self.answers[number].get(timeout=seconds)
        except queue.Empty:
            raise LabError(f"transaction {number} was not answered") from None

    def ask(self, actions):
        return self.answer(self.send(actions))
