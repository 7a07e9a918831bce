"""tests/lab/run --call: the browser scenarios against a running lab, then what crossed."""
import os
import subprocess
import threading

from . import addresses
from .checks import check_capture, check_iq, check_leaks
from .epcscf import ROOT
from .ladder import ladders
from .runner import Runner, check, equal
from .wait import LabError

BROWSER = os.path.join(ROOT, "tests", "browser")


def install_driver():
    """npm ci, once for each state of the lock file."""
    mark = os.path.join(BROWSER, "node_modules", ".package-lock.json")
    lock = os.path.join(BROWSER, "package-lock.json")
    if os.path.exists(mark) and os.path.getmtime(mark) >= os.path.getmtime(lock):
        return
    done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=BROWSER,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise LabError("The browser driver (playwright-core) could not be installed with npm: "
                       + done.stderr.strip()[-300:])


class Script:
    """One Node scenario, its output shown as it comes."""

    def __init__(self, name, seconds=120):
        self.lines = []
        self.changed = threading.Condition()
        self.child = self.spawn(name)
        self.timer = threading.Timer(seconds, self.kill)
        self.timer.start()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def spawn(self, name):
        return subprocess.Popen(["node", os.path.join(BROWSER, name)], cwd=BROWSER,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def heard(self, line):
        """For scripts that ask for something: each line as it comes."""

    def _read(self):
        for line in self.child.stdout:
            print("    " + line.rstrip(), flush=True)
            self.heard(line.rstrip())
            with self.changed:
                self.lines.append(line.rstrip())
                self.changed.notify_all()
        with self.changed:
            self.lines.append(None)
            self.changed.notify_all()

    def wait_line(self, text, seconds=60):
        with self.changed:
            self.changed.wait_for(lambda: text in self.lines or None in self.lines, seconds)
            return text in self.lines

    def kill(self):
        try:
            os.killpg(self.child.pid, 15)
        except ProcessLookupError:
            pass

    def finish(self):
        status = self.child.wait()
        self.timer.cancel()
        self.kill()
        self.reader.join(5)
        return status


def _phone_heard(lab, before, text):
    sent, received = lab.baresip.wait_summary(before, 10)
    print(f"    phone: audio sent {sent}, received {received} packets", flush=True)
    check(sent > 25 and received > 25, f"{text}: the phone sent {sent} and received {received} packets")


def browser_calls_phone(lab, script):
    before = len(lab.baresip.summaries())
    check(Script(script).finish() == 0, f"{script} failed")
    _phone_heard(lab, before, script)
    lab.settle()


def phone_calls_browser(lab):
    before = len(lab.baresip.summaries())
    script = Script("called.mjs")
    try:
        check(script.wait_line("READY"), "the browser did not register")
        lab.baresip.dial("sip:alice@ims.test")
        check(script.wait_line("DONE", 90), "the call did not go through")
    finally:
        lab.baresip.hangup()
        status = script.finish()
    check(status == 0, "called.mjs failed")
    _phone_heard(lab, before, "called")
    lab.settle()


def browser_reconnects(lab):
    """The browser's TCP connection is cut under a call: it comes back by itself, and the call goes on."""
    before = lab.epcscf.metrics().get("sessions_rebound", 0)
    script = Script("reconnect.mjs")
    try:
        check(script.wait_line("CUT"), "the call did not come up")
        subprocess.run(["ss", "-K", "sport", "=", f":{addresses.WSS[1]}"], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    finally:
        status = script.finish()
    check(status == 0, "reconnect.mjs failed")
    check(lab.epcscf.metrics().get("sessions_rebound", 0) == before + 1, "the call did not move")
    lab.settle()


def two_browsers(lab):
    check(Script("two-browsers.mjs", 180).finish() == 0, "two-browsers.mjs failed")
    lab.settle()


def show(lab):
    """Print the ladders; the lines come from the daemon's trace and the PCRF's record."""
    text = ladders(lab.epcscf.trace, lab.pcrf.record)
    print(text, flush=True)


def flush_capture(lab):
    """Stop the capture so that its file is whole; how many Iq messages had crossed before and after."""
    before = len(lab.agw.messages()) if lab.agw else 0
    if lab.capture.child is not None:
        lab.capture.stop()
    check(os.path.exists(lab.capture.file), "there is no capture")
    return before, len(lab.agw.messages()) if lab.agw else 0


def run_calls(lab, ladder=True):
    """All scenarios and checks; returns the exit status."""
    install_driver()
    run = Runner("calls")
    run.run("token registration and call", browser_calls_phone, lab, "token-call.mjs")
    run.run("Digest registration and call", browser_calls_phone, lab, "digest-call.mjs")
    run.run("called by the RTP phone", phone_calls_browser, lab)
    run.run("a call goes on over a new connection", browser_reconnects, lab)
    run.run("two browsers call each other with video", two_browsers, lab)
    if ladder:
        run.run("a ladder for each call", show, lab)
    crossed = flush_capture(lab)
    run.run("every captured message decodes", check_capture, lab.capture.file, lab.capture.shards)
    if lab.agw:
        run.run("every Iq message decodes", check_iq, lab.capture.file, lab.capture.shards, crossed)
        run.run("the gateway found no fault", lambda: equal(lab.agw.faults(), 0, "faults of what it was sent"))
    run.run("nothing leaks", check_leaks, lab)
    return run.finish()



