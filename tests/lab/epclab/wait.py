"""Waiting for a state with a deadline, never for a time."""
import threading
import time

_never = threading.Event()


class LabError(Exception):
    """One sentence for the person at the terminal; log: the file whose end explains it."""

    def __init__(self, text, log=None):
        super().__init__(text)
        self.log = log


def poll(check, seconds, every=0.05):
    """Call check() until it returns something true or the deadline passes; returns its last value."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value or time.monotonic() >= end:
            return value
        _never.wait(every)


def expect(check, seconds, what):
    """As poll(), but a missed deadline is a LabError that says what did not happen."""
    value = poll(check, seconds)
    if not value:
        raise LabError(f"{what} within {seconds} s")
    return value
