"""The daemon under test, with its embedded WWSF."""
import json
import os
import subprocess
import urllib.request

from . import addresses as a
from . import tokens
from .kamailio import fill
from .ports import accepts
from .process import Component
from .wait import LabError, poll

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
RSA_ISSUER = "https://waf.ims.test"
RSA_KID = "lab-rsa"
GAUGES = ("registrations", "sessions", "gateway_contexts", "rx_sessions")


class Epcscf(Component):
    name = "epcscf"
    package = "(built from this repository)"
    ready_seconds = 30
    stop_seconds = 10

    def __init__(self, var, preset, shards, policy, certs, agw="rtpengine"):
        super().__init__(var)
        self.build = os.path.join(ROOT, "build", preset)
        self.shards, self.policy, self.certs, self.agw = shards, policy, certs, agw
        self.iq = []  # more lines of media.h248
        self.log_level = "info"
        self.grace_ms = 6000  # a browser's stack takes its time to come back
        self.overrides = {}  # lines of the configuration to replace: {old: new}
        self.trace = os.path.join(self.dir, "trace.jsonl")
        self.config = os.path.join(self.dir, "epcscf.yaml")
        self.program = self.find("epcscf")

    def find(self, name):
        """A built file of that name, wherever the build puts it."""
        for folder in ("epcscf", "", "bin"):
            path = os.path.join(self.build, folder, name)
            if os.path.isfile(path):
                return path
        return os.path.join(self.build, "epcscf", name)

    def ports(self):
        used = [("tcp", *a.WSS), ("tcp", *a.WWSF), ("tcp", *a.METRICS)]
        if self.agw == "h248":
            used += [("tcp", *a.IQ), ("udp", *a.IQ)]
        for i in range(self.shards):
            used += [(proto, a.EPCSCF_CORE[0], a.EPCSCF_CORE[1] + i) for proto in ("udp", "tcp")]
        return used

    def prepare(self):
        text = fill("epcscf.yaml.in", {
            "SHARDS": self.shards, "LOG_LEVEL": self.log_level, "TRACE": self.trace,
            "GRACE_MS": self.grace_ms, "VAR": self.var, "CERTS": self.certs.dir, "POLICY": self.policy,
            "WSS_IP": a.WSS[0], "WSS_PORT": a.WSS[1], "WSS_PATH": a.WSS_PATH,
            "ORIGIN": a.ORIGIN, "WWSF_ID": a.WWSF_ID, "WWSF_IP": a.WWSF[0], "WWSF_PORT": a.WWSF[1],
            "ISSUER": a.ISSUER, "RSA_ISSUER": RSA_ISSUER, "AUDIENCE": a.AUDIENCE,
            "EPCSCF_IP": a.EPCSCF_CORE[0], "EPCSCF_PORT": a.EPCSCF_CORE[1],
            "CORE_IP": a.CORE[0], "CORE_PORT": a.CORE[1], "DOMAIN": a.DOMAIN,
            "GATEWAY": self._gateway(),
            "PCRF_IDENTITY": a.PCRF_IDENTITY, "PAGE_DIR": self.page_dir(),
            "METRICS_IP": a.METRICS[0], "METRICS_PORT": a.METRICS[1]})
        for old, new in self.overrides.items():
            if old not in text:
                raise LabError(f"epcscf: the configuration has no line {old!r}")
            text = text.replace(old, new)
        with open(self.config, "w") as f:
            f.write(text)
        with open(os.path.join(self.dir, "rsa-jwks.json"), "w") as f:
            json.dump(tokens.rsa_jwks(self.certs.path("rsa-key.pem"), RSA_KID), f)
        self._freediameter()
        self._users()

    def _gateway(self):
        if self.agw == "rtpengine":
            return ("rtpengine\n"
                    f'  rtpengine: ["{a.RTPENGINE_NG[0]}:{a.RTPENGINE_NG[1]}"]\n'
                    "  access_interface: access\n  core_interface: core")
        at = f"{a.IQ[0]}:{a.IQ[1]}"
        # The lab's gateway shows in an audit where media go, and is asked often so that tests need not wait.
        return "\n    ".join([f'h248\n  h248:\n    listen: ["tcp:{at}", "udp:{at}"]',
                              f'gateways: [{{network: "{a.AGWS}"}}]', "learn_by_audit: true", *self.iq])

    def page_dir(self):
        return os.path.join(self.build, "page")

    def _freediameter(self):
        fdx = os.path.join(self.build, "fdx")
        with open(os.path.join(self.dir, "freediameter.conf"), "w") as f:
            f.write(fill("epcscf-freediameter.conf.in", {
                "IDENTITY": a.EPCSCF_IDENTITY, "REALM": a.DOMAIN, "CERTS": self.certs.dir,
                "FDX": fdx, "PCRF_IDENTITY": a.PCRF_IDENTITY, "PCRF_IP": a.PCRF[0],
                "PCRF_PORT": a.PCRF[1]}))

    def _users(self):
        users = []
        for user, (password, impi, impus) in a.USERS.items():
            done = subprocess.run([self.program, "--hash-password"], input=password + "\n",
                                  capture_output=True, text=True, cwd=self.dir)
            if done.returncode:
                raise LabError(f"epcscf --hash-password failed: {done.stderr.strip()}")
            users.append({"user": user, "password": done.stdout.strip(), "impi": impi,
                          "impus": impus, "display_name": user.capitalize()})
        with open(os.path.join(self.dir, "users.json"), "w") as f:
            json.dump(users, f, indent=1)

    def command(self):
        return [self.program, "--config", self.config]

    def is_ready(self):
        """Every listener open, healthy as it says itself, and the PCRF connected where it must be."""
        try:
            with urllib.request.urlopen(f"http://{a.METRICS[0]}:{a.METRICS[1]}/health",
                                        timeout=0.5) as answer:
                healthy = answer.status == 200
        except OSError:
            return False
        return healthy and accepts(*a.WSS) and accepts(*a.WWSF)

    # -- what the scenarios use --------------------------------------------------------------------
    def ctl(self, *words):
        """epcscfctl: its exit status and what it printed."""
        done = subprocess.run([os.path.join(os.path.dirname(self.program), "admin", "epcscfctl"), "--socket",
                               os.path.join(self.dir, "control.sock"), *words],
                              capture_output=True, text=True, timeout=10)
        return done.returncode, done.stdout + done.stderr

    def metrics(self):
        """{name without prefix: value} of /metrics."""
        with urllib.request.urlopen(f"http://{a.METRICS[0]}:{a.METRICS[1]}/metrics",
                                    timeout=2) as answer:
            text = answer.read().decode()
        found = {}
        for line in text.splitlines():
            if line.startswith("epcscf_"):
                name, _, value = line.rpartition(" ")
                found[name.removeprefix("epcscf_").removesuffix("_total")] = float(value)
        return found

    def gauges(self):
        values = self.metrics()
        return {g: int(values.get(g, -1)) for g in GAUGES}

    def log_text(self, since=0):
        with open(self.log, "rb") as f:
            f.seek(since)
            return f.read().decode("utf-8", "replace")

    def log_size(self):
        return os.path.getsize(self.log)

    def wait_log(self, pattern, since=0, seconds=5):
        """The first log line after octet `since` that has the pattern (a compiled regex)."""
        def found():
            return [line for line in self.log_text(since).splitlines() if pattern.search(line)]
        hit = poll(found, seconds)
        if not hit:
            raise LabError(f"epcscf logged no line like {pattern.pattern!r}", self.log)
        return hit[0]
