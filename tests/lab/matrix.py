#!/usr/bin/env python3
"""tests/lab/matrix.py [--agw rtpengine|h248] [--stack jssip|sipjs] [--only TEXT] [--preset NAME] [--var DIR]:
what a call can do, with each unmodified JavaScript SIP stack in Chromium and with a plain RTP phone."""
import argparse
import json
import os
import re
import subprocess
import sys

from epclab import addresses as a
from epclab.build import build
from epclab.calls import BROWSER, Script, install_driver
from epclab.lab import DEFAULT_VAR, Lab, LabError
from epclab.runner import Runner, check
from epclab.wait import poll
from cli import explain

STACKS = {"jssip": "JsSIP", "sipjs": "SIP.js"}
USERS = dict(a.USERS, carol=("tweedle", "carol@ims.test", ["sip:carol@ims.test"]))


class Phone:
    """The RTP phone, by the words of the scenarios."""

    def __init__(self, lab):
        self.lab, self.baresip = lab, lab.baresip
        self.heard_before = len(self.baresip.summaries())

    def do(self, word, *args):
        return getattr(self, word)(*args)

    def _counts(self):
        """Of the current call: packets sent, number of the last packet received."""
        text = self.baresip.control.command("audio_debug")["data"]
        found = [re.search(pattern, text) for pattern in (r"TX: packets=(\d+)", r"seq_put=(\d+)")]
        return [int(f.group(1)) if f else 0 for f in found]

    def flows(self):
        """Audio goes and comes here: both grow, and go on growing."""
        def grown():
            now = self._counts()
            return all((n - f) % 65536 >= 15 for n, f in zip(now, first))
        first = self._counts()
        check(poll(grown, 10), f"the phone's audio does not flow: {first} to {self._counts()}")

    def dial(self, uri):
        self.baresip.dial(uri)

    def hangup(self):
        self.baresip.hangup()

    def hold(self):
        check(self.baresip.control.command("hold")["ok"], "the phone did not hold")

    def resume(self):
        check(self.baresip.control.command("resume")["ok"], "the phone did not resume")

    def tone(self, digit):
        """It has come, whenever it came: RFC 4733 events and INFO alike."""
        events = self.baresip.control.events
        check(poll(lambda: [e for e in events if e.get("type") == "CALL_DTMF_START" and e.get("param") == digit], 5),
              f"the phone heard no {digit}")

    def heard(self):
        """What the call that just ended had in all."""
        sent, received = self.baresip.wait_summary(self.heard_before, 10)
        self.heard_before = len(self.baresip.summaries())
        check(sent > 25 and received > 25, f"the phone sent {sent} and received {received} packets")


class Matrix(Script):
    """The Node program; what it asks for is done here."""

    def __init__(self, lab, stack, only, seconds=240):
        self.lab, self.phone, self.args = lab, Phone(lab), [stack] + ([only] if only else [])
        self.env = dict(os.environ, LAB_WSS=f"wss://{a.WSS[0]}:{a.WSS[1]}{a.WSS_PATH}", LAB_CERTS=lab.certs.dir,
                        LAB_USERS=json.dumps({u: {"password": p, "impi": i} for u, (p, i, _) in USERS.items()}))
        super().__init__("matrix.mjs", seconds)

    def spawn(self, name):
        return subprocess.Popen(["node", os.path.join(BROWSER, name), *self.args], cwd=BROWSER, env=self.env,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                start_new_session=True)

    def heard(self, line):
        if not line.startswith("@ "):
            return
        try:
            answer = f"ok {self.obey(*line.split()[1:]) or ''}"
        except (LabError, OSError) as e:
            answer = f"error {' '.join(str(e).split())}"
        try:
            self.child.stdin.write(answer + "\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            pass

    def obey(self, who, *words):
        if who == "phone":
            return self.phone.do(*words)
        if who == "recover":
            self.phone.hangup()
            poll(lambda: not self.phone.baresip.in_call(), 3)
            self.phone.heard_before = len(self.phone.baresip.summaries())
        self.lab.settle(ignore=("registrations",))
        return None


def run_stack(run, lab, stack, only):
    """Each scenario of the Node program counts as one."""
    script = Matrix(lab, stack, only)
    status = script.finish()
    for line in script.lines:
        if line and line.startswith(f"pass {stack}: "):
            run.passed.append(line)
        elif line and line.startswith("FAIL"):
            run.failed.append(line)
    check(status == 0, f"{STACKS[stack]}: some scenario failed")
    lab.kamailio.forget_bindings()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--agw", choices=("rtpengine", "h248"), default="rtpengine")
    p.add_argument("--stack", choices=sorted(STACKS), action="append")
    p.add_argument("--only", help="scenarios with this in their name")
    p.add_argument("--policy", choices=("required", "off"), default="off")
    p.add_argument("--preset", default="release")
    p.add_argument("--shards", type=int, default=2)
    p.add_argument("--var", default=os.path.join(DEFAULT_VAR, "matrix"))
    options = p.parse_args()
    install_driver()
    build(options.preset, say=print)
    run = Runner(f"matrix {options.agw}")
    lab = Lab(options.var, options.shards, options.policy, options.preset, capture=False, agw=options.agw)
    lab.kamailio.users = USERS
    lab.epcscf.overrides = {"https://localhost:8444": "https://127.0.0.1:9443"}
    if options.policy == "off":
        lab.components.remove(lab.pcrf)
    with lab:
        for stack in options.stack or STACKS:
            run.run(STACKS[stack], run_stack, run, lab, stack, options.only)
    return run.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as e:
        explain(e)
        print("0 passed, 1 failed", flush=True)
        sys.exit(1)
