#!/usr/bin/env python3
"""Two IMS networks, each with an eP-CSCF, in network namespaces of their own, and a UE in a third:

    ue 10.231.N.2 -- 10.231.N.1 network a (eP-CSCF, WWSF, core)
    ue 10.232.N.2 -- 10.232.N.1 network b (eP-CSCF, core)

tests/lab/networks.py [--preset NAME] [--var DIR] runs the browser scenarios that need them: which
eP-CSCF a page goes to, and unmodified JavaScript SIP stacks. Needs root."""
import argparse
import json
import os
import select
import subprocess
import sys

from epclab import addresses as a
from epclab.build import build
from epclab.calls import BROWSER, Script, install_driver
from epclab.certs import Certificates
from epclab.lab import DEFAULT_VAR, Lab, LabError
from epclab.runner import Runner, check
from cli import explain

SECONDS = 60
PLMN_A, PLMN_B = "262-01", "310-260"


# ---- inside a network's namespace -----------------------------------------------------------------

class SharedCertificates(Certificates):
    """One CA for both networks, and a server certificate with both their addresses."""

    def __init__(self, folder, ips):
        super().__init__(folder)
        self.dir, self.ips = folder, ips

    def _leaf(self, name, common_name, san, curve):
        if name == "server":
            san += "".join(f",IP:{ip}" for ip in self.ips)
        super()._leaf(name, common_name, san, curve)


def side(plan):
    """Hold one network; commands come on standard input, one word a line, each is answered."""
    lab = Lab(plan["var"], policy="off", preset=plan["preset"], capture=False)
    certs = SharedCertificates(plan["certs"], plan["ips"])
    lab.certs = lab.epcscf.certs = lab.pcrf.certs = certs
    lab.kamailio.min_expires_s = 10
    lab.epcscf.overrides = plan["overrides"]
    lab.start(only=[lab.kamailio, lab.rtpengine, lab.epcscf])
    try:
        print("READY", flush=True)
        for line in sys.stdin:
            if line.strip() == "stop":
                lab.epcscf.stop()
            elif line.strip() == "start":
                lab.epcscf.start()
            print("ok", flush=True)
    finally:
        lab.stop()


# ---- outside ----------------------------------------------------------------------------------------

def ip(*args):
    done = subprocess.run(["ip", *args], capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"ip {' '.join(args)}: {done.stderr.strip()}")


