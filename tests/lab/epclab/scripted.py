"""A core in a script, for what Kamailio's modules cannot do: AKAv2-SHA-256 with tls-connected, Digest
with SHA-256, several challenges at once, and every event of the registration event package. It speaks
SIP over UDP and TCP at the address of the I-CSCF: registrar, S-CSCF for SUBSCRIBE, nothing else."""
import base64
import os
import re
import socket
import threading
import time

from . import addresses as a
from .aka import HASHES, akav2_password, parameters, response
from .milenage import Usim
from .ports import holder
from .process import Component
from .sipmsg import Message, branch, split_list, tag_of, token, uri_of
from .wait import LabError, poll


NEXT_NONCE = "0123456789abcdef0123456789abcdef"


class Link:
    """Where a message came from and how to answer it."""

    def __init__(self, proto, peer, send):
        self.proto, self.peer, self.send = proto, peer, send


class ScriptedCore(Component):
    """Set `challenges` to the algorithms to offer, in order; `seen` lists the REGISTERs that came:
    dictionaries of integrity-protected, algorithm and the status given."""
    name = "kamailio"  # in its place
    package = "(a script)"

    def __init__(self, var):
        super().__init__(var)
        self.lock = threading.Lock()
        self.running = False
        self.reset()

    def reset(self, challenges=("MD5",)):
        self.challenges = list(challenges)
        self.seen, self.answered, self.faults = [], [], []
        self.accepted = []     # (IMPU, Contact, Path) of each 200
        self.nonces = {}       # nonce: (algorithm, vector or None)
        self.bindings_now = {}  # IMPU: (contact value, path)
        self.subscriptions = {}  # Call-ID: dialog
        self.sqn = int(time.time()) << 5
        self.expires = 600

    # -- as a component ------------------------------------------------------------------------------
    def ports(self):
        return [("udp", *a.CORE), ("tcp", *a.CORE)]

    def start(self):
        os.makedirs(os.path.dirname(self.log), exist_ok=True)
        for proto, ip, port in self.ports():
            who = holder(proto, ip, port)
            if who:
                raise LabError(f"{self.name}: {proto.upper()} port {ip}:{port} is in use by {who}.")
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(a.CORE)
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind(a.CORE)
        self.tcp.listen(16)
        self.child, self.running = self, True
        for target in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=target, daemon=True).start()

    def stop(self):
        self.running, self.child = False, None
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def alive(self):
        return self.running

    def forget_bindings(self):
        self.bindings_now.clear()

    # -- transport -----------------------------------------------------------------------------------
    def _serve_udp(self):
        while self.running:
            try:
                data, peer = self.udp.recvfrom(65536)
            except OSError:
                return
            if data.strip(b"\r\n\0"):
                self._take(data, Link("UDP", peer, lambda m, p=peer: self.udp.sendto(m.encode(), p)))

    def _serve_tcp(self):
        while self.running:
            try:
                conn, peer = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(conn, peer), daemon=True).start()

    def _serve_connection(self, conn, peer):
        kept, link = b"", Link("TCP", peer, lambda m: conn.sendall(m.encode()))
        while self.running:
            try:
                chunk = conn.recv(65536)
            except OSError:
                return
            if not chunk:
                return
            kept = (kept + chunk).lstrip(b"\r\n")
            while b"\r\n\r\n" in kept:
                head, _, rest = kept.partition(b"\r\n\r\n")
                length = int(Message.parse(head + b"\r\n\r\n").get("Content-Length", "0"))
                if len(rest) < length:
                    break
                self._take(head + b"\r\n\r\n" + rest[:length], link)
                kept = rest[length:]

    def _take(self, data, link):
        message = Message.parse(data)
        try:
            with self.lock:
                if message.is_response:
                    self.answered.append((message.get("Call-ID"), message.method, message.status))
                elif message.method == "REGISTER":
                    link.send(self._register(message))
                elif message.method == "SUBSCRIBE":
                    self._subscribe(message, link)
                elif message.method != "ACK":
                    link.send(message.reply(480, "Not Here", tag=token()))
        except Exception as e:  # the scenario reads it: a thread must not end in silence
            self.faults.append(f"{type(e).__name__}: {e}")

    # -- registrar -----------------------------------------------------------------------------------
    def _register(self, message):
        given = parameters(message.get("Authorization"))
        impu = uri_of(message.get("To"))
        entry = {"protected": given.get("integrity-protected"), "algorithm": given.get("algorithm"),
                 "impu": impu, "authorizations": len(message.all("Authorization"))}
        self.seen.append(entry)
        answer = self._decide(message, given, entry["protected"])
        entry["status"] = answer.status
        return answer

    def _decide(self, message, given, protected):
        if protected == "auth-done":
            return self._accept(message)
        if not given.get("response"):
            return self._challenge(message)
        algorithm, vector = self.nonces.pop(given.get("nonce"), (None, None))
        if not algorithm:
            return self._challenge(message)
        # TS 24.229 5.4.1.1: AKAv2 where the TLS connection came before the registration.
        if algorithm.startswith("AKAv2") and protected != "tls-connected":
            return message.reply(403, "Not Over TLS", tag=token())
        if self._right(algorithm, vector, given, message):
            return self._accept(message)
        return message.reply(403, "Authentication Failed", tag=token())

    def _challenge(self, message):
        extra = []
        for algorithm in self.challenges:
            vector, keys = None, ""
            nonce = token(16)
            if algorithm.startswith("AKA"):
                facts = a.SUBSCRIBERS["carol@ims.test"]
                self.sqn += 32
                vector = Usim(bytes.fromhex(facts["k"]), bytes.fromhex(facts["opc"])).vector(
                    os.urandom(16), self.sqn.to_bytes(6, "big"))
                nonce = base64.b64encode(vector[0]).decode()
                keys = f', ck="{vector[2].hex()}", ik="{vector[3].hex()}"'
            self.nonces[nonce] = (algorithm, vector)
            extra.append(("WWW-Authenticate", f'Digest realm="{a.DOMAIN}", nonce="{nonce}", '
                                              f'algorithm={algorithm}{keys}, qop="auth"'))
        return message.reply(401, "Unauthorized", extra, tag=token())

    def _right(self, algorithm, vector, given, message):
        name = algorithm.lower()
        if vector:
            version, _, name = name.partition("-")
            _, xres, ck, ik = vector
            password = xres if version == "akav1" else akav2_password(HASHES[name], xres, ik, ck)
        else:
            password = next(f["password"] for i, f in a.SUBSCRIBERS.items()
                            if i == given["username"] and "password" in f).encode()
        wanted = response(HASHES[name], password, user=given["username"], realm=given["realm"],
                          nonce=given["nonce"], method="REGISTER", uri=given["uri"],
                          nc=given["nc"], cnonce=given["cnonce"])
        return given["response"] == wanted

    def _accept(self, message):
        impu, contact = uri_of(message.get("To")), message.get("Contact")
        expires = parameters("x " + contact.partition(">")[2].replace(";", ",")).get("expires") \
            or message.get("Expires", "600")
        extra = [("Service-Route", f"<sip:orig@{a.CORE[0]}:{a.CORE[1]};lr>"),
                 ("Require", "outbound"), ("Date", time.strftime("%a, %d %b %Y %H:%M:%S GMT",
                                                                 time.gmtime())),
                 ("Authentication-Info", f'nextnonce="{NEXT_NONCE}"')]
        extra += [("Path", v) for v in message.all("Path")]
        if int(expires) == 0:
            self.bindings_now.pop(impu, None)
        else:
            granted = str(min(int(expires), self.expires))
            contact = contact.replace(f"expires={expires}", f"expires={granted}")
            self.bindings_now[impu] = (contact, message.get("Path"))
            self.accepted.append((impu, contact, message.get("Path")))
            associated = next((f["impus"] for f in a.SUBSCRIBERS.values() if impu in f["impus"]),
                              [impu])
            extra += [("Contact", contact), ("P-Associated-URI",
                                             ", ".join(f"<{u}>" for u in associated))]
        return message.reply(200, "OK", extra, tag=token())

    # -- registration events (RFC 3680) --------------------------------------------------------------
    def _subscribe(self, message, link):
        key, impu = message.get("Call-ID"), uri_of(message.get("To"))
        dialog = self.subscriptions.get(key)
        if tag_of(message.get("To")) and not dialog:
            link.send(message.reply(481, "Subscription Does Not Exist"))
            return
        if not dialog:
            dialog = {"tag": token(), "cseq": 0, "version": 0, "impu": impu, "from": "",
                      "first": message, "count": 0}
            self.subscriptions[key] = dialog
        expires = message.get("Expires", "600000")
        dialog.update(target=uri_of(message.get("Contact")), remote=message.get("From"),
                      routes=[r for v in message.all("Record-Route") for r in split_list(v)],
                      local=f"<{impu}>;tag={dialog['tag']}", expires=expires,
                      count=dialog["count"] + 1, link=link)
        link.send(message.reply(200, "OK", [
            ("Contact", f"<sip:{a.CORE[0]}:{a.CORE[1]}>"), ("Expires", expires)], tag=dialog["tag"]))
        if impu in self.bindings_now or int(expires) == 0:
            self._notify(key, self._reginfo(dialog, "full", "active", "active", "registered"),
                         "terminated;reason=timeout" if int(expires) == 0
                         else f"active;expires={expires}")

    def _reginfo(self, dialog, state, registration, contact_state, event, more=""):
        contact = self.bindings_now.get(dialog["impu"], ("<sip:none@invalid>", ""))[0]
        instance = parameters("x " + contact.partition(">")[2].replace(";", ",")).get(
            "sip.instance", "") or contact.partition('+sip.instance="')[2].partition('"')[0]
        reg_id = contact.partition("reg-id=")[2][:1]
        unknown = (f'<unknown-param name="+sip.instance">"{instance.replace("<", "&lt;").replace(">", "&gt;")}"'
                   f'</unknown-param><unknown-param name="reg-id">{reg_id}</unknown-param>')
        uri = uri_of(contact).replace("&", "&amp;")
        text = ('<?xml version="1.0"?>\n<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" '
                f'version="{dialog["version"]}" state="{state}"><registration aor="{dialog["impu"]}" '
                f'id="r1" state="{registration}"><contact id="c1" state="{contact_state}" '
                f'event="{event}"{more}><uri>{uri}</uri>{unknown}</contact></registration></reginfo>')
        dialog["version"] += 1
        return text.encode()

    def _notify(self, key, body, state):
        dialog = self.subscriptions[key]
        dialog["cseq"] += 1
        link = dialog["link"]
        headers = [("Via", f"SIP/2.0/{link.proto} {a.CORE[0]}:{a.CORE[1]};branch={branch()}"),
                   ("Max-Forwards", "70")]
        headers += [("Route", r) for r in dialog["routes"]]
        headers += [("From", dialog["local"]), ("To", dialog["remote"]), ("Call-ID", key),
                    ("CSeq", f"{dialog['cseq']} NOTIFY"), ("Event", "reg"),
                    ("Contact", f"<sip:{a.CORE[0]}:{a.CORE[1]}>"), ("Subscription-State", state),
                    ("Content-Type", "application/reginfo+xml")]
        link.send(Message(f"NOTIFY {dialog['target']} SIP/2.0", headers, body))

    def subscribed(self, impu, seconds=5):
        """The Call-ID of a subscription to the IMPU; LabError when nobody subscribed."""
        found = poll(lambda: [k for k, d in self.subscriptions.items() if d["impu"] == impu], seconds)
        if not found:
            raise LabError(f"nobody subscribed to the registration events of {impu}")
        return found[0]

    def event(self, key, contact_state, event, registration="active", more="",
              subscription="active;expires=600"):
        """A NOTIFY with partial state about the one contact."""
        with self.lock:
            dialog = self.subscriptions[key]
            self._notify(key, self._reginfo(dialog, "partial", registration, contact_state, event,
                                            more), subscription)

    def answers(self, key):
        """The statuses that NOTIFYs of the subscription got."""
        with self.lock:
            return [status for call_id, _, status in self.answered if call_id == key]

    def options(self, contact, path, seconds=5):
        """OPTIONS to a registered contact along its Path; the status that came back."""
        key = token(8)
        host, port = re.search(r"@([\d.]+):(\d+)", path).groups()  # each shard has a port of its own
        self.udp.sendto(Message(f"OPTIONS {uri_of(contact)} SIP/2.0", [
            ("Via", f"SIP/2.0/UDP {a.CORE[0]}:{a.CORE[1]};branch={branch()}"),
            ("Max-Forwards", "70"), ("Route", path), ("From", f"<sip:{a.DOMAIN}>;tag={token()}"),
            ("To", f"<{uri_of(contact)}>"), ("Call-ID", key), ("CSeq", "1 OPTIONS")]).encode(),
            (host, int(port)))
        found = poll(lambda: [s for k, _, s in list(self.answered) if k == key and s >= 200], seconds)
        return found[0] if found else None
