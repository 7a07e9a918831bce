"""The whole lab: which components there are, in which order they start, what they hold."""
import fcntl
import glob
import os

from . import addresses as a
from .agw import Agw
from .baresip import Baresip
from .capture import Capture
from .certs import Certificates
from .epcscf import GAUGES, ROOT, Epcscf
from .imscore import Hss, ImsCore
from .kamailio import Kamailio
from .pcrf import Pcrf
from .pcrf_erl import ErlangPcrf
from .process import Component
from .rtpengine import Rtpengine
from .scripted import ScriptedCore
from .wait import LabError, poll

DEFAULT_VAR = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "var")


class Lab:
    """with Lab() as lab: ... — everything is running inside, everything is stopped after."""

    def __init__(self, var=DEFAULT_VAR, shards=1, policy="required", preset="release",
                 capture=True, say=lambda text: None, core="simple",
                 pcrf="freediameter", agw="rtpengine"):
        """core: "simple", one registrar without a database; "ims", with S-CSCF modules and HSS;
        "scripted", for what those cannot do. pcrf: "freediameter", which does what its rules say, or
        "erlang", which is strict. agw: "rtpengine", which the eP-CSCF drives itself, or "h248", a gateway of
        its own that drives it."""
        self.var = os.path.abspath(var)
        self.say = say
        self.certs = Certificates(self.var)
        self.hss = Hss(self.var) if core == "ims" else None
        self.kamailio = (ImsCore(self.var, self.hss) if core == "ims" else
                         ScriptedCore(self.var) if core == "scripted" else Kamailio(self.var))
        self.rtpengine = Rtpengine(self.var)
        self.agw = Agw(self.var) if agw == "h248" else None
        fdx = os.path.join(ROOT, "build", preset, "fdx")
        self.pcrf = ErlangPcrf(self.var) if pcrf == "erlang" else Pcrf(self.var, fdx, self.certs)
        self.baresip = Baresip(self.var)
        self.epcscf = Epcscf(self.var, preset, shards, policy, self.certs, agw)
        self.capture = Capture(self.var, shards)
        # What others connect to comes first; the daemon starts last and stops first.
        self.components = [self.kamailio, self.rtpengine, self.pcrf, self.baresip, self.epcscf]
        if self.agw: # registers by itself, as soon as the daemon is there
            self.components.insert(2, self.agw)
        if self.hss:
            self.components.insert(0, self.hss)
        if capture:
            self.components.insert(0, self.capture)
        self._lock = None

    # -- life --------------------------------------------------------------------------------------
    def start(self, only=None):
        """Start all components, or those of the list. On failure everything is stopped again."""
        self._take_var()
        try:
            self.clean_leftovers()
            self._fresh()
            self.certs.make()
            for component in only or self.components:
                component.start()
                self.say(f"{component.name} is ready (log: {component.log})")
            if self.agw and self.agw.alive() and self.epcscf.alive():
                self.gateway_comes()
        except BaseException:
            self.stop()
            raise

    def gateway_comes(self, seconds=20):
        """Wait until the H.248 gateway has registered and new calls may use it."""
        self.agw.wait_registered(seconds)
        if not poll(lambda: self.epcscf.metrics()["iq_gateways_up"] >= 1, seconds):
            raise LabError("the eP-CSCF does not use the gateway", self.epcscf.log)

    def stop(self):
        for component in reversed(self.components):
            if component.child is not None:
                component.stop()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def _take_var(self):
        os.makedirs(self.var, exist_ok=True)
        lock = open(os.path.join(self.var, "lock"), "a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            who = lock.read().strip()
            lock.close()
            raise LabError(f"A lab is already running from {self.var} (process {who}); stop it or "
                           "choose another folder with --var.") from None
        os.set_inheritable(lock.fileno(), False)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def _fresh(self):
        """Logs, traces and captures are of this run alone; keys and certificates stay."""
        for path in glob.glob(os.path.join(self.var, "log", "*.log")) + [
                self.epcscf.trace, self.pcrf.record, self.capture.file]:
            if os.path.exists(path):
                os.unlink(path)

    def clean_leftovers(self):
        """End what a crashed run left under this var folder, also of components not in use now."""
        for path in glob.glob(os.path.join(self.var, "run", "*.pid")):
            left = Component(self.var)
            left.pid_file = path
            left.clean_leftover()

    # -- what everything holds -------------------------------------------------------------------
    def held(self):
        """What is held for calls and registrations, by the daemon and by its peers' own count;
        a peer that is down holds nothing that can be asked."""
        found = {}
        if self.epcscf.alive():
            found.update(self.epcscf.gauges())
        if self.rtpengine.alive():
            found["rtpengine calls"] = len(self.rtpengine.calls())
        if self.agw and self.agw.alive():
            found["gateway contexts"] = self.agw.contexts()
        if self.pcrf.alive():
            found["pcrf sessions"] = self.pcrf.open_sessions()
        return found

    def settle(self, seconds=10, ignore=()):
        """Wait until nothing is held any more; LabError names what is left."""
        def left():
            try:
                return {k: v for k, v in self.held().items() if v != 0 and k not in ignore}
            except OSError as e:
                return {"metrics": str(e)}
        if not poll(lambda: not left(), seconds):
            raise LabError(f"not everything was released within {seconds} s: {left()}",
                           self.epcscf.log)

    def addresses(self):
        lines = [f"Browser phone: {a.ORIGIN}/   (also https://localhost:{a.WWSF[1]}/; "
                 f"its certificate is signed by {self.certs.path('ca.pem')})"]
        for user, (password, _, impus) in a.USERS.items():
            lines.append(f"Log-in: {user} / {password}   ({impus[0]})")
        lines.append(f"A phone that answers by itself: sip:phone@{a.DOMAIN}")
        lines.append(f"Metrics: http://{a.METRICS[0]}:{a.METRICS[1]}/metrics")
        return "\n".join(lines)


__all__ = ["Lab", "LabError", "GAUGES", "DEFAULT_VAR"]
