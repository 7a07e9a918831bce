"""HTTP Digest with AKA (RFC 3310, RFC 4169) and with SHA-256 (RFC 8760): the client's side."""
import base64
import hashlib
import hmac
import re

from .milenage import Usim
from .sipmsg import token

HASHES = {"md5": "md5", "sha-256": "sha256", "sha-512-256": "sha512_256"}


def parameters(value):
    """The parameters of a Digest challenge or of Digest credentials."""
    return {k.lower(): quoted or bare for k, quoted, bare in
            re.findall(r'([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s",]+))', value.partition(" ")[2])}


def hashed(name, data):
    return hashlib.new(name, data, usedforsecurity=False).hexdigest()


def response(hash_name, password, *, user, realm, nonce, method, uri, nc, cnonce, qop="auth"):
    """RFC 7616 3.4.1; the password is octets: with AKAv1 it is RES as it is."""
    h1 = hashed(hash_name, f"{user}:{realm}:".encode() + password)
    h2 = hashed(hash_name, f"{method}:{uri}".encode())
    return hashed(hash_name, f"{h1}:{nonce}:{nc}:{cnonce}:{qop}:{h2}".encode())


def akav2_password(hash_name, res, ik, ck):
    """RFC 4169 3: the keys go into the password, so that a tunnel cannot be taken over."""
    return base64.b64encode(hmac.new(res + ik + ck, b"http-digest-akav2-password",
                                     hash_name).digest())


def digest_answer(challenge, user, password, uri, method="REGISTER"):
    """The Authorization value for a Digest challenge with any hash of RFC 8760."""
    given = parameters(challenge)
    parts = dict(user=user, realm=given["realm"], nonce=given["nonce"], method=method, uri=uri,
                 nc="00000001", cnonce=token())
    proof = response(HASHES[given["algorithm"].lower()], password.encode(), **parts)
    return (f'Digest username="{user}", realm="{given["realm"]}", nonce="{given["nonce"]}", '
            f'uri="{uri}", algorithm={given["algorithm"]}, response="{proof}", qop=auth, '
            f'nc={parts["nc"]}, cnonce="{parts["cnonce"]}"')


class AkaClient:
    """A USIM and the IMPI that goes with it."""

    def __init__(self, impi, k, opc, sqn=0):
        self.impi, self.usim = impi, Usim(bytes.fromhex(k), bytes.fromhex(opc), sqn)
        self.outcome = None

    def answer(self, challenge, uri, method="REGISTER"):
        """The Authorization value for a challenge; with auts where the network's SQN is old."""
        given = parameters(challenge)
        algorithm = given["algorithm"]
        version, _, hash_name = algorithm.lower().partition("-")
        hash_name = HASHES[hash_name]
        secret = base64.b64decode(given["nonce"])
        self.outcome = self.usim.answer(secret[:16], secret[16:32])
        password, extra = b"", ""
        if self.outcome[0] == "ok":
            _, res, ck, ik = self.outcome
            password = res if version == "akav1" else akav2_password(hash_name, res, ik, ck)
        elif self.outcome[0] == "auts":  # RFC 3310 3.4: an empty password
            extra = f', auts="{base64.b64encode(self.outcome[1]).decode()}"'
        parts = dict(user=self.impi, realm=given["realm"], nonce=given["nonce"], method=method,
                     uri=uri, nc="00000001", cnonce=token())
        return (f'Digest username="{self.impi}", realm="{given["realm"]}", '
                f'nonce="{given["nonce"]}", uri="{uri}", algorithm={algorithm}, '
                f'response="{response(hash_name, password, **parts)}", qop=auth, '
                f'nc={parts["nc"]}, cnonce="{parts["cnonce"]}"{extra}')
