"""The IMS core of the lab: Kamailio as I-CSCF, S-CSCF and registrar."""
import glob
import hashlib
import json
import os
import re
import socket

from . import addresses as a
from .process import Component

CONF = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "conf")


def fill(template, values):
    """Replace the @NAME@ marks of conf/<template> (or of an absolute path); a mark without a value is
    an error."""
    with open(os.path.join(CONF, template)) as f:
        text = f.read()
    return re.sub(r"@([A-Z][A-Z_]*)@", lambda m: str(values[m.group(1)]), text)


def ha1(user, realm, password):
    return hashlib.md5(f"{user}:{realm}:{password}".encode(), usedforsecurity=False).hexdigest()


class Kamailio(Component):
    name = "kamailio"
    program = "kamailio"
    package = "kamailio"

    def __init__(self, var):
        super().__init__(var)
        self.rpc_path = os.path.join(self.dir, "rpc.sock")
        self.min_expires_s = 30
        self.users = a.USERS

    def ports(self):
        return [("udp", *a.CORE), ("tcp", *a.CORE)]

    def _subscribers(self):
        lines = []
        for user, (password, impi, impus) in self.users.items():
            # HA1 depends on the name as the user gives it; the full IMPI and the bare name both work.
            lines.append(f'    $sht(ha1=>{impi}) = "{ha1(impi, a.DOMAIN, password)}";')
            lines.append(f'    $sht(ha1=>{user}) = "{ha1(user, a.DOMAIN, password)}";')
            associated = ", ".join(f"<{u}>" for u in impus)
            for impu in impus:
                lines.append(f'    $sht(pau=>{impi}::{impu}) = "{associated}";')
        return "\n".join(lines)

    def prepare(self):
        modules = glob.glob("/usr/lib/*/kamailio/modules")
        text = fill("kamailio.cfg.in", {
            "DOMAIN": a.DOMAIN, "CORE_IP": a.CORE[0], "CORE_PORT": a.CORE[1],
            "CORE_IP_RE": a.CORE[0].replace(".", "[.]"), "PHONE_IP": a.PHONE[0],
            "PHONE_PORT": a.PHONE[1], "EPCSCF_IP": a.EPCSCF_CORE[0],
            "MPATH": (modules or ["/usr/lib/kamailio/modules"])[0],
            "RPC_SOCKET": self.rpc_path, "SUBSCRIBERS": self._subscribers(),
            "MIN_EXPIRES": self.min_expires_s})
        self.config = os.path.join(self.dir, "kamailio.cfg")
        with open(self.config, "w") as f:
            f.write(text)
        for stale in (self.rpc_path,):
            if os.path.exists(stale):
                os.unlink(stale)

    def command(self):
        return ["kamailio", "-DD", "-E", "-f", self.config, "-Y", self.dir, "-w", self.dir,
                "-P", os.path.join(self.dir, "kamailio.pid"), "-m", "64", "-M", "8"]

    def rpc(self, method, *params, timeout=1.0):
        """One JSON-RPC call over the Unix datagram socket; None when nobody answers."""
        mine = os.path.join(self.dir, f"rpc-{os.getpid()}-{id(params):x}.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            try:
                s.bind(mine)
                s.sendto(json.dumps({"jsonrpc": "2.0", "method": method, "params": list(params),
                                     "id": 1}).encode(), self.rpc_path)
                return json.loads(s.recv(1 << 20))
            except (OSError, ValueError):
                return None
            finally:
                if os.path.exists(mine):
                    os.unlink(mine)

    def is_ready(self):
        answer = self.rpc("core.uptime", timeout=0.3)
        return bool(answer and "result" in answer)

    def bindings(self):
        """[{aor, contact, path}] that the registrar holds."""
        answer = self.rpc("ul.dump") or {}
        found = []
        for domain in answer.get("result", {}).get("Domains", []):
            for entry in domain["Domain"]["AoRs"]:
                info = entry["Info"]
                for contact in info["Contacts"]:
                    c = contact["Contact"]
                    found.append({"aor": info["AoR"], "contact": c["Address"], "path": c["Path"]})
        return found

    def forget_bindings(self):
        """Between scenarios: forget every registration."""
        for binding in self.bindings():
            self.rpc("ul.rm", "location", binding["aor"])
