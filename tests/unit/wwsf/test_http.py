#!/usr/bin/env python3
"""The WWSF over HTTPS, asked as browsers and as attackers ask it. test_http.py PATH-OF-wwsf_server"""
import base64
import hashlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
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

    def __init__(self, page=True, spoil=None, settings=(), pool=()):
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
        if pool:
            with open(self.path("pool.txt"), "w") as f:
                f.writelines(f"{name}@ims.test sip:{name}@ims.test\n" for name in pool)
        if spoil:
            with open(self.path(spoil[0]), "w") as f:
                f.write(spoil[1])
        self.log = open(self.path("log"), "w+")
        self.settings = settings
        self.start()

    def start(self):
        self.process = subprocess.Popen([SERVER, self.dir, str(self.port), *self.settings],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                        text=True)
        if self.process.stdout.readline().strip() != "READY":
            raise RuntimeError(self.stop()[2])
        self.tls = ssl.create_default_context(cafile=self.path("cert.pem"))

    def restart(self):
        self.process.communicate("", timeout=20)
        self.start()

    def tool(self, *words, password=None):
        """(exit status, output, errors) of what `epcscf --wwsf` does."""
        done = subprocess.run([SERVER, "--tool", self.dir, *words], input=password, capture_output=True,
                              text=True, timeout=20)
        return done.returncode, done.stdout, done.stderr

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

    def connect(self, source="127.0.0.1", timeout=10):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=timeout,
                                           source_address=(source, 0))

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


def until(fn, what, seconds=15, pause=0.05):
    end = time.monotonic() + seconds
    while True:
        got = fn()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(what)
        time.sleep(pause)


class Case(unittest.TestCase):
    page = True
    settings = ()
    pool = ()

    def setUp(self):
        self.s = Server(self.page, settings=self.settings, pool=self.pool)

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
        both = ["wss://one.ims.test/ws", "wss://two.ims.test:8443/ws"]
        self.assertEqual(json.loads(body), {"epcscf": both, "known": both[::-1], "reason": "none",
                                            "network": "default", "ttl_s": 300, "home_domain": "ims.test",
                                            "modes": ["token", "digest"], "guests": False})
        self.assertEqual(json.loads(self.s.ask("GET", "/api/config?x=1&plmn=310260")[2])["epcscf"],
                         ["wss://one.ims.test/ws"])
        self.assertEqual(len(json.loads(self.s.ask("GET", "/api/config?plmn=310261")[2])["epcscf"]), 2)
        for bad in ("", "31", "31026x", "3102600", "%33", "1" * 500, "31026+"):
            self.assertEqual(self.s.ask("GET", "/api/config?plmn=" + bad)[0], 400, bad)

    def test_epcscf(self):
        """The public interface for any WIC: forms of a PLMN, and who may read the answer."""
        def ask(query, **headers):
            status, got, body = self.s.ask("GET", "/api/epcscf" + query, headers=headers)
            return status, got, json.loads(body)
        for query in ("plmn=26201", "serving=262-01", "serving=262-001", "serving=262001", "mcc=262&mnc=01",
                      "mcc=262&mnc=001", "home=262-01", "home=26201&serving=999-99", "plmn=26201&serving=262-01"):
            status, headers, body = ask("?" + query)
            self.assertEqual((status, body["epcscf"], body["network"]),
                             (200, ["wss://two.ims.test:8443/ws"], "26201"), query)
            self.assertEqual(body["reason"], "home" if "home" in query else "serving")
        self.assertEqual(ask("?serving=262-02")[2]["reason"], "unknown")
        self.assertEqual(ask("")[2]["reason"], "none")
        self.assertEqual(ask("?mcc=262")[2]["reason"], "unknown")
        for bad in ("mcc=26&mnc=201", "mnc=01", "mcc=262&mnc=1", "mcc=2620&mnc=1", "serving=x", "home=",
                    "plmn=26201&serving=26202", "mcc=262&mcc=310&mnc=01", "mcc=262&mnc="):
            status, _, body = ask("?" + bad)
            self.assertEqual(status, 400, bad)
            self.assertIn("write MCC and MNC", body["error"])
        status, headers, _ = ask("?plmn=26201", Origin="https://anyone.test")
        self.assertEqual((status, headers["Access-Control-Allow-Origin"], headers["Cache-Control"]),
                         (200, "*", "no-store"))
        self.assertNotIn("Access-Control-Allow-Credentials", headers)
        self.assertEqual(self.s.ask("POST", "/api/epcscf")[0], 405)

    def test_keys(self):
        status, headers, body = self.s.ask("GET", "/.well-known/jwks.json")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("application/jwk-set+json"))
        with open(self.s.path("jwks.json")) as f:
            self.assertEqual(json.loads(body), json.load(f))
        token = json.loads(self.s.login()[2])["token"]
        head = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
        self.assertEqual(head["kid"], json.loads(body)["keys"][0]["kid"])


