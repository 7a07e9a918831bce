#!/usr/bin/env python3
"""Keys and introspection over the network, from an issuer that is Python's own HTTP server, with the
faults that issuers have. test_remote.py PATH-OF-auth_asker"""
import base64
import hashlib
import http.server
import json
import os
import queue
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

ASKER = ""
DEADLINE_S = 30


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *args], input=stdin, capture_output=True, check=True).stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Keys:
    """RSA keys and a CA, made once for all tests."""
    dir = None

    @classmethod
    def path(cls, name):
        return os.path.join(cls.dir, name)

    @classmethod
    def make(cls):
        cls.dir = tempfile.mkdtemp(prefix="epc-auth-keys-")
        for name in ("a", "b"):
            openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out",
                    cls.path(name + ".pem"))
        for ca in ("ca", "other-ca"):
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "30", "-subj", "/CN=" + ca, "-keyout", cls.path(ca + "-key.pem"), "-out",
                    cls.path(ca + ".pem"))
        cls.leaf("good", "ca", "DNS:localhost,IP:127.0.0.1")
        cls.leaf("stranger", "other-ca", "DNS:localhost,IP:127.0.0.1")
        cls.leaf("misnamed", "ca", "DNS:elsewhere.test,IP:127.0.0.9")

    @classmethod
    def leaf(cls, name, ca, san):
        request = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                          "-subj", "/CN=" + name, "-keyout", cls.path(name + "-key.pem"))
        with open(cls.path(name + ".ext"), "w") as f:
            f.write("subjectAltName=" + san + "\n")
        cert = openssl("x509", "-req", "-days", "30", "-CA", cls.path(ca + ".pem"), "-CAkey",
                       cls.path(ca + "-key.pem"), "-extfile", cls.path(name + ".ext"), stdin=request)
        with open(cls.path(name + ".pem"), "wb") as f:
            f.write(cert)

    @classmethod
    def jwk(cls, name, kid):
        modulus = openssl("rsa", "-in", cls.path(name + ".pem"), "-modulus", "-noout").decode()
        return {"kty": "RSA", "kid": kid, "n": b64(bytes.fromhex(modulus.strip().split("=")[1])), "e": "AQAB"}


def claims(**changes):
    now = int(time.time())
    body = {"iss": "https://issuer.test", "aud": "epcscf", "iat": now, "exp": now + 600, "scope": "sip",
            "azp": "w1", "impi": "alice@ims.test", "impu": ["sip:alice@ims.test"]}
    body.update(changes)
    return {k: v for k, v in body.items() if v is not None}


def token(key="a", kid="k1", header=None, **changes):
    head = {"alg": "RS256", "kid": kid}
    head.update(header or {})
    text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(claims(**changes)).encode())
    return text + "." + b64(openssl("dgst", "-sha256", "-sign", Keys.path(key + ".pem"), stdin=text.encode()))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.peer.serve(self, None)

    def do_POST(self):
        self.server.peer.serve(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, *args):
        pass


class HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        pass


