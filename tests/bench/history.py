"""What was measured when, where and of what: a line of JSON for each run."""
import datetime
import json
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DEFAULT = os.path.join(ROOT, "build", "bench", "history.jsonl")
KEPT = os.path.join(HERE, "history", "kept.jsonl")  # figures worth keeping, in the repository


def _said(*argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, cwd=ROOT)
        return done.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _cpu_model():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith(("model name", "Model", "CPU implementer")):
                return line.split(":", 1)[1].strip()
    return "unknown"


def machine():
    first = (_said("kamailio", "-v").splitlines() or [""])[0]
    return {"cpu": _cpu_model(), "cores": len(os.sched_getaffinity(0)), "kernel": os.uname().release,
            "arch": os.uname().machine, "openssl": _said("openssl", "version"), "kamailio": first.removeprefix("version: ")}


def entry(record, options):
    """The run as it goes into the history."""
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "commit": _said("git", "rev-parse", "--short=10", "HEAD"),
            "changed": bool(_said("git", "status", "--porcelain", "--untracked-files=no")),
            "machine": machine(), "rounds": options.rounds, "seconds": options.seconds, "quick": options.quick,
            "preset": options.preset, **record.as_json()}


def append(path, run):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "a") as f:
        f.write(json.dumps(run, sort_keys=True) + "\n")


def read(*paths):
    """Runs of those files that exist, oldest first; a line that is not one is passed over."""
    runs = {}
    for path in paths:
        if not os.path.exists(path):
            continue
        with open(path) as f:
            for line in f:
                try:
                    run = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if isinstance(run, dict) and "figures" in run:
                    runs[run["date"], run["commit"]] = run
    return [runs[key] for key in sorted(runs)]
