"""The attacks that a registration must withstand, each over a real TLS WebSocket (or from the core's
side) against the daemon: nothing forged reaches the core, nothing is sent where it must not go, a
counter tells of it, and all the while an innocent WIC registers and is served, and another one that
was there before stays. The core is a stand-in that keeps every octet it gets."""
import argparse
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from epclab import addresses as a
from epclab import tokens
from epclab.build import build
from epclab.certs import Certificates
from epclab.epcscf import Epcscf
from epclab.lab import DEFAULT_VAR
from epclab.ports import accepts
from epclab.runner import Runner, check, equal
from epclab.sipmsg import Message, branch, token, uri_of
from epclab.wait import LabError, poll
from epclab.wic import Refused, WebSocket, Wic
from stand_in import ROUTE, Core, Trap

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
REPORT = re.compile(r"runtime error:|ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|LeakSanitizer: detected")
GAUGES = ("registrations", "sip_wic_transactions", "sip_core_transactions", "wss_flows")
FORGED = "forged"                    # in everything that must not come through
ELSEWHERE = "127.0.0.99"             # a trap
ATTACKER = "127.0.0.77"              # where floods come from: a limit for one source is not the others'
OTHER_ORIGIN, OTHER_WWSF = "https://other.example", "other-wwsf"
OTHER_ISSUER, OTHER_KID = "https://waf.other.example", "other-rsa"
KID = "lab-es"
MAX_OCTETS = 65536
a.USERS = dict(a.USERS, carol=("teapot", "carol@ims.test", ["sip:carol@ims.test"]))

CONFIG = """
shards: {shards}
log:
  level: info
trace:
  file: {dir}/trace.jsonl
wss:
  listen: ["{wss[0]}:{wss[1]}"]
  certificate: {certs}/server.cert.pem
  key: {certs}/server.key.pem
  paths: ["{path}"]
  origins:
    - origin: {origin}
      wwsf: {wwsf}
      modes: [token, digest]
    - origin: {other_origin}
      wwsf: {other_wwsf}
      modes: [token]
  max_message_octets: {octets}
  handshake_timeout_ms: 1500
  max_per_address: 60
sip:
  public_host: {wss[0]}
  public_port: {wss[1]}
  core_host: {core_side[0]}
  core_port: {core_side[1]}
  core_transport: {transport}
  icscf: "sip:{core[0]}:{core[1]}"
  trusted: ["{core[0]}"]
  home_domains: ["{domain}"]
registration:
  min_expires_s: 30
  flow_loss_grace_ms: 500
tokens:
  realm: {domain}
  authz_server: {origin}/token
  issuers:
    - issuer: {issuer}
      jwks_file: {dir}/es-jwks.json
      algorithms: [ES256]
      audience: {audience}
      scope: sip
      wwsfs: [{wwsf}]
    - issuer: {other_issuer}
      jwks_file: {dir}/rsa-jwks.json
      algorithms: [RS256]
      audience: {audience}
      scope: sip
      wwsfs: [{other_wwsf}]
  pools:
    - wwsf: {other_wwsf}
      impi_range: "guest{{00-99}}@{domain}"
      impu_range: "sip:guest{{00-99}}@{domain}"
media:
  gateway: rtpengine
  rtpengine: ["{ng[0]}:{ng[1]}"]
policy:
  mode: "off"
admin:
  metrics_listen: "{metrics[0]}:{metrics[1]}"
  control_socket: {dir}/control.sock
"""


def ec_jwks(key_file, kid):
    der = subprocess.run(["openssl", "pkey", "-in", key_file, "-pubout", "-outform", "DER"],
                         capture_output=True, check=True).stdout
    return {"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
                      "x": tokens.b64(der[-64:-32]), "y": tokens.b64(der[-32:])}]}


class Node(Epcscf):
    """The daemon with a configuration of its own: two WWSFs with an issuer each, no gateway, no PCRF."""

    transport = "auto"

    def ports(self):
        return [p for p in super().ports() if p[1:] != a.WWSF]

    def prepare(self):
        text = CONFIG.format(
            shards=self.shards, dir=self.dir, certs=self.certs.dir, wss=a.WSS, path=a.WSS_PATH,
            origin=a.ORIGIN, wwsf=a.WWSF_ID, other_origin=OTHER_ORIGIN, other_wwsf=OTHER_WWSF,
            octets=MAX_OCTETS, core_side=a.EPCSCF_CORE, core=a.CORE, domain=a.DOMAIN, issuer=a.ISSUER,
            audience=a.AUDIENCE, other_issuer=OTHER_ISSUER, ng=a.RTPENGINE_NG, metrics=a.METRICS,
            transport=self.transport)
        with open(self.config, "w") as f:
            f.write(text)
        for name, keys in (("es", ec_jwks(self.certs.path("wwsf-key.pem"), KID)),
                           ("rsa", tokens.rsa_jwks(self.certs.path("rsa-key.pem"), OTHER_KID))):
            with open(os.path.join(self.dir, name + "-jwks.json"), "w") as f:
                json.dump(keys, f)

    def is_ready(self):
        return accepts(*a.WSS) and accepts(*a.METRICS)


def served(wic):
    """One request of a registered WIC through to the core and back."""
    sent = wic.request("MESSAGE", f"sip:phone@{a.DOMAIN}", to=f"sip:phone@{a.DOMAIN}",
                       routes=wic.service_route, extra=[("Content-Type", "text/plain")], body=b"hello")
    equal(wic.final(sent).status, 200, f"the MESSAGE of {wic.user}")


class Innocent(threading.Thread):
    """Connects, registers, is served, leaves; again and again."""

    def __init__(self, jwt):
        super().__init__(daemon=True)
        self.jwt, self.rounds, self.failures, self.end = jwt, 0, [], threading.Event()

    def run(self):
        while not self.end.is_set():
            try:
                wic = Wic("bob")
                equal(wic.register_token(self.jwt).status, 200, "the innocent REGISTER")
                served(wic)
                equal(wic.unregister(f"Bearer {self.jwt}").status, 200, "its de-registration")
                wic.close()
                self.rounds += 1
            except (LabError, OSError) as e:
                self.failures.append(str(e))
            self.end.wait(0.1)

    def must_go_on(self):
        """Two more rounds: at least one of them began after this call."""
        want = self.rounds + 2
        poll(lambda: self.rounds >= want or self.failures, 20)
        check(not self.failures, f"the innocent WIC: {self.failures[:2]}")
        check(self.rounds >= want, "the innocent WIC came to a stand")