class Networks:
    """The namespaces and the links between them."""

    def __init__(self):
        self.tag = f"epc{os.getpid()}"
        self.ue, self.a, self.b = (f"{self.tag}{n}" for n in ("ue", "a", "b"))
        self.ip_a, self.ip_b = "10.231.0.1", "10.232.0.1"
        self.made = []

    def __enter__(self):
        try:
            for name in (self.ue, self.a, self.b):
                ip("netns", "add", name)
                self.made.append(name)
                ip("-n", name, "link", "set", "lo", "up")
            for n, (name, address) in enumerate(((self.a, self.ip_a), (self.b, self.ip_b))):
                ip("-n", self.ue, "link", "add", f"net{n}", "type", "veth", "peer", "name", "eth0", "netns", name)
                ip("-n", self.ue, "addr", "add", address[:-1] + "2/24", "dev", f"net{n}")
                ip("-n", self.ue, "link", "set", f"net{n}", "up")
                ip("-n", name, "addr", "add", address + "/24", "dev", "eth0")
                ip("-n", name, "link", "set", "eth0", "up")
                ip("-n", name, "route", "add", "default", "via", address[:-1] + "2")
            # The WWSF of one network asks the eP-CSCF of the other whether it lives.
            ip("netns", "exec", self.ue, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


class Side:
    """One network, run by this program again inside its namespace."""

    def __init__(self, namespace, plan):
        self.log = os.path.join(plan["var"], "side.log")
        os.makedirs(plan["var"], exist_ok=True)
        with open(self.log, "w") as log:
            self.child = subprocess.Popen(
                ["ip", "netns", "exec", namespace, sys.executable, os.path.abspath(__file__), "--side",
                 json.dumps(plan)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        self._answer("READY")

    def _answer(self, word):
        ready, _, _ = select.select([self.child.stdout], [], [], SECONDS)
        line = self.child.stdout.readline().decode().strip() if ready else ""
        if line != word:
            raise LabError(f"a network of the lab did not answer {word!r} but {line!r}", self.log)

    def tell(self, word):
        self.child.stdin.write(word.encode() + b"\n")
        self.child.stdin.flush()
        self._answer("ok")

    def close(self):
        self.child.stdin.close()
        try:
            self.child.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.child.terminate()
            self.child.wait(SECONDS)


def plans(options, nets):
    """What differs from the lab's usual configuration, for a and for b."""
    certs = os.path.join(options.var, "certs")
    var_a, var_b = (os.path.join(options.var, n) for n in "ab")
    origin = f"https://{nets.ip_a}:{a.WWSF[1]}"
    url_a, url_b = (f"wss://{i}:{a.WSS[1]}{a.WSS_PATH}" for i in (nets.ip_a, nets.ip_b))
    common = {"https://localhost:8444": "https://127.0.0.1:9443",  # the page of another WWSF
              f"https://{a.WWSF[0]}:{a.WWSF[1]}": origin,
              f'listen: ["{a.WSS[0]}:{a.WSS[1]}"]': f'listen: ["0.0.0.0:{a.WSS[1]}"]',
              f'listen: "{a.WWSF[0]}:{a.WWSF[1]}"': f'listen: "0.0.0.0:{a.WWSF[1]}"',
              "min_expires_s: 30": "min_expires_s: 10"}
    default = f'    - plmn: default\n      url: "wss://{a.WSS[0]}:{a.WSS[1]}{a.WSS_PATH}"\n'
    table = "".join(f'    - {{plmn: {plmn}, url: "{url}", priority: {n}}}\n' for plmn, urls in (
        ("262-01..262-09", (url_a, url_b)), (PLMN_B, (url_b, url_a)), ("default", (url_a,)))
        for n, url in enumerate(urls))
    plan_a = dict(common, **{default: table + (
        f"  plmn_ttl_s: 2\n  health_interval_s: 1\n  health_fall: 1\n  health_rise: 1\n"
        f"  health_ca_file: {certs}/ca.pem\n")})
    # The WWSF of network a is the issuer for both.
    plan_b = dict(common, **{
        f"jwks_file: {var_b}/epcscf/wwsf-jwks.json\n      algorithms": f"jwks_file: {var_a}/epcscf/wwsf-jwks.json\n"
                                                                       "      algorithms",
        "\nregistration:\n": "\nregistration:\n  redirect:\n"
        f'    - {{plmn: {PLMN_A}, url: "{url_a}"}}\n    - {{plmn: 208-01, url: "wss://10.233.0.1:8443/ws"}}\n'})
    shared = {"preset": options.preset, "certs": certs, "ips": [nets.ip_a, nets.ip_b]}
    return (dict(shared, var=var_a, overrides=plan_a), dict(shared, var=var_b, overrides=plan_b),
            {"LAB_PAGE": origin + "/", "LAB_A": url_a, "LAB_B": url_b, "LAB_CERTS": certs})


class UeScript(Script):
    """A Node scenario in the UE's namespace that may ask for things to happen to network b."""

    def __init__(self, name, nets, env, sides, seconds=240):
        self.sides = sides
        self.command = ["ip", "netns", "exec", nets.ue, "node", os.path.join(BROWSER, name)]
        self.env = dict(os.environ, NODE_TLS_REJECT_UNAUTHORIZED="0", NODE_NO_WARNINGS="1", **env)
        super().__init__(name, seconds)

    def spawn(self, name):
        return subprocess.Popen(self.command, cwd=BROWSER, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, start_new_session=True, env=self.env)

    def heard(self, line):
        if line.startswith("@ "):  # "@ b stop"
            _, which, word = line.split()
            self.sides[which].tell(word)
            self.child.stdin.write("ok\n")
            self.child.stdin.flush()


def run_script(name, nets, env, sides):
    check(UeScript(name, nets, env, sides).finish() == 0, f"{name} failed")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--preset", default="release")
    p.add_argument("--var", default=os.path.join(DEFAULT_VAR, "networks"))
    p.add_argument("--side", help=argparse.SUPPRESS)
    options = p.parse_args()
    if options.side:
        side(json.loads(options.side))
        return 0
    options.var = os.path.abspath(options.var)
    install_driver()
    build(options.preset, say=print)
    run = Runner("networks")
    with Networks() as nets:
        plan_a, plan_b, env = plans(options, nets)
        sides = {}
        try:
            sides["a"] = Side(nets.a, plan_a)
            sides["b"] = Side(nets.b, plan_b)
            for name in ("networks.mjs", "jssip.mjs", "sipjs.mjs"):
                run.run(name, run_script, name, nets, env, sides)
        finally:
            for one in sides.values():
                one.close()
    return run.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as e:
        explain(e)
        print("0 passed, 1 failed", flush=True)
        sys.exit(1)
