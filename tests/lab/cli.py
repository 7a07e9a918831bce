"""Command line of tests/lab/run; the shell script beside it has installed Python by now."""
import argparse
import os
import signal
import subprocess
import sys
import threading

from epclab.build import build
from epclab.lab import DEFAULT_VAR, Lab, LabError

HERE = os.path.dirname(os.path.abspath(__file__))


def arguments():
    p = argparse.ArgumentParser(prog="tests/lab/run", description="Starts the eP-CSCF with an IMS "
                                "core, a media gateway, a PCRF and a phone on loopback.")
    p.add_argument("--call", action="store_true",
                   help="register a headless browser, make calls and print what happened")
    p.add_argument("--agw", choices=("rtpengine", "h248"), default="rtpengine",
                   help="which media gateway: rtpengine itself, or one that is driven by H.248")
    p.add_argument("--keep", action="store_true",
                   help="with --call: leave the lab running afterwards, until Ctrl-C")
    p.add_argument("--core", choices=("simple", "ims"), default="simple",
                   help="which IMS core: one registrar, or I-CSCF, S-CSCF and HSS over Cx")
    p.add_argument("--pcrf", choices=("freediameter", "erlang"), default="freediameter",
                   help="which PCRF: one that does what rules say, or a strict one")
    p.add_argument("--shards", type=int, default=1, help="worker threads of the eP-CSCF")
    p.add_argument("--policy", choices=("required", "optional", "off"), default="required",
                   help="what happens to a call when the PCRF does not answer")
    p.add_argument("--preset", default="release", help="which build to run")
    p.add_argument("--var", default=DEFAULT_VAR, help="folder of logs, keys and captures")
    return p.parse_args()


def interrupted(*_):
    raise KeyboardInterrupt


def explain(error):
    print(f"\n{error}", file=sys.stderr)
    if getattr(error, "log", None) and os.path.exists(error.log):
        with open(error.log, errors="replace") as f:
            tail = f.readlines()[-25:]
        print(f"--- the end of {error.log}", file=sys.stderr)
        sys.stderr.writelines(tail)


def main():
    options = arguments()
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, interrupted)
    lab = None
    try:
        if options.call and subprocess.run(["sh", os.path.join(HERE, "install.sh"),
                                            "browser"]).returncode:
            return 1
        build(options.preset, say=print)
        lab = Lab(options.var, options.shards, options.policy, options.preset,
                  say=lambda text: print("  " + text, flush=True), core=options.core,
                  pcrf=options.pcrf, agw=options.agw)
        lab.start()
        print(lab.addresses(), flush=True)
        status = 0
        if options.call:
            from epclab.calls import run_calls
            status = run_calls(lab)
        if not options.call or options.keep:
            print("Ctrl-C stops everything.", flush=True)
            threading.Event().wait()
        return status
    except KeyboardInterrupt:
        print("\nStopping.", flush=True)
        return 0 if lab is not None and not options.call else 130
    except LabError as e:
        explain(e)
        return 1
    finally:
        if lab is not None:
            # A second Ctrl-C must not leave half of it running.
            for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(s, signal.SIG_IGN)
            lab.stop()


if __name__ == "__main__":
    sys.exit(main())
