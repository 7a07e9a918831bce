"""Registrations on a node of several shards: a WIC that comes back on another thread's connection, the
limit of connections, revocation and reload from the control socket. Real connections, which the kernel
spreads over the shards."""
import argparse
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from epclab import addresses as a
from epclab import tokens
from epclab.lab import DEFAULT_VAR, Lab
from epclab.runner import Runner, check, equal
from epclab.wait import LabError, expect, poll
from epclab.wic import Wic

PHONE = f"sip:phone@{a.DOMAIN}"
REPORT = re.compile(r"runtime error:|ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|LeakSanitizer: detected")


class Bench:
    def __init__(self, lab):
        self.lab, self.open = lab, []

    def begin(self):
        self.lab.pcrf.rules()
        self.lab.baresip.answer_mode("auto")
        self.mark = self.lab.epcscf.log_size()
        self.before = self.lab.epcscf.metrics()

    def end(self):
        for wic in self.open:
            wic.close()
        self.open = []
        self.lab.settle(15)
        self.lab.kamailio.forget_bindings()

    def token(self, user="alice", **changes):
        kid = tokens.first_kid(os.path.join(self.lab.var, "epcscf", "wwsf-jwks.json"))
        return tokens.sign(tokens.claims(user, **changes), "ES256",
                           self.lab.certs.path("wwsf-key.pem"), kid)

    def ctl(self, *words):
        """Answer and exit status of a control command."""
        done = subprocess.run([os.path.join(self.lab.epcscf.build, "epcscf", "admin", "epcscfctl"), "--socket",
                               os.path.join(self.lab.var, "epcscf", "control.sock"), *words],
                              capture_output=True, text=True, timeout=20)
        return done.stdout, done.returncode

    def shard_of(self, wic):
        peer = "%s:%d" % wic.ws.socket.getsockname()[:2]
        found = poll(lambda: re.search(rf"flow=(\w+) peer={re.escape(peer)} ", self.ctl("flows")[0]), 5)
        check(found, f"no flow from {peer}")
        return int(found.group(1), 16) >> 48

    def wic_on(self, shard, user="alice", instance=None):
        """A connection that the kernel has given to that shard."""
        for _ in range(60):
            wic = Wic(user)
            if self.shard_of(wic) == shard:
                wic.instance = instance or wic.instance
                self.open.append(wic)
                return wic
            wic.close()
        raise LabError(f"60 connections and none on shard {shard}")

    def registered(self, shard, user="alice", instance=None):
        wic = self.wic_on(shard, user, instance)
        answer = wic.register_token(self.token(user))
        equal(answer.status, 200, f"REGISTER on shard {shard} ({answer.first})")
        return wic

    def grown(self, name):
        return self.lab.epcscf.metrics().get(name, 0) - self.before.get(name, 0)

    def past_the_grace(self, holds):
        """What must hold until after the old binding would have left the core."""
        with open(os.path.join(self.lab.var, "epcscf", "epcscf.yaml")) as f:
            grace_ms = int(re.search(r"flow_loss_grace_ms: (\d+)", f.read()).group(1))
        end = time.monotonic() + grace_ms / 1000 + 1
        while time.monotonic() < end:
            holds()
            time.sleep(0.2)

    def registrations(self):
        return [line for line in self.ctl("registrations")[0].splitlines() if line.startswith("impi=")]


def next_second():
    """A token tells whole seconds: one of the second of a revocation counts as issued before it."""
    now = int(time.time())
    expect(lambda: int(time.time()) > now, 3, "the clock stands still")


def back_on_the_other_shard(bench):
    """The connection goes to the shard of the older binding; the call goes on; the core keeps the one
    binding that there is, long after the old one's grace."""
    for first in (0, 1):
        old = bench.registered(first)
        call = old.invite(PHONE)
        equal(call.result().status, 200, "INVITE to the phone")
        old.final(old.request("OPTIONS", PHONE, to=PHONE, routes=old.service_route))  # the ACK has been read
        before = bench.grown("registration_flows_handed_over")
        old.vanish()
        bench.open.remove(old)
        new = bench.registered(1 - first, instance=old.instance)
        equal(bench.grown("registration_flows_handed_over"), before + 1, "connections handed over")
        expect(lambda: len(bench.registrations()) == 1, 5, "there must be one registration")
        line = bench.registrations()[0]
        check(f"instance=\"<urn:uuid:{old.instance}>\"" in line and "reg-id=1" in line
              and "mode=token" in line and ",tel:" in line, f"as the control command shows it: {line}")
        bench.past_the_grace(lambda: equal(len(bench.registrations()), 1, "registrations"))
        check(bench.lab.baresip.in_call(), "the call must go on")
        call.wic = new
        equal(call.bye().status, 200, "BYE on the new connection")
        equal(new.register_token(bench.token()).status, 200, "a refresh on the handed-over connection")
        equal(new.unregister().status, 200, "de-registration")
        new.close()
        bench.open.remove(new)
        bench.lab.settle(10)


