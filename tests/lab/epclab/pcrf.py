"""The PCRF of the lab: stock freeDiameterd with our dictionary and a recording extension."""
import json
import os

from . import addresses as a
from .kamailio import fill
from .ports import accepts
from .process import Component


class Pcrf(Component):
    name = "pcrf"
    program = "freeDiameterd"
    package = "freediameterd"

    def __init__(self, var, preset, certs):
        super().__init__(var)
        from .epcscf import ROOT
        self.fdx = os.path.join(ROOT, "build", preset, "fdx")
        self.certs = certs
        self.record = os.path.join(self.dir, "record.jsonl")
        self.state = os.path.join(self.dir, "state")
        self.rules = os.path.join(self.dir, "rules")

    def ports(self):
        return [("tcp", *a.PCRF)]

    def prepare(self):
        self.config = os.path.join(self.dir, "freediameter.conf")
        with open(self.config, "w") as f:
            f.write(fill("pcrf-freediameter.conf.in", {
                "IDENTITY": a.PCRF_IDENTITY, "REALM": a.DOMAIN, "IP": a.PCRF[0],
                "PORT": a.PCRF[1], "CERTS": self.certs.dir, "FDX": self.fdx, "DIR": self.dir,
                "EPCSCF_IDENTITY": a.EPCSCF_IDENTITY}))

    def command(self):
        return ["freeDiameterd", "-c", self.config]

    def is_ready(self):
        return accepts(*a.PCRF)