class Bench:
    def __init__(self, node, core, trap):
        self.node, self.core, self.trap = node, core, trap
        self.open = []
        self.neighbour = Wic("carol")
        equal(self.neighbour.register_token(self.token("carol")).status, 200, "carol's REGISTER")
        self.innocent = Innocent(self.token("bob"))
        self.innocent.start()

    # -- tokens ----------------------------------------------------------------------------------
    def sign(self, head, body):
        """From the text of both parts: what json.dumps() would never write."""
        text = tokens.b64(head.encode()) + "." + tokens.b64(body.encode())
        der = subprocess.run(["openssl", "dgst", "-sha256", "-sign",
                              self.node.certs.path("wwsf-key.pem")], input=text.encode(),
                             capture_output=True, check=True).stdout
        return text + "." + tokens.b64(tokens._der_to_raw(der))

    def token(self, user="alice", **changes):
        return tokens.sign(tokens.claims(user, **changes), "ES256",
                           self.node.certs.path("wwsf-key.pem"), KID)

    # -- peers -----------------------------------------------------------------------------------
    def wic(self, user="alice", **ws):
        self.open.append(Wic(user, **ws))
        return self.open[-1]

    def registered(self, user="alice", **ws):
        wic = self.wic(user, **ws)
        equal(wic.register_token(self.token(user)).status, 200, f"{user}'s REGISTER")
        return wic

    def core_side(self, impu="sip:carol@ims.test"):
        """The port of the shard that carol's flow lives on, as her Path says."""
        found = re.search(r"@([\d.]+):(\d+)", self.core.paths[impu])
        return found.group(1), int(found.group(2))

    # -- what must hold --------------------------------------------------------------------------
    def begin(self):
        self.before = self.node.metrics()
        self.mark = self.core.mark()
        self.log_mark = self.node.log_size()
        self.trap.caught.clear()

    def grown(self, name):
        now = self.node.metrics()
        check(name in now, f"there is no counter {name}")
        return now[name] - self.before[name]

    def counted(self, name, by=1):
        check(poll(lambda: self.grown(name) >= by, 5),
              f"counter {name} grew by {self.grown(name):.0f}, not {by}")

    def at_core(self, match=lambda m: True):
        return self.core.since(self.mark, match)

    def nothing_at_core(self, call_id):
        found = self.at_core(lambda m: m.get("Call-ID") == call_id)
        check(not found, f"it went to the core: {found and found[0].first}")

    def held(self):
        """After every attack: the core saw nothing forged, nothing went elsewhere, all are served."""
        for m in self.at_core():
            head = m.octets.partition(b"\r\n\r\n")[0]
            check(FORGED.encode() not in head, f"the core got what was forged:\n{head.decode('latin-1')}")
            check(not re.search(rb"\r(?!\n)|(?<!\r)\n|\0|\n[ \t]", head), f"a torn line at the core: {head!r}")
            check(b"bearer" not in head.lower(), "a token went to the core")
        check(not self.trap.caught, f"sent to {ELSEWHERE}: {self.trap.caught[:1]}")
        self.innocent.must_go_on()
        served(self.neighbour)
        check(self.node.alive(), "the daemon has ended")
        log = self.node.log_text(self.log_mark)
        check("eyJ" not in log, "a token is in the log")

    def end(self):
        for wic in self.open:
            wic.close()
        self.open = []


# ---- tokens ------------------------------------------------------------------------------------------

def refused_token(bench, jwt, statuses=(401,), **ws):
    wic = bench.wic(**ws)
    before = bench.grown("auth_tokens_refused")
    answer = wic.register_token(jwt)
    check(answer.status in statuses, f"REGISTER: {answer.first}")
    check(bench.grown("auth_tokens_refused") > before, "auth_tokens_refused did not grow")
    bench.nothing_at_core(wic.reg_call_id)
    wic.close()


def algorithm_confusion(bench):
    """RFC 8725 2.1: a public key as HMAC secret, an algorithm of another key, names that come near."""
    body = tokens.claims("alice")
    pem = tokens.public_pem(bench.node.certs.path("wwsf-key.pem"))
    rsa = bench.node.certs.path("rsa-key.pem")
    refused_token(bench, tokens.sign(body, "HS256", secret=pem, kid=KID))
    refused_token(bench, tokens.sign(body, "HS256", secret=b"", kid=KID))
    refused_token(bench, tokens.sign(body, "RS256", rsa, KID))
    for alg in ("es256", "ES384", "ES256K", "RS512", "PS256", "dir", "", None, ["ES256"]):
        refused_token(bench, tokens.sign(body, "ES256", bench.node.certs.path("wwsf-key.pem"), KID,
                                         header={"alg": alg}))


def unsigned_tokens(bench):
    """`none` in every spelling, with and without a signature."""
    body = tokens.claims("alice")
    signed = bench.token().rsplit(".", 1)
    for alg in ("none", "None", "NONE", "nOnE", "none "):
        text = tokens.b64(json.dumps({"alg": alg, "kid": KID}).encode()) + "." + \
            tokens.b64(json.dumps(body).encode())
        refused_token(bench, text + ".")
        refused_token(bench, text + "." + signed[1])
    refused_token(bench, signed[0] + ".")
    refused_token(bench, signed[0] + "." + tokens.b64(bytes(64)))  # r = s = 0 (CVE-2022-21449)


def key_of_another_issuer(bench):
    """A good key, but of somebody else; and its claim to be the first."""
    rsa = bench.node.certs.path("rsa-key.pem")
    for kid in (KID, OTHER_KID, None):
        refused_token(bench, tokens.sign(tokens.claims("alice"), "RS256", rsa, kid))
        refused_token(bench, tokens.sign(tokens.claims("alice", iss=OTHER_ISSUER), "ES256",
                                         bench.node.certs.path("wwsf-key.pem"), kid))
    for issuer in (a.ISSUER + "/", a.ISSUER.upper(), "", [a.ISSUER], None, a.ISSUER + "\x00x"):
        refused_token(bench, bench.token(iss=issuer))
    # Their own WWSF is not this page's.
    refused_token(bench, tokens.sign(tokens.claims("alice", iss=OTHER_ISSUER, azp=OTHER_WWSF), "RS256",
                                     rsa, OTHER_KID), (403,))
    bench.counted("auth_tokens_forbidden")


