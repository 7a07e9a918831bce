"""Measure the eP-CSCF beside Kamailio, a bare TLS server and bare freeDiameter, all in the same run.

  tests/bench/run                    everything, three rounds (about 25 minutes on two cores)
  tests/bench/run --quick            a look at everything, one short round (about 3 minutes)
  tests/bench/run refresh calls      some of the measures
  tests/bench/run --only epcscf      only servers with this in their name
  tests/bench/run --report           no measuring: the report of what the history holds

Every figure is the median of the rounds, with the least and the most; in a round the servers take turns. Costs are
CPU-seconds of the server's whole process tree, as the kernel accounts them. The load generator and the stand-ins
(a core, a media gateway, a PCRF) share the second core; how busy they were stands beside each figure, and a run in
which more than 1 % of the operations failed gives no figure. Run as root, everything happens in a network namespace
of its own.

Each run is appended to the history (build/bench/history.jsonl) and leaves build/bench/report.md and report.svg:
the table with the targets, the curves, and what earlier runs had. `--keep` also appends it to
tests/bench/history/kept.jsonl, for the repository.

Where things are: measures/ one file per measure; stage.py a server with load and stand-ins, and the taking of turns;
servers.py and peer.py how each is started; load/ and rx/ the programs; figures.py names, units and targets;
record.py, history.py, report.py, plot.py what becomes of the values. load/main.c lists the generator's commands."""
import argparse
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(TESTS, "lab")]
import history  # noqa: E402
import network  # noqa: E402
import report  # noqa: E402
from epclab.build import build  # noqa: E402
from measures import MEASURES  # noqa: E402
from record import Record  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", nargs="*", help=f"of {' '.join(MEASURES)}; all without")
    parser.add_argument("--quick", action="store_true", help="one round, short and small")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--seconds", type=float, help="of each measurement, roughly; default 4")
    parser.add_argument("--overload-seconds", type=float, default=60)
    parser.add_argument("--only", help="of the servers, those with this in their name")
    parser.add_argument("--preset", default="release", help="of CMakePresets.json")
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--report", action="store_true", help="only write the report from the history")
    parser.add_argument("--history", default=history.DEFAULT, metavar="FILE")
    parser.add_argument("--keep", action="store_true", help="append to tests/bench/history/kept.jsonl too")
    parser.add_argument("--out", default=os.path.join(history.ROOT, "build", "bench"), metavar="FOLDER",
                        help="for report.md and report.svg")
    options = parser.parse_args()
    unknown = [m for m in options.measure if m not in MEASURES]
    if unknown:
        parser.error(f"there is no measure {unknown[0]}")
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (1.5 if options.quick else 4)
    options.wants = lambda kind: not options.only or options.only in kind
    return options


def measure(options):
    record = Record()
    if not network.enter():
        record.note("no network namespace of its own (not root): other traffic of this machine may have met it")
    for name in options.measure or MEASURES:
        began = time.monotonic()
        before = {f: set(k) for f, k in record.figures.items()}
        MEASURES[name](options, record)
        print(f"\n{name} ({time.monotonic() - began:.0f} s)")
        print(report.text(record, before, curves=name == "curves"), flush=True)
    return record


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers are stopped and files removed on the way out
    options = arguments()
    if not options.report:
        if not options.no_build:
            build(options.preset, say=print, options=("-DEPC_PAGE=OFF",))
        record = measure(options)
        run = history.entry(record, options)
        history.append(options.history, run)
        if options.keep:
            history.append(history.KEPT, run)
    runs = history.read(history.KEPT, options.history)
    if not runs:
        sys.exit(f"{options.history} holds no run yet")
    print("\n" + "\n".join(report.write(options.out, runs)))
    return 1 if runs[-1].get("faults") else 0


if __name__ == "__main__":
    sys.exit(main())
