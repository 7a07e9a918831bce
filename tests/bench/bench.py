"""The benchmarks; tests/bench/run is their command. Each measure runs against its own yardstick in the
same run, one after the other in turn, so that a change of the machine's pace meets both."""
import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(TESTS)
sys.path.insert(0, os.path.join(TESTS, "lab"))
import sip  # noqa: E402
from epclab.build import build  # noqa: E402
from epclab.wait import poll  # noqa: E402

ADDRESS = "127.86.29.214"
NODE = """Identity = "{identity}"; Realm = "bench.test"; Port = {port}; SecPort = 0;
No_SCTP; No_IPv6; TwTimer = 30; AppServThreads = {threads};
TLS_Cred = "{dir}/{identity}.cert.pem", "{dir}/{identity}.key.pem";
TLS_CA = "{dir}/ca.pem";
{extensions}
ConnectPeer = "{peer}" {{ No_TLS; ConnectTo = "{address}"; Port = {peer_port}; }};
"""


class Peer:
    """A stock freeDiameterd that grants everything, and the client's configuration."""

    def __init__(self, preset):
        self.dir = tempfile.mkdtemp(prefix="epc-bench-")
        fdx = os.path.join(ROOT, "build", preset, "fdx")
        subprocess.run([os.path.join(TESTS, "lab", "pcrf", "certs.sh"), self.dir, "pcrf.bench.test",
                        "client.bench.test"], check=True)

        def load(name, argument=""):
            return f'LoadExtension = "{fdx}/{name}.fdx"{argument};'

        self.write("pcrf.conf", identity="pcrf.bench.test", peer="client.bench.test", port=3868,
                   peer_port=3, threads=4,
                   extensions=load("dict_rx") + load("bench_pcrf", f' : "{ADDRESS}"'))
        # ListenOn is for our daemon, which honours it; the library by itself does not.
        self.conf = {name: self.write(f"{name}.conf", identity="client.bench.test",
                                      peer="pcrf.bench.test", port=0, peer_port=3868, threads=4,
                                      extensions=extensions)
                     for name, extensions in (
                         ("bare", load("dict_rx")),
                         ("ours", 'ListenOn = "127.0.0.1";' + load("dict_rx") + load("epcscf_rx")))}
        self.log = open(os.path.join(self.dir, "pcrf.log"), "w")
        self.process = subprocess.Popen(["freeDiameterd", "-c", os.path.join(self.dir, "pcrf.conf")],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        if not poll(self.listens, 20):
            sys.exit(f"freeDiameterd does not listen; its log is {self.dir}/pcrf.log")

    @staticmethod
    def listens():
        try:
            socket.create_connection((ADDRESS, 3868), 1).close()
            return True
        except OSError:
            return False

    def write(self, name, **fields):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(NODE.format(dir=self.dir, address=ADDRESS, **fields))
        return path

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir)


def measure(program, peer, client, outstanding, pairs):
    done = subprocess.run([program, peer.conf[client.split("-")[0]], client, str(outstanding), str(pairs)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=600)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        sys.exit(f"rx_bench {client} ended with status {done.returncode}; the peer's log is "
                 f"{peer.dir}/pcrf.log")
    result = json.loads(lines[-1])
    if result["failed"]:
        sys.exit(f"rx_bench {client}: {result['failed']} of {result['pairs']} pairs failed")
    time.sleep(0.2)  # the peer closes the connection of the last run
    return result


def median(results, key):
    values = sorted(r[key] for r in results)
    return f"{statistics.median(values):.0f} ({values[0]:.0f} to {values[-1]:.0f})"


def rx(options):
    """AAR/AAA pairs of the Rx client, and of freeDiameter alone."""
    program = os.path.join(ROOT, "build", options.preset, "tests", "bench", "rx", "rx_bench")
    rows = []
    peer = Peer(options.preset)
    try:
        for outstanding, rate in ((64, 15000), (1, 2000)):
            clients = ("bare", "ours", "ours-remembered", "ours-calls") if outstanding > 1 else ("bare", "ours")
            runs = {client: [] for client in clients}
            for _ in range(options.rounds):
                for client in clients:
                    pairs = max(1000, int(rate * options.seconds))
                    runs[client].append(measure(program, peer, client, outstanding, pairs))
            rows += [(client, outstanding, results) for client, results in runs.items()]
    finally:
        peer.close()
    print(f"\nRx, medians of {options.rounds} runs (least to most); client's CPU, all its threads")
    for client, outstanding, results in rows:
        text = f"{client:15} {outstanding:3} outstanding: {median(results, 'pairs_per_cpu_s')} pairs per CPU-second"
        text += f", {median(results, 'pairs_per_s')} per second"
        if outstanding == 1:
            text += f", p50 {median(results, 'p50_us')} us, p99 {median(results, 'p99_us')} us"
        print(text)
    ours, bare = (statistics.median(r["pairs_per_cpu_s"] for r in results)
                  for want in ("ours", "bare") for c, n, results in rows if c == want and n == 64)
    print(f"ours / bare at 64 outstanding: {ours / bare:.2f}")


def edge(measure):
    def run(options):
        print()
        for line in measure(options):
            print(line, flush=True)
    return run


MEASURES = {"rx": rx, **{name: edge(measure) for name, measure in sip.MEASURES.items()}}


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    parser.add_argument("measure", nargs="*", help=f"of {' '.join(MEASURES)}; all without")
    parser.add_argument("--seconds", type=float, default=4, help="of each run, roughly")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--preset", default="release")
    parser.add_argument("--only", help="of the servers, those with this in their name")
    parser.add_argument("--no-build", action="store_true")
    options = parser.parse_args()
    options.wants = lambda kind: not options.only or options.only in kind
    unknown = [m for m in options.measure if m not in MEASURES]
    if unknown:
        parser.error(f"there is no measure {unknown[0]}")
    if not options.no_build:
        build(options.preset, say=print, options=("-DEPC_PAGE=OFF",))
    for name in options.measure or MEASURES:
        MEASURES[name](options)


if __name__ == "__main__":
    main()
