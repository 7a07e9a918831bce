"""What the load meets: the eP-CSCF and Kamailio, each as its operator would start it, and the stand-ins
behind them. A server's cost is that of its whole process tree."""
import ctypes
import json
import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
ROOT = os.path.dirname(TESTS)
sys.path.insert(0, os.path.join(TESTS, "lab"))
from epclab import tokens  # noqa: E402
from epclab.ports import accepts  # noqa: E402
from epclab.wait import poll  # noqa: E402
from record import BenchError  # noqa: E402

EDGE = ("127.0.0.1", 8443)       # where the WICs connect
CORE = ("127.0.0.2", 4060)
EDGE_CORE = ("127.0.0.3", 5060)
PING_INTERVAL_S = 30            # the eP-CSCF's default
GATEWAY = ("127.0.0.5", 2223)
ISSUER, AUDIENCE, WWSF, KID = "https://wwsf.bench.test", "ims.test", "bench", "bench"
ORIGIN = "https://wwsf.bench.test"
PR_SET_PDEATHSIG = 1


def _children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(c) for c in f.read().split()]
    except OSError:
        return []


def tree(pid):
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += _children(found[-1])
    return found


def cpu_seconds(pid):
    """Of the tree's threads, in nanoseconds where the kernel tells them (schedstat), else ticks."""
    total = 0
    for p in tree(pid):
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{task}/schedstat") as f:
                    total += int(f.read().split()[0]) / 1e9
        except OSError:
            continue
    return total


def machine_cpu_seconds():
    """What every core of the machine has done or had stolen, except waiting."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def pss_kb(pid):
    total = 0
    for p in tree(pid):
        try:
            with open(f"/proc/{p}/smaps_rollup") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except OSError:
            continue
    return total


def pinned(core, argv):
    return ["taskset", "-c", str(core), *argv] if core is not None else argv


def _end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    def __init__(self, argv, folder, name, core=None, ready=None, **more):
        self.name, self.log = name, os.path.join(folder, name + ".log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(pinned(core, argv), stdout=more.pop("stdout", log), stderr=log,
                                            stdin=more.pop("stdin", subprocess.DEVNULL),
                                            preexec_fn=_end_with_parent, **more)
        if ready and not poll(lambda: not self.alive() or ready(), 30) or not self.alive():
            said = self.last_words()
            self.stop()
            raise BenchError(f"{name} is not ready: {said}")

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def last_words(self):
        with open(self.log, errors="replace") as f:
            lines = [line.strip() for line in f if line.strip()]
        return lines[-1][:200] if lines else f"status {self.process.poll()}"

    def counts(self):
        """What a stand-in has said at its end."""
        with open(self.log, errors="replace") as f:
            found = [line for line in f if line.startswith("{")]
        return json.loads(found[-1]) if found else {}

    def stop(self):
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


class Load:
    """bench_load: a command in, its JSON out."""

    def __init__(self, build, folder, path, token_key=None, core=None, sdp=None):
        argv = [os.path.join(build, "tests/bench/load/bench_load"), "--server", "%s:%d" % EDGE, "--host", "localhost",
                "--path", path, "--origin", ORIGIN, "--core", "%s:%d" % CORE]
        if token_key:
            argv += ["--token", token_key, "--kid", KID, "--issuer", ISSUER, "--audience", AUDIENCE, "--wwsf", WWSF]
        if sdp:
            argv += ["--sdp", sdp]
        self.own = Process(argv, folder, "load", core, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read()

    def read(self):
        line = self.own.process.stdout.readline()
        if not line:
            raise BenchError(f"the load generator has ended: {self.own.last_words()}")
        return json.loads(line)

    def do(self, *words):
        self.own.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.own.process.stdin.flush()
        return self.read()

    def stop(self):
        self.own.process.stdin.close()
        self.own.process.wait()


def certificates(folder):
    """A server certificate (P-256), a key for tokens and its JWKS."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True)
    cert, key, token = (os.path.join(folder, n) for n in ("cert.pem", "key.pem", "token.pem"))
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", "/CN=localhost", "-keyout", key, "-out", cert)
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", token)
    with open(os.path.join(folder, "jwks.json"), "w") as f:
        json.dump({"keys": [tokens.ec_jwk(token, KID)]}, f)
    return cert, key, token


