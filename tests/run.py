"""The parts of tests/run; each gives how many tests passed and failed. A part that cannot run at all
has failed: nothing is skipped in silence."""
import os
import re
import shutil
import subprocess
import sys
import time

TESTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TESTS)
COUNT = re.compile(r"^(\d+) passed, (\d+) failed$")
LABELS = ("unit", "golden", "fuzz", "replay")
# Enough for each part on two slow cores; a hang must not eat the whole run.
SECONDS = {"build": 1500, "ctest": 900, "scenarios": 1200}


class Missing(Exception):
    """Something that the part needs cannot be had."""


def install(*groups):
    if subprocess.run(["sh", os.path.join(TESTS, "lab", "install.sh"), *groups],
                      stdin=subprocess.DEVNULL).returncode:
        raise Missing(f"packages of the groups {' '.join(groups)} are missing")


def built(preset, *options):
    sys.path.insert(0, os.path.join(TESTS, "lab"))
    from epclab.build import build
    from epclab.wait import LabError
    try:
        build(preset, say=print, options=options)
    except LabError as e:
        with open(e.log, errors="replace") as f:
            sys.stdout.writelines(f.readlines()[-40:])
        raise Missing(str(e)) from None


def ctest(preset, labels=None, wrapper=()):
    """Run ctest in build/<preset>; counts tests that failed or could not run."""
    command = [*wrapper, "ctest", "--test-dir", os.path.join(ROOT, "build", preset), "-j", "2",
               "--output-on-failure", "--no-tests=error"]
    if labels:
        command += ["-L", "^(" + "|".join(labels) + ")$"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace",
                          timeout=SECONDS["ctest"])
    sys.stdout.write(done.stdout)
    found = re.search(r"(\d+) tests? failed out of (\d+)", done.stdout)
    if not found:
        raise Missing(f"ctest in build/{preset} found no test")
    failed, total = int(found.group(1)), int(found.group(2))
    # Switched off when the build did not find its peer: a test that did not run has failed.
    off = len(re.findall(r"\*\*\*Not Run \(Disabled\)", done.stdout))
    return total - failed, failed + off


