"""Registrations through tokens of two WWSFs: the embedded one with its users, its pool and its guests, and
a third party's, another process with its own origin, issuer, keys and pool. Neither may grant what is
the other's."""
import argparse
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from epclab import addresses as a
from epclab.lab import DEFAULT_VAR, Lab
from epclab.runner import Runner, check, equal
from epclab.thirdparty import ThirdParty, pools_of, post
from epclab.wait import expect
from epclab.wic import Wic


SHORT_LIFE_S = 36  # over registration.min_expires_s of the lab


class Bench:
    def __init__(self, lab, third):
        self.lab, self.third, self.open = lab, third, []

    def own(self, path, body=None, cookie=None):
        """Asks the embedded WWSF as its page does."""
        return post(a.ORIGIN + path, body or {}, self.lab.certs, a.ORIGIN, cookie)

    def wic(self, profile, origin):
        """A browser with the identity that the WWSF gave, on a page of that origin."""
        wic = Wic("alice", origin=origin)
        wic.impi, wic.impus, wic.impu = profile["impi"], profile["impus"], profile["impus"][0]
        self.open.append(wic)
        return wic

    def registers(self, profile, origin, status=200):
        wic = self.wic(profile, origin)
        answer = wic.register_token(profile["token"])
        equal(answer.status, status, f"REGISTER of {profile['impi']} from {origin}")
        return wic, answer

    def refused(self, claims, origin, status=403):
        """A token of the third party that claims what it must not."""
        profile = {"impi": claims["impi"], "impus": claims["impu"],
                   "token": self.third.ask("/forge", **claims)["token"]}
        before = self.lab.epcscf.metrics()["registrations"]
        _, answer = self.registers(profile, origin, status)
        equal(self.lab.epcscf.metrics()["registrations"], before, "registrations")
        check(not answer.get("WWW-Authenticate") or status == 401, "403 carries no challenge")

    def close(self):
        for wic in self.open:
            wic.close()
        self.open = []
        self.lab.settle(15)


def a_user_with_a_subscription(bench):
    status, profile, _ = bench.own("/api/login", {"user": "alice", "password": a.USERS["alice"][0]})
    equal((status, profile["impi"], profile["pool"]), (200, "alice@ims.test", False), "log-in")
    bench.registers(profile, a.ORIGIN)


def a_guest(bench):
    """One pair of the pool; a fresh token for it; another guest has another one."""
    status, profile, cookie = bench.own("/api/guest")
    equal(status, 200, "guest")
    equal(profile["impus"], [a.POOL[profile["impi"]]], "the provisioned pair")
    wic, _ = bench.registers(profile, a.ORIGIN)
    equal(bench.lab.kamailio.seen[-1]["protected"], "auth-done", "what the core was told")
    again = bench.own("/api/token", cookie=cookie)[1]
    equal(again["impi"], profile["impi"], "the identity of the next token")
    equal(wic.register_token(again["token"]).status, 200, "re-registration")
    other = bench.own("/api/guest")[1]
    check(other["impi"] != profile["impi"], "one identity was lent twice")
    bench.registers(other, a.ORIGIN)


def a_guest_of_the_third_party(bench):
    profile = bench.third.ask("/guest")
    equal(profile["impus"], [a.THIRD_POOL[profile["impi"]]], "the third party's pair")
    bench.registers(profile, a.THIRD_ORIGIN)
    bench.third.ask("/leave", impi=profile["impi"])


def the_third_party_grants_nothing_of_ours(bench):
    """Signed with good keys, for the right audience, from its own page: it stays its own pool."""
    guest = next(iter(a.POOL))
    for impi, impus in ((guest, [a.POOL[guest]]),                        # our pool
                        ("alice@ims.test", ["sip:alice@ims.test"]),      # our user
                        (guest, [next(iter(a.THIRD_POOL.values()))]),
                        ("third1@ims.test", ["sip:third2@ims.test"]),    # not the pair
                        ("third1@ims.test", ["sip:alice@ims.test"]),
                        ("third1@ims.test", ["sip:third1@ims.test", a.POOL[guest]]),
                        ("third9@ims.test", ["sip:third9@ims.test"])):
        bench.refused({"impi": impi, "impu": impus}, a.THIRD_ORIGIN)


def the_third_party_cannot_pass_for_us(bench):
    guest = next(iter(a.POOL))
    claims = {"impi": guest, "impu": [a.POOL[guest]]}
    bench.refused({**claims, "azp": a.WWSF_ID}, a.THIRD_ORIGIN)          # our id, its issuer
    bench.refused({**claims, "azp": a.WWSF_ID}, a.ORIGIN)                # from our page
    bench.refused({**claims, "iss": a.ISSUER, "azp": a.WWSF_ID}, a.ORIGIN, 401)  # our issuer, its keys


