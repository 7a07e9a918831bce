"""The lab's other PCRF: strict, on Erlang's diameter (tests/lab/pcrf_erl). It can stand wherever the first
one does; rules are written alike."""
import os
import signal

from . import addresses as a
from .erlang import Atom, ErlangPeer, quoted, term
from .pcrf import Pcrf
from .runner import check
from .wait import LabError


def _rule(rule):
    """A rule of the other PCRF's README, as a term."""
    rule = dict(rule)
    match = dict(rule.pop("match", {}))
    if "command" in match:
        match["command"] = Atom(match["command"])
    if "garbage" in rule:
        rule["garbage"] = Atom(rule["garbage"])
    return dict(rule, match=match)


class ErlangPcrf(ErlangPeer):
    name = "pcrf"
    main = "pcrf"
    dictionary = ("pcrf_erl/rx.dia", "pcrf_rx")
    sources = ("pcrf_erl/pcrf.erl", "pcrf_erl/pcrf_check.erl", "pcrf_erl/pcrf_wire.erl",
               "hss/hss_control.erl")
    control = a.PCRF_CONTROL

    def __init__(self, var):
        super().__init__(var)
        self.record = os.path.join(self.var, "rx.jsonl")
        self.paused = False

    def ports(self):
        return [("tcp", *a.PCRF), ("tcp", *a.PCRF_CONTROL)]

    def prepare(self):
        if os.path.exists(self.record):
            os.unlink(self.record)
        super().prepare()

    def write_config(self, f):
        f.write(f"{{ip,{{{a.PCRF[0].replace('.', ',')}}}}}.\n{{port,{a.PCRF[1]}}}.\n"
                f"{{control_port,{a.PCRF_CONTROL[1]}}}.\n{{host,{quoted(a.PCRF_IDENTITY)}}}.\n"
                f"{{realm,{quoted(a.DOMAIN)}}}.\n{{record,{quoted(self.record)}}}.\n")

    def _told(self, *words):
        answer = self.ask(*words)
        if answer != "ok":
            raise LabError(f"the PCRF said to {' '.join(words)[:80]}: {answer}", self.log)

    # -- as the other PCRF -----------------------------------------------------------------------------
    messages = Pcrf.messages

    def rules(self, *rules):
        """Replace the rules (see the README); none: grant all that is right."""
        self._told("rules", term([_rule(r) for r in rules]))

    def open_sessions(self):
        return int(self.ask("sessions"))

    def opened(self):
        return int(self.ask("opened"))

    # -- what only this one does ---------------------------------------------------------------------------
    def faults(self, since=0):
        """[(command, text)] of all that was wrong with what we got, from message `since` on."""
        return [(m["command"], text) for m in self.messages(since) for text in m.get("faults", [])]

    def no_faults(self, since=0):
        found = self.faults(since)
        check(not found, "the strict PCRF found fault: " + "; ".join(f"{c}: {t}" for c, t in found[:6]))

    def knows(self, host):
        """Is that peer's connection taken? Before that its requests are not."""
        return self.ask("peer", host) == "up"

    def webrtc(self, on):
        """Ask for WebRTC information: our feature in each first AAA."""
        self._told("webrtc", "on" if on else "off")

    def report(self, session, actions, lost=()):
        """RAR; session is an Id, "call" or "signalling". The result of the RAA."""
        return self._result("rar", session, ",".join(map(str, actions)), *map(str, lost))

    def abort(self, session, cause=0):
        """ASR; the result of the ASA."""
        return self._result("asr", session, str(cause))

    def _result(self, *words):
        answer = self.ask(*words)
        if not answer.isdigit():
            raise LabError(f"the PCRF said to {' '.join(words)}: {answer}", self.log)
        return int(answer)

    def lose(self):
        """All sessions are gone, and its Origin-State-Id has grown."""
        self._told("lose")

    def flap(self):
        """Leave with DPR and be there again."""
        self._told("flap")

    def pause(self):
        """Stop reading: connections stay, nothing is answered."""
        os.killpg(self.child.pid, signal.SIGSTOP)
        self.paused = True

    def resume(self):
        if self.paused and self.child is not None:
            os.killpg(self.child.pid, signal.SIGCONT)
        self.paused = False

    def stop(self):
        self.resume()
        return super().stop()

    def kill(self):
        self.paused = False
        super().kill()
