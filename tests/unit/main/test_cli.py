#!/usr/bin/env python3
"""The daemon as its operator meets it: command line, start-up faults, signals.
test_cli.py PATH-OF-epcscf PATH-OF-epcscfctl FOLDER-OF-SAMPLE-CONFIGURATION"""
import base64
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

EPCSCF = EPCSCFCTL = SAMPLES = ""
PATIENCE_S = 60
EX_USAGE, EX_START, EX_CONFIG = 64, 71, 78

CONFIG = """shards: 1
log:
  level: info
  #log#
wss:
  listen: ["127.0.0.1:{wss}"]
  certificate: cert.pem
  key: key.pem
  origins:
    - {{origin: "https://a.test", wwsf: w, modes: [digest]}}
sip:
  public_host: edge.test
  core_host: 127.0.0.1
  core_port: {core}
  core_transport: udp
  icscf: "sip:127.0.0.1:{icscf}"
  trusted: [127.0.0.1]
  home_domains: [ims.test]
policy: {{mode: "off"}}
admin:
  metrics_listen: "127.0.0.1:{metrics}"
  control_socket: control.sock
"""


def run(*args, stdin=""):
    p = subprocess.run([EPCSCF, *args], input=stdin, capture_output=True, text=True, timeout=PATIENCE_S)
    return p.returncode, p.stdout, p.stderr


def free_ports(n):
    """Free for UDP and TCP, both; different ones."""
    ports = []
    while len(ports) < n:
        with socket.socket() as t, socket.socket(type=socket.SOCK_DGRAM) as u:
            t.bind(("127.0.0.1", 0))
            try:
                u.bind(t.getsockname())
            except OSError:
                continue
            if t.getsockname()[1] not in ports:
                ports.append(t.getsockname()[1])
    return ports


def until(what, why):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        got = what()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError(why() if callable(why) else why)


