"""Runs scenarios one after the other and counts them."""
import os
import sys
import time
import traceback

from .wait import LabError


class Failed(LabError):
    """A scenario's expectation was not met."""


def check(condition, text):
    if not condition:
        raise Failed(text)


def equal(found, wanted, what):
    if found != wanted:
        raise Failed(f"{what}: {found!r}, expected {wanted!r}")


class Runner:
    def __init__(self, title, verbose=False):
        self.title, self.verbose = title, verbose
        self.passed, self.failed = [], []

    def run(self, name, function, *args):
        """One scenario. A failure is printed with its reason and the tail of the log that it names."""
        start = time.monotonic()
        try:
            function(*args)
        except Exception as e:  # a scenario may fail in any way; the others still run
            self.failed.append(name)
            kind = "" if isinstance(e, LabError) else f"{type(e).__name__}: "
            print(f"FAIL {self.title}: {name}: {kind}{e}", flush=True)
            if not isinstance(e, LabError):
                traceback.print_exc()
            log = getattr(e, "log", None)
            if log and os.path.exists(log):
                with open(log, errors="replace") as f:
                    tail = f.readlines()[-15:]
                print(f"--- the end of {log}", flush=True)
                sys.stdout.writelines("    " + line for line in tail)
            return False
        self.passed.append(name)
        print(f"pass {self.title}: {name} ({time.monotonic() - start:.1f} s)", flush=True)
        return True

    def finish(self):
        print(f"{len(self.passed)} passed, {len(self.failed)} failed", flush=True)
        return 1 if self.failed or not self.passed else 0
