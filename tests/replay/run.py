#!/usr/bin/env python3
"""Plays the library of recorded exchanges (README.md). Exit status: 0 all well, 1 not.

  run.py --build BUILD [--update] [--keep] [FILE...]    FILE: of the library; default all

  --update   write what the node sends into the files, in the place of what they expect of it
"""
import argparse, glob, json, os, re, shutil, signal, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lab"))
from epclab.ports import own_net

FROM_AF = {"AAR", "STR", "RAA", "ASA"}
WAIT_S = 30


def objects(text):
    """The objects of a file with the part of the text that each has."""
    at, decoder = 0, json.JSONDecoder()
    while at < len(text):
        if text[at] == "{":
            o, end = decoder.raw_decode(text, at)
            yield o, at, end
            at = end
        else:
            at = text.find("\n", at) + 1 or len(text)


def shown(message):
    """As a file has it: one AVP of the top level a line."""
    one = lambda o: json.dumps(o, ensure_ascii=False, separators=(",", ":"))
    head = {k: v for k, v in message.items() if k != "avps"}
    return one(head)[:-1] + ',"avps":[' + ",".join("\n " + one(a) for a in message["avps"]) + "]}"


class Run:
    def __init__(self, build, keep):
        self.build = build
        self.ctl = os.path.join(build, "epcscf/admin/epcscfctl")
        self.fdx = os.path.join(build, "fdx")
        self.dir = tempfile.mkdtemp(prefix="epc-replay-")
        self.keep = keep
        self.children = []
        net, self.claim = own_net()
        self.address = net + ".1"
        self.faults = []
        certs = os.path.join(HERE, "../lab/pcrf/certs.sh")
        subprocess.run([certs, self.dir, "pcrf.ims.test", "epcscf.ims.test"], check=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def fault(self, what):
        self.faults.append(what)
        print("FAULT", what, flush=True)

    def start(self, argv, log):
        p = subprocess.Popen(argv, stdout=open(self.path(log), "w"), stderr=subprocess.STDOUT)
        self.children.append(p)
        return p

    def shown_log(self, log, lines=60):
        with open(self.path(log), errors="replace") as f:
            return "".join("    " + l for l in f.readlines()[-lines:])

    def end(self):
        for p in self.children:
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
                try:
                    p.wait(10)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()
        if self.keep:
            print("kept:", self.dir)
        else:
            shutil.rmtree(self.dir)

    def identity(self, name):
        return ('Identity = "%s.ims.test";\nRealm = "ims.test";\nSecPort = 0;\nNo_SCTP;\nNo_IPv6;\nTwTimer = 6;\n'
                'TLS_Cred = "%s/%s.ims.test.cert.pem", "%s/%s.ims.test.key.pem";\nTLS_CA = "%s/ca.pem";\n'
                'LoadExtension = "%s/dict_rx.fdx";\n' % (name, self.dir, name, self.dir, name, self.dir, self.fdx))

    # ---- the dictionary, and another reader's opinion

    def check(self, files):
        done = subprocess.run([self.ctl, "replay", "--check", *files], capture_output=True, text=True)
        found = [l for l in done.stdout.splitlines()[:-1]]
        for f in files: # faults that a file has on purpose
            for wrong in re.findall(r"^# wrong: (.*)$", open(f).read(), re.M):
                those = [l for l in found if l.startswith(f + ":") and wrong in l]
                if not those:
                    self.fault("%s: was to be told: %s" % (f, wrong))
                found = [l for l in found if l not in those]
        if found or done.stderr or not done.stdout:
            self.fault("against the dictionary:\n" + "\n".join(found) + done.stderr)
        # Reading what was written gives the same again.
        for f in files:
            tidy = subprocess.run([self.ctl, "replay", "--tidy", f], capture_output=True, text=True).stdout
            again = subprocess.run([self.ctl, "replay", "--tidy", self.write("tidy", tidy)], capture_output=True,
                                   text=True).stdout
            if not tidy.count('"command"') or tidy != again:
                self.fault("%s: not the same after it was written anew" % f)

    def tshark(self, files):
        capture = self.path("library.pcap")
        done = subprocess.run([self.ctl, "replay", "--to-pcap", capture, *files], capture_output=True, text=True)
        if done.returncode:
            self.fault("as a capture: " + done.stderr)
        # Our own reader gets all of it back.
        n = subprocess.run([self.ctl, "replay", "--print", capture], capture_output=True, text=True).stdout
        messages = sum("command" in o for f in files for o, _, _ in objects(open(f).read()))
        if len(re.findall(r"^\d+\. ", n, re.M)) != messages:
            self.fault("the capture does not have the library's %d messages" % messages)
        if not shutil.which("tshark"):
            print("skipped: tshark is not here (apt-get install tshark)")
            return
        seen = subprocess.run(["tshark", "-r", capture, "-Y", "diameter", "-T", "fields", "-e", "diameter.cmd.code"],
                              capture_output=True, text=True).stdout
        bad = subprocess.run(["tshark", "-r", capture, "-Y", "_ws.malformed || diameter.avp.invalid-data || "
                              "(diameter && _ws.expert.severity == error)", "-V"], capture_output=True, text=True).stdout
        if len(seen.split()) < messages * 0.9:
            self.fault("tshark sees %d of %d messages" % (len(seen.split()), messages))
        if bad.strip():
            self.fault("tshark finds errors:\n" + bad[:4000])

    # ---- as PCRF, against the node

    def node_conf(self):
        return self.write("node.conf", self.identity("epcscf") + 'Port = 0;\nListenOn = "127.0.0.1";\n'
                          'LoadExtension = "%s/epcscf_rx.fdx";\n'
                          'ConnectPeer = "pcrf.ims.test" { No_TLS; ConnectTo = "%s"; Port = 3868; };\n'
                          % (self.fdx, self.address))

    def as_pcrf(self, files, record, wait_s=10, played=None):
        """Both sides over all files (`played` in the PCRF's hands); returns how it ended for them."""
        pcrf = self.start([self.ctl, "replay", "--as", "pcrf", "--listen", self.address + ":3868", "--identity",
                           "pcrf.ims.test", "--realm", "ims.test", "--wait", str(wait_s), "--diff-only", *(played or files)], "pcrf.log")
        deadline = time.monotonic() + WAIT_S
        while " waits at " not in open(self.path("pcrf.log")).read() and time.monotonic() < deadline:
            time.sleep(0.02)
        node = self.start([os.path.join(self.build, "tests/replay/replay_node"), self.node_conf(), record, *files],
                          "node.log")
        try:
            return pcrf.wait(WAIT_S + 5 * len(files)), node.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            return -1, -1

    def node_plays(self, files):
        record = self.path("record.jsonl")
        pcrf, node = self.as_pcrf(files, record)
        if pcrf:
            self.fault("as PCRF (%d):\n%s" % (pcrf, self.shown_log("pcrf.log")))
        if node:
            self.fault("the node (%d):\n%s" % (node, self.shown_log("node.log")))
        # What the node recorded meanwhile is a library file too.
        lines = [json.loads(l) for l in open(record)]
        expected = sum("command" in o for f in files for o, _, _ in objects(open(f).read()))
        if os.stat(record).st_mode & 0o777 != 0o600:
            self.fault("the record's rights are not 0600")
        if len(lines) != expected or any(o.get("peer") != "pcrf.ims.test" for o in lines):
            self.fault("the record has %d messages, %d were played" % (len(lines), expected))

    # ---- as AF, against stock freeDiameterd with lab_pcrf

    def lab(self, rules):
        self.write("rules.json", json.dumps(rules or {"rules": []}))

    def lab_listens(self):
        port = "%08X:0F1C 00000000:0000 0A" % int.from_bytes(bytes(map(int, self.address.split("."))), "little")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if port in open("/proc/net/tcp").read():
                return True
            time.sleep(0.02)
        return False

    def af_plays(self, files):
        marked = []
        for f in files:
            mark = re.search(r"^# lab: (.*)$", open(f).read(), re.M)
            if mark:
                marked.append((f, json.loads(mark.group(1))))
        if not marked:
            return
        if not shutil.which("freeDiameterd"):
            print("skipped: freeDiameterd is not here (apt-get install freediameterd)")
            return
        self.write("lab.json", json.dumps({"listen": self.address, "rules": self.path("rules.json")}))
        conf = self.write("lab.conf", self.identity("pcrf") + 'Port = 3868;\nLoadExtension = "%s/lab_pcrf.fdx" : "%s";\n'
                          'ConnectPeer = "epcscf.ims.test" { No_TLS; ConnectTo = "%s"; Port = 3; };\n'
                          % (self.fdx, self.path("lab.json"), self.address))
        self.lab(None)
        self.start(["freeDiameterd", "-c", conf], "lab.log")
        if not self.lab_listens():
            self.fault("freeDiameterd does not start:\n" + self.shown_log("lab.log"))
            return
        for f, rules in marked:
            self.lab(rules)
            done = subprocess.run([self.ctl, "replay", "--as", "af", "--connect", self.address + ":3868", "--diff-only",
                                   "--ignore", "Auth-Application-Id", f],
                                  capture_output=True, text=True, timeout=WAIT_S)
            if done.returncode:
                self.fault("as AF, %s (%d):\n%s%s" % (f, done.returncode, done.stdout, done.stderr))

    # ---- a capture plays as well as a file

    def capture_plays(self, files):
        f = os.path.join(HERE, "library/grant.jsonl")
        if f not in files:
            return
        capture = self.path("grant.pcap")
        subprocess.run([self.ctl, "replay", "--to-pcap", capture, f], check=True)
        ended = self.as_pcrf([f], "-", played=[capture])
        if ended != (0, 0):
            self.fault("a capture as PCRF %s:\n%s" % (ended, self.shown_log("pcrf.log")))

    # ---- a difference must be seen

    def differences_are_seen(self, files):
        f = os.path.join(HERE, "library/grant.jsonl")
        if f not in files:
            return
        text = open(f).read()
        wrong = text.replace('"Max-Requested-Bandwidth-UL":84000', '"Max-Requested-Bandwidth-UL":84001', 1)
        if wrong == text:
            self.fault("grant.jsonl has no bandwidth to change")
        pcrf, _ = self.as_pcrf([self.write("wrong.jsonl", wrong)], "-")
        log = open(self.path("pcrf.log")).read()
        if pcrf != 1 or "Max-Requested-Bandwidth-UL: expected 84001, got 84000" not in log:
            self.fault("a difference was not seen (%d):\n%s" % (pcrf, log))

    # ---- --update

    def update(self, f):
        """What the node sends, taken from its own record, in the place of what the file expects."""
        record = self.path("update.jsonl")
        if os.path.exists(record):
            os.unlink(record)
        self.as_pcrf([f], record)
        tidy = subprocess.run([self.ctl, "replay", "--tidy", record], capture_output=True, text=True).stdout
        sent = [o for o, _, _ in objects(tidy) if o["command"] in FROM_AF]
        text, out, at = open(f).read(), "", 0
        for o, start, end in objects(text):
            if o.get("command") not in FROM_AF:
                continue
            new = next((s for s in sent if s["command"] == o["command"]), None)
            if not new:
                self.fault("%s: no %s came:\n%s%s" % (f, o["command"], self.shown_log("pcrf.log"), self.shown_log("node.log")))
                continue
            sent.remove(new)
            for a in new["avps"]:
                if "Session-Id" in a:
                    a["Session-Id"] = o["avps"][0]["Session-Id"]
                if "Origin-State-Id" in a:
                    a["Origin-State-Id"] = 1
            out += text[at:start] + shown(new)
            at = end
        if sent:
            self.fault("%s: more came: %s\n%s" % (f, [s["command"] for s in sent], self.shown_log("node.log")))
        with open(f, "w") as w:
            w.write(out + text[at:])


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--build", required=True)
    a.add_argument("--update", action="store_true")
    a.add_argument("--keep", action="store_true")
    a.add_argument("file", nargs="*")
    o = a.parse_args()
    files = [os.path.abspath(f) for f in o.file] or sorted(glob.glob(os.path.join(HERE, "library/*.jsonl")))
    r = Run(os.path.abspath(o.build), o.keep)
    try:
        if o.update:
            for f in files:
                r.update(f)
        else:
            r.check(files)
            r.tshark(files)
            r.node_plays(files)
            r.capture_plays(files)
            r.differences_are_seen(files)
            r.af_plays(files)
    finally:
        r.end()
    print("%d files, %d faults" % (len(files), len(r.faults)))
    return 1 if r.faults else 0


if __name__ == "__main__":
    sys.exit(main())
