"""The lab's eIMS-AGW: an H.248 gateway on Erlang's megaco (tests/lab/agw), with the lab's rtpengine behind it.
It comes to the eP-CSCF by itself and registers; the eP-CSCF need not be there first."""
import json
import os
import signal

from . import addresses as a
from .erlang import Atom, ErlangPeer, quoted
from .erlang import term as erlang_term
from .wait import LabError, poll

# What it says it has: all that the profile asks for, and silence.
PACKAGES = {"g": 1, "root": 2, "ipnapt": 1, "gm": 2, "tman": 1, "ipdc": 1, "hangterm": 1, "ds": 2, "rtcph": 1,
            "adid": 1}
FULL_ICE = {"ostuncc": 1}
ATOMS = ("level", "garbage", "restart", "cut")


def _rule(rule):
    """A rule of the README, as a term."""
    rule = {k: Atom(v) if k in ATOMS and isinstance(v, str) else v for k, v in rule.items()}
    if rule.get("away_ms") == "for good":
        rule["away_ms"] = Atom("infinity")
    match = dict(rule.get("match", {}))
    if "command" in match:
        match["command"] = Atom(match["command"])
    return dict(rule, match=match)


def _ip(ip):
    return "{" + ip.replace(".", ",") + "}"


class Agw(ErlangPeer):
    name = "agw"
    main = "agw"
    package = "erlang-megaco"
    dictionary = None
    sources = ("agw/agw.erl", "agw/agw_assoc.erl", "agw/agw_ctx.erl", "agw/agw_event.erl", "agw/agw_link.erl",
               "agw/agw_media.erl", "agw/agw_rtp.erl", "agw/agw_sdp.erl", "agw/agw_user.erl", "hss/hss_control.erl")

    def __init__(self, var, name="agw", mid=a.AGW, control=a.AGW_CONTROL, mgc=a.IQ):
        self.name = name
        super().__init__(var)
        self.mid, self.control, self.mgc = mid, control, mgc
        self.record = os.path.join(self.dir, "iq.jsonl")
        self.transport, self.compact, self.version = "tcp", False, 2
        self.packages = dict(PACKAGES)
        self.settings = {"ice_ms": 120000}  # scripted WICs have no ICE; more of the configuration: max_contexts, eager, ice_ms, dtls_ms, pending_ms
        self.paused = False

    def ports(self):
        return [("tcp", *self.control)] + ([("udp", *self.mid)] if self.transport == "udp" else [])

    def prepare(self):
        if os.path.exists(self.record):
            os.unlink(self.record)
        super().prepare()

    def write_config(self, f):
        codec = "megaco_compact_text_encoder" if self.compact else "megaco_pretty_text_encoder"
        packages = ",".join(f"{{{quoted(n)},{v}}}" for n, v in self.packages.items())
        more = "".join(f"{{{k},{erlang_term(v)}}}.\n" for k, v in self.settings.items())
        f.write(f"{{mid,{{{_ip(self.mid[0])},{self.mid[1]}}}}}.\n{{mgc,{{{quoted(self.mgc[0])},{self.mgc[1]}}}}}.\n"
                f"{{control,{{{_ip(self.control[0])},{self.control[1]}}}}}.\n{{transport,{self.transport}}}.\n"
                f"{{rtpengine,{{{_ip(a.RTPENGINE_NG[0])},{a.RTPENGINE_NG[1]}}}}}.\n"
                f"{{codec,{codec}}}.\n{{version,{self.version}}}.\n{{packages,[{packages}]}}.\n"
                f"{{record,{quoted(self.record)}}}.\n{more}")

    # -- what it holds -----------------------------------------------------------------------------------
    def registered(self):
        return self.ask("registered") == "true"

    def wait_registered(self, seconds=20):
        if not poll(self.registered, seconds):
            raise LabError("the gateway did not register", self.log)

    def contexts(self):
        return int(self.ask("contexts"))

    def terminations(self):
        return int(self.ask("terminations"))

    def opened(self):
        """Contexts ever made."""
        return int(self.ask("opened"))

    def held(self):
        """{context: [termination]}"""
        pairs = (word.split(":", 1) for word in self.ask("held").split())
        return {int(c): t.split(",") for c, t in pairs}

    def modes(self):
        """{"side/stream": mode} of the only context."""
        return dict(word.split(":", 1)[1].split("=") for word in self.ask("modes").split())

    def faults(self):
        """How often the eP-CSCF sent what this gateway could not read or may not be asked."""
        return int(self.ask("faults"))

    def registrations(self):
        return int(self.ask("registrations"))

    def messages(self, since=0):
        """What crossed, as maps (direction, id, commands, text), from message `since` on."""
        with open(self.record) as f:
            return [json.loads(line) for line in f if line.endswith("\n")][since:]

    # -- what it is told -----------------------------------------------------------------------------------
    def told(self, *words):
        answer = self.ask(*map(str, words))
        if answer != "ok":
            raise LabError(f"the gateway said to {' '.join(map(str, words))[:80]}: {answer}", self.log)

    def rules(self, *rules):
        """Replace the rules (see the README); none: do all as it should be."""
        self.told("rules", erlang_term([_rule(r) for r in rules]))

    def cut(self, away_ms=300):
        """The connection breaks; it is there again after so long ("for good": never)."""
        self.told("cut", away_ms)

    def restart(self, kind, away_ms=300):
        """cold, warm, or lost: as cold, but it says that it was only disconnected."""
        self.told("restart", kind, away_ms)

    def leave(self, method="forced", reason="904 Termination malfunctioning", delay_s=0):
        """ServiceChange of ROOT: forced or graceful."""
        self.told("leave", method, delay_s, reason)

    def deaf(self, on=True):
        self.told("deaf", "on" if on else "off")

    def notify(self, context, side, event, **parameters):
        """Send a Notify; the answer: "ok" or the error's code."""
        return self.ask("notify", str(context), side, event, *(f"{k}={v}" for k, v in parameters.items()))

    def service(self, context, termination, method="forced", reason="904 Termination malfunctioning"):
        """ServiceChange of terminations; the answer: "ok" or the error's code."""
        return self.ask("service", str(context), termination, method, reason)

    def raw(self, octets):
        self.told("raw", octets.hex())

    def pause(self):
        """Stop reading: the connection stays, nothing is answered."""
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
