"""What the lab's peers on Erlang have in common: compiled at each start, configured by a file
of terms, told what to do one line at a time."""
import os
import shutil
import socket
import subprocess

from .process import Component
from .wait import LabError

LAB = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def quoted(text):
    """An Erlang string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def term(value):
    """Python's dictionaries, lists, numbers and truth as an Erlang term; text is a string, but
    Atom("x") an atom. Keys are atoms."""
    if isinstance(value, Atom):
        return f"'{value.name}'"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        return "#{" + ",".join(f"'{k}'=>{term(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(term(v) for v in value) + "]"
    return quoted(value)


class Atom:
    def __init__(self, name):
        self.name = name


class ErlangPeer(Component):
    """A subclass gives sources (folders below tests/lab), dictionary (file, codec module; or None), main (module),
    control (address) and write_config(file)."""
    program = "erl"
    package = "erlang-base"
    sources = ()
    dictionary = None
    main = ""
    control = ("", 0)

    def write_config(self, f):
        raise NotImplementedError

    def prepare(self):
        self.ebin = os.path.join(self.dir, "ebin")
        shutil.rmtree(self.ebin, ignore_errors=True)
        os.makedirs(self.ebin)
        made = []
        if self.dictionary:
            dia, codec = self.dictionary
            self._run(["erl", "-noshell", "-eval", "ok = diameter_make:codec("
                       f"{quoted(os.path.join(LAB, dia))}, [{{name, {quoted(codec)}}}]), halt()."])
            made = [os.path.join(self.ebin, codec + ".erl")]
        self._run(["erlc", "-Wall", "-Werror", *made, *(os.path.join(LAB, s) for s in self.sources)])
        self.config = os.path.join(self.dir, self.name + ".config")
        with open(self.config, "w") as f:
            self.write_config(f)

    def _run(self, command):
        done = subprocess.run(command, cwd=self.ebin, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            raise LabError(f"{self.name} does not compile: {(done.stdout + done.stderr).strip()[-500:]}")

    def command(self):
        return ["erl", "-noshell", "-noinput", "-pa", self.ebin, "-eval",
                f"{self.main}:main([{quoted(self.config)}])."]

    def is_ready(self):
        try:
            return self.ask("ping") == "ok"
        except OSError:
            return False

    def ask(self, *words):
        """One command and its answer (see the peer's README)."""
        with socket.create_connection(self.control, 2) as s:
            s.settimeout(10)
            s.sendall((" ".join(words) + "\n").encode())
            return s.makefile().readline().strip()
