"""A third party's WWSF beside the embedded one, and what the eP-CSCF has to know of both their pools."""
import json
import os
import ssl
import sys
import urllib.error
import urllib.request

from . import addresses as a
from .ports import accepts
from .process import Component

PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "thirdparty", "wwsf.py")


class ThirdParty(Component):
    name = "thirdparty"
    program = sys.executable
    package = "python3"
    stop_seconds = 3

    def __init__(self, var, certs):
        super().__init__(var)
        self.certs = certs

    def ports(self):
        return [("tcp", *a.THIRD)]

    def prepare(self):
        with open(os.path.join(self.dir, "pool.txt"), "w") as f:
            f.writelines(f"{impi} {impu}\n" for impi, impu in a.THIRD_POOL.items())

    def command(self):
        return [self.program, PROGRAM, "--listen", f"{a.THIRD[0]}:{a.THIRD[1]}",
                "--certificate", self.certs.path("third.cert.pem"), "--key", self.certs.path("third.key.pem"),
                "--folder", self.dir, "--issuer", a.THIRD_ORIGIN, "--audience", a.AUDIENCE,
                "--id", a.THIRD_ID, "--pool", os.path.join(self.dir, "pool.txt"),
                "--epcscf", f"wss://{a.WSS[0]}:{a.WSS[1]}{a.WSS_PATH}"]

    def is_ready(self):
        return accepts(*a.THIRD)

    def ask(self, path, **body):
        return post(a.THIRD_ORIGIN + path, body, self.certs)[1]


def post(url, body, certs, origin=None, cookie=None):
    """(status, JSON or None, cookie)"""
    headers = {"Content-Type": "application/json"}
    if origin:
        headers["Origin"] = origin
    if cookie:
        headers["Cookie"] = cookie
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    context = ssl.create_default_context(cafile=certs.path("ca.pem"))
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            data, status, got = answer.read(), answer.status, answer.headers.get("Set-Cookie", "")
    except urllib.error.HTTPError as e:
        data, status, got = e.read(), e.code, ""
    return status, json.loads(data) if data else None, got.partition(";")[0]


def pools_of(epcscf):
    """Configure the eP-CSCF of the lab for both pools and for the third party's issuer."""
    folder = os.path.join(epcscf.var, "epcscf")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "pool.txt"), "w") as f:
        f.writelines(f"{impi} {impu}\n" for impi, impu in a.POOL.items())
    pairs = ", ".join(f'"{impi} {impu}"' for impi, impu in a.THIRD_POOL.items())
    epcscf.overrides.update({
        "  ping_interval_ms:": f"    - origin: {a.THIRD_ORIGIN}\n      wwsf: {a.THIRD_ID}\n"
                               "      modes: [token]\n  ping_interval_ms:",
        "media:\n": f"    - issuer: {a.THIRD_ORIGIN}\n      jwks_url: {a.THIRD_ORIGIN}/keys.json\n"
                    f"      ca_file: {epcscf.certs.path('ca.pem')}\n      audience: {a.AUDIENCE}\n"
                    f"      wwsfs: [{a.THIRD_ID}]\n"
                    f"  pools:\n    - wwsf: {a.THIRD_ID}\n      subscriptions: [{pairs}]\n"
                    f"    - wwsf: {a.WWSF_ID}\n      file: {folder}/pool.txt\n"
                    "      anonymous: true\n      shared: true\nmedia:\n",
        "wwsf:\n  enabled: true\n": f"wwsf:\n  enabled: true\n  guests: true\n  pool_file: {folder}/pool.txt\n"
                                    "  key_publish_s: 20\n  pool_revoke: true\n",
    })