def kid_tricks(bench):
    """The key that a token brings along, points to or tells the way to."""
    mine = bench.node.certs.path("attacker-key.pem")
    if not os.path.exists(mine):
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-out", mine], check=True, capture_output=True)
    jwk = ec_jwks(mine, "x")["keys"][0]
    for kid in ("../../../../etc/passwd", "/dev/null", "file:///dev/zero", "' OR '1'='1", "x\x00" + KID,
                f"http://{ELSEWHERE}:5060/keys", "k" * 5000, 7, [KID], {"kid": KID}, ""):
        refused_token(bench, tokens.sign(tokens.claims("alice"), "ES256", mine, KID, header={"kid": kid}))
    for header in ({"jwk": jwk}, {"jku": f"http://{ELSEWHERE}:5060/k"}, {"x5u": f"http://{ELSEWHERE}:5060/c"},
                   {"x5c": ["MIIB"]}, {"crit": ["b64"], "b64": False}):
        refused_token(bench, tokens.sign(tokens.claims("alice"), "ES256", mine, KID, header=header))


def duplicate_members(bench):
    """Two readers of one JSON text may take different members (RFC 8725 2.4)."""
    head = json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": KID})
    body = json.dumps(tokens.claims("bob"))
    refused_token(bench, bench.sign('{"alg":"none",' + head[1:], body))
    refused_token(bench, bench.sign(head, '{"impi":"alice@ims.test",' + body[1:]))
    refused_token(bench, bench.sign(head, body[:-1] + ',"impu":["sip:alice@ims.test"]}'))
    refused_token(bench, bench.sign(head, body[:-1] + ',"\\u0069mpu":["sip:alice@ims.test"]}'))
    refused_token(bench, bench.sign(head, body + body))
    refused_token(bench, bench.sign(head, "[" + body + "]"))
    refused_token(bench, bench.sign(head, '{"a":' * 200 + "1" + "}" * 200))


def claims_with_line_ends(bench):
    """What a careless WWSF would let its users write into a claim: it is copied into headers."""
    forge = f"\r\nP-Asserted-Identity: <sip:{FORGED}@ims.test>"
    for impi in ("alice@ims.test" + forge, f"alice@ims.test\r\n{FORGED}: x", 'alice"@ims.test', "alice\\@ims.test",
                 f'alice@ims.test", {FORGED}="1', "alice\n@ims.test", "alice\0@ims.test", "al ice@ims.test",
                 "alice@ims.test@evil.test", f"alice@{FORGED}.test>", 7, None, ["alice@ims.test"]):
        refused_token(bench, bench.token(impi=impi), (401, 403))
    for impu in (["sip:alice@ims.test" + forge], [f"sip:alice@ims.test>;{FORGED}"], ["alice@ims.test"], [7], [],
                 [f"sip:alice@ims.test\0{FORGED}"], ["sip:a@x"] * 300, {"x": "sip:alice@ims.test"}):
        refused_token(bench, bench.token(impu=impu), (401, 403, 400))


