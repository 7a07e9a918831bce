"""The PCRF of the lab: stock freeDiameterd with our dictionary and the extension of tests/lab/pcrf,
which records what it hears and does what a rules file says."""
import json
import os

from . import addresses as a
from .kamailio import CONF, fill
from .ports import accepts
from .process import Component

TEMPLATES = os.path.join(os.path.dirname(CONF), "pcrf")


def _json_of(path):
    try:
        with open(path) as f:
            return json.load(f)
    except (OSError, ValueError):
        return {}


class Pcrf(Component):
    name = "pcrf"
    program = "freeDiameterd"
    package = "freediameterd"

    def __init__(self, var, fdx, certs):
        super().__init__(var)
        self.fdx, self.certs = fdx, certs
        self.config = os.path.join(self.dir, "pcrf.conf")
        # Where pcrf.conf.in and pcrf.json.in put them.
        self.record = os.path.join(self.var, "rx.jsonl")
        self.state = os.path.join(self.var, "rx-state.json")
        self.rules_file = os.path.join(self.var, "rx-rules.json")

    def ports(self):
        return [("tcp", *a.PCRF)]

    def prepare(self):
        for path, template in ((self.config, "pcrf.conf.in"),
                               (os.path.join(self.var, "pcrf.json"), "pcrf.json.in")):
            with open(path, "w") as f:
                f.write(fill(os.path.join(TEMPLATES, template),
                             {"VAR": self.var, "FDX": self.fdx}))
        for stale in (self.record, self.state):
            if os.path.exists(stale):
                os.unlink(stale)
        self.rules()

    def command(self):
        return ["freeDiameterd", "-c", self.config]

    def is_ready(self):
        return accepts(*a.PCRF)

    def rules(self, *rules):
        """Replace the rules (see tests/lab/pcrf/README); none: grant everything."""
        with open(self.rules_file + ".new", "w") as f:
            json.dump({"rules": list(rules)}, f)
        os.replace(self.rules_file + ".new", self.rules_file)

    def open_sessions(self):
        return int(_json_of(self.state).get("sessions", 0))

    def opened(self):
        """How many sessions were ever opened since its start."""
        return int(_json_of(self.state).get("opened", 0))

    def messages(self, since=0):
        """The record as dictionaries, from message number `since` on."""
        try:
            with open(self.record) as f:
                lines = f.read().splitlines()
        except OSError:
            return []
        found = []
        for line in lines[since:]:
            try:
                found.append(json.loads(line))
            except ValueError:
                break  # the last line is being written
        return found


def avp(message, *path):
    """The value of a (nested) AVP by names, or None."""
    found = message.get("avps", [])
    value = None
    for name in path:
        hit = next((x for x in found if x["name"] == name), None)
        if hit is None:
            return None
        value, found = hit.get("value"), hit.get("avps", [])
    return value
