"""One daemon of the lab: a process group of its own, a log file, a pid file, a clean stop."""
import json
import os
import shutil
import signal
import subprocess

from .ports import holder
from .wait import LabError, poll


def _start_ticks(pid):
    """When the process started, so that a pid file never names a stranger; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            tail = f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if tail[0] == "Z" else int(tail[19])


def _group_members(pgid):
    """(pid, start) of every living process of the group."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                tail = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(tail[2]) == pgid and tail[0] != "Z":
            found.append(int(pid))
    return found


def _end_group(pgid, first, seconds):
    for sig in (first, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(pgid, sig)
        except ProcessLookupError:
            return
        if poll(lambda: not _group_members(pgid), seconds):
            return


class Component:
    """Base of the lab's components. A subclass sets name, program, package and ports, and gives
    prepare(), command() and is_ready()."""

    name = ""
    program = ""
    package = ""
    stop_signal = signal.SIGTERM
    ready_seconds = 15
    stop_seconds = 6

    def __init__(self, var):
        self.var = os.path.abspath(var)
        self.dir = os.path.join(self.var, self.name)
        self.log = os.path.join(self.var, "log", self.name + ".log")
        self.pid_file = os.path.join(self.var, "run", self.name + ".pid")
        self.child = None

    # -- what a subclass gives ---------------------------------------------------------------
    def ports(self):
        """[(proto, ip, port)] that must be free before the start."""
        return []

    def prepare(self):
        """Write configuration files."""

    def command(self):
        raise NotImplementedError

    def environment(self):
        return None

    def is_ready(self):
        return True

    # -- life ----------------------------------------------------------------------------------
    def start(self):
        for folder in (self.dir, os.path.dirname(self.log), os.path.dirname(self.pid_file)):
            os.makedirs(folder, exist_ok=True)
        self.clean_leftover()
        if not shutil.which(self.program):
            raise LabError(f"{self.name}: the program {self.program} is missing; "
                           f"install the package {self.package}.")
        for proto, ip, port in self.ports():
            who = holder(proto, ip, port)
            if who:
                raise LabError(f"{self.name}: {proto.upper()} port {ip}:{port} is in use by {who}.")
        self.prepare()
        env = dict(os.environ, LC_ALL="C.UTF-8")
        env.update(self.environment() or {})
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log, cwd=self.dir, env=env, start_new_session=True)
        with open(self.pid_file, "w") as f:
            json.dump({"pid": self.child.pid, "start": _start_ticks(self.child.pid)}, f)
        self.wait_ready()

    def wait_ready(self):
        def settled():
            return not self.alive() or self.is_ready()
        if not poll(settled, self.ready_seconds):
            raise LabError(f"{self.name} is running but was not ready within "
                           f"{self.ready_seconds} s.", self.log)
        if not self.alive():
            raise LabError(f"{self.name} ended during its start with status "
                           f"{self.child.poll()}.", self.log)

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def stop(self):
        """Ask, then insist; whatever the process group still holds is ended. Idempotent.
        Returns the exit status of a process that ended when it was asked, else None."""
        if self.child is None:
            return None
        status = self.child.poll()
        if status is None:
            try:
                os.kill(self.child.pid, self.stop_signal)
            except ProcessLookupError:
                pass
            poll(lambda: self.child.poll() is not None, self.stop_seconds)
            status = self.child.poll()
        _end_group(self.child.pid, signal.SIGTERM, 2)
        self.child.wait()
        self.child = None
        self._forget()
        return status

    def kill(self):
        """The crash that a fault scenario wants: SIGKILL, nothing said to anyone."""
        if self.child is not None:
            try:
                os.killpg(self.child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.child.wait()
            self.child = None
            self._forget()

    def _forget(self):
        try:
            os.unlink(self.pid_file)
        except FileNotFoundError:
            pass

    def clean_leftover(self):
        """End what an earlier run left behind under this var folder (it alone)."""
        try:
            with open(self.pid_file) as f:
                left = json.load(f)
        except (OSError, ValueError):
            return
        pid, start = left.get("pid"), left.get("start")
        if pid and start is not None and _start_ticks(pid) == start:
            _end_group(pid, self.stop_signal, 3)
        elif pid and _start_ticks(pid) is None:
            # The leader is gone; its children carry its number as their group.
            if _group_members(pid):
                _end_group(pid, self.stop_signal, 3)
        self._forget()

    def tail(self, lines=25):
        try:
            with open(self.log, errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return ""
