"""The HSS of the lab: Cx on Erlang's diameter (tests/lab/hss)."""
import os
import re
import shutil
import socket
import subprocess

from . import addresses as a
from .kamailio import ha1
from .process import Component
from .wait import LabError

SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "hss")
CCF = "aaa://ccf.ims.test:3868"


def profile(impi, facts):
    """The subscriber's IMSSubscription (TS 29.228 Annex B and E)."""
    def identity(uri, barred=False):
        wild = ""
        if re.search(r"!.*!", uri):  # 4 is WILDCARDED_IMPU
            wild = ("<Extension><IdentityType>4</IdentityType>"
                    f"<Extension><Extension><WildcardedIMPU>{uri}</WildcardedIMPU></Extension>"
                    "</Extension></Extension>")
        return (f"<PublicIdentity>{'<BarringIndication>1</BarringIndication>' if barred else ''}"
                f"<Identity>{uri}</Identity>{wild}</PublicIdentity>")
    identities = "".join(
        [identity(u) for u in facts["impus"]]
        + [identity(u, True) for u in facts.get("barred", [])]
        + [identity(u) for u in facts.get("wildcarded", [])])
    return (f'<?xml version="1.0" encoding="UTF-8"?><IMSSubscription><PrivateID>{impi}</PrivateID>'
            f"<ServiceProfile>{identities}</ServiceProfile></IMSSubscription>")


class Hss(Component):
    name = "hss"
    program = "erl"
    package = "erlang-base"

    def ports(self):
        return [("tcp", *a.HSS), ("tcp", *a.HSS_CONTROL)]

    def _users(self):
        for impi, facts in a.SUBSCRIBERS.items():
            impus = facts["impus"] + facts.get("barred", [])
            terms = [f"{{impus,[{','.join(self._quoted(u) for u in impus)}]}}",
                     f"{{profile,{self._quoted(profile(impi, facts))}}}"]
            if "k" in facts:
                terms += ["{scheme,aka}", f"{{k,{self._quoted(facts['k'])}}}",
                          f"{{opc,{self._quoted(facts['opc'])}}}", "{sqn,32}"]
            else:
                terms += ["{scheme,digest}",
                          f"{{ha1,{self._quoted(ha1(impi, a.DOMAIN, facts['password']))}}}"]
            yield f"{{user,{self._quoted(impi)},[{','.join(terms)}]}}.\n"

    @staticmethod
    def _quoted(text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def prepare(self):
        """Compile the dictionary and the modules, write the subscribers."""
        ebin = os.path.join(self.dir, "ebin")
        shutil.rmtree(ebin, ignore_errors=True)
        os.makedirs(ebin)
        self._erlang(ebin, "ok = diameter_make:codec("
                     f"{self._quoted(os.path.join(SOURCES, 'cx.dia'))}, [{{name, \"hss_cx\"}}]), halt().")
        modules = [os.path.join(SOURCES, f) for f in sorted(os.listdir(SOURCES)) if f.endswith(".erl")]
        done = subprocess.run(["erlc", "-Wall", "-Werror", os.path.join(ebin, "hss_cx.erl"), *modules],
                              cwd=ebin, capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"The HSS does not compile: {done.stdout.strip()[-500:]}")
        self.config = os.path.join(self.dir, "hss.config")
        with open(self.config, "w") as f:
            ip = "{" + a.HSS[0].replace(".", ",") + "}"
            f.write(f"{{ip,{ip}}}.\n{{port,{a.HSS[1]}}}.\n{{control_port,{a.HSS_CONTROL[1]}}}.\n"
                    # The name is the address: Kamailio dials the name.
                    f"{{host,{self._quoted(a.HSS[0])}}}.\n{{realm,{self._quoted(a.DOMAIN)}}}.\n"
                    f"{{scscf,\"sip:{a.SCSCF[0]}:{a.SCSCF[1]}\"}}.\n{{ccf,{self._quoted(CCF)}}}.\n"
                    f"{{visited_networks,[{self._quoted(a.DOMAIN)}]}}.\n")
            f.writelines(self._users())
        self.ebin = ebin

    def _erlang(self, cwd, expression):
        done = subprocess.run(["erl", "-noshell", "-eval", expression], cwd=cwd, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise LabError(f"erl failed: {(done.stdout + done.stderr).strip()[-500:]}")

    def command(self):
        return ["erl", "-noshell", "-noinput", "-pa", self.ebin, "-eval",
                f"hss:main([{self._quoted(self.config)}])."]

    def is_ready(self):
        try:
            return self.ask("ping") == "ok"
        except OSError:
            return False

    def ask(self, *words):
        """One command and its answer (see tests/lab/hss/README)."""
        with socket.create_connection(a.HSS_CONTROL, 2) as s:
            s.settimeout(8)
            s.sendall((" ".join(words) + "\n").encode())
            return s.makefile().readline().strip()

    def registered(self, impi):
        return self.ask("registered", impi) == "yes"

    def deregister(self, impi, *impus, reason=0):
        """Network-initiated de-registration: RTR (TS 29.228 6.1.3); reason as in TS 29.229 6.3.17."""
        answer = self.ask("rtr", impi, str(reason), *impus)
        if answer != "ok":
            raise LabError(f"RTR for {impi}: {answer}", self.log)