def to_and_fro(bench):
    """A WIC that comes back again and again, wherever its connections land, leaves nothing behind."""
    wic = bench.registered(0)
    for n in range(8):
        instance = wic.instance
        (wic.vanish if n % 2 else wic.close)()
        bench.open.remove(wic)
        wic = bench.registered((n + 1) % 2, instance=instance)
    expect(lambda: len(bench.registrations()) == 1, 5, "there must be one registration")


def limit_of_connections(bench):
    for n in range(10):
        bench.registered(n % 2)
    wic = bench.wic_on(0)
    answer = wic.register_token(bench.token())
    equal(answer.status, 403, "the eleventh connection of an identity")
    bench.registered(1, "bob")  # others are served
    bench.open.pop(0).close()
    expect(lambda: len(bench.registrations()) == 10, 8, "the one that left must not be counted")
    equal(wic.register_token(bench.token()).status, 200, "room after one has gone")


def revoked(bench):
    wics = [bench.registered(n % 2) for n in range(4)]
    bystander = bench.registered(0, "bob")
    call = wics[1].invite(PHONE)
    equal(call.result().status, 200, "INVITE to the phone")
    expect(bench.lab.baresip.in_call, 5, "the phone was not in a call")
    old = bench.token()
    text, status = bench.ctl("revoke", "alice@" + a.DOMAIN)
    equal((text, status), ("revoked: 4 connections ended, older tokens refused\n", 0), "epcscfctl revoke")
    for wic in wics:
        check(wic.wait_closed(5), "the connection must be closed")
        equal(wic.ws.closed_with, 1008, "close code")
        bench.open.remove(wic)
    expect(lambda: not bench.lab.baresip.in_call(), 5, "the phone is still in the call")
    equal(len(bench.registrations()), 1, "registrations")
    for shard in (0, 1):
        answer = bench.wic_on(shard).register_token(old)
        equal(answer.status, 401, "a token from before")
        check('error="invalid_token"' in answer.get("WWW-Authenticate"), "the challenge")
    next_second()
    equal(bench.wic_on(0).register_token(bench.token()).status, 200, "a token from after")
    equal(bystander.register_token(bench.token("bob")).status, 200, "the other user's refresh")
    equal(bench.ctl("revoke")[1], 1, "revoke without a name")
    text, status = bench.ctl("revoke", "--wwsf", a.WWSF_ID)
    equal(status, 0, "revoke --wwsf")
    expect(lambda: not bench.registrations(), 5, "registrations by way of the WWSF")
    next_second()  # for whoever comes next


def reloaded(bench):
    bench.registered(0)
    equal(bench.ctl("reload")[1], 0, "epcscfctl reload")
    equal(bench.registered(1, "bob").register_token(bench.token("bob")).status, 200, "after the reload")


SCENARIOS = (back_on_the_other_shard, to_and_fro, limit_of_connections, revoked, reloaded)


def one(bench, scenario):
    bench.begin()
    try:
        scenario(bench)
    except LabError as e:
        if not getattr(e, "log", None):
            e.log = bench.lab.epcscf.log
        raise
    finally:
        bench.end()


def ends_well(lab):
    """A sanitizer that found something says so, and gives the daemon another status."""
    equal(lab.epcscf.stop(), 0, "exit status of the daemon")
    check(not REPORT.search(lab.epcscf.log_text()), f"a sanitizer's report in {lab.epcscf.log}")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--preset", default="dev")
    p.add_argument("--var", default=os.path.join(DEFAULT_VAR, "shards"))
    p.add_argument("-k", default="", help="only scenarios whose name holds this text")
    options = p.parse_args()
    run = Runner("shards")
    lab = Lab(options.var, shards=2, preset=options.preset, capture=False)
    lab.epcscf.grace_ms = 2000  # what a scenario leaves behind is soon gone
    if not run.run("the lab starts and is ready", lab.start):
        return run.finish()
    bench = Bench(lab)
    try:
        for scenario in SCENARIOS:
            if options.k in scenario.__name__:
                run.run(scenario.__name__.replace("_", " "), one, bench, scenario)
        run.run("the daemon ends as it should", ends_well, lab)
    finally:
        lab.stop()
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
