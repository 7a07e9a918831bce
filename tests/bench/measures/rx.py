"""AAR/AAA pairs of the Rx client, beside freeDiameter alone: per CPU-second of the client, and the time of one."""
import json
import os
import shutil
import subprocess
import tempfile
import time

import servers
from peer import Peer
from record import BenchError

CLIENTS = ("bare", "ours", "ours-remembered", "ours-calls")


def measure(options, record):
    build = os.path.join(servers.ROOT, "build", options.preset)
    folder = tempfile.mkdtemp(prefix="epc-bench-")
    peer = None
    try:
        peer = Peer(build, folder)
        for outstanding, rate, clients in ((64, 15000, CLIENTS), (1, 2000, CLIENTS[:2])):
            for _ in range(options.rounds):
                for client in clients:
                    done = one(build, peer, client, outstanding, max(1000, int(rate * options.seconds)))
                    enter(record, client, outstanding, done)
    except BenchError as e:
        record.note(f"rx: {e}; no more figures")
        record.faults.append(f"rx: {e}")
    finally:
        if peer:
            peer.stop()
        shutil.rmtree(folder, ignore_errors=True)


def one(build, peer, client, outstanding, pairs):
    done = subprocess.run([os.path.join(build, "tests/bench/rx/rx_bench"), peer.conf[client.split("-")[0]], client,
                           str(outstanding), str(pairs)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=600)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise BenchError(f"rx_bench {client} ended with status {done.returncode}")
    result = json.loads(lines[-1])
    if result["failed"]:
        raise BenchError(f"rx_bench {client}: {result['failed']} of {result['pairs']} pairs failed")
    time.sleep(0.2)  # the peer closes the connection of this run
    return result


def enter(record, client, outstanding, done):
    if outstanding > 1:
        record.add("rx_cpu", client, done["pairs_per_cpu_s"])
    else:
        record.add("rx_p50", client, done["p50_us"])
        record.add("rx_p99", client, done["p99_us"])