def tokens_stay_with_their_page(bench):
    own = bench.own("/api/guest")[1]
    bench.registers(own, a.THIRD_ORIGIN, 403)
    third = bench.third.ask("/guest")
    bench.registers(third, a.ORIGIN, 403)
    bench.third.ask("/leave", impi=third["impi"])


def the_third_party_rotates_its_key(bench):
    """The eP-CSCF fetches the key set again when it meets a key that it does not know."""
    bench.third.ask("/rotate")
    profile = {"impi": "third1@ims.test", "impus": ["sip:third1@ims.test"]}
    profile["token"] = bench.third.ask("/forge", impi=profile["impi"], impu=profile["impus"])["token"]

    def accepted():
        wic = bench.wic(profile, a.THIRD_ORIGIN)
        return wic.register_token(profile["token"]).status == 200
    expect(accepted, 70, "tokens of the third party's new key are still refused")


def the_embedded_wwsf_rotates_its_key(bench):
    e = bench.lab.epcscf
    done = subprocess.run([e.program, "--config", e.config, "--wwsf", "key", "rotate"], cwd=e.dir,
                          capture_output=True, text=True)
    equal(done.returncode, 0, done.stderr)

    def lines():
        return subprocess.run([e.program, "--config", e.config, "--wwsf", "key", "list"], cwd=e.dir,
                              capture_output=True, text=True).stdout
    before = lines().count("\tverifies older tokens")
    expect(lambda: lines().count("\tverifies older tokens") > before, 45, "the new key does not sign")
    a_user_with_a_subscription(bench)


def pool_returned_at_log_out(bench):
    """wwsf.pool_revoke: the old token is refused and the registration ends, then it is lent again."""
    _, profile, cookie = bench.own("/api/guest")
    wic, _ = bench.registers(profile, a.ORIGIN)
    equal(bench.own("/api/logout", cookie=cookie)[0], 204, "log-out")
    check(wic.wait_closed(8), "the registration of a returned identity went on")
    bench.registers(profile, a.ORIGIN, 401)


SCENARIOS = [a_user_with_a_subscription, a_guest, a_guest_of_the_third_party,
             the_third_party_grants_nothing_of_ours, the_third_party_cannot_pass_for_us,
             tokens_stay_with_their_page, pool_returned_at_log_out, the_embedded_wwsf_rotates_its_key,
             the_third_party_rotates_its_key]


def in_a_browser(bench):
    """Chromium on the embedded WWSF's page, as a guest, for longer than a token lives."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "browser", "guest.mjs")
    done = subprocess.run(["node", script], capture_output=True, text=True, timeout=180,
                          env=dict(os.environ, LAB_PAGE=a.ORIGIN + "/", LAB_TOKEN_S=str(SHORT_LIFE_S)))
    print(done.stdout, end="", flush=True)
    check("1 passed, 0 failed" in done.stdout, f"the browser failed: {done.stderr[-400:]}")


def one(bench, scenario):
    try:
        scenario(bench)
    finally:
        bench.close()


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--preset", default="dev")
    p.add_argument("--shards", type=int, default=2)
    p.add_argument("--var", default=os.path.join(DEFAULT_VAR, "wwsf"))
    p.add_argument("--browser", action="store_true", help="the page in Chromium, with tokens that end soon")
    p.add_argument("-k", default="", help="only scenarios whose name holds this text")
    options = p.parse_args()
    run = Runner("wwsf")
    lab = Lab(options.var, shards=options.shards, preset=options.preset, policy="off", capture=False,
              core="scripted")
    if not options.browser:
        lab.epcscf.grace_ms = 2000  # what a scenario leaves behind is soon gone
    third = ThirdParty(lab.var, lab.certs)
    pools_of(lab.epcscf)
    if options.browser:
        lab.epcscf.overrides["  scope: sip\n  signing_key:"] = \
            f"  scope: sip\n  token_lifetime_s: {SHORT_LIFE_S}\n  signing_key:"
    database = os.path.join(lab.var, "epcscf", "wwsf.sqlite")
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(database + suffix):
            os.unlink(database + suffix)
    lab.components = [lab.kamailio, third, lab.epcscf]
    if not run.run("two WWSFs and the eP-CSCF start", lab.start):
        return run.finish()
    bench = Bench(lab, third)
    try:
        for scenario in [in_a_browser] if options.browser else SCENARIOS:
            if options.k in scenario.__name__:
                run.run(scenario.__name__.replace("_", " "), one, bench, scenario)
        run.run("the daemon ends as it should", lambda: equal(lab.epcscf.stop(), 0, "exit status"))
    finally:
        lab.stop()
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