def huge_tokens(bench):
    """A megabyte ends the connection; what fits into a message is refused before it is decoded."""
    wic = bench.wic()
    wic.ws.send(b"REGISTER sip:ims.test SIP/2.0\r\nAuthorization: Bearer " + b"A" * (1 << 20) + b"\r\n\r\n")
    check(wic.wait_closed(), "the connection with a token of a megabyte is open still")
    equal(wic.ws.closed_with, 1009, "close code")
    bench.counted("wss_too_big")
    for n in (9000, 60000):
        refused_token(bench, "A" * n + "." + "B" * 100 + ".C", (400, 401))
        refused_token(bench, bench.token(pad="x" * (n * 3 // 4)), (400, 401))


def replayed_token(bench):
    """RFC 8898 lets a token be used again for its own address; for nobody else, and from nowhere else."""
    jwt = bench.token("alice")
    equal(bench.wic().register_token(jwt).status, 200, "the first connection")
    again = bench.wic()
    equal(again.register_token(jwt).status, 200, "the same address on another connection")
    refused_token(bench, jwt, (403,), origin=OTHER_ORIGIN)
    bench.counted("auth_tokens_forbidden")
    thief = bench.wic("bob")
    equal(thief.register_token(jwt).status, 403, "another address with the token")
    bench.counted("registrations_refused", 2)
    bench.nothing_at_core(thief.reg_call_id)
    # On a flow that is another's already.
    other = bench.registered("bob")
    equal(other.register_token(jwt, impu="sip:alice@ims.test").status, 403, "a bound flow")


def identity_of_a_pool(bench):
    """TS 33.203 X.4.1: a pool is one WWSF's, lent in pairs; and that WWSF has nothing else to grant."""
    rsa = bench.node.certs.path("rsa-key.pem")

    def theirs(n, impu, **changes):
        return tokens.sign(tokens.claims("bob", iss=OTHER_ISSUER, azp=OTHER_WWSF, impi=f"guest{n}@ims.test",
                                         impu=impu, **changes), "RS256", rsa, OTHER_KID)

    def tried(jwt, impu, **ws):
        wic = bench.wic(**ws)
        status = wic.register_token(jwt, impu=impu).status
        if status != 200:
            bench.nothing_at_core(wic.reg_call_id)
        return status
    guest, other = "sip:guest07@ims.test", "sip:guest08@ims.test"
    ours = bench.token(impi="guest07@ims.test", impu=[guest])
    equal(tried(ours, guest), 403, "a pool's identity granted by another WWSF")
    for jwt, impu in ((theirs("07", [other]), other), (theirs("07", [guest, other]), guest),
                      (theirs("100", ["sip:guest100@ims.test"]), "sip:guest100@ims.test"),
                      (theirs("07", ["sip:alice@ims.test"]), "sip:alice@ims.test"),
                      (tokens.sign(tokens.claims("alice", iss=OTHER_ISSUER, azp=OTHER_WWSF), "RS256", rsa, OTHER_KID),
                       "sip:alice@ims.test")):
        equal(tried(jwt, impu, origin=OTHER_ORIGIN), 403, f"the pool's WWSF grants {impu}")
    equal(tried(theirs("07", [guest]), guest), 403, "from a page that is not the pool's")
    bench.counted("auth_tokens_forbidden", 7)
    equal(tried(theirs("07", [guest]), guest, origin=OTHER_ORIGIN), 200, "the right one")


# ---- handshakes --------------------------------------------------------------------------------------

def foreign_origins(bench):
    wrong = ("https://evil.example", "null", None, a.ORIGIN + ".evil.example", a.ORIGIN.replace("https", "http"),
             a.ORIGIN + "/", "https://evil.example/" + a.ORIGIN, f"{a.ORIGIN}, https://evil.example",
             a.ORIGIN[:-1], "https://user@" + a.ORIGIN[8:], a.ORIGIN + "\t", "x" * 600)
    for origin in wrong:
        try:
            WebSocket(origin=origin).close()
        except Refused as e:
            check(e.status in (400, 403), f"Origin {origin}: {e.status}")
        else:
            check(origin == a.ORIGIN + "\t", f"the handshake with Origin {origin!r} succeeded")
    bench.counted("wss_refused_origin", len(wrong) - 2)


def slow_handshakes(bench):
    """Connections that never come to the point, at each step of the way."""
    starts = (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00", None, None)
    open_ones = []
    for i in range(60):
        raw = socket.create_connection(a.WSS, 5, source_address=(ATTACKER, 0))
        start = starts[i % len(starts)]
        if start is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            try:
                raw = context.wrap_socket(raw, server_hostname="localhost")
                raw.sendall((b"", b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow: ")[i % 2])
            except OSError:
                pass  # over a limit
        elif start:
            raw.sendall(start)
        open_ones.append(raw)
    bench.innocent.must_go_on()

    def ended(s):
        s.settimeout(10)
        try:
            while s.recv(4096):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True
    check(all([ended(s) for s in open_ones]), "a connection without a handshake is open still")
    for s in open_ones:
        s.close()
    bench.counted("wss_handshake_timeout", 30)


def connections_in_great_number(bench):
    """One source takes all it can get: the limit is its own."""
    held = []
    refused = 0
    for _ in range(150):
        try:
            held.append(WebSocket(source=ATTACKER))
        except (LabError, OSError):
            refused += 1
    check(refused, "nothing was refused")
    bench.counted("wss_refused_limit")
    bench.innocent.must_go_on()
    for ws in held:
        ws.close()


# ---- identities and trusted headers ------------------------------------------------------------------

FORGERIES = [
    ("P-Asserted-Identity", f"<sip:{FORGED}@ims.test>"), ("P-Charging-Vector", f"icid-value={FORGED}"),
    ("p-charging-vector", f"icid-value={FORGED}2"), ("P-Charging-Function-Addresses", f"ccf={FORGED}"),
    ("Path", f"<sip:{FORGED}@{ELSEWHERE}:5060;lr>"), ("Service-Route", f"<sip:{FORGED}@{ELSEWHERE};lr>"),
    ("P-Visited-Network-ID", f'"{FORGED}"'), ("P-Served-User", f"<sip:{FORGED}@ims.test>"),
    ("P-User-Database", f"<aaa://{FORGED}>"), ("P-Associated-URI", f"<sip:{FORGED}@ims.test>"),
    ("P-Access-Network-Info", f"IEEE-802.11;i={FORGED};network-provided"),
    ("Remote-Party-ID", f"<sip:{FORGED}@ims.test>"), ("History-Info", f"<sip:{FORGED}@ims.test>;index=1"),
    ("Resource-Priority", f"{FORGED}.0"), ("Restoration-Info", FORGED), ("Relayed-Charge", FORGED),
    ("Feature-Caps", f"*;+g.{FORGED}"), ("Attestation-Info", FORGED), ("Security-Verify", f"tls;{FORGED}=1"),
    ("Security-Client", f"{FORGED};q=0.1"), ("P-Profile-Key", f"<sip:{FORGED}@ims.test>"),
    ("P-Asserted-Identity ", f"<sip:{FORGED}@ims.test>"), ("P-Asserted-Identity\t", f"<tel:{FORGED}>")]


def forged_trusted_headers(bench):
    wic = bench.wic()
    answer = wic.register_token(bench.token(), extra=FORGERIES)
    equal(answer.status, 200, f"REGISTER ({answer.first})")
    bench.counted("sip_headers_stripped", len(FORGERIES))
    for method in ("MESSAGE", "SUBSCRIBE", "INVITE"):
        wic.final(wic.request(method, "sip:phone@ims.test", to="sip:phone@ims.test", routes=wic.service_route,
                              extra=[("Contact", wic.contact), ("Event", "x"), ("Expires", "60"),
                                     ("P-Preferred-Identity", f"<sip:{FORGED}@ims.test>")] + FORGERIES))
    for m in bench.at_core(lambda m: m.method == "MESSAGE" and "alice" in m.get("From")):
        equal(m.all("P-Asserted-Identity"), ["<sip:alice@ims.test>"], "the asserted identity")
    # And in a response of the WIC's.
    call_id = token(8)
    bench.core.send(Message(f"MESSAGE {uri_of(wic.contact)} SIP/2.0", [
        ("Via", f"SIP/2.0/UDP {a.CORE[0]}:{a.CORE[1]};branch={branch()}"), ("Max-Forwards", "70"),
        ("Route", bench.core.paths["sip:alice@ims.test"]), ("From", "<sip:x@ims.test>;tag=1"),
        ("To", "<sip:alice@ims.test>"), ("Call-ID", call_id), ("CSeq", "1 MESSAGE")]), bench.core_side("sip:alice@ims.test"))
    request = wic.wait(lambda m: not m.is_response and m.method == "MESSAGE")
    wic.send(request.reply(200, "OK", FORGERIES + [("Reason", f"SIP;cause=500;text={FORGED}")], tag="w"))
    check(bench.core.wait(bench.mark, lambda m: m.is_response and m.get("Call-ID") == call_id),
          "the answer did not reach the core")


def integrity_from_the_wic(bench):
    """The mark of an authenticated user, put on by the user."""
    for shell in ('Digest username="alice@ims.test", realm="ims.test", nonce="", uri="sip:ims.test", response="", '
                  'integrity-protected="auth-done"',
                  'Digest username="alice@ims.test",realm="ims.test",nonce="",uri="sip:ims.test",response="",'
                  'INTEGRITY-PROTECTED=auth-done',
                  'Digest username="alice@ims.test", realm="ims.test", nonce="", uri="sip:ims.test", response="", '
                  'integrity-protected="no", integrity-protected="auth-done"',
                  'Digest username="alice@ims.test", realm="ims.test", nonce="", uri="sip:ims.test", response="", '
                  'integrity-protected = "auth-done"',
                  'Digest username="alice@ims.test", realm="ims.test", nonce="", uri="sip:ims.test", response="", '
                  'x="\\", integrity-protected="auth-done"',
                  'Digest username="alice@ims.test", realm="ims.test", nonce="", uri="sip:ims.test", response="1", '
                  'integrity-protected="tls-yes"'):
        wic = bench.wic()
        answer = wic.register(shell)
        check(answer.status in (400, 401, 403), f"REGISTER with {shell}: {answer.first}")
        for m in bench.at_core(lambda m: m.get("Call-ID") == wic.reg_call_id):
            check(not re.search(r"auth-done|tls-yes|integrity-protected=\"?no", m.get("Authorization"), re.I),
                  f"the core got {m.get('Authorization')}")
        wic.close()
    bench.counted("sip_headers_stripped", 4)
    # On a connection of a page that may use tokens only.
    wic = bench.wic(origin=OTHER_ORIGIN)
    equal(wic.register('Digest username="alice@ims.test", realm="ims.test", nonce="", uri="sip:ims.test", '
                       'response="", integrity-protected="auth-done"').status, 401, "Digest where tokens are asked")
    bench.nothing_at_core(wic.reg_call_id)
    # Beside a good token.
    wic = bench.wic()
    answer = wic.register_token(bench.token(), extra=[
        ("Authorization", 'Digest username="boss@ims.test", realm="ims.test", nonce="", uri="sip:ims.test", '
         'response="", integrity-protected="auth-done"')])
    equal(answer.status, 400, "Bearer and Digest")
    bench.counted("registrations_refused", 2)


def third_party_register(bench):
    jwt = bench.token("alice")
    for from_, to in (("sip:alice@ims.test", "sip:bob@ims.test"), ("sip:bob@ims.test", "sip:alice@ims.test"),
                      ("sip:bob@ims.test", "sip:bob@ims.test"), ("sip:alice@ims.test;user=x", "sip:alice@other.test"),
                      ("sip:Alice@ims.test", "sip:Alice@ims.test"), ("sip:%61lice@evil.test", "sip:%61lice@evil.test")):
        wic = bench.wic()
        wic.reg_cseq += 1
        sent = wic.request("REGISTER", "sip:ims.test", to=to, from_=from_, call_id=wic.reg_call_id, cseq=1,
                           extra=[("Contact", wic.contact + ";expires=600"), ("Authorization", "Bearer " + jwt)])
        equal(wic.final(sent).status, 403, f"REGISTER From {from_} To {to}")
        bench.nothing_at_core(wic.reg_call_id)
        wic.close()
    bench.counted("registrations_refused", 6)


# ---- where requests go -------------------------------------------------------------------------------

def routes_to_elsewhere(bench):
    """Nothing that a WIC writes makes the node send to an address of the WIC's choice."""
    there = f"{ELSEWHERE}:5060"
    wic = bench.registered()
    for routes, uri in (([f"<sip:{there};lr>"], "sip:phone@ims.test"), ([ROUTE, f"<sip:{there};lr>"], f"sip:{there}"),
                        ([f"<sip:x@{a.CORE[0]};maddr={ELSEWHERE};lr>"], f"sip:x@{there};transport=tcp"),
                        ([f"<sip:{there};transport=tcp;lr>"], "sip:phone@ims.test"),
                        ([f"<sip:{there}>"], "sip:phone@ims.test"), ([], f"sip:x@ims.test;maddr={ELSEWHERE}"),
                        ([f"<sip:{a.CORE[0]}:{a.CORE[1]};lr;received={ELSEWHERE}>"], f"sip:{there};lr")):
        for method in ("MESSAGE", "OPTIONS", "FOO"):
            headers = [("Via", f"SIP/2.0/WSS {there};branch={branch()};maddr={ELSEWHERE};received={ELSEWHERE};rport=5060"),
                       ("Max-Forwards", "70")] + [("Route", r) for r in routes] + [
                       ("Record-Route", f"<sip:{there};lr>"), ("From", f"<{wic.impu}>;tag=1"),
                       ("To", "<sip:phone@ims.test>"), ("Call-ID", token()), ("CSeq", f"1 {method}"),
                       ("Contact", f"<sip:x@{there}>")]
            m = Message(f"{method} {uri} SIP/2.0", headers)
            wic.send(m)
            check(wic.final(m).status >= 200, "no answer")
    bench.counted("session_routes_replaced", 12)
    other = bench.wic()
    for uri, extra in ((f"sip:{there}", []), ("sip:ims.test", [("Route", f"<sip:{there};lr>")]),
                       (f"sip:ims.test;maddr={ELSEWHERE}", []), (f"sip:ims.test:5060;transport=tcp", [])):
        other.reg_cseq += 1
        sent = other.request("REGISTER", uri, to=other.impu, call_id=other.reg_call_id, cseq=other.reg_cseq,
                             tag=other.reg_tag, extra=[("Contact", f"<sip:x@{there}>;expires=600"),
                                                       ("Authorization", "Bearer " + bench.token())] + extra)
        check(other.final(sent).status in (200, 403), "REGISTER")
    # The registered Contact names the trap: what the core sends goes down the connection all the same.
    call_id = token(8)
    bench.core.send(Message(f"MESSAGE sip:x@{there} SIP/2.0", [
        ("Via", f"SIP/2.0/UDP {a.CORE[0]}:{a.CORE[1]};branch={branch()}"), ("Max-Forwards", "70"),
        ("Route", bench.core.paths["sip:alice@ims.test"]), ("From", "<sip:x@ims.test>;tag=1"),
        ("To", "<sip:alice@ims.test>"), ("Call-ID", call_id), ("CSeq", "1 MESSAGE")]), bench.core_side("sip:alice@ims.test"))
    request = other.wait(lambda m: not m.is_response and m.method == "MESSAGE")
    other.send(request.reply(200, "OK", tag="w"))
    check(bench.core.wait(bench.mark, lambda m: m.is_response and m.get("Call-ID") == call_id),
          "the answer did not reach the core")


# ---- messages ----------------------------------------------------------------------------------------

def raw_message(wic, lines, body=b"", end=b"\r\n", call_id=None):
    """A MESSAGE from lines as they are: (name, value) octets. Returns its text and Call-ID."""
    call_id = call_id or token(8)
    head = [b"MESSAGE sip:phone@ims.test SIP/2.0",
            f"Via: SIP/2.0/WSS {wic.host};branch={branch()}".encode(), b"Max-Forwards: 70",
            f"From: <{wic.impu}>;tag={wic.tag}".encode(), b"To: <sip:phone@ims.test>",
            f"Call-ID: {call_id}".encode(), b"CSeq: 1 MESSAGE"] + lines
    return end.join(head) + end + end + body, call_id


def smuggled():
    return (b"REGISTER sip:ims.test SIP/2.0\r\nVia: SIP/2.0/TCP %s;branch=%s\r\nMax-Forwards: 70\r\n"
            b"From: <sip:smuggled@ims.test>;tag=1\r\nTo: <sip:smuggled@ims.test>\r\nCall-ID: smuggled\r\n"
            b"CSeq: 1 REGISTER\r\nAuthorization: Digest username=\"smuggled@ims.test\", realm=\"ims.test\", "
            b"nonce=\"\", uri=\"sip:ims.test\", response=\"\", integrity-protected=\"auth-done\"\r\n"
            b"Contact: <sip:smuggled@x.invalid>\r\nContent-Length: 0\r\n\r\n" %
            (ELSEWHERE.encode(), branch().encode()))


def none_smuggled(bench):
    found = bench.at_core(lambda m: "smuggled" in m.get("Call-ID") or "smuggled" in m.first)
    check(not found, f"a second message reached the core: {found and found[0]}")
    check(not any("smuggled" in p for p in bench.core.paths), "the smuggled identity is registered")


def smuggling(bench, pad):
    """One frame, one message: whatever the lengths say, the core never reads a second one."""
    wic = bench.registered()
    inner = smuggled()
    text = b"Content-Type: text/plain"
    cl = b"Content-Length: "
    n = str(len(inner)).encode()
    filler = [b"X-Pad: " + b"p" * 900] * pad
    cases = [
        ([text, cl + b"0"], inner), ([text, cl + b"5"], b"hello" + inner), ([text, cl + b"9999"], b"hello"),
        ([text, cl + b"0", cl + n], inner), ([text, cl + n, cl + b"0"], inner), ([text, b"l: 0", cl + n], inner),
        ([text, cl + n, b"l: 0"], inner), ([text, cl + b"0, " + n], inner), ([text, cl + b"+0"], inner),
        ([text, cl + b"-1"], inner), ([text, cl + b"0x0"], inner), ([text, cl + b"00000000000000000000"], inner),
        ([text, cl + b"4294967296"], inner), ([text, cl + b"18446744073709551616"], inner), ([text, cl], inner),
        ([text, cl + b"0 " + n], inner), ([text, b"Content-Length : 0"], inner), ([text, b"Content-Length\t:0"], inner),
        ([text, b" " + cl + b"0"], inner), ([text, cl + b"\r\n 0"], inner), ([text, b"Transfer-Encoding: chunked"],
                                                                          b"0\r\n\r\n" + inner),
        ([], inner), ([cl + n], inner), ([text, b"X: y\n\n" + inner + b"Y: z"], b""),
        ([text, b"X: y\r\r\n" + inner + b"Y: z"], b""), ([text, b"X: y\n\r\n" + inner], b""),
        ([text, cl + b"5\n\nhello" + inner], b""), ([text, cl + n + b"\n\n" + inner + b"\r\n\r\n" + inner], b"")]
    whole = 0
    for lines, body in cases:
        for end in (b"\r\n", b"\n", b"\r"):
            data, call_id = raw_message(wic, filler + lines, body, end)
            wic.ws.send(data)
            whole += 1
    served(wic)  # all of them have been read
    none_smuggled(bench)
    for m in bench.at_core(lambda m: not m.is_response and m.get("From").startswith("<sip:alice")):
        equal(m.get("Content-Length"), str(len(m.octets.partition(b"\r\n\r\n")[2])), "Content-Length at the core")
    bench.counted("sip_wic_malformed", whole // 2)


def smuggling_small(bench):
    smuggling(bench, 0)


def smuggling_large(bench):
    smuggling(bench, 3)


def two_messages_in_one_frame(bench):
    wic = bench.registered()
    before = bench.grown("sip_wic_malformed")
    for length in ([b"Content-Length: 0"], []):
        for second in (smuggled(), raw_message(wic, [b"Content-Length: 0"], call_id="smuggled")[0]):
            data, call_id = raw_message(wic, length)
            wic.ws.send(data + second)
            answer = wic.wait(lambda m: m.is_response and m.get("Call-ID") == call_id)
            equal(answer.status, 400, "two messages in one frame")
            bench.nothing_at_core(call_id)
    none_smuggled(bench)
    equal(bench.grown("sip_wic_malformed") - before, 4, "malformed messages")


def header_floods(bench):
    wic = bench.registered()
    for lines in ([b"X-%d: y" % i for i in range(4000)], [b"Via: SIP/2.0/WSS x.invalid;branch=z9hG4bK1"] * 900,
                  [b"Route: <sip:a@127.0.0.99;lr>"] * 900, [b"v: SIP/2.0/WSS x" + b",SIP/2.0/WSS x" * 3000],
                  [b"Contact: " + b"<sip:a@b>," * 5000 + b"<sip:a@b>"], [b"Supported: " + b"a," * 20000 + b"b"],
                  [b":"] * 3000, [b"X:"] * 3000, [b"Require: " + b"," * 40000], [b"Accept-Contact: *" + b";a" * 20000],
                  [b"Proxy-Authorization: Bearer " + b"a" * 1000] * 20):
        data, call_id = raw_message(wic, lines)
        wic.ws.send(data)
    served(wic)
    bench.counted("sip_wic_malformed", 4)


def huge_headers(bench):
    wic = bench.registered()
    big = b"y" * 60000
    for lines in ([b"X: " + big], [b"Subject: " + big], [b"Supported: " + big], [big + b": x"],
                  [b"X: " + b"a\r\n " * 15000], [b"Contact: <sip:" + big + b"@x>"], [b"User-Agent: " + b"(" * 60000]):
        wic.ws.send(raw_message(wic, lines)[0])
    for first in (b"MESSAGE sip:" + big + b" SIP/2.0", big, b"MESSAGE " + big):
        data, _ = raw_message(wic, [])
        wic.ws.send(first + data[data.index(b"\r\n"):])
    try:
        served(wic)
    except LabError as e:
        check("connection ended" in str(e), str(e))
    over = bench.registered()
    over.ws.send(raw_message(over, [b"X: " + b"z" * (MAX_OCTETS + 1)])[0])
    check(over.wait_closed(), "the connection with a message over the limit is open still")
    equal(over.ws.closed_with, 1009, "close code")
    bench.counted("wss_too_big")


def line_ends_in_fields(bench):
    """Each field that is copied towards the core, with line ends in every disguise inside it."""
    forge = b"P-Asserted-Identity: <sip:injected@ims.test>"
    breaks = (b"\r\n", b"\r", b"\n", b"\r\n ", b"\n\t", b"\\\r\n", b"\\\n", b"%0d%0a", b"\x0b", b"\x0c", b"\xc2\x85",
              b"\xe2\x80\xa8", b"\0", b"\\r\\n", b"\r\n\r\n", b"\n\n", b"\"\r\n")
    before = bench.grown("sip_wic_malformed") + bench.grown("sip_headers_stripped") + \
        bench.grown("registrations_refused")
    for brk in breaks:
        part = brk + forge + brk
        wic = bench.wic()  # a few failures end a connection
        instance, uri = wic.instance.encode(), b"sip:ims.test"
        fields = (
            (b"Authorization", b'Digest username="alice@ims.test%s", realm="ims.test", nonce="", uri="sip:ims.test", '
             b'response=""' % part),
            (b"Authorization", b'Digest username="alice@ims.test", realm="ims.test%s", nonce="", uri="sip:ims.test", '
             b'response=""' % part),
            (b"Contact", b'<sip:x@%s;transport=ws>;reg-id=1;+sip.instance="<urn:uuid:%s%s>"' %
             (wic.host.encode(), instance, part)),
            (b"Contact", b'<sip:x@%s;transport=ws>;reg-id=1%s;+sip.instance="<urn:uuid:%s>"' %
             (wic.host.encode(), part, instance)),
            (b"Contact", b'"%s" <sip:x%s@%s;transport=ws>' % (part, part, wic.host.encode())),
            (b"From", b'"alice%s" <sip:alice@ims.test>;tag=1' % part), (b"From", b'<sip:alice@ims.test>;tag=1%s' % part),
            (b"To", b'"%s" <sip:alice@ims.test>' % part), (b"Call-ID", b"c%s" % part),
            (b"User-Agent", b"x (%s) y" % part), (b"P-Access-Network-Info", b'IEEE-802.11;i="%s"' % part),
            (b"P-Preferred-Identity", b'"%s" <sip:alice@ims.test>' % part), (b"Subject", part),
            (b"Via", b"SIP/2.0/WSS %s;branch=z9hG4bK%s;x=%s" % (wic.host.encode(), branch().encode(), part)))
        for k, (name, value) in enumerate(fields):
            if k % 5 == 4:
                wic.close()
                wic = bench.wic()
            wic.reg_cseq += 1
            good = {b"Via": f"SIP/2.0/WSS {wic.host};branch={branch()}".encode(), b"Max-Forwards": b"70",
                    b"From": b"<sip:alice@ims.test>;tag=1", b"To": b"<sip:alice@ims.test>",
                    b"Call-ID": token(8).encode(), b"CSeq": b"%d REGISTER" % wic.reg_cseq,
                    b"Contact": wic.contact.encode() + b";expires=600",
                    b"Authorization": b'Digest username="alice@ims.test", realm="ims.test", nonce="", '
                                      b'uri="sip:ims.test", response=""'}
            good[name] = value
            try:
                wic.ws.send(b"REGISTER " + uri + b" SIP/2.0\r\n" +
                            b"".join(n + b": " + v + b"\r\n" for n, v in good.items()) + b"\r\n",
                            2 if b"\0" in value else 1)
                wic.final(wic.request("OPTIONS", "sip:ims.test", to="sip:ims.test"))  # it has been read
            except (LabError, OSError):
                wic = bench.wic()  # shut out
        wic.close()
    bench.innocent.must_go_on()
    after = bench.grown("sip_wic_malformed") + bench.grown("sip_headers_stripped") + \
        bench.grown("registrations_refused")
    check(after - before >= len(breaks) * 5, f"only {after - before:.0f} were noticed")
    for m in bench.at_core(lambda m: "REGISTER" in m.first):
        # As part of a value it is harmless; as a field of its own it would be believed.
        check(not re.search(rb"(?i)[\r\n]\s*P-Asserted-Identity", m.octets), f"the core got {m}")


def nul_octets(bench):
    wic = bench.registered()
    data, _ = raw_message(wic, [b"Subject: x"])
    before = bench.grown("sip_wic_malformed")
    for at in (0, 7, data.index(b"Via"), data.index(b"branch") + 9, data.index(b"Subject") + 9, len(data) - 4, len(data)):
        wic.ws.send(data[:at] + b"\0" + data[at:], 2)
        wic.ws.send(data[:at] + b"\0" + data[at:], 1)
    served(wic)
    equal(bench.grown("sip_wic_malformed") - before, 14, "malformed messages")


# ---- flow tokens -------------------------------------------------------------------------------------

GUESSER = "guesser"


def towards_flow(route, method="MESSAGE", proto="UDP"):
    return Message(f"{method} sip:x@x.invalid;transport=ws SIP/2.0", [
        ("Via", f"SIP/2.0/{proto} {a.CORE[0]}:{a.CORE[1]};branch={branch()}"), ("Max-Forwards", "70"), ("Route", route),
        ("From", f"<sip:{GUESSER}@ims.test>;tag=1"), ("To", "<sip:carol@ims.test>"), ("Call-ID", token(8)),
        ("CSeq", f"1 {method}")])


def guessed_flow_tokens(bench):
    """From the core's own address, so that only the token stands in the way."""
    good = bench.core.paths["sip:carol@ims.test"]
    name = re.search(r"sip:([^@]+)@", good).group(1)
    guesses = [name[:-1], name[1:], name + "A", name.swapcase(), name[::-1], "", "0" * len(name), "A" * len(name),
               "flow1", "1", token(32)]
    for i in range(0, len(name), max(1, len(name) // 20)):
        guesses.append(name[:i] + ("B" if name[i] == "A" else "A") + name[i + 1:])
    guesses += [os.urandom(16).hex() for _ in range(100)]
    mark = bench.core.mark()
    ids = []
    for guess in guesses:
        m = towards_flow(good.replace(name, guess) if guess else good.replace(name + "@", ""))
        ids.append(m.get("Call-ID"))
        bench.core.send(m, bench.core_side())
    answers = poll(lambda: len({m.get("Call-ID") for m in bench.core.since(mark, lambda m: m.is_response)
                                if m.get("Call-ID") in ids}) == len(ids), 10)
    missing = set(ids) - {m.get("Call-ID") for m in bench.core.since(mark, lambda m: m.is_response)}
    check(answers, f"not every guess was answered: {[guesses[ids.index(i)] for i in missing][:5]}")
    for m in bench.core.since(mark, lambda m: m.is_response and m.get("Call-ID") in ids):
        check(m.status in (403, 404, 430, 480), f"a guess was answered {m.first}")
    bench.counted("sip_token_bad", len(guesses) - 8)
    check(not any(GUESSER in str(m) for m in bench.neighbour.kept), "a guess reached the flow")


def token_from_a_stranger(bench):
    """A right token from an address that is not the core's, over both transports."""
    good = bench.core.paths["sip:carol@ims.test"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((ATTACKER, 0))
        for method in ("MESSAGE", "INVITE", "OPTIONS", "NOTIFY"):
            s.sendto(towards_flow(good, method).encode(), bench.core_side())
    with socket.create_connection(bench.core_side(), 5, source_address=(ATTACKER, 0)) as s:
        for method in ("MESSAGE", "INVITE"):
            try:
                s.sendall(towards_flow(good, method, "TCP").encode())
            except OSError:
                break
        bench.counted("sip_core_untrusted", 5)
    served(bench.neighbour)
    check(not any(GUESSER in str(m) for m in bench.neighbour.kept), "it reached the flow")


def another_flows_token(bench):
    """A WIC that has come to know another one's token (RFC 5626 5.3.1)."""
    good = uri_of(bench.core.paths["sip:carol@ims.test"])
    refused = {True: 0, False: 0}
    while min(refused.values()) == 0 and sum(refused.values()) < 200:
        wic = bench.registered()
        same_shard = bench.core_side("sip:alice@ims.test") == bench.core_side()
        for method in ("MESSAGE", "BYE", "UPDATE", "INVITE"):
            sent = wic.request(method, "sip:x@x.invalid;transport=ws", to="sip:carol@ims.test", to_tag="1",
                               routes=[f"<{good}>"], extra=[("X-Who", GUESSER)])
            status = wic.final(sent).status
            # Another shard's token is nobody's there; and of the dialog, nothing is known.
            check(status == 403 or (status == 481 and not same_shard), f"{method} was answered {status}")
            refused[same_shard] += 1
        if bench.node.shards == 1:
            break
        wic.close()
    bench.counted("sip_token_bad", refused[True])
    check(not bench.at_core(lambda m: "carol" in m.get("To") and GUESSER in str(m)), "it reached the core")
    check(not any(GUESSER in str(m) for m in bench.neighbour.kept), "it reached the flow")


def guesses_that_go_on(bench):
    """Tokens tried one after the other: the connection is closed, its neighbours are not."""
    wic = bench.wic()
    for _ in range(50):
        try:
            if wic.register_token(bench.token(aud="other")).status == 403:
                break
        except (LabError, OSError):
            break
    check(wic.wait_closed(), "still open after 50 bad tokens")
    equal(wic.ws.closed_with, 1008, "close code")
    bench.counted("registration_flows_closed")


ATTACKS = (algorithm_confusion, unsigned_tokens, key_of_another_issuer, kid_tricks, duplicate_members,
           claims_with_line_ends, huge_tokens, replayed_token, identity_of_a_pool, guesses_that_go_on, foreign_origins,
           slow_handshakes, connections_in_great_number, forged_trusted_headers, integrity_from_the_wic,
           third_party_register, routes_to_elsewhere, smuggling_small, smuggling_large,
           two_messages_in_one_frame, header_floods, huge_headers, line_ends_in_fields, nul_octets,
           guessed_flow_tokens, token_from_a_stranger, another_flows_token)


def one_attack(bench, attack):
    try:
        bench.begin()
        attack(bench)
        bench.held()
    except LabError as e:
        e.log = e.log or bench.node.log
        raise
    finally:
        bench.end()


def drained(node):
    def left():
        values = node.metrics()
        return {g: int(values.get(g, -1)) for g in GAUGES if values.get(g, -1) != 0}
    if not poll(lambda: not left(), 80, 0.5):
        raise LabError(f"still held: {left()}", node.log)


def no_report(node):
    found = [line for line in node.log_text().splitlines() if REPORT.search(line)]
    check(not found, f"the sanitizer reports {found[:3]} (whole text in {node.log})")


def main():
    p = argparse.ArgumentParser(prog="tests/fault/attacks", description=__doc__)
    p.add_argument("--preset", default="asan")
    p.add_argument("--shards", type=int, default=2)
    p.add_argument("--transport", default="auto", choices=("auto", "udp", "tcp"), help="towards the core")
    p.add_argument("--only", help="attacks with this word in their name")
    p.add_argument("--var", default=os.path.join(DEFAULT_VAR, "attacks"))
    p.add_argument("--no-build", action="store_true")
    options = p.parse_args()
    os.environ.setdefault("LSAN_OPTIONS", f"suppressions={os.path.abspath(os.path.join(TESTS, 'lsan.supp'))}")
    run = Runner("attacks")
    if not options.no_build and not run.run("build", build, options.preset):
        return run.finish()
    shutil.rmtree(os.path.join(options.var, "log"), ignore_errors=True)
    certs = Certificates(options.var)
    certs.make()
    node = Node(options.var, options.preset, options.shards, "off", certs)
    node.transport = options.transport
    core, trap = Core(), Trap(ELSEWHERE)
    try:
        if not run.run("the node starts", node.start):
            return run.finish()
        bench = Bench(node, core, trap)
        for attack in ATTACKS:
            if not options.only or options.only in attack.__name__:
                run.run(attack.__name__.replace("_", " "), one_attack, bench, attack)
                if not node.alive():
                    break
        bench.innocent.end.set()
        bench.innocent.join(20)
        bench.neighbour.close()
        if node.alive():
            run.run("nothing is held afterwards", drained, node)
        status = node.stop()
        run.run("the node ends well", equal, status, 0, "exit status")
        run.run("no sanitizer report", no_report, node)
    finally:
        node.stop()
        core.close()
        trap.close()
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
