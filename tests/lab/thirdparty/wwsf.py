#!/usr/bin/env python3
"""A WWSF of a third party: a process of its own, with its own origin, issuer, keys and pool. It knows of
the eP-CSCF what its operator was told: the address, the audience and its own id.

    GET /              a page (an empty one: tests play the browser)
    GET /keys.json     the key set
    POST /guest        {} -> {token, impi, impus, expires_at, epcscf}; 503 when the pool is empty
    POST /leave        {impi} -> 204
    POST /rotate       {} -> {kid}: a new key, published at once; the next tokens are signed with it
    POST /forge        claims -> {token}: signed like any other, whatever they claim; for attacks"""
import argparse
import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from epclab import tokens


class Wwsf:
    def __init__(self, options):
        self.o = options
        self.lock = threading.Lock()
        self.keys = []
        self.lent = {}       # IMPI: end
        self.resting = {}
        with open(options.pool) as f:
            self.pool = dict(line.split() for line in f if line.strip())
        self.rotate()

    def rotate(self):
        kid = f"third-{len(self.keys) + 1}"
        path = os.path.join(self.o.folder, f"{kid}.pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-out", path], check=True, capture_output=True)
        self.keys.append((kid, path))
        return {"kid": kid}

    def key_set(self):
        return {"keys": [tokens.ec_jwk(path, kid) for kid, path in self.keys]}

    def token(self, **claims):
        now = int(time.time())
        body = {"iss": self.o.issuer, "aud": self.o.audience, "iat": now, "nbf": now,
                "exp": now + self.o.life, "scope": "sip", "azp": self.o.id, "sub": os.urandom(8).hex(),
                "jti": os.urandom(8).hex()}
        body.update(claims)
        kid, path = self.keys[-1]
        return tokens.sign(body, "ES256", path, kid=kid)

    def guest(self):
        now = int(time.time())
        with self.lock:
            free = [i for i in self.pool if max(self.lent.get(i, 0), self.resting.get(i, 0)) <= now]
            if not free:
                return None
            impi = min(free, key=lambda i: self.resting.get(i, 0))
            self.lent[impi] = now + self.o.life
        impu = self.pool[impi]
        return {"token": self.token(impi=impi, impu=[impu]), "impi": impi, "impus": [impu],
                "expires_at": now + self.o.life, "epcscf": [self.o.epcscf]}

    def leave(self, impi):
        with self.lock:
            self.resting[impi] = self.lent.pop(impi, 0)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def say(self, status, body=b"", kind="application/json", extra=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in extra:
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/keys.json":
            self.say(200, self.server.wwsf.key_set(), "application/jwk-set+json",
                     [("Cache-Control", "max-age=60")])
        elif self.path == "/":
            self.say(200, b"<!doctype html><title>Third party</title>", "text/html")
        else:
            self.say(404, {"error": "no such page"})

    def do_POST(self):
        w = self.server.wwsf
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or b"{}")
        except ValueError:
            return self.say(400, {"error": "JSON is expected"})
        if self.path == "/guest":
            lent = w.guest()
            return self.say(200, lent) if lent else self.say(503, {"error": "no identity is free"},
                                                             extra=[("Retry-After", "60")])
        if self.path == "/leave":
            w.leave(body.get("impi"))
            return self.say(204)
        if self.path == "/rotate":
            return self.say(200, w.rotate())
        if self.path == "/forge":
            return self.say(200, {"token": w.token(**body)})
        return self.say(404, {"error": "no such page"})

    def log_message(self, text, *args):
        print(text % args, flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--listen", required=True)
    for name in ("certificate", "key", "folder", "issuer", "audience", "id", "pool", "epcscf"):
        p.add_argument(f"--{name}", required=True)
    p.add_argument("--life", type=int, default=600)
    options = p.parse_args()
    ip, port = options.listen.rsplit(":", 1)
    server = http.server.ThreadingHTTPServer((ip, int(port)), Handler)
    server.daemon_threads = True
    server.wwsf = Wwsf(options)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