class Issuer:
    """Answers /jwks and /introspect as the test wants it. `answer` gives status, body and headers."""

    def __init__(self, cert="good", tls=True, port=0):
        self.requests = queue.Queue()
        self.count = 0
        self.gate = threading.Event()  # closed: answers wait for it
        self.gate.set()
        self.keys = {"keys": [Keys.jwk("a", "k1")]}
        self.words = {}
        self.answer = None
        self.server = HttpServer(("127.0.0.1", port), Handler, bind_and_activate=False)
        self.server.allow_reuse_address = True
        self.server.server_bind()
        self.server.server_activate()
        self.server.peer = self
        self.port = self.server.server_address[1]
        self.scheme = "https" if tls else "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(Keys.path(cert + ".pem"), Keys.path(cert + "-key.pem"))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def url(self, path, host="localhost"):
        return f"{self.scheme}://{host}:{self.port}{path}"

    def serve(self, handler, body):
        self.count += 1
        self.requests.put((handler.path, dict(handler.headers), body))
        self.gate.wait(DEADLINE_S)
        if self.answer:
            status, text, headers = self.answer(handler.path)
        elif handler.path == "/jwks":
            status, text, headers = 200, json.dumps(self.keys).encode(), {}
        elif handler.path == "/introspect":
            form = urllib.parse.parse_qs(body.decode())
            status, headers = 200, {}
            text = json.dumps(self.words.get(form["token"][0], {"active": False})).encode()
        else:
            status, text, headers = 404, b"", {}
        handler.send_response(status)
        headers.setdefault("Content-Length", str(len(text)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        try:
            handler.wfile.write(text)
        except OSError:
            pass

    def wait_for_request(self):
        return self.requests.get(timeout=DEADLINE_S)

    def stop(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Asker:
    def __init__(self, issuers, pools="", keys=""):
        self.dir = tempfile.mkdtemp(prefix="epc-auth-")
        self.wss_port = free_port()
        with open(self.path("secret"), "w") as f:
            f.write("s3cr%t:+\n")
        with open(self.path("c.yaml"), "w") as f:
            f.write(f"""
wss:
  listen: ['127.0.0.1:{self.wss_port}']
  certificate: {Keys.path('good.pem')}
  key: {Keys.path('good-key.pem')}
  origins:
    - {{origin: 'https://w1.test', wwsf: w1, modes: [token]}}
    - {{origin: 'https://w2.test', wwsf: w2, modes: [digest]}}
sip: {{public_host: edge.test, core_host: 127.0.0.1, icscf: 'sip:127.0.0.2', home_domains: [ims.test]}}
tokens:
  authz_server: https://as.test/token
  http_timeout_ms: 1500
{keys}  issuers:
{issuers}
{pools}""")
        self.log = open(self.path("log"), "w+")
        self.process = subprocess.Popen([ASKER, self.path("c.yaml")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.lines = queue.Queue()
        self.answers = {}
        self.n = 0
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        first = self.lines.get(timeout=DEADLINE_S)
        if first != "READY":
            raise RuntimeError(self.stop())

    def path(self, name):
        return os.path.join(self.dir, name)

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def send(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def start(self, text, origin="https://w1.test"):
        self.n += 1
        self.send(f"verify {self.n} {origin} {text}")
        return self.n

    def result(self, n):
        while n not in self.answers:
            line = self.lines.get(timeout=DEADLINE_S)
            number, rest = line.split(" ", 1)
            self.answers[number if number == "counters" else int(number)] = rest
        status, retry, impi, pool, header = self.answers.pop(n).split(" ", 4)
        return {"status": int(status), "retry": int(retry), "impi": impi, "pool": pool, "header": header}

    def verify(self, text, origin="https://w1.test"):
        return self.result(self.start(text, origin))

    def counters(self):
        self.send("counters")
        while "counters" not in self.answers:
            number, rest = self.lines.get(timeout=DEADLINE_S).split(" ", 1)
            self.answers[number if number == "counters" else int(number)] = rest
        return {k: int(v) for k, v in (p.split("=") for p in self.answers.pop("counters").split())}

    def log_text(self):
        with open(self.path("log")) as f:
            return f.read()

    def stop(self):
        """Exit status must be clean: the sanitizers report through it."""
        self.process.stdin.close()
        status = self.process.wait(timeout=DEADLINE_S)
        self.reader.join()
        self.process.stdout.close()
        self.log.close()
        text = self.log_text()
        shutil.rmtree(self.dir)
        return status, text


def by_url(url, more=""):
    return (f"    - {{issuer: 'https://issuer.test', jwks_url: '{url}', ca_file: {Keys.path('ca.pem')}, "
            f"algorithms: [RS256], audience: epcscf, wwsfs: [w1, w2]{more}}}\n")


def by_word(url):
    return (f"    - {{issuer: 'https://issuer.test', introspection_url: '{url}', ca_file: "
            f"{Keys.path('ca.pem')}, introspection_client_id: 'ep:cscf', introspection_secret_file: secret, "
            f"audience: epcscf, wwsfs: [w1]}}\n")


class Case(unittest.TestCase):
    def issuer(self, **options):
        peer = Issuer(**options)
        self.addCleanup(peer.stop)
        return peer

    def asker(self, *args, **options):
        asker = Asker(*args, **options)
        self.addCleanup(self.stop, asker)
        return asker

    def stop(self, asker):
        status, log = asker.stop()
        self.assertEqual(status, 0, log)
        self.assertNotIn("did not close", log)

    def until(self, asker, text, status, why=""):
        """The verdict on a token, once it is that."""
        end = time.monotonic() + DEADLINE_S
        while True:
            r = asker.verify(text)
            if r["status"] == status:
                return r
            self.assertLess(time.monotonic(), end, f"{why}: {r}\n{asker.log_text()}")
            time.sleep(0.05)


class KeySets(Case):
    def test_fetched_by_name_and_by_address(self):
        for host in ("localhost", "127.0.0.1"):
            peer = self.issuer()
            asker = self.asker(by_url(peer.url("/jwks?x=1", host).replace("?x=1", ""), ))
            r = asker.verify(token())  # waits for the first fetch
            self.assertEqual((r["status"], r["impi"]), (200, "alice@ims.test"), asker.log_text())
            path, headers, _ = peer.wait_for_request()
            self.assertEqual((path, headers["Host"]), ("/jwks", f"{host}:{peer.port}"))
            self.assertEqual(asker.verify(token(key="b"))["status"], 401)
            self.assertEqual(peer.count, 1)

    def test_plain_http_to_loopback(self):
        peer = self.issuer(tls=False)
        issuer = by_url(peer.url("/jwks", "127.0.0.1")).replace(f"ca_file: {Keys.path('ca.pem')}, ", "")
        self.assertEqual(self.asker(issuer).verify(token())["status"], 200)

    def test_wrong_certificates(self):
        for cert, host in (("stranger", "localhost"), ("misnamed", "localhost"), ("misnamed", "127.0.0.1"),
                           ("stranger", "127.0.0.1")):
            with self.subTest(cert=cert, host=host):
                peer = self.issuer(cert=cert)
                asker = self.asker(by_url(peer.url("/jwks", host)))
                r = asker.verify(token())
                self.assertEqual((r["status"], r["header"]), (503, ""))
                self.assertGreaterEqual(r["retry"], 1)
                self.assertEqual(peer.count, 0)  # nobody was asked anything

    def test_a_certificate_outside_the_system_store(self):
        peer = self.issuer()
        issuer = by_url(peer.url("/jwks")).replace(f"ca_file: {Keys.path('ca.pem')}, ", "")
        self.assertEqual(self.asker(issuer).verify(token())["status"], 503)
        self.assertEqual(peer.count, 0)

    def test_away_at_the_start_then_there(self):
        port = free_port()
        asker = self.asker(by_url(f"https://localhost:{port}/jwks"))
        r = asker.verify(token())
        self.assertEqual(r["status"], 503)
        self.assertGreaterEqual(r["retry"], 1)
        self.issuer(port=port)
        self.until(asker, token(), 200, "recovers")
        self.assertGreater(asker.counters()["auth_unavailable"], 0)

    def test_unknown_host(self):
        asker = self.asker(by_url("https://no-such-host.invalid/jwks"))
        self.assertEqual(asker.verify(token())["status"], 503)

    def test_slow(self):
        peer = self.issuer()
        peer.gate.clear()
        asker = self.asker(by_url(peer.url("/jwks")))
        waiting = [asker.start(token()) for _ in range(5)]
        peer.wait_for_request()
        for n in waiting:
            self.assertEqual(asker.result(n)["status"], 503)
        peer.gate.set()
        self.until(asker, token(), 200, "recovers")

    def test_hangs_inside_the_tls_handshake(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            asker = self.asker(by_url(f"https://localhost:{s.getsockname()[1]}/jwks"))
            self.assertEqual(asker.verify(token())["status"], 503)

    def test_answers_that_are_no_key_set(self):
        keys = json.dumps({"keys": [Keys.jwk("a", "k1")]}).encode()
        answers = {
            "garbage": (200, b"<html>hello</html>", {}),
            "binary": (200, bytes(range(256)) * 8, {}),
            "empty": (200, b"", {}),
            "no keys": (200, b'{"keys":[]}', {}),
            "not 200": (500, keys, {}),
            "not found": (404, keys, {}),
            "oversized": (200, b'{"keys":[' + b" " * 400000 + b"]}", {}),
            "announces too much": (200, keys, {"Content-Length": str(1 << 40)}),
            "cut off": (200, keys[:-40], {"Content-Length": str(len(keys)), "Connection": "close"}),
            "deep": (200, b'{"keys":' + b"[" * 5000 + b"]" * 5000 + b"}", {}),
            "duplicate": (200, b'{"keys":[],' + keys[1:], {}),
        }
        peer = self.issuer()
        for name, answer in answers.items():
            with self.subTest(name):
                peer.answer = lambda path, a=answer: (a[0], a[1], dict(a[2]))
                asker = self.asker(by_url(peer.url("/jwks")))
                self.assertEqual(asker.verify(token())["status"], 503, asker.log_text())

    def test_redirects_are_not_followed(self):
        peer = self.issuer()
        for status in (301, 302, 303, 307, 308):
            with self.subTest(status), socket.socket() as target:
                target.bind(("127.0.0.1", 0))
                target.listen()
                target.setblocking(False)
                where = f"https://localhost:{target.getsockname()[1]}/jwks"
                peer.answer = lambda path, s=status: (s, b"", {"Location": where})
                asker = self.asker(by_url(peer.url("/jwks")))
                self.assertEqual(asker.verify(token())["status"], 503)
                self.assertIn(f"status={status} ", asker.log_text())
                with self.assertRaises(BlockingIOError):
                    target.accept()

    def test_rotated_keys_and_the_limit_of_fetches(self):
        peer = self.issuer()
        asker = self.asker(by_url(peer.url("/jwks")))
        self.assertEqual(asker.verify(token())["status"], 200)
        peer.keys = {"keys": [Keys.jwk("b", "k2")]}
        self.assertEqual(asker.verify(token(key="b", kid="k2"))["status"], 200)
        self.assertEqual(peer.count, 2)
        self.assertEqual(asker.verify(token())["status"], 401)  # gone from the set
        for i in range(50):  # anybody can make up a kid
            self.assertEqual(asker.verify(token(kid=f"made-up-{i}"))["status"], 401)
        self.assertEqual(peer.count, 2)
        asker.send("reload")
        end = time.monotonic() + DEADLINE_S
        while peer.count < 3 and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(peer.count, 3)

    def test_many_wait_for_one_fetch(self):
        peer = self.issuer()
        asker = self.asker(by_url(peer.url("/jwks")))
        self.assertEqual(asker.verify(token())["status"], 200)
        peer.keys = {"keys": [Keys.jwk("a", "k1"), Keys.jwk("b", "k2")]}
        peer.gate.clear()
        while not peer.requests.empty():
            peer.requests.get()
        fresh = token(key="b", kid="k2")
        waiting = [asker.start(fresh) for _ in range(300)]
        peer.wait_for_request()
        asker.send(f"cancel {waiting[0]}")
        self.assertEqual(asker.verify(token())["status"], 200)  # others are not held up
        peer.gate.set()
        found = [asker.result(n)["status"] for n in waiting[1:]]
        self.assertEqual(found.count(200), 255)  # 256 may wait, one of them has left
        self.assertEqual(found.count(503), 44)
        self.assertEqual(peer.count, 2)
        self.assertNotIn(waiting[0], asker.answers)

    def test_old_keys_stay_while_the_source_is_away(self):
        peer = Issuer()
        asker = self.asker(by_url(peer.url("/jwks")))
        self.assertEqual(asker.verify(token())["status"], 200)
        peer.stop()
        self.assertEqual(asker.verify(token(kid="k9"))["status"], 503)  # perhaps a new one: not its fault
        self.assertEqual(asker.verify(token())["status"], 200)
        self.assertEqual(asker.counters()["auth_jwks_failures"], 1)

    def test_ends_while_a_fetch_hangs(self):
        peer = self.issuer()
        peer.gate.clear()
        asker = Asker(by_url(peer.url("/jwks")))
        asker.start(token())
        peer.wait_for_request()
        status, log = asker.stop()
        self.assertEqual(status, 0, log)

    def test_the_listener_beside_the_client(self):
        """The client's vhosts must not catch browsers' connections, nor the other way round."""
        peer = self.issuer()
        asker = self.asker(by_url(peer.url("/jwks")) + by_word(peer.url("/introspect")).replace(
            "issuer.test", "opaque.test").replace("wwsfs: [w1]", "wwsfs: [w2]"))
        for host in ("edge.test", f"localhost:{peer.port}", peer.url("/jwks"), "auth-http"):
            self.assertEqual(asker.verify(token())["status"], 200)
            context = ssl.create_default_context(cafile=Keys.path("ca.pem"))
            with socket.create_connection(("127.0.0.1", asker.wss_port), timeout=DEADLINE_S) as raw:
                with context.wrap_socket(raw, server_hostname="localhost") as s:
                    s.sendall((f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n"
                               "Origin: https://w1.test\r\n\r\n").encode())
                    self.assertIn(b" 101 ", s.recv(4096).split(b"\r\n")[0])
            asker.send("reload")


class Files(Case):
    def test_a_changed_file_is_read_again(self):
        with open(Keys.path("set.json"), "w") as f:
            json.dump({"keys": [Keys.jwk("a", "k1")]}, f)
        issuer = by_url("x").replace("jwks_url: 'x'", f"jwks_file: '{Keys.path('set.json')}'").replace(
            f"ca_file: {Keys.path('ca.pem')}, ", "")
        asker = self.asker(issuer, keys="  keys_check_s: 3600\n")
        self.assertEqual(asker.verify(token())["status"], 200)
        with open(Keys.path("new.json"), "w") as f:
            json.dump({"keys": [Keys.jwk("b", "k2")]}, f)
        os.rename(Keys.path("new.json"), Keys.path("set.json"))
        self.until(asker, token(key="b", kid="k2"), 200, "an unknown kid makes it look")
        os.unlink(Keys.path("set.json"))
        asker.send("reload")
        self.assertEqual(asker.verify(token(key="b", kid="k2"))["status"], 200)

    def test_watched(self):
        with open(Keys.path("set.json"), "w") as f:
            json.dump({"keys": [Keys.jwk("a", "k1")]}, f)
        issuer = by_url("x").replace("jwks_url: 'x'", f"jwks_file: '{Keys.path('set.json')}'").replace(
            f"ca_file: {Keys.path('ca.pem')}, ", "")
        asker = self.asker(issuer, keys="  keys_check_s: 1\n")
        self.assertEqual(asker.verify(token())["status"], 200)
        with open(Keys.path("set.json"), "w") as f:
            json.dump({"keys": [Keys.jwk("b", "k1")]}, f)
        self.until(asker, token(key="b"), 200, "same kid, other key")
        self.assertEqual(asker.verify(token())["status"], 401)


class Opaque(Case):
    def ask(self, peer):
        return self.asker(by_word(peer.url("/introspect")))

    def test_active(self):
        peer = self.issuer()
        opaque = "2Yot+n/FZF~Ejr1.zCsicMWp=="
        peer.words[opaque] = dict(claims(iss=None, azp=None, client_id="w1"), active=True)
        asker = self.ask(peer)
        for _ in range(3):
            r = asker.verify(opaque)
            self.assertEqual((r["status"], r["impi"]), (200, "alice@ims.test"), asker.log_text())
        path, headers, body = peer.wait_for_request()
        self.assertEqual(path, "/introspect")
        self.assertEqual(headers["Content-Type"], "application/x-www-form-urlencoded")
        self.assertEqual(urllib.parse.parse_qs(body.decode())["token"], [opaque])
        basic = base64.b64decode(headers["Authorization"].split("Basic ")[1]).decode()
        self.assertEqual([urllib.parse.unquote(p) for p in basic.split(":")], ["ep:cscf", "s3cr%t:+"])
        self.assertEqual(peer.count, 1)  # its word is kept
        self.assertEqual(asker.counters()["auth_introspection_hits"], 2)
        self.assertNotIn(opaque, asker.log_text())
        self.assertNotIn("s3cr", asker.log_text())

    def test_a_jwt_of_an_issuer_without_keys(self):
        peer = self.issuer()
        signed = token()
        peer.words[signed] = dict(claims(), active=True)
        self.assertEqual(self.ask(peer).verify(signed)["status"], 200)

    def test_same_checks_as_for_a_jwt(self):
        peer = self.issuer()
        asker = self.ask(peer)
        now = int(time.time())
        rows = [(dict(exp=now - 100), 401), (dict(exp=None), 401), (dict(nbf=now + 500), 401),
                (dict(aud="other"), 401), (dict(aud=None), 401), (dict(iss="https://evil.test"), 401),
                (dict(scope="openid"), 401), (dict(azp="w2"), 403), (dict(impi=None), 403),
                (dict(impu=["mailto:a@b"]), 403), (dict(exp=now + (1 << 33)), 401)]
        for i, (change, status) in enumerate(rows):
            with self.subTest(str(change)):
                peer.words[f"opaque{i}"] = dict(claims(**change), active=True)
                r = asker.verify(f"opaque{i}")
                self.assertEqual(r["status"], status, r)
                self.assertEqual("Bearer" in r["header"], status == 401)

    def test_not_active(self):
        peer = self.issuer()
        asker = self.ask(peer)
        for _ in range(3):
            r = asker.verify("unheard-of")
            self.assertEqual(r["status"], 401)
            self.assertIn('error="invalid_token"', r["header"])
        self.assertEqual(peer.count, 1)

    def test_revoked_in_spite_of_the_kept_word(self):
        peer = self.issuer()
        peer.words["opaque"] = dict(claims(), active=True)
        asker = self.ask(peer)
        self.assertEqual(asker.verify("opaque")["status"], 200)
        asker.send(f"revoke alice@ims.test {int(time.time())}")
        self.assertEqual(asker.verify("opaque")["status"], 401)
        self.assertEqual(asker.counters()["auth_tokens_revoked"], 1)

    def test_the_word_ends_with_the_token(self):
        peer = self.issuer()
        now = int(time.time())
        peer.words["opaque"] = dict(claims(exp=now + 1), active=True)
        asker = self.ask(peer)
        self.assertEqual(asker.verify("opaque")["status"], 200)
        peer.words["opaque"] = {"active": False}
        self.until(asker, "opaque", 401, "asked again")

    def test_answers_that_say_nothing(self):
        peer = self.issuer()
        asker = self.ask(peer)
        good = json.dumps(dict(claims(), active=True)).encode()
        rows = {"garbage": (200, b"yes"), "string": (200, b'{"active":"true"}'), "number": (200, b'{"active":1}'),
                "none": (200, b"{}"), "array": (200, b"[true]"), "401": (401, good), "500": (500, good),
                "twice": (200, b'{"active":true,' + good[1:]), "big": (200, b" " * 40000 + good)}
        for name, (status, text) in rows.items():
            with self.subTest(name):
                peer.answer = lambda path, s=status, t=text: (s, t, {})
                r = asker.verify("opaque-" + name)
                self.assertEqual((r["status"], r["header"]), (503, ""), name)
                self.assertGreaterEqual(r["retry"], 1)
        peer.answer = lambda path: (307, b"", {"Location": peer.url("/other")})
        self.assertEqual(asker.verify("opaque-redirected")["status"], 503)
        peer.answer = None
        peer.words["opaque-none"] = dict(claims(), active=True)
        self.assertEqual(asker.verify("opaque-none")["status"], 200)  # failures are not kept

    def test_away(self):
        asker = self.asker(by_word(f"https://localhost:{free_port()}/introspect"))
        r = asker.verify("opaque")
        self.assertEqual((r["status"], r["header"]), (503, ""))
        self.assertGreaterEqual(r["retry"], 1)

    def test_wrong_certificate_shows_no_token(self):
        peer = self.issuer(cert="stranger")
        self.assertEqual(self.ask(peer).verify("opaque")["status"], 503)
        self.assertEqual(peer.count, 0)

    def test_one_question_for_many(self):
        peer = self.issuer()
        peer.words["opaque"] = dict(claims(), active=True)
        peer.gate.clear()
        asker = self.ask(peer)
        waiting = [asker.start("opaque") for _ in range(100)]
        peer.wait_for_request()
        asker.send(f"cancel {waiting[7]}")
        peer.gate.set()
        for n in waiting:
            if n != waiting[7]:
                self.assertEqual(asker.result(n)["status"], 200)
        self.assertEqual(peer.count, 1)

    def test_a_flood_of_tokens(self):
        peer = self.issuer()
        asker = self.ask(peer)
        waiting = [asker.start(hashlib.sha256(bytes([i])).hexdigest()) for i in range(200)]
        found = [asker.result(n)["status"] for n in waiting]
        self.assertEqual(sorted(set(found)), [401, 503])
        self.assertEqual(peer.count, found.count(401))

    def test_not_without_an_issuer_to_ask(self):
        peer = self.issuer()
        asker = self.ask(peer)
        self.assertEqual(asker.verify("opaque", origin="https://w2.test")["status"], 401)
        self.assertEqual(peer.count, 0)  # w2's token is nothing for w1's issuer

    def test_ends_while_the_issuer_thinks(self):
        peer = self.issuer()
        peer.gate.clear()
        asker = Asker(by_word(peer.url("/introspect")))
        asker.start("opaque")
        peer.wait_for_request()
        status, log = asker.stop()
        self.assertEqual(status, 0, log)


if __name__ == "__main__":
    ASKER = os.path.abspath(sys.argv.pop(1))
    Keys.make()
    try:
        unittest.main(verbosity=1)
    finally:
        shutil.rmtree(Keys.dir)
