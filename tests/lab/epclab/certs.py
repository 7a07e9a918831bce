"""Keys and certificates of the lab: one CA, a server certificate, one per Diameter identity."""
import os
import subprocess

from . import addresses as a
from .wait import LabError


def _openssl(*args, stdin=None):
    done = subprocess.run(["openssl", *args], input=stdin, capture_output=True)
    if done.returncode:
        raise LabError(f"openssl {args[0]} failed: {done.stderr.decode().strip()[-200:]}")
    return done.stdout


class Certificates:
    def __init__(self, var):
        self.dir = os.path.join(os.path.abspath(var), "certs")

    def path(self, name):
        return os.path.join(self.dir, name)

    def make(self):
        """Make what is missing. The files stay, so that a browser's exception stays good."""
        os.makedirs(self.dir, exist_ok=True)
        if not os.path.exists(self.path("ca.pem")):
            _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-days", "3650", "-subj", "/CN=eP-CSCF lab CA",
                     "-keyout", self.path("ca.key.pem"), "-out", self.path("ca.pem"))
        self._leaf("server", "localhost", "DNS:localhost,IP:127.0.0.1,IP:::1", "P-256")
        self._leaf("third", "third", f"IP:{a.THIRD[0]}", "P-256")
        for identity in (a.EPCSCF_IDENTITY, a.PCRF_IDENTITY):
            self._leaf(identity, identity, f"DNS:{identity}", "P-256")
        for name, args in (("wwsf-key.pem", ("-algorithm", "EC", "-pkeyopt",
                                             "ec_paramgen_curve:P-256")),
                           ("rsa-key.pem", ("-algorithm", "RSA", "-pkeyopt",
                                            "rsa_keygen_bits:2048"))):
            if not os.path.exists(self.path(name)):
                _openssl("genpkey", *args, "-out", self.path(name))

    def _leaf(self, name, common_name, san, curve):
        key, cert = self.path(name + ".key.pem"), self.path(name + ".cert.pem")
        if os.path.exists(cert):
            return
        request = _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{curve}",
                           "-nodes", "-subj", f"/CN={common_name}", "-keyout", key)
        extensions = self.path(name + ".ext")
        with open(extensions, "w") as f:
            f.write(f"subjectAltName={san}\nextendedKeyUsage=serverAuth,clientAuth\n")
        signed = _openssl("x509", "-req", "-days", "800", "-CA", self.path("ca.pem"), "-CAkey",
                          self.path("ca.key.pem"), "-CAcreateserial", "-extfile", extensions,
                          stdin=request)
        with open(cert, "wb") as f:
            f.write(signed)
