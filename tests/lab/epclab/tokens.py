"""Access tokens as a WWSF issues them, and the forged ones that the eP-CSCF must refuse."""
import base64
import hashlib
import hmac
import json
import os
import subprocess
import time

from . import addresses as a


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _der_to_raw(der):
    """ECDSA signature: SEQUENCE of two INTEGERs to r || s (RFC 7518 3.4)."""
    at, out = (3 if der[1] & 0x80 else 2), b""
    for _ in range(2):
        length = der[at + 1]
        out += der[at + 2:at + 2 + length].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + length
    return out


def claims(user, **changes):
    """Good claims for a user of the lab; None as a change removes the claim."""
    _, impi, impus = a.USERS[user]
    now = int(time.time())
    body = {"iss": a.ISSUER, "aud": a.AUDIENCE, "iat": now, "exp": now + 600, "scope": "sip",
            "azp": a.WWSF_ID, "sub": user, "jti": os.urandom(8).hex(), "impi": impi, "impu": impus}
    body.update(changes)
    return {k: v for k, v in body.items() if v is not None}


def sign(body, alg, key_file=None, kid=None, secret=None, header=None):
    """The compact JWT. alg: ES256, RS256, HS256 (secret) or none."""
    head = {"alg": alg, "typ": "at+jwt"}
    if kid:
        head["kid"] = kid
    head.update(header or {})
    text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(body).encode())
    if alg == "none":
        return text + "."
    if alg == "HS256":
        return text + "." + b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())
    done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key_file], input=text.encode(),
                          capture_output=True, check=True)
    signature = _der_to_raw(done.stdout) if alg == "ES256" else done.stdout
    return text + "." + b64(signature)


def rsa_jwks(key_file, kid):
    """The public half of an RSA key as a JWK set."""
    done = subprocess.run(["openssl", "rsa", "-in", key_file, "-modulus", "-noout"],
                          capture_output=True, check=True)
    modulus = bytes.fromhex(done.stdout.decode().strip().split("=", 1)[1])
    return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
                      "n": b64(modulus.lstrip(b"\0")), "e": "AQAB"}]}


def ec_jwk(key_file, kid):
    """The public half of a P-256 key as a JWK."""
    der = subprocess.run(["openssl", "pkey", "-in", key_file, "-pubout", "-outform", "DER"],
                         capture_output=True, check=True).stdout
    return {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
            "x": b64(der[-64:-32]), "y": b64(der[-32:])}


def public_pem(key_file):
    return subprocess.run(["openssl", "pkey", "-in", key_file, "-pubout"], capture_output=True,
                          check=True).stdout


def first_kid(jwks_file):
    with open(jwks_file) as f:
        return json.load(f)["keys"][0].get("kid")