def cookie_of(answer):
    return answer[1]["Set-Cookie"].split(";")[0]


class Accounts(Case):
    def test_sessions_outlive_a_restart(self):
        first = self.s.login()
        self.s.restart()
        again = self.s.post("/api/token", {}, Cookie=cookie_of(first))
        self.assertEqual(again[0], 200)
        self.assertEqual(claims(json.loads(again[2])["token"])["sub"], claims(json.loads(first[2])["token"])["sub"])

    def test_two_requests_at_once_on_one_connection(self):
        """Pipelining is not served; it must not mix up answers either."""
        body = b'{"user":"alice","password":"alice-pass"}'
        one = (f"POST /api/login HTTP/1.1\r\nHost: x\r\nOrigin: {self.s.origin}\r\nContent-Type: application/json"
               f"\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
        self.s.raw(one + one, 1)
        self.assertEqual(self.s.login()[0], 200)

    def test_client_gone_before_the_answer(self):
        body = b'{"user":"alice","password":"alice-pass"}'
        head = (f"POST /api/login HTTP/1.1\r\nHost: x\r\nOrigin: {self.s.origin}\r\nContent-Type: application/json"
                f"\r\nContent-Length: {len(body)}\r\n\r\n").encode()
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", self.s.port), timeout=5) as plain:
                with self.s.tls.wrap_socket(plain, server_hostname="127.0.0.1") as s:
                    s.sendall(head + body)
        self.assertEqual(self.s.login()[0], 200)

    def test_others_go_on(self):
        """Many log-ins at once: each is answered, too many with 503 and Retry-After; others do not wait."""
        answers = []

        def one(i):
            answers.append(self.s.login("alice" if i % 2 else "bob"))
        threads = [threading.Thread(target=one, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        self.assertEqual(self.s.ask("GET", "/api/config")[0], 200)
        for t in threads:
            t.join()
        for status, headers, _ in answers:
            self.assertIn(status, (200, 429, 503))
            if status != 200:
                self.assertGreaterEqual(int(headers["Retry-After"]), 1)
        self.assertIn(200, [a[0] for a in answers])

    def test_tool(self):
        self.assertEqual(self.s.tool("user", "add", "carol", "impi=carol@ims.test", "impu=sip:carol@ims.test",
                                     "display=Carol", password="carol-pass\n")[0], 0)
        status, _, body = self.s.login("carol")
        self.assertEqual((status, json.loads(body)["impi"]), (200, "carol@ims.test"))
        cookie = cookie_of(self.s.login("carol"))
        self.assertIn("carol\ttool\tcarol@ims.test\tsip:carol@ims.test\n", self.s.tool("user", "list")[1])
        self.assertEqual(self.s.tool("user", "passwd", "carol", password="new-pass\n")[0], 0)
        self.assertEqual(self.s.post("/api/token", {}, Cookie=cookie)[0], 401)
        self.assertEqual(self.s.login("carol")[0], 401)
        self.assertEqual(self.s.login("carol", "new-pass")[0], 200)
        self.assertEqual(self.s.tool("user", "remove", "carol")[0], 0)
        self.assertEqual(self.s.login("carol", "new-pass")[0], 401)

    def test_tool_faults(self):
        """Each says what, where and what to do."""
        for words, password, want in (
                (("user", "add", "alice", "impi=a@b", "impu=sip:a@b"), "x-pass\n", "user add alice: the name or"),
                (("user", "add", "z", "impi=ab", "impu=sip:a@b"), "x-pass\n", "user@realm"),
                (("user", "add", "z", "impi=a@b"), "x-pass\n", "impus"),
                (("user", "add", "z", "mail=a@b"), "x-pass\n", "mail=a@b: is no option; write impi="),
                (("user", "add", "z"), "", "no password on standard input; type it"),
                (("user", "remove", "z"), None, "user remove z: there is none of that name; see"),
                (("pool", "add", "x", "sip:x@y"), None, "x: is no IMPI; write user@realm"),
                (("pool", "add", "x@y", "x@y"), None, "x@y: is no IMPU; write sip:"),
                (("pool", "add", "alice@ims.test", "sip:q@ims.test"), None, "in use"),
                (("pool", "import", "/nonexistent"), None, "pool-file-unreadable"),
                (("key", "withdraw", "x"), None, "there is none")):
            status, out, err = self.s.tool(*words, password=password)
            self.assertEqual((status, out), (1, ""), words)
            self.assertIn(want, err)
        self.assertEqual(self.s.tool("user", "ad")[0], 64)
        self.assertEqual(self.s.tool("user", "add")[0], 64)
        self.assertIn("user add", self.s.tool("help")[1])


class Crowd(Case):
    def setUp(self):
        """Passwords that cost a multiple of the usual, so that the threads cannot keep up."""
        usual, salt = Server.hashes, bytes(range(16))
        Server.hashes = {n: "scrypt$32768$8$1$" + salt.hex() + "$" +
                         hashlib.scrypt(f"{n}-pass".encode(), salt=salt, n=32768, r=8, p=1, maxmem=2 ** 27,
                                        dklen=32).hex() for n in usual}
        try:
            super().setUp()
        finally:
            Server.hashes = usual

    def test_too_many_at_once(self):
        """From many addresses, on many accounts: what cannot wait gets 503; the page goes on meanwhile."""
        answers, lock = [], threading.Lock()

        def one(i):
            c = self.s.connect(f"127.0.1.{i + 1}", 90)
            a = self.s.post("/api/login", {"user": f"user{i}", "password": "x"}, connection=c)
            c.close()
            with lock:
                answers.append(a)
        threads = [threading.Thread(target=one, args=(i,)) for i in range(50)]
        for t in threads:
            t.start()
        self.assertEqual(self.s.ask("GET", "/api/config")[0], 200)
        self.assertLess(len(answers), 50)  # asked and answered before they were all through
        for t in threads:
            t.join()
        found = {status: sum(a[0] == status for a in answers) for status in (401, 503)}
        self.assertEqual(sum(found.values()), 50, [a[0] for a in answers])
        self.assertGreaterEqual(found[401], 32)
        self.assertGreater(found[503], 0)
        for status, headers, _ in answers:
            if status == 503:
                self.assertGreaterEqual(int(headers["Retry-After"]), 1)


class Pool(Case):
    settings = ("guests=1", "life=600", "margin=60")
    pool = ("g1", "g2")

    def guest(self, **more):
        return self.s.post("/api/guest", more)

    def test_guests(self):
        one, two = self.guest(), self.guest(plmn="26201")
        a, b = json.loads(one[2]), json.loads(two[2])
        self.assertEqual((one[0], two[0]), (200, 200))
        self.assertEqual({a["impi"], b["impi"]}, {"g1@ims.test", "g2@ims.test"})
        for j in (a, b):
            self.assertEqual(j["impus"], ["sip:" + j["impi"]])  # exactly one, the pair that was provisioned
            c = claims(j["token"])
            self.assertEqual((c["impi"], c["impu"]), (j["impi"], j["impus"]))
            self.assertEqual((j["pool"], j["guest"], j["digest"], j["display_name"]), (True, True, False, ""))
        self.assertEqual(b["epcscf"], ["wss://two.ims.test:8443/ws"])
        self.assertNotEqual(claims(a["token"])["sub"], claims(b["token"])["sub"])
        status, headers, body = self.guest()
        self.assertEqual(status, 503)
        self.assertIn(int(headers["Retry-After"]), range(600, 661))
        self.assertEqual(json.loads(body), {"error": "no identity is free"})
        self.assertNotIn("Set-Cookie", headers)
        # A fresh token is for the same identity.
        again = self.s.post("/api/token", {}, Cookie=cookie_of(one))
        self.assertEqual(json.loads(again[2])["impi"], a["impi"])
        # Log-out alone frees nothing: the token is still good.
        self.assertEqual(self.s.post("/api/logout", {}, Cookie=cookie_of(one))[0], 204)
        self.assertEqual(self.guest()[0], 503)
        self.assertEqual(self.s.post("/api/token", {}, Cookie=cookie_of(one))[0], 401)
        self.assertIn("g1@ims.test\tsip:g1@ims.test\tfile\t", self.s.tool("pool", "list")[1])

    def test_user_of_the_pool(self):
        self.assertEqual(self.s.tool("user", "add", "web", "display=Web", password="web-pass\n")[0], 0)
        one, two = self.s.login("web"), self.s.login("web")
        a, b = json.loads(one[2]), json.loads(two[2])
        self.assertEqual(a["impi"], b["impi"])
        self.assertEqual((a["pool"], a["guest"], a["display_name"]), (True, False, "Web"))
        self.assertIs(json.loads(self.s.login()[2])["pool"], False)

    def test_guest_limit(self):
        answers = [self.guest() for _ in range(12)]
        self.assertEqual([a[0] for a in answers], [200, 200] + [503] * 8 + [429] * 2)
        self.assertEqual(self.s.login()[0], 200)

    def test_pool_grows(self):
        self.guest(), self.guest()
        self.assertEqual(self.guest()[0], 503)
        with open(self.s.path("pool.txt"), "a") as f:
            f.write("g3@ims.test sip:g3@ims.test\n")
        self.assertEqual(self.s.tool("pool", "add", "g4@ims.test", "sip:g4@ims.test")[0], 0)
        until(lambda: "g3@" in self.s.tool("pool", "list")[1], "the file was not read again")
        got = {json.loads(self.guest()[2])["impi"] for _ in range(2)}
        self.assertEqual(got, {"g3@ims.test", "g4@ims.test"})

    def test_restart_keeps_leases(self):
        one = self.guest()
        self.s.restart()
        self.assertEqual(json.loads(self.s.post("/api/token", {}, Cookie=cookie_of(one))[2])["impi"],
                         json.loads(one[2])["impi"])
        self.assertEqual([self.guest()[0], self.guest()[0]], [200, 503])

    def test_client_gone(self):
        """A guest who did not wait for the answer keeps nothing open."""
        head = (f"POST /api/guest HTTP/1.1\r\nHost: x\r\nOrigin: {self.s.origin}\r\nContent-Type: application/json"
                "\r\nContent-Length: 2\r\n\r\n{}").encode()
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", self.s.port), timeout=5) as plain:
                with self.s.tls.wrap_socket(plain, server_hostname="127.0.0.1") as s:
                    s.sendall(head)
        self.assertEqual(self.s.login()[0], 200)


class PoolRevoked(Case):
    settings = ("guests=1", "revoke=1")
    pool = ("g1",)

    def test_lent_again_at_once(self):
        one = self.s.post("/api/guest", {})
        self.assertEqual(self.s.post("/api/logout", {}, Cookie=cookie_of(one))[0], 204)
        self.assertIn("returned=g1@ims.test", self.s.log_text())
        two = until(lambda: (a := self.s.post("/api/guest", {}))[0] == 200 and a, "not lent again", 5, 0.5)
        old, new = claims(json.loads(one[2])["token"]), claims(json.loads(two[2])["token"])
        self.assertEqual(new["impi"], "g1@ims.test")
        self.assertGreater(new["iat"], old["iat"])  # what tells the revoked tokens from the new ones


class NoGuests(Case):
    pool = ("g1",)

    def test_no_guests(self):
        self.assertEqual(self.s.post("/api/guest", {})[0], 404)
        self.assertIs(json.loads(self.s.ask("GET", "/api/config")[2])["guests"], False)


class Keys(Case):
    settings = ("publish=1",)

    def keys(self):
        return [k["kid"] for k in json.loads(self.s.ask("GET", "/.well-known/jwks.json")[2])["keys"]]

    def signer(self):
        token = json.loads(self.s.login()[2])["token"]
        return json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"]

    def test_rotation(self):
        first = self.signer()
        self.assertEqual(self.keys(), [first])
        self.assertEqual(self.s.tool("key", "rotate")[0], 0)
        both = until(lambda: len(self.keys()) == 2 and self.keys(), "the new key was not published")
        with open(self.s.path("jwks.json")) as f:
            self.assertEqual([k["kid"] for k in json.load(f)["keys"]], both)
        second = [k for k in both if k != first][0]
        until(lambda: self.signer() == second, "the new key does not sign")
        self.assertEqual(set(self.keys()), {first, second})  # tokens of the first are good still
        self.s.restart()
        self.assertEqual(self.signer(), second)
        # The key of the file does not come back by a restart; withdrawn it is gone at once.
        self.assertEqual(self.s.tool("key", "withdraw", first)[0], 0)
        until(lambda: self.keys() == [second], "the first key was not withdrawn")
        self.s.restart()
        self.assertEqual(self.keys(), [second])
        status, _, err = self.s.tool("key", "withdraw", second)
        self.assertEqual(status, 1)
        self.assertIn("no other key could sign", err)

    def test_key_set_is_public(self):
        headers = self.s.ask("GET", "/.well-known/jwks.json", headers={"Origin": "https://any.test"})[1]
        self.assertEqual(headers["Access-Control-Allow-Origin"], "*")
        self.assertIsNone(headers["Access-Control-Allow-Credentials"])
        self.assertRegex(headers["Cache-Control"], r"^max-age=\d+$")


class Cors(Case):
    FRIEND = "https://www.friend.test"
    settings = (f"origin={FRIEND}", "origin=https://other.friend.test:8443", "guests=1")
    pool = ("g1",)

    def preflight(self, path, origin=None, method="POST", headers="content-type"):
        h = {"Origin": origin or self.FRIEND, "Access-Control-Request-Method": method}
        if headers is not None:
            h["Access-Control-Request-Headers"] = headers
        return self.s.ask("OPTIONS", path, headers=h)

    def test_preflight(self):
        for origin in (self.FRIEND, "https://other.friend.test:8443"):
            status, headers, body = self.preflight("/api/login", origin)
            self.assertEqual((status, body), (204, b""))
            self.assertEqual(headers["Access-Control-Allow-Origin"], origin)
            self.assertEqual(headers["Access-Control-Allow-Credentials"], "true")
            self.assertEqual(headers["Access-Control-Allow-Methods"], "POST")
            self.assertEqual(headers["Access-Control-Allow-Headers"].lower(), "content-type")
            self.assertGreater(int(headers["Access-Control-Max-Age"]), 0)
            self.assertIn("Origin", headers["Vary"])
        self.assertEqual(self.preflight("/api/config", method="GET", headers=None)[0], 204)

    def test_preflight_refused(self):
        for origin in ("https://evil.test", "null", "https://www.friend.test.evil.test", "https://www.friend.test:444",
                       "http://www.friend.test", "https://WWW.friend.test", "https://friend.test",
                       "https://www.friend.test/", "https://xwww.friend.test", "https://www.friend.tes"):
            status, headers, _ = self.preflight("/api/login", origin)
            self.assertEqual(status, 403, origin)
            self.assertIsNone(headers["Access-Control-Allow-Origin"], origin)
            self.assertIsNone(headers["Access-Control-Allow-Credentials"], origin)
            self.assertIn("Origin", headers["Vary"])
        self.assertEqual(self.preflight("/api/login", method="DELETE")[0], 403)
        self.assertEqual(self.preflight("/api/login", headers="content-type, authorization")[0], 403)
        self.assertEqual(self.preflight("/api/nothing")[0], 404)
        self.assertEqual(self.preflight("/")[0], 405)
        self.assertEqual(self.s.ask("OPTIONS", "/api/login")[0], 405)
        self.assertEqual(self.s.ask("OPTIONS", "/api/login", headers={"Origin": self.FRIEND})[0], 405)

    def test_log_in_from_elsewhere(self):
        answer = self.s.post("/api/login", {"user": "alice", "password": "alice-pass"}, Origin=self.FRIEND)
        status, headers, _ = answer
        self.assertEqual(status, 200)
        self.assertEqual(headers["Access-Control-Allow-Origin"], self.FRIEND)
        self.assertEqual(headers["Access-Control-Allow-Credentials"], "true")
        self.assertEqual(headers["Vary"], "Origin")
        self.assertRegex(headers["Set-Cookie"], r"^__Host-wwsf-x=[0-9a-f]{64};.*SameSite=None.*Partitioned")
        cookie = cookie_of(answer)
        self.assertEqual(self.s.post("/api/token", {}, Cookie=cookie, Origin=self.FRIEND)[0], 200)
        # Good for that page alone: not for another that is allowed, nor for our own.
        self.assertEqual(self.s.post("/api/token", {}, Cookie=cookie,
                                     Origin="https://other.friend.test:8443")[0], 401)
        own = cookie.replace("__Host-wwsf-x", COOKIE)
        self.assertEqual(self.s.post("/api/token", {}, Cookie=own)[0], 401)
        self.assertEqual(self.s.post("/api/token", {}, Cookie=cookie)[0], 401)
        self.assertEqual(self.s.post("/api/logout", {}, Cookie=cookie, Origin=self.FRIEND)[0], 204)
        self.assertEqual(self.s.post("/api/token", {}, Cookie=cookie, Origin=self.FRIEND)[0], 401)

    def test_protection_stays(self):
        ok = {"user": "alice", "password": "alice-pass"}
        status, headers, _ = self.s.post("/api/login", ok, Origin="https://evil.test")
        self.assertEqual(status, 403)
        self.assertIsNone(headers["Access-Control-Allow-Origin"])
        self.assertEqual(headers["Vary"], "Origin")
        self.assertEqual(self.s.post("/api/login", ok, Origin=self.FRIEND, Content_Type="text/plain")[0], 415)
        # A refusal may be read by the page that it is for.
        status, headers, _ = self.s.post("/api/login", {"user": "alice", "password": "no"}, Origin=self.FRIEND)
        self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (401, self.FRIEND))
        self.assertEqual(headers["Access-Control-Expose-Headers"], "Retry-After")
        self.assertIsNone(self.s.ask("GET", "/", headers={"Origin": self.FRIEND})[1]["Access-Control-Allow-Origin"])
        self.assertEqual(self.s.ask("GET", "/api/config", headers={"Origin": self.FRIEND})[1]
                         ["Access-Control-Allow-Origin"], self.FRIEND)


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
