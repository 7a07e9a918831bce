#!/usr/bin/env python3
"""The WWSF over HTTPS, asked as browsers and as attackers ask it. test_http.py PATH-OF-wwsf_server"""
import base64
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import warnings

SERVER = ""
COOKIE = "__Host-wwsf"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """wwsf_server in a folder of its own; every test case starts one."""

    def __init__(self, page=True, spoil=None):
        self.dir = tempfile.mkdtemp(prefix="epc-wwsf-")
        self.port = free_port()
        self.origin = f"https://127.0.0.1:{self.port}"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=127.0.0.1",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.path("key.pem"),
                        "-out", self.path("cert.pem")], check=True, capture_output=True)
        os.mkdir(self.path("page"))
        if page:
            for name, text in (("index.html", "<!doctype html><title>t</title>"),
                               ("app.js", "export {};" + "/* long */" * 40000),
                               ("style.css", "body{}"), ("icon.svg", "<svg/>"), ("licences.txt", "MIT")):
                with open(self.path("page", name), "w") as f:
                    f.write(text)
        self.write_users("alice", "bob")
        if spoil:
            with open(self.path(spoil[0]), "w") as f:
                f.write(spoil[1])
        self.log = open(self.path("log"), "w+")
        self.process = subprocess.Popen([SERVER, self.dir, str(self.port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        if self.process.stdout.readline().strip() != "READY":
            raise RuntimeError(self.stop()[2])
        self.tls = ssl.create_default_context(cafile=self.path("cert.pem"))

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write_users(self, *names):
        hashes = Server.hashes
        users = [{"user": n, "password": hashes[n], "impi": f"{n}@ims.test",
                  "impus": [f"sip:{n}@ims.test", "tel:+4930123"], "display_name": n.title()}
                 for n in names]
        with open(self.path("users.json.new"), "w") as f:
            json.dump(users, f)
        os.rename(self.path("users.json.new"), self.path("users.json"))

    def log_text(self):
        self.log.flush()
        with open(self.path("log"), errors="replace") as f:
            return f.read()

    def stop(self):
        out, _ = self.process.communicate("", timeout=20)
        text = self.log_text()
        self.log.close()
        shutil.rmtree(self.dir)
        return self.process.returncode, dict(line.split() for line in out.splitlines()), text

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=10)

    def ask(self, method, path, body=None, headers=None, connection=None):
        """(status, headers, body)"""
        c = connection or self.connect()
        c.request(method, path, body, headers or {})
        r = c.getresponse()
        data = r.read()
        if not connection:
            c.close()
        return r.status, r.headers, data

    def post(self, path, body, connection=None, **headers):
        h = {"Content-Type": "application/json", "Origin": self.origin}
        h.update({k.replace("_", "-"): v for k, v in headers.items()})
        h = {k: v for k, v in h.items() if v is not None}
        data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return self.ask("POST", path, data, h, connection)

    def login(self, user="alice", password=None, **more):
        return self.post("/api/login", {"user": user, "password": password or f"{user}-pass", **more})

    def raw(self, data, seconds=5):
        """What comes back for these octets, until the server closes or is quiet for a while."""
        got = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as plain:
            with self.tls.wrap_socket(plain, server_hostname="127.0.0.1") as s:
                s.sendall(data)
                try:
                    while chunk := s.recv(65536):
                        got += chunk
                        if b"\r\n\r\n" in got and b"Connection: close" not in got:
                            break
                except (socket.timeout, ConnectionError, ssl.SSLError):
                    pass
        return got


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class Case(unittest.TestCase):
    page = True

    def setUp(self):
        self.s = Server(self.page)

    def tearDown(self):
        status, self.counters, log = self.s.stop()
        self.assertEqual(status, 0, log[-4000:])
        for secret in ("-pass", "scrypt$", "eyJ", COOKIE):
            self.assertNotIn(secret, log)


class Login(Case):
    def test_login(self):
        status, headers, body = self.s.login()
        self.assertEqual(status, 200)
        j = json.loads(body)
        self.assertEqual(j["impi"], "alice@ims.test")
        self.assertEqual(j["impus"], ["sip:alice@ims.test", "tel:+4930123"])
        self.assertEqual(j["display_name"], "Alice")
        self.assertEqual(j["epcscf"], ["wss://one.ims.test/ws", "wss://two.ims.test:8443/ws"])
        self.assertEqual(j["home_domain"], "ims.test")
        self.assertIs(j["digest"], True)
        c = claims(j["token"])
        self.assertEqual(c["exp"], j["expires_at"])
        self.assertEqual((c["iss"], c["aud"], c["azp"], c["scope"]),
                         ("https://waf.ims.test", "epcscf.ims.test", "wwsf1", "sip"))
        self.assertEqual(headers["Cache-Control"], "no-store")
        cookie = headers["Set-Cookie"]
        for attribute in ("HttpOnly", "Secure", "SameSite=Strict", "Path=/"):
            self.assertIn(attribute, cookie)
        self.assertRegex(cookie, rf"^{COOKIE}=[0-9a-f]{{64}};")

    def test_plmn(self):
        self.assertEqual(json.loads(self.s.login(plmn="26201")[2])["epcscf"], ["wss://two.ims.test:8443/ws"])
        self.assertEqual(len(json.loads(self.s.login(plmn="99999")[2])["epcscf"]), 2)
        for bad in ("2620", "2620a", "2620100", "", 26201, None, ["26201"]):
            self.assertEqual(self.s.login(plmn=bad)[0], 400, bad)

    def test_no_enumeration(self):
        known = self.s.login("alice", "wrong")
        unknown = self.s.login("mallory", "wrong")
        self.assertEqual(known[0], 401)
        self.assertEqual((known[0], known[2]), (unknown[0], unknown[2]))
        self.assertEqual(sorted(known[1].keys()), sorted(unknown[1].keys()))

    def test_rate_limit(self):
        answers = [self.s.login("alice", "wrong") for _ in range(12)]
        self.assertEqual([a[0] for a in answers[:10]], [401] * 10)
        limited = [a for a in answers if a[0] == 429]
        self.assertTrue(limited)
        self.assertGreaterEqual(int(limited[0][1]["Retry-After"]), 1)
        # The right password does not help now: else a guess could be told from the limit.
        self.assertEqual(self.s.login()[0], 429)

    def test_right_ones_are_not_limited(self):
        for _ in range(15):
            self.assertEqual(self.s.login()[0], 200)

    def test_bad_bodies(self):
        for body in ("", "x", "[]", "null", '{"user":"alice"}', '{"user":1,"password":2}',
                     '{"user":"","password":"x"}', '{"user":"alice","password":"a","user":"bob"}',
                     '{"user":"alice\\u0000","password":"x"}', b'{"user":"\xff","password":"x"}',
                     json.dumps({"user": "a" * 300, "password": "x"}),
                     json.dumps({"user": "alice", "password": "x" * 600})):
            self.assertEqual(self.s.post("/api/login", body)[0], 400, body)

    def test_users_reread(self):
        self.assertEqual(self.s.login("bob")[0], 200)
        self.s.write_users("alice")
        self.assertEqual(self.s.login("bob")[0], 401)
        with open(self.s.path("users.json"), "w") as f:
            f.write("[broken")
        self.assertEqual(self.s.login("alice")[0], 200)
        self.assertIn("users-file-fault", self.s.log_text())


class Session(Case):
    def cookie(self, user="alice"):
        return self.s.login(user)[1]["Set-Cookie"].split(";")[0]

    def test_refresh(self):
        first = self.s.login()
        cookie = first[1]["Set-Cookie"].split(";")[0]
        status, headers, body = self.s.post("/api/token", {}, Cookie="other=1; " + cookie)
        self.assertEqual(status, 200)
        self.assertNotIn("Set-Cookie", headers)
        old, new = claims(json.loads(first[2])["token"]), claims(json.loads(body)["token"])
        self.assertEqual(old["sub"], new["sub"])
        self.assertNotEqual(old["jti"], new["jti"])
        self.assertEqual(self.s.post("/api/token", {"plmn": "26"}, Cookie=cookie)[0], 400)

    def test_without_session(self):
        self.assertEqual(self.s.post("/api/token", {})[0], 401)
        self.assertEqual(self.s.post("/api/token", {}, Cookie=f"{COOKIE}=")[0], 401)
        self.assertEqual(self.s.post("/api/token", {}, Cookie=f"{COOKIE}={'0' * 64}")[0], 401)

    def test_logout(self):
        cookie = self.cookie()
        status, headers, _ = self.s.post("/api/logout", {}, Cookie=cookie)
        self.assertEqual(status, 204)
        self.assertIn("Max-Age=0", headers["Set-Cookie"])
        self.assertEqual(self.s.post("/api/token", {}, Cookie=cookie)[0], 401)

    def test_removed_user(self):
        cookie = self.cookie("bob")
        self.s.write_users("alice")
        self.assertEqual(self.s.post("/api/token", {}, Cookie=cookie)[0], 401)


class Http(Case):
    def test_page(self):
        for path, kind in (("/", "text/html"), ("/app.js", "text/javascript"), ("/style.css", "text/css"),
                           ("/icon.svg", "image/svg+xml"), ("/licences.txt", "text/plain")):
            status, headers, body = self.s.ask("GET", path)
            self.assertEqual(status, 200)
            self.assertTrue(headers["Content-Type"].startswith(kind))
            self.assertEqual(len(body), int(headers["Content-Length"]))
            again = self.s.ask("GET", path, headers={"If-None-Match": headers["ETag"]})
            self.assertEqual((again[0], again[2]), (304, b""))
            self.assertEqual(self.s.ask("HEAD", path)[2], b"")
        with open(self.s.path("page", "app.js"), "rb") as f:
            self.assertEqual(self.s.ask("GET", "/app.js")[2], f.read())

    def test_security_headers(self):
        for status, headers, _ in (self.s.ask("GET", "/"), self.s.ask("GET", "/nothing"), self.s.login(),
                                   self.s.ask("GET", "/api/config")):
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff", status)
            self.assertEqual(headers["Referrer-Policy"], "no-referrer")
            self.assertIn("max-age=", headers["Strict-Transport-Security"])
            csp = headers["Content-Security-Policy"]
            self.assertIn("default-src 'none'", csp)
            self.assertIn("connect-src 'self' wss://two.ims.test:8443 wss://one.ims.test", csp)
            self.assertNotIn("unsafe", csp)
            self.assertIsNone(headers["Access-Control-Allow-Origin"])

    def test_only_the_listed_files(self):
        for path in ("/index.html", "/page/index.html", "/users.json", "/../users.json", "/..%2fusers.json",
                     "/%2e%2e/users.json", "/app.js/", "//app.js", "/app.js%00", "/.well-known/", "/api/",
                     "/" + "a" * 200, "/./signing.pem", "/..//..//etc/passwd"):
            got = self.s.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            status = got.split(b" ")[1] if got else b"closed"
            if path in ("//app.js",):  # the same file, written otherwise
                self.assertIn(status, (b"200", b"404"), path)
            else:
                self.assertIn(status, (b"404", b"403", b"400", b"closed"), path)
            self.assertNotIn(b"scrypt", got)
            self.assertNotIn(b"PRIVATE", got)
            self.assertNotIn(b"root:", got)

    def test_methods(self):
        self.assertEqual(self.s.ask("GET", "/api/login")[0], 405)
        self.assertEqual(self.s.post("/", {})[0], 405)
        self.assertEqual(self.s.post("/api/config", {})[0], 405)
        for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
            self.assertEqual(self.s.ask(method, "/api/login", "{}")[0], 405, method)

    def test_same_origin_only(self):
        ok = {"user": "alice", "password": "alice-pass"}
        for origin in (None, "https://evil.test", "null", "http://127.0.0.1", self.s.origin + "0",
                       self.s.origin.replace("https", "http"), "https://127.0.0.1", self.s.origin + "/"):
            self.assertEqual(self.s.post("/api/login", ok, Origin=origin)[0], 403, origin)
        # Under another name of the same server the page is its own origin too.
        self.assertEqual(self.s.post("/api/login", ok, Host="localhost:1", Origin="https://localhost:1")[0], 200)

    def test_content_type(self):
        for kind in (None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"):
            self.assertEqual(self.s.post("/api/login", "{}", Content_Type=kind)[0], 415, kind)
        self.assertEqual(self.s.post("/api/login", {"user": "alice", "password": "alice-pass"},
                                     Content_Type="Application/JSON; charset=utf-8")[0], 200)

    def test_body_limit(self):
        head = (f"POST /api/login HTTP/1.1\r\nHost: x\r\nOrigin: {self.s.origin}\r\n"
                "Content-Type: application/json\r\n")
        for length, want in ((4097, b"413"), (2 ** 31, b"411"), (2 ** 70, b"411"), (-1, b"411"), ("x", b"411")):
            got = self.s.raw(f"{head}Content-Length: {length}\r\n\r\n{{".encode())
            self.assertIn(got.split(b" ")[1] if got else b"closed", (want, b"400", b"413", b"closed"), length)
        got = self.s.raw(f"{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode())
        self.assertIn(got.split(b" ")[1] if got else b"closed", (b"411", b"400", b"closed"))
        got = self.s.raw(f"{head}Content-Length: 0\r\n\r\n".encode())
        self.assertEqual(got.split(b" ")[1], b"400")
        self.assertEqual(self.s.login()[0], 200)  # still there

    def test_keep_alive(self):
        c = self.s.connect()
        for _ in range(3):
            self.assertEqual(self.s.ask("GET", "/style.css", connection=c)[0], 200)
            self.assertEqual(self.s.post("/api/login", {"user": "alice", "password": "alice-pass"},
                                         connection=c)[0], 200)
            self.assertEqual(self.s.post("/api/login", "{}", connection=c, Content_Type="text/plain")[0], 415)
        c.close()

    def test_slow_and_broken(self):
        """Half a request, then nothing or an end: the server goes on with the others."""
        open_ones = []
        for data in (b"", b"GET / HT", b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{",
                     b"\x16\x03\x01", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 2000):
            plain = socket.create_connection(("127.0.0.1", self.s.port))
            try:
                t = self.s.tls.wrap_socket(plain, server_hostname="127.0.0.1")
                t.sendall(data)
                open_ones.append(t)
            except OSError:
                plain.close()
        plain = socket.create_connection(("127.0.0.1", self.s.port))
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")  # no TLS
        open_ones.append(plain)
        self.assertEqual(self.s.login()[0], 200)
        open_ones[1].close()
        self.assertEqual(self.s.ask("GET", "/")[0], 200)
        for s in open_ones:
            s.close()

    def test_old_tls(self):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is deprecated is why it is tried
            tls.maximum_version = ssl.TLSVersion.TLSv1_1
        tls.set_ciphers("ALL:@SECLEVEL=0")
        with socket.create_connection(("127.0.0.1", self.s.port), timeout=5) as plain:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                tls.wrap_socket(plain)

    def test_config(self):
        status, _, body = self.s.ask("GET", "/api/config")
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(body), {"epcscf": ["wss://one.ims.test/ws", "wss://two.ims.test:8443/ws"],
                                            "home_domain": "ims.test", "modes": ["token", "digest"], "guests": False})
        self.assertEqual(json.loads(self.s.ask("GET", "/api/config?x=1&plmn=310260")[2])["epcscf"],
                         ["wss://one.ims.test/ws"])
        self.assertEqual(len(json.loads(self.s.ask("GET", "/api/config?plmn=310261")[2])["epcscf"]), 2)
        for bad in ("", "310", "31026x", "3102600", "%33", "1" * 500, "31026+"):
            self.assertEqual(self.s.ask("GET", "/api/config?plmn=" + bad)[0], 400, bad)

    def test_keys(self):
        status, headers, body = self.s.ask("GET", "/.well-known/jwks.json")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("application/jwk-set+json"))
        with open(self.s.path("jwks.json")) as f:
            self.assertEqual(json.loads(body), json.load(f))
        token = json.loads(self.s.login()[2])["token"]
        head = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
        self.assertEqual(head["kid"], json.loads(body)["keys"][0]["kid"])


class NoPage(Case):
    page = False

    def test_no_page(self):
        status, _, body = self.s.ask("GET", "/")
        self.assertEqual(status, 503)
        self.assertIn(b"not built", body)
        self.assertEqual(self.s.login()[0], 200)


class Start(unittest.TestCase):
    def test_files_that_prevent_it(self):
        for name, text in (("users.json", "{}"), ("cert.pem", "x"), ("key.pem", ""), ("signing.pem", "x")):
            with self.assertRaises(RuntimeError, msg=name) as caught:
                Server(spoil=(name, text))
            self.assertIn(name, str(caught.exception))
            self.assertNotIn("Sanitizer", str(caught.exception))


class Stop(unittest.TestCase):
    def test_stop_with_open_connections(self):
        s = Server()
        connections = [s.connect() for _ in range(5)]
        for c in connections:
            s.ask("GET", "/", connection=c)
        half = s.connect()
        half.connect()
        half.sock.sendall(b"POST /api/login HTTP/1.1\r\n")
        began = time.monotonic()
        status, counters, log = s.stop()
        self.assertEqual(status, 0, log[-4000:])
        self.assertLess(time.monotonic() - began, 15)
        self.assertEqual(counters["wwsf_logins"], "0")
        for c in [*connections, half]:
            c.close()


if __name__ == "__main__":
    SERVER = sys.argv.pop(1)
    Server.hashes = {n: subprocess.run([SERVER, "--hash", f"{n}-pass"], check=True, capture_output=True,
                                       text=True).stdout.strip() for n in ("alice", "bob")}
    unittest.main(verbosity=1)
