"""Who listens on a port: read from /proc, so that the answer can name the process."""
import ipaddress
import os
import random
import socket


def _hex_address(text):
    host, port = text.split(":")
    raw = bytes.fromhex(host)
    # The kernel prints each 32-bit word in host order.
    raw = b"".join(raw[i:i + 4][::-1] for i in range(0, len(raw), 4))
    return ipaddress.ip_address(raw), int(port, 16)


def _covers(bound, wanted):
    if bound.is_unspecified or bound == wanted:
        return True
    mapped = getattr(bound, "ipv4_mapped", None)
    return mapped is not None and (mapped == wanted or mapped.is_unspecified)


def _owner(inode):
    target = f"socket:[{inode}]"
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for fd in os.scandir(f"/proc/{pid}/fd"):
                if os.readlink(fd.path) == target:
                    with open(f"/proc/{pid}/comm") as comm:
                        return f"{comm.read().strip()} (process {pid})"
        except OSError:
            continue
    return "a process of another user"


def holder(proto, ip, port):
    """The process bound to ip:port ("udp" or "tcp"), or None."""
    wanted = ipaddress.ip_address(ip)
    for table in (proto, proto + "6"):
        try:
            lines = open(f"/proc/net/{table}").read().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            field = line.split()
            address, number = _hex_address(field[1])
            listening = field[3] == ("0A" if proto == "tcp" else "07")
            if listening and number == port and _covers(address, wanted):
                return _owner(field[9])
    return None


def accepts(ip, port, timeout=0.5):
    """True when a TCP connection can be made."""
    try:
        socket.create_connection((ip, port), timeout).close()
        return True
    except OSError:
        return False


def free_port(ip="127.0.0.1"):
    """A TCP port that is free just now (for control sockets that nobody else needs to know)."""
    with socket.socket() as s:
        s.bind((ip, 0))
        return s.getsockname()[1]


def own_net(first=192):
    """(net, claim): a net "127.a.b" of loopback addresses that no other test run uses while `claim` is held.
    Process ids alone do not keep two runs apart: they are close to one another."""
    start = random.randrange(60 * 256)
    for i in range(60 * 256):
        n = (start + i) % (60 * 256)
        net = f"127.{first + n // 256}.{n % 256}"
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((f"{net}.255", 3868))
            return net, claim
        except OSError:
            claim.close()
    raise RuntimeError("every net of 127.192.0.0 and above is in use by another run: end some of them")