EPCSCF = """shards: {shards}
log: {{level: warn}}
wss:
  listen: ["{edge}"]
  certificate: {dir}/cert.pem
  key: {dir}/key.pem
  paths: ["/sip"]
  origins:
    - {{origin: "{origin}", wwsf: {wwsf}, modes: [token, digest]}}
sip:
  public_host: 127.0.0.1
  core_host: {core_host}
  core_port: {core_port}
  icscf: "sip:{core}"
  trusted: ["{core_ip}"]
  home_domains: [ims.test]
  visited_network: ims.test
  ioi: ims.test
registration:
  max_per_minute: 0
  reg_event: false
  min_expires_s: 30
tokens:
  realm: ims.test
  authz_server: {issuer}/token
  issuers:
    - issuer: {issuer}
      jwks_file: {dir}/jwks.json
      algorithms: [ES256]
      audience: {audience}
      wwsfs: [{wwsf}]
calls: {{ecscf: "sip:{core}"}}
media: {{gateway: rtpengine, rtpengine: ["{gateway}"]}}
policy: {{{policy}}}
admin: {{control_socket: {dir}/control.sock}}
"""


def epcscf(build, folder, shards=1, diameter_config=None):
    """With a freeDiameter configuration every call needs the PCRF's consent."""
    policy = "mode: off"
    if diameter_config:
        policy = f"mode: required, diameter_config: {diameter_config}, destination_realm: bench.test"
    conf = os.path.join(folder, "epcscf.yaml")
    with open(conf, "w") as f:
        f.write(EPCSCF.format(dir=folder, shards=shards, edge="%s:%d" % EDGE, origin=ORIGIN, wwsf=WWSF,
                              core_host=EDGE_CORE[0], core_port=EDGE_CORE[1], core="%s:%d" % CORE, core_ip=CORE[0],
                              issuer=ISSUER, audience=AUDIENCE, gateway="%s:%d" % GATEWAY, policy=policy))
    return Process([os.path.join(build, "epcscf/epcscf"), "--config", conf], folder, "epcscf",
                   ready=lambda: accepts(*EDGE))


def bare_tls(build, folder, cert, key):
    return Process([os.path.join(build, "tests/bench/load/bench_tls"), *map(str, EDGE), cert, key], folder, "tls",
                   ready=lambda: accepts(*EDGE))


def stand_in_gateway(build, folder, core=None):
    return Process([os.path.join(build, "tests/bench/load/bench_gateway"), *map(str, GATEWAY)], folder, "gateway", core)


def stand_in_core(build, folder, core=None, ring=True):
    return Process([os.path.join(build, "tests/bench/load/bench_core"), CORE[0], str(CORE[1])] + ["ring"] * ring, folder,
                   "core", core, ready=lambda: accepts(*CORE))


def modules_of_kamailio():
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"):
        path = os.path.join(folder, "kamailio/modules")
        if os.path.isdir(path):
            return path
    raise BenchError("Kamailio's modules are not installed: sh tests/lab/install.sh peers bench")


PLAIN = {"MODULES": "", "PARAMETERS": "", "ROUTES": "", "REGISTER": "add_path();"}
IMS = {
    "MODULES": '\n'.join(f'loadmodule "{m}.so"' for m in ("ims_usrloc_pcscf", "ims_ipsec_pcscf", "ims_registrar_pcscf")),
    "PARAMETERS": 'modparam("ims_usrloc_pcscf", "db_mode", 0)\nmodparam("ims_registrar_pcscf", "subscribe_to_reginfo", 0)\n'
                  'modparam("ims_registrar_pcscf", "publish_reginfo", 0)',
    "REGISTER": 'if (!pcscf_save_pending("location")) { sl_send_reply("500", "not kept"); exit; }\n'
                '\t\tadd_path();\n\t\tt_on_reply("registered");',
    "ROUTES": 'onreply_route[registered] {\n\tif (t_check_status("200")) pcscf_save("location");\n}\n',
}


def kamailio(folder, kind=None, core=None, connections=20000):
    """Debian's Kamailio, allocator tlsf, two UDP and two TCP workers (children, tcp_children)."""
    with open(os.path.join(HERE, "conf/kamailio-edge.cfg.in")) as f:
        text = f.read()
    marks = {"DIR": folder, "MPATH": modules_of_kamailio(), "CONNECTIONS": connections, "EDGE_IP": EDGE[0],
             "EDGE_PORT": EDGE[1], "EDGE_CORE_IP": EDGE_CORE[0], "EDGE_CORE_PORT": EDGE_CORE[1], "CORE_IP": CORE[0],
             "CORE_PORT": CORE[1], **(kind or PLAIN)}
    for mark, value in marks.items():
        text = text.replace(f"@{mark}@", str(value))
    conf = os.path.join(folder, "kamailio.cfg")
    with open(conf, "w") as f:
        f.write(text)
    return Process(["kamailio", "-f", conf, "-DD", "-E", "-x", "tlsf", "-m", "4096", "-M", "16", "-Y", folder],
                   folder, "kamailio", core, ready=lambda: accepts(*EDGE))
