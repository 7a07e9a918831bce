"""A PCRF that grants everything: a stock freeDiameterd, and what its clients need to find it."""
import os
import subprocess

from servers import TESTS, Process
from epclab.ports import accepts

ADDRESS = "127.86.29.214"
NODE = """Identity = "{identity}"; Realm = "bench.test"; Port = {port}; SecPort = 0;
No_SCTP; No_IPv6; TwTimer = 30; AppServThreads = {threads};
TLS_Cred = "{dir}/{identity}.cert.pem", "{dir}/{identity}.key.pem";
TLS_CA = "{dir}/ca.pem";
{extensions}
ConnectPeer = "{peer}" {{ No_TLS; ConnectTo = "{address}"; Port = {peer_port}; }};
"""


class Peer(Process):
    """conf["ours"] and conf["bare"]: configurations of a client with and without the Rx room's extension."""

    def __init__(self, build, folder, core=None):
        self.dir, self.fdx = folder, os.path.join(build, "fdx")
        subprocess.run([os.path.join(TESTS, "lab", "pcrf", "certs.sh"), folder, "pcrf.bench.test",
                        "client.bench.test"], check=True)
        conf = self.write("pcrf.conf", identity="pcrf.bench.test", peer="client.bench.test", port=3868, peer_port=3,
                          threads=4, extensions=self.load("dict_rx") + self.load("bench_pcrf", f' : "{ADDRESS}"'))
        # ListenOn is for our daemon, which honours it; the library by itself does not.
        self.conf = {name: self.write(f"{name}.conf", identity="client.bench.test", peer="pcrf.bench.test", port=0,
                                      peer_port=3868, threads=4, extensions=extensions)
                     for name, extensions in (
                         ("bare", self.load("dict_rx")),
                         ("ours", 'ListenOn = "127.0.0.1";' + self.load("dict_rx") + self.load("epcscf_rx")))}
        super().__init__(["freeDiameterd", "-c", conf], folder, "pcrf", core, ready=lambda: accepts(ADDRESS, 3868))

    def load(self, name, argument=""):
        return f'LoadExtension = "{self.fdx}/{name}.fdx"{argument};'

    def write(self, name, **fields):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(NODE.format(dir=self.dir, address=ADDRESS, **fields))
        return path
