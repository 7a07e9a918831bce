#!/usr/bin/env python3
"""How many cores, how much memory and how many eP-CSCFs a deployment needs, from what was measured.

  tests/bench/size.py --users 100000 --calls-per-user-hour 1     one deployment
  tests/bench/size.py --page                                     writes the tables of SIZING.md anew

Figures are the medians of the newest run in the history (tests/bench/history/kept.jsonl and build/bench/) that has
them; each can be given by hand (--refresh-rate, --call-rate, --handshake-rate, --kb-per-user) for other machines."""
import argparse
import math
import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import history  # noqa: E402

PAGE = os.path.join(HERE, "SIZING.md")
BEGIN, END = "<!-- size.py: begin -->", "<!-- size.py: end -->"
FIGURES = {  # option: (figures of the history, the first that is there; what it is)
    "refresh_rate": (["refresh_1000", "refresh_100"], "refreshes of registrations per CPU-second"),
    "call_rate": (["calls"], "calls per CPU-second, both legs, with Rx and gateway"),
    "handshake_rate": (["handshakes_full"], "full TLS handshakes per CPU-second"),
    "kb_per_user": (["memory_limit", "memory_10000", "memory_1000"], "kB per idle registered user"),
}
UTILISATION = 0.6      # of a core in the busy hour: bursts, and the users of an eP-CSCF that has died, need the rest
KB_PER_CALL = 24       # both dialogs, gateway context, Rx session; generous
ROWS = [(1000, 1), (10000, 1), (10000, 4), (50000, 1), (100000, 1), (100000, 4), (1000000, 1)]


def measured(runs, keys):
    for key in keys:
        for run in reversed(runs):
            values = run["figures"].get(key, {}).get("epcscf")
            if values:
                return statistics.median(values), f"{run['date'][:10]}, {run['commit']}"
    return None, None


def read(options):
    runs, figures, sources = history.read(history.KEPT, options.history), {}, {}
    for name, (keys, _) in FIGURES.items():
        given = getattr(options, name)
        figures[name], sources[name] = (given, "given") if given else measured(runs, keys)
    return figures, sources


def size(f, users, calls, o):
    """What that many users need. Instances: as many as carry the load with one of them gone."""
    refreshes, call_rate = users / o.refresh_s, users * calls / 3600
    steady = refreshes / f["refresh_rate"] + call_rate / f["call_rate"]
    cores = steady / UTILISATION
    n = 2
    while True:
        share = users / n
        # The users of the one that died come back within o.return_s, each with a handshake and a registration.
        back = share / (n - 1) / o.return_s * (1 / f["handshake_rate"] + 1 / f["refresh_rate"])
        if users / (n - 1) <= o.users_per_instance and steady / (n - 1) + back <= o.cores_per_instance:
            break
        n += 1
    memory = users * f["kb_per_user"] / 1e6 + call_rate * o.hold_s * KB_PER_CALL / 1e6
    return {"cores": cores, "memory": memory, "n": n, "back": back, "refreshes": refreshes, "calls": call_rate}


def row(s, users, calls):
    return (f"| {users:,} | {calls:g} | {s['refreshes']:,.0f} | {s['calls']:,.0f} | {s['cores']:.2f} | {s['memory']:.2f} | "
            f"{s['n']} | {s['back']:.1f} |")


HEAD = ("| Users | Calls per user and hour | Refreshes a second | Calls a second | Cores, busy hour | GB | "
        "eP-CSCFs, one of them spare | Cores while the dead one's users return |\n|---|---|---|---|---|---|---|---|")


def tables(options):
    figures, sources = read(options)
    lines = ["| Figure | Value | From |", "|---|---|---|"]
    lines += [f"| {text} | {f'{figures[name]:,.1f}' if figures[name] else 'not measured yet'} | {sources[name] or '-'} |"
              for name, (_, text) in FIGURES.items()]
    missing = [name for name, value in figures.items() if not value]
    if missing:
        return lines + ["", "Sizes follow once all four are measured: `tests/bench/run --keep refresh calls handshakes idle`, "
                        "then `tests/bench/size.py --page`."]
    wanted = [(options.users, options.calls_per_user_hour)] if options.users else ROWS
    lines += ["", HEAD]
    for users, calls in wanted:
        lines.append(row(size(figures, users, calls, options), users, calls))
    return lines


def write_page(text):
    with open(PAGE) as f:
        page = f.read()
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    with open(PAGE, "w") as f:
        f.write(f"{head}{BEGIN}\n{text}\n{END}{tail}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int)
    parser.add_argument("--calls-per-user-hour", type=float, default=1)
    parser.add_argument("--refresh-s", type=float, default=300, help="between two refreshes: half of Expires")
    parser.add_argument("--hold-s", type=float, default=120, help="length of a call")
    parser.add_argument("--return-s", type=float, default=10, help="within which the users of a dead eP-CSCF return")
    parser.add_argument("--users-per-instance", type=int, default=50000)
    parser.add_argument("--cores-per-instance", type=float, default=4)
    for name in FIGURES:
        parser.add_argument("--" + name.replace("_", "-"), type=float)
    parser.add_argument("--history", default=history.DEFAULT)
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    text = "\n".join(tables(options))
    if options.page:
        write_page(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
