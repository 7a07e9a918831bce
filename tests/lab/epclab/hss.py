"""The HSS of the lab: Cx on Erlang's diameter (tests/lab/hss)."""
import re

from . import addresses as a
from .erlang import ErlangPeer, quoted
from .kamailio import ha1
from .wait import LabError

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


class Hss(ErlangPeer):
    name = "hss"
    main = "hss"
    dictionary = ("hss/cx.dia", "hss_cx")
    sources = ("hss/hss.erl", "hss/hss_control.erl", "hss/hss_milenage.erl")
    control = a.HSS_CONTROL

    def ports(self):
        return [("tcp", *a.HSS), ("tcp", *a.HSS_CONTROL)]

    def _users(self):
        for impi, facts in a.SUBSCRIBERS.items():
            impus = facts["impus"] + facts.get("barred", [])
            terms = [f"{{impus,[{','.join(quoted(u) for u in impus)}]}}",
                     f"{{profile,{quoted(profile(impi, facts))}}}"]
            if "k" in facts:
                terms += ["{scheme,aka}", f"{{k,{quoted(facts['k'])}}}",
                          f"{{opc,{quoted(facts['opc'])}}}", "{sqn,32}"]
            else:
                terms += ["{scheme,digest}",
                          f"{{ha1,{quoted(ha1(impi, a.DOMAIN, facts['password']))}}}"]
            yield f"{{user,{quoted(impi)},[{','.join(terms)}]}}.\n"

    def write_config(self, f):
        ip = "{" + a.HSS[0].replace(".", ",") + "}"
        f.write(f"{{ip,{ip}}}.\n{{port,{a.HSS[1]}}}.\n{{control_port,{a.HSS_CONTROL[1]}}}.\n"
                # The name is the address: Kamailio dials the name.
                f"{{host,{quoted(a.HSS[0])}}}.\n{{realm,{quoted(a.DOMAIN)}}}.\n"
                f"{{scscf,\"sip:{a.SCSCF[0]}:{a.SCSCF[1]}\"}}.\n{{ccf,{quoted(CCF)}}}.\n"
                f"{{visited_networks,[{quoted(a.DOMAIN)}]}}.\n")
        f.writelines(self._users())

    def registered(self, impi):
        return self.ask("registered", impi) == "yes"

    def deregister(self, impi, *impus, reason=0):
        """Network-initiated de-registration: RTR (TS 29.228 6.1.3); reason as in TS 29.229 6.3.17."""
        answer = self.ask("rtr", impi, str(reason), *impus)
        if answer != "ok":
            raise LabError(f"RTR for {impi}: {answer}", self.log)
