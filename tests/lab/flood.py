#!/usr/bin/env python3
"""More than one eP-CSCF can do, from clients that do not wait for one another: which kinds of requests get which
answers. No pace is checked; the daemon is told that 1 ms is late (sip.overload_delay_ms), so that any machine is slow
enough.

tests/lab/flood.py [--preset NAME]. Needs root. The load generator and the stand-ins are those of tests/bench."""
import argparse
import os
import shutil
import sys
import tempfile

from instances import CORE, GATEWAY, Calls, Edge, Network
import servers
from epclab.build import build
from epclab.runner import Runner, check, equal
from epclab.wait import poll

USERS, CALLS = 600, 20


class LateEdge(Edge):
    def start(self):
        conf = os.path.join(self.dir, "epcscf.yaml")
        with open(conf) as f:
            text = f.read()
        with open(conf, "w") as f:
            f.write(text.replace("  ioi: ims.test\n", "  ioi: ims.test\n  overload_delay_ms: 1\n"
                                 "  overload_interval_ms: 100\n  overload_retry_after_s: 2\n"))
        super().start()

    def said(self, event):
        with open(os.path.join(self.dir, "epcscf.log"), errors="replace") as f:
            return sum(f"event={event}" in line for line in f)


def some_are_refused(edge, load):
    """A second of it at a time, until the daemon has seen enough."""
    seen = {}

    def flood():
        done = load.do("mix", 2, 20000, 20, 5)
        for kind in ("register", "dialog", "sos"):
            for what, count in done.get(kind, {}).items():
                seen[kind, what] = seen.get((kind, what), 0) + count
        return edge.said("overload-begins") and seen.get(("register", "refused"))
    check(poll(flood, 60), f"nothing was refused: {seen}")
    equal(seen["register", "retry_after"], seen["register", "refused"], "refusals with Retry-After")
    check(seen["register", "done"], "nothing was served")
    equal(seen["register", "failed"], 0, "REGISTERs that got another answer, or none")
    for kind in ("dialog", "sos"):
        check(seen[kind, "done"], f"no {kind} request got through")
        equal((seen[kind, "refused"], seen[kind, "failed"]), (0, 0), f"{kind} requests refused or failed")


def it_is_over(edge, load):
    check(poll(lambda: edge.said("overload-ended"), 30), "the overload does not end")

    def quiet():
        done = load.do("refresh", 1, 1)
        return done["done"] and not done["refused"] + done["failed"]
    check(poll(quiet, 30), "still refused after the overload")
    load.do("hangup")


def story(options, runner, network, folder, parts):
    binaries = os.path.join(servers.ROOT, "build", options.preset)
    servers.CORE, servers.GATEWAY = CORE, GATEWAY
    parts.append(servers.stand_in_core(binaries, folder))
    parts.append(servers.stand_in_gateway(binaries, folder))
    edge = LateEdge(1, network.names[0], binaries, folder)
    parts.append(edge)
    edge.start()
    calls = Calls(edge, CALLS)
    parts.append(calls)
    for words in (("connect", USERS), ("register",)):
        calls.load.do(*words)
    if runner.run("REGISTERs are refused, calls in progress and emergencies are not", some_are_refused, edge, calls.load):
        runner.run("afterwards nothing is refused", it_is_over, edge, calls.load)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="dev")
    parser.add_argument("--no-build", action="store_true")
    options = parser.parse_args()
    runner, folder, parts = Runner("flood"), tempfile.mkdtemp(prefix="epc-flood-"), []
    if not options.no_build:
        build(options.preset, say=print, options=("-DEPC_PAGE=OFF",))
    with Network(1) as network:
        try:
            story(options, runner, network, folder, parts)
            return runner.finish()
        finally:
            for p in reversed(parts):
                p.stop()
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
