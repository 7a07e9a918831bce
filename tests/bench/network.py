"""A network of the benchmark's own: captures, firewalls and ports of others do not matter in it."""
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000


def enter():
    """True if this process and its children now have a network namespace of their own; it needs root."""
    if os.geteuid() != 0 or ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return False
    # A stock freeDiameterd does not start where loopback is all there is.
    for words in ("link set lo up", "link add bench0 type dummy", "addr add 192.0.2.1/24 dev bench0",
                  "link set bench0 up"):
        subprocess.run(["ip", *words.split()], stderr=subprocess.DEVNULL)
    return True