class Folder(unittest.TestCase):
    """A case with a temporary folder, a certificate and a configuration that starts."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="epc-cli-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.wss, self.core, self.icscf, self.metrics = free_ports(4)
        self.text = CONFIG.format(wss=self.wss, core=self.core, icscf=self.icscf, metrics=self.metrics)
        self.certificate("cert.pem", "key.pem")

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def read(self, name):
        try:
            with open(self.path(name)) as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def certificate(self, cert, key, name="edge.test"):
        for n in (cert, key):
            os.makedirs(os.path.dirname(self.path(n)), exist_ok=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout", self.path(key),
                        "-out", self.path(cert)], check=True, capture_output=True)

    def change(self, old, new):
        self.assertIn(old, self.text)
        self.text = self.text.replace(old, new)


class CommandLine(Folder):
    def test_version(self):
        status, out, err = run("--version")
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"^epcscf \d+\.\d+\.\d+\n$")

    def test_references(self):
        for arg, words in (("--config-reference", ("`wss.listen`", "`admin.control_socket`", "Default")),
                           ("--header-policy", ("P-Asserted-Identity", "Authorization", "Spec")),
                           ("--state-machines", ("digraph",))):
            status, out, err = run(arg)
            self.assertEqual((status, err), (0, ""), arg)
            for word in words:
                self.assertIn(word, out, arg)

    def test_state_machines_are_dot(self):
        out = run("--state-machines")[1]
        self.assertEqual(out.count("{"), out.count("}"))
        self.assertGreaterEqual(out.count("digraph"), 2)
        self.assertIn("->", out)

    def test_bad_arguments(self):
        for args in (("--nonsense",), ("config.yaml",), ("--config",), ("--check", "--nonsense"), (), ("--check",)):
            status, out, err = run(*args)
            self.assertEqual((status, out), (EX_USAGE, ""), args)
            self.assertIn("usage: epcscf --config FILE", err)
        self.assertIn("unknown argument '--nonsense'", run("--nonsense")[2])

    def test_hash_password(self):
        hashes = [run("--hash-password", stdin="correct horse\n") for _ in range(2)]
        for status, out, err in hashes:
            self.assertEqual((status, err), (0, ""))
            self.assertIn("scrypt", out)
            self.assertEqual(out.count("\n"), 1)
            self.assertNotIn("horse", out)
        self.assertNotEqual(hashes[0][1], hashes[1][1])  # salted
        status, out, err = run("--hash-password")
        self.assertEqual((status, out), (EX_USAGE, ""))
        self.assertIn("no password", err)


class Check(Folder):
    def check(self, text=None):
        return run("--config", self.write("epcscf.yaml", text or self.text), "--check")

    def test_good(self):
        self.assertEqual(self.check(), (0, self.path("epcscf.yaml") + ": ok\n", ""))
        self.assertEqual(os.listdir(self.dir).count("control.sock"), 0)

    def test_missing_file(self):
        for args in ((), ("--check",)):
            status, out, err = run("--config", self.path("none.yaml"), *args)
            self.assertEqual((status, out), (EX_CONFIG, ""))
            self.assertIn(self.path("none.yaml"), err)
            self.assertIn("No such file", err)

    def test_every_fault_has_its_line(self):
        self.change("core_port:", "core_prot:")
        self.change("level: info", "level: loud")
        self.change("key: key.pem", "key: none.pem")
        status, out, err = self.check()
        self.assertEqual((status, out), (EX_CONFIG, ""))
        lines = self.text.split("\n")
        for word, key in (("loud", "log.level"), ("none.pem", "wss.key"), ("core_prot", "sip.core_prot")):
            number = next(i for i, line in enumerate(lines, 1) if word in line)
            self.assertRegex(err, rf"(?m)^{re.escape(self.path('epcscf.yaml'))}:{number}: {re.escape(key)}: .+; .+$")

    def test_faults_prevent_the_start(self):
        self.change("level: info", "level: loud")
        status, _, err = run("--config", self.write("epcscf.yaml", self.text))
        self.assertEqual(status, EX_CONFIG)
        self.assertIn("log.level", err)

    def test_sample(self):
        with open(os.path.join(SAMPLES, "epcscf.yaml")) as f:
            text = f.read()
        status, _, err = self.check(text)
        self.assertEqual(status, EX_CONFIG)  # its files are not there yet, and that is all
        for line in err.splitlines()[:-1]:
            self.assertIn("No such file", line)
        self.certificate("tls/edge.cert.pem", "tls/edge.key.pem")
        self.write("keys/phone-jwks.json", '{"keys": []}')
        self.write("users.json", "{}")
        shutil.copy(os.path.join(SAMPLES, "freeDiameter.conf"), self.dir)
        self.assertEqual(self.check(text), (0, self.path("epcscf.yaml") + ": ok\n", ""))
        self.assertEqual(self.check(text.replace("enabled: false", "enabled: true")
                                    .replace("  id: phone\n", "  id: phone\n  certificate: tls/edge.cert.pem\n"
                                             "  key: tls/edge.key.pem\n  page_dir: .\n"))[0], 0)


class StartFaults(Folder):
    def refused(self, *words):
        """The start fails, and what the operator reads holds @words."""
        status, out, err = run("--config", self.write("epcscf.yaml", self.text))
        self.assertEqual((status, out), (EX_START, ""), err)
        self.assertNotIn("Sanitizer", err)
        for word in words:
            self.assertIn(word, err)
        return err

    def occupy(self, port, kind=socket.SOCK_STREAM):
        s = socket.socket(type=kind)
        self.addCleanup(s.close)
        s.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            s.listen()

    def test_wss_port_in_use(self):
        self.occupy(self.wss)
        self.refused(f"127.0.0.1:{self.wss}", "Address already in use", "or configure another",
                     "the lines above have the reason")

    def test_metrics_port_in_use(self):
        self.occupy(self.metrics)
        self.refused(f"127.0.0.1:{self.metrics}", "Address already in use", "or configure another")

    def test_core_port_in_use(self):
        self.occupy(self.core, socket.SOCK_DGRAM)
        self.refused(f"127.0.0.1:{self.core}", "udp", "Address already in use", "sip.core_port")

    def test_core_address_of_another_machine(self):
        self.change("core_host: 127.0.0.1", "core_host: 192.0.2.77")
        self.refused("192.0.2.77", "Cannot assign requested address", "sip.core_host")

    def test_second_daemon(self):
        with Daemon(self):
            self.refused("the last lines of " + self.path("log"))
            self.assertIn(f"127.0.0.1:{self.core}", self.read("log"))
            self.assertIn("Address already in use", self.read("log"))
            self.assertTrue(os.path.exists(self.path("control.sock")))

    def test_certificate(self):
        self.write("cert.pem", "no certificate\n")
        self.refused(self.path("cert.pem"), "wss.certificate", "PEM")

    def test_key(self):
        self.certificate("other.pem", "key.pem")
        self.refused(self.path("key.pem"), "wss.key", "private key of wss.certificate")

    def test_key_set(self):
        self.change("modes: [digest]", "modes: [token]")
        self.text += ("tokens:\n  authz_server: https://a.test/token\n  issuers:\n"
                      "    - {issuer: i, jwks_file: jwks.json, audience: a, wwsfs: [w]}\n")
        for content, word in (("", "not JSON"), ('{"keys": []}', "no usable key"), ("{}", "no \"keys\" array")):
            self.write("jwks.json", content)
            self.refused(self.path("jwks.json"), word)

    def test_diameter(self):
        self.change('policy: {mode: "off"}',
                    "policy: {mode: required, diameter_config: fd.conf, destination_realm: ims.test}")
        self.write("fd.conf", 'Identity = "edge.test";\nRealm = ;\n')
        self.refused(self.path("fd.conf") + ":2", "syntax error", "correct what the lines above name")
        self.write("fd.conf", 'Identity = "edge.test";\nRealm = "test";\nNo_SCTP;\nListenOn = "127.0.0.1";\n'
                   f'Port = {self.icscf};\nSecPort = 0;\nTLS_Cred = "{self.path("cert.pem")}", '
                   f'"{self.path("key.pem")}";\nTLS_CA = "{self.path("cert.pem")}";\n')
        self.refused(self.path("fd.conf"), "no LoadExtension line for epcscf_rx.fdx")

    def test_control_socket_in_use(self):
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.bind(self.path("control.sock"))
        s.listen()
        self.refused(self.path("control.sock"), "another process listens on it", "name another path")
        self.assertTrue(os.path.exists(self.path("control.sock")))

    def test_log_not_writable(self):
        os.mkdir(self.path("log"))
        self.change("#log#", "file: log")
        # --check sees a folder; a file system that refuses is seen only at the start.
        status, _, err = run("--config", self.write("epcscf.yaml", self.text))
        self.assertIn(status, (EX_START, EX_CONFIG))
        self.assertIn(self.path("log"), err)
        self.change("file: log", "file: /proc/epcscf.log")
        self.refused("/proc/epcscf.log", "cannot be opened for writing", "log.file")

    def test_log_in_a_file(self):
        self.occupy(self.core, socket.SOCK_DGRAM)
        self.change("#log#", "file: log")
        self.refused("the last lines of " + self.path("log") + " have the reason")
        self.assertIn("cannot-bind", self.read("log"))


class Daemon:
    """One that runs, with its log in the file `log`."""

    def __init__(self, case):
        self.case = case
        if "#log#" in case.text:
            case.change("#log#", "file: log")
        with open(case.path("stderr"), "w") as err:
            self.process = subprocess.Popen([EPCSCF, "--config", case.write("epcscf.yaml", case.text)],
                                            stdout=subprocess.DEVNULL, stderr=err)

    def __enter__(self):
        self.wait_log("event=started version")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def wait_log(self, text, name="log"):
        until(lambda: text in self.case.read(name) or self.process.poll() is not None,
              lambda: f"no '{text}' in:\n{self.case.read(name)}")
        self.case.assertIn(text, self.case.read(name), self.case.read("stderr"))

    def send(self, sig):
        self.process.send_signal(sig)

    def end(self):
        status = self.process.wait(PATIENCE_S)
        self.case.assertEqual(self.case.read("stderr"), "")
        return status

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Signals(Folder):
    def control(self, command):
        p = subprocess.run([EPCSCFCTL, "--socket", self.path("control.sock"), command], check=True,
                           capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(p.stderr, "")
        return p.stdout

    def test_sigterm_and_sigint_end(self):
        for sig in (signal.SIGTERM, signal.SIGINT):
            with Daemon(self) as d:
                self.assertEqual(self.control("flows"), "")
                d.send(sig)
                self.assertEqual(d.end(), 0)
            self.assertIn("event=stopped", self.read("log"))
            self.assertFalse(os.path.exists(self.path("control.sock")))
            os.remove(self.path("log"))

    def test_sighup_reopens_the_log(self):
        with Daemon(self) as d:
            for i in range(5):
                os.rename(self.path("log"), self.path(f"log.{i}"))
                d.send(signal.SIGHUP)
                until(lambda: os.path.exists(self.path("log")), "not reopened")
            self.assertNotIn("event=started", self.read("log"))
            d.send(signal.SIGTERM)
            self.assertEqual(d.end(), 0)
            self.assertIn("event=stopped", self.read("log"))
            self.assertNotIn("event=stopp", self.read("log.4"))
            self.assertIn("event=started", self.read("log.0"))

    def test_sighup_leaks_no_descriptor(self):
        with Daemon(self) as d:
            before = d.descriptors()
            for i in range(5):
                os.rename(self.path("log"), self.path(f"log.{i}"))
                d.send(signal.SIGHUP)
                until(lambda: os.path.exists(self.path("log")), "not reopened")
            until(lambda: d.descriptors() == before, lambda: f"{before} -> {d.descriptors()}")

    def test_sighup_without_a_place_for_the_log(self):
        os.mkdir(self.path("logs"))
        self.change("#log#", "file: logs/log")
        d = Daemon(self)
        try:
            d.wait_log("event=started version", "logs/log")
            os.rename(self.path("logs"), self.path("old"))
            d.send(signal.SIGHUP)
            d.wait_log("event=log-not-reopened", "old/log")  # goes on with the old one
            d.send(signal.SIGTERM)
            self.assertEqual(d.process.wait(PATIENCE_S), 0)
            self.assertIn("event=stopped", self.read("old/log"))
            self.assertIn("cannot be opened for writing", self.read("stderr"))
        finally:
            d.__exit__()

    def pending_registration(self):
        """A WIC's REGISTER that the core does not answer: a reason to drain."""
        core = socket.socket(type=socket.SOCK_DGRAM)
        self.addCleanup(core.close)
        core.bind(("127.0.0.1", self.icscf))
        core.settimeout(PATIENCE_S)
        tls = ssl.create_default_context(cafile=self.path("cert.pem"))
        tls.check_hostname = False
        wic = tls.wrap_socket(socket.create_connection(("127.0.0.1", self.wss), PATIENCE_S))
        self.addCleanup(wic.close)
        wic.sendall((f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{self.wss}\r\nOrigin: https://a.test\r\n"
                     "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
                     "Sec-WebSocket-Protocol: sip\r\n\r\n").encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += wic.recv(4096)
        self.assertTrue(answer.startswith(b"HTTP/1.1 101"), answer)
        text = ("REGISTER sip:ims.test SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bKa1\r\n"
                "From: <sip:alice@ims.test>;tag=a1\r\nTo: <sip:alice@ims.test>\r\nCall-ID: a1\r\n"
                "CSeq: 1 REGISTER\r\nMax-Forwards: 70\r\nSupported: path, outbound, gruu\r\n"
                "Contact: <sip:alice@x.invalid;transport=ws>;reg-id=1;"
                "+sip.instance=\"<urn:uuid:0a1b2c3d-0000-4000-8000-000000000001>\"\r\n"
                "Authorization: Digest username=\"alice@ims.test\", realm=\"ims.test\", nonce=\"\", "
                "uri=\"sip:ims.test\", response=\"\"\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n").encode()
        frame = bytes((0x81, 0xFE)) + len(text).to_bytes(2, "big") + bytes(4) + text  # masked with zeros
        wic.sendall(frame)
        self.assertTrue(core.recv(65536).startswith(b"REGISTER "))
        until(lambda: re.search(r"(?m)^sip_core_transactions +1 ", self.control("counters")), "no transaction pending")

    def test_drain_ends_by_itself(self):
        with Daemon(self) as d:
            self.pending_registration()
            d.send(signal.SIGTERM)
            self.assertEqual(d.end(), 0)
        self.assertIn("event=drain-incomplete", self.read("log"))
        self.assertIn("event=stopped", self.read("log"))

    def test_second_sigterm_cuts_the_drain_short(self):
        with Daemon(self) as d:
            self.pending_registration()
            d.send(signal.SIGTERM)
            d.wait_log("event=stopping")
            d.send(signal.SIGTERM)
            self.assertEqual(d.end(), 0)
        self.assertIn("event=drain-cut-short", self.read("log"))
        self.assertNotIn("event=drain-incomplete", self.read("log"))
        self.assertIn("event=stopped", self.read("log"))


if __name__ == "__main__":
    EPCSCF, EPCSCFCTL, SAMPLES = (os.path.abspath(sys.argv.pop(1)) for _ in range(3))
    unittest.main(verbosity=1)