def scenarios(*command):
    """Run one of our own scenario programs and take the counts of its last count line."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace") as child:
        counts, end = None, time.monotonic() + SECONDS["scenarios"]
        for line in child.stdout:
            found = COUNT.match(line.strip())
            if found:
                counts = int(found.group(1)), int(found.group(2))
            else:
                sys.stdout.write(line)
                sys.stdout.flush()
            if time.monotonic() > end:
                child.terminate()
        status = child.wait()
    if counts is None:
        raise Missing(f"{' '.join(os.path.relpath(c, ROOT) if os.path.isabs(c) else c for c in command)}"
                      f" ended with status {status} before any scenario")
    passed, failed = counts
    return passed, failed if failed or status == 0 else 1


def label(name):
    def part():
        install("build", "peers")
        built("dev")
        return ctest("dev", [name])
    return part


def dev():
    """Everything that ctest knows, in the dev build: each test once. Some of it is against peers."""
    install("build", "peers")
    built("dev")
    return ctest("dev")


def sanitized(preset, labels, wrapper=()):
    """The tests of a sanitizer build, then the fault scenarios against its daemon: what a sanitizer
    finds ends the daemon with a status that the scenarios see."""
    install("build", "peers")
    built(preset)
    p, f = ctest(preset, labels, wrapper)
    more = scenarios(*wrapper, os.path.join(TESTS, "fault", "run"), "--preset", preset, "--no-build",
                     "--shards", "2", "--policy", "required", "--var",
                     os.path.join(TESTS, "lab", "var", preset))
    return p + more[0], f + more[1]


def asan():
    os.environ["LSAN_OPTIONS"] = f"suppressions={os.path.join(TESTS, 'lsan.supp')}"
    p, f = sanitized("asan", LABELS)
    more = scenarios(sys.executable, os.path.join(TESTS, "fault", "rx_faults.py"), "--preset", "asan", "--no-build",
                     "--shards", "2", "--policy", "required", "-k", "garbage",
                     "--var", os.path.join(TESTS, "lab", "var", "asan-rx"))
    return p + more[0], f + more[1]


def tsan():
    os.environ["TSAN_OPTIONS"] = f"suppressions={os.path.join(TESTS, 'tsan.supp')}"
    # ThreadSanitizer needs its own part of the address space; some kernels randomise into it.
    fixed = ["setarch", "-R"] if shutil.which("setarch") and not subprocess.run(
        ["setarch", "-R", "true"], stdin=subprocess.DEVNULL, capture_output=True).returncode else []
    return sanitized("tsan", ["unit"], fixed)


def clang():
    install("build", "clang")
    built("clang", "-DEPC_PAGE=OFF")
    return 1, 0


def peers():
    install("build", "peers")
    built("dev")
    passed = failed = 0
    for program, *more in (("peers.py",), ("agw.py",), ("ims.py",), ("wwsf.py",), ("shards.py",), ("rx.py",),
                           ("sipp.py",), ("sipp.py", "--agw", "h248"), ("instances.py", "--no-build"),
                           ("flood.py", "--no-build")):
        p, f = scenarios(sys.executable, os.path.join(TESTS, "lab", program), "--preset", "dev", *more)
        passed, failed = passed + p, failed + f
    return passed, failed


def fault():
    install("build", "peers")
    built("dev")
    passed, failed = scenarios(os.path.join(TESTS, "fault", "run"), "--preset", "dev")
    for program in ("rx_faults.py", "iq_faults.py"):
        p, f = scenarios(sys.executable, os.path.join(TESTS, "fault", program), "--preset", "dev", "--no-build")
        passed, failed = passed + p, failed + f
    return passed, failed


def abuse():
    """A hostile peer; not among ALL, for it takes two minutes and its timing never repeats."""
    install("build", "peers")
    built("asan")
    return scenarios(os.path.join(TESTS, "fault", "abuse"), "--preset", "asan", "--no-build")


def attacks():
    """The list of attacks, each against a sanitized node; needs no other daemon."""
    install("build")
    built("asan")
    return scenarios(os.path.join(TESTS, "fault", "attacks"), "--preset", "asan", "--no-build")


def browser():
    install("build", "peers", "browser")
    built("dev")
    passed = failed = 0
    for shards, core, agw in (("1", "simple", "rtpengine"), ("2", "simple", "h248"), ("2", "ims", "rtpengine")):
        p, f = scenarios(os.path.join(TESTS, "lab", "run"), "--call", "--preset", "dev",
                         "--shards", shards, "--core", core, "--agw", agw, "--var",
                         os.path.join(TESTS, "lab", "var", f"browser-{core}-{shards}"))
        passed, failed = passed + p, failed + f
    for agw in ("rtpengine", "h248"):
        p, f = scenarios(sys.executable, os.path.join(TESTS, "lab", "matrix.py"), "--preset", "dev", "--agw", agw,
                         "--var", os.path.join(TESTS, "lab", "var", f"matrix-{agw}"))
        passed, failed = passed + p, failed + f
    p, f = scenarios(sys.executable, os.path.join(TESTS, "lab", "wwsf.py"), "--preset", "dev", "--browser",
                     "--var", os.path.join(TESTS, "lab", "var", "browser-wwsf"))
    passed, failed = passed + p, failed + f
    p, f = scenarios(os.path.join(TESTS, "lab", "networks.py"), "--preset", "dev", "--var",
                     os.path.join(TESTS, "lab", "var", "networks"))
    return passed + p, failed + f


PARTS = {"dev": dev, "asan": asan, "tsan": tsan, "clang": clang, "peers": peers, "fault": fault,
         "browser": browser, "abuse": abuse, "attacks": attacks, **{name: label(name) for name in LABELS}}
ALL = ("dev", "peers", "fault", "browser", "asan", "attacks", "tsan", "clang")


def main(wanted):
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        print(f"unknown part {unknown[0]}; there are: {' '.join(PARTS)}", file=sys.stderr)
        return 2
    passed = failed = 0
    table = []
    for name in wanted or ALL:
        print(f"== {name}", flush=True)
        start = time.monotonic()
        try:
            p, f = PARTS[name]()
            note = ""
        except (Missing, subprocess.TimeoutExpired) as e:
            p, f, note = 0, 1, f" ({e})"
        passed, failed = passed + p, failed + f
        table.append(f"{name:8} {p:4} passed {f:3} failed {time.monotonic() - start:6.0f} s{note}")
    print("\n" + "\n".join(table))
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
