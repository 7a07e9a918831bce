"""The lab's second IMS core: Kamailio's IMS modules as I-CSCF and S-CSCF, with Cx to the HSS."""
import glob
import os

from . import addresses as a
from .hss import Hss
from .kamailio import Kamailio, fill
from .wait import LabError, poll


class ImsCore(Kamailio):
    """Stands where Kamailio of the first profile stands; the HSS has to run before."""
    package = "kamailio-ims-modules"

    def __init__(self, var, hss):
        super().__init__(var)
        self.hss = hss

    def ports(self):
        return [(proto, *x) for x in (a.CORE, a.SCSCF) for proto in ("udp", "tcp")] + [("tcp", *a.CDP)]

    def prepare(self):
        tables = os.path.join(self.dir, "tables")
        os.makedirs(tables, exist_ok=True)
        for name, text in (
                ("nds_trusted_domains", f"id(int) trusted_domain(string)\n1:{a.DOMAIN}\n"),
                ("s_cscf", "id(int) name(string) s_cscf_uri(string)\n"
                           f"1:lab:sip\\:{a.SCSCF[0]}\\:{a.SCSCF[1]}\n"),
                ("s_cscf_capabilities", "id(int) id_s_cscf(int) capability(int)\n1:1:0\n")):
            with open(os.path.join(tables, name), "w") as f:
                f.write(text)
        modules = glob.glob("/usr/lib/*/kamailio/modules")
        values = {
            "DOMAIN": a.DOMAIN, "CORE_IP": a.CORE[0], "CORE_PORT": a.CORE[1],
            "SCSCF_IP": a.SCSCF[0], "SCSCF_PORT": a.SCSCF[1], "PHONE_IP": a.PHONE[0],
            "PHONE_PORT": a.PHONE[1], "EPCSCF_IP": a.EPCSCF_CORE[0], "HSS_HOST": a.HSS[0],
            "HSS_PORT": a.HSS[1], "CDP_PORT": a.CDP[1], "SCSCF_FQDN": "scscf." + a.DOMAIN,
            "MPATH": (modules or ["/usr/lib/kamailio/modules"])[0], "RPC_SOCKET": self.rpc_path,
            "TABLES": tables, "DIAMETER": os.path.join(self.dir, "cdp.xml")}
        self.config = os.path.join(self.dir, "kamailio.cfg")
        for file, template in ((self.config, "kamailio-ims.cfg.in"),
                               (values["DIAMETER"], "kamailio-cdp.xml.in")):
            with open(file, "w") as f:
                f.write(fill(template, values))
        if os.path.exists(self.rpc_path):
            os.unlink(self.rpc_path)

    def is_ready(self):
        return super().is_ready() and self.cx_is_up()

    def cx_is_up(self):
        """True when the HSS answers the S-CSCF's capabilities exchange."""
        peers = (self.rpc("cdp.list_peers") or {}).get("result")
        return bool(peers) and "I_Open" in str(peers)

    def wait_cx(self, up=True, seconds=15):
        if not poll(lambda: self.cx_is_up() == up, seconds):
            raise LabError(f"Cx did not become {'open' if up else 'closed'}", self.log)

    def trust(self, on):
        """Whether the S-CSCF lets integrity-protected="auth-done" count."""
        self.rpc("htable.seti", "lab", "trust", 1 if on else 0)

    def idle(self):
        """Has every save() come to its end?"""
        ends = ("event=saved", "event=saa-error", "event=saa-refused")
        return len(self.log_lines("event=assigning")) <= sum(len(self.log_lines(e)) for e in ends)

    def forget_bindings(self):
        """Withdraw whatever is registered, as an operator does at the HSS. Not beside a save(): the two
        lock each other out in Kamailio for ever."""
        poll(self.idle, 5)  # one that the HSS left without an answer never says so
        for impi in a.SUBSCRIBERS:
            if self.hss.registered(impi):
                self.hss.deregister(impi)

    def bindings(self):
        raise NotImplementedError("the S-CSCF's table is asked through the HSS")

    def log_size(self):
        return os.path.getsize(self.log)

    def log_lines(self, text, since=0):
        """The log's lines after octet `since` that hold the text."""
        with open(self.log, errors="replace") as f:
            f.seek(since)
            return [line.rstrip() for line in f if text in line]


__all__ = ["Hss", "ImsCore"]
