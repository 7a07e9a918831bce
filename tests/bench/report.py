"""The report of a run: a table with the targets (Markdown), and a drawing of it, of the curves and of the history."""
import os
import statistics

import plot
from figures import CURVES, FIGURES
from record import Record

YES, NO, MOST = "reached", "missed", "goal reached"


def medians_of(kinds):
    return {kind: statistics.median(values) for kind, values in kinds.items() if values}


def spread(values, digits):
    middle = statistics.median(values)
    text = f"{middle:,.{digits}f}"
    return text if len(values) < 2 else f"{text} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def verdict(figure, wanted, medians):
    """reached, missed, or None where there is nothing to compare."""
    limit, own = wanted.limit(medians), medians.get(figure.ours)
    if limit is None or own is None:
        return None
    return own >= limit if figure.more else own <= limit


def verdicts(figure, medians):
    words = []
    for wanted in figure.wanted:
        met = verdict(figure, wanted, medians)
        if met is not None:
            words.append(f"{wanted.text(figure)}: {YES if met else NO}")
    return words


def notes_of(details):
    """Latencies and how busy the stand-ins were, as medians."""
    if not details:
        return ""
    middle = {k: statistics.median(d[k] for d in details if k in d) for k in details[0]}
    words = []
    if "p50_us" in middle:
        words.append("p50/p99/p99.9 " + "/".join(f"{middle[k] / 1000:.2f}" for k in ("p50_us", "p99_us", "p999_us")) + " ms")
    if "standin_share" in middle:
        words.append(f"server {100 * middle.get('server_share', 0):.0f} %, stand-ins {100 * middle['standin_share']:.0f} %")
    if middle.get("others_share", 0) > 0.2:
        words.append(f"others {100 * middle['others_share']:.0f} %")
    if "patience_s" in middle:
        words.append(f"clients give up after {1000 * middle['patience_s']:.0f} ms")
    if "users" in middle:
        words.append(f"{middle['users']:.0f} users")
    return ", ".join(words)


def _rows(record):
    """(figure, kind, values, details) in the table's order; a figure's own series first."""
    for figure in FIGURES:
        kinds = record.figures.get(figure.key, {})
        if figure.ours not in kinds and figure.key in [f.key for f in FIGURES if f is not figure]:
            continue
        claimed = {f.ours for f in FIGURES if f.key == figure.key and f is not figure}
        for kind in sorted(kinds, key=lambda k: (k != figure.ours, k)):
            if kind in claimed or (claimed and kind != figure.ours and not figure.chart):
                continue
            yield figure, kind, kinds[kind], record.details.get(figure.key, {}).get(kind)


def text(record, new_since=None, curves=True):
    """For the terminal: figures that were not there before."""
    lines, last = [], None
    for figure, kind, values, details in _rows(record):
        if new_since is not None and kind in new_since.get(figure.key, ()):
            continue
        if figure is not last:
            lines.append(f"{figure.title} ({figure.unit})")
            last = figure
        more = notes_of(details)
        lines.append(f"  {kind:20} {spread(values, figure.digits):34} {more}".rstrip())
        if kind == figure.ours:
            lines += [f"  {'':20} {words}" for words in verdicts(figure, medians_of(record.figures[figure.key]))]
    if curves:
        lines += curves_text(record)
    return "\n".join(lines)


def curves_text(record):
    lines = []
    for curve in CURVES:
        for kind, points in record.curves.get(curve.key, {}).items():
            lines.append(f"{curve.title}, {kind} ({curve.y}): " +
                         ", ".join(f"{x}: {plot.number(statistics.median(points[x]))}" for x in sorted(points, key=float)))
    return lines


# ---- Markdown -----------------------------------------------------------------------------------------------

def markdown(runs):
    run = runs[-1]
    record = Record.of_json(run)
    machine = run["machine"]
    lines = ["# Benchmarks", "",
             f"{run['date']}, commit {run['commit']}{' with changes' if run.get('changed') else ''}; {machine['cores']} × "
             f"{machine['cpu']}, Linux {machine['kernel']}; {machine['openssl']}; {machine['kamailio']}.",
             f"Medians of {run['rounds']} rounds (least to most), {run['seconds']:g} s each; CPU of the server's whole "
             "process tree; servers took turns in the same run.", ""]
    lines += table(record) + [""]
    lines += curve_tables(record)
    for title, items in (("Faults", record.faults), ("Notes", record.notes + crowd(record))):
        if items:
            lines += [f"## {title}", ""] + [f"- {item}" for item in items] + [""]
    lines += history_table(runs)
    return "\n".join(lines) + "\n"


def crowd(record):
    """Whether the machine had other things to do."""
    shares = [d["others_share"] for kinds in record.details.values() for rounds in kinds.values() for d in rounds
              if "others_share" in d]
    if not shares or statistics.median(shares) < 0.2:
        return []
    return [f"Processes that are not of this benchmark took {100 * statistics.median(shares):.0f} % of a core (median) and "
            f"up to {100 * max(shares):.0f} %: rates and latencies by the clock are worth little, costs a little less."]


def table(record):
    lines = ["| Figure | Series | Value | Wanted | Beside it |", "|---|---|---|---|---|"]
    last = None
    for figure, kind, values, details in _rows(record):
        wanted = "<br>".join(verdicts(figure, medians_of(record.figures[figure.key]))) if kind == figure.ours else ""
        name = f"{figure.title}, {figure.unit}" if figure is not last else ""
        last = figure
        own = f"**{spread(values, figure.digits)}**" if kind == figure.ours else spread(values, figure.digits)
        lines.append(f"| {name} | {kind} | {own} | {wanted} | {notes_of(details)} |")
    return lines


def curve_tables(record):
    lines = []
    for curve in CURVES:
        kinds = record.curves.get(curve.key)
        if not kinds:
            continue
        xs = sorted({x for points in kinds.values() for x in points}, key=float)
        lines += [f"## {curve.title} ({curve.y})", "", f"| {curve.x} | " + " | ".join(xs) + " |",
                  "|---" * (len(xs) + 1) + "|"]
        for kind, points in kinds.items():
            cells = [spread(points[x], 1 if max(points[x]) < 20 else 0) if x in points else "" for x in xs]
            lines.append(f"| {kind} | " + " | ".join(cells) + " |")
        lines.append("")
    return lines


def history_table(runs):
    """Our own medians, run by run, of the charted figures."""
    figures = [f for f in FIGURES if f.chart and any(f.ours in r["figures"].get(f.key, {}) for r in runs)]
    if len(runs) < 2 or not figures:
        return []
    lines = ["## Earlier runs", "", "| Run | " + " | ".join(f.title for f in figures) + " |", "|---" * (len(figures) + 1) + "|"]
    for run in runs[-12:]:
        cells = []
        for f in figures:
            values = run["figures"].get(f.key, {}).get(f.ours)
            cells.append(f"{statistics.median(values):,.{f.digits}f}" if values else "")
        lines.append(f"| {run['date'][:16]} {run['commit']}{' (quick)' if run.get('quick') else ''} | " + " | ".join(cells) + " |")
    return lines + [""]


# ---- drawing --------------------------------------------------------------------------------------------------

def drawing(runs):
    record = Record.of_json(runs[-1])
    panels = [p for p in map(lambda f: bars_of(f, record), FIGURES) if p]
    panels += [p for p in map(lambda c: lines_of(c, record), CURVES) if p]
    panels += [p for p in map(lambda f: history_of(f, runs), FIGURES) if p]
    run = runs[-1]
    return plot.page(f"{run['date'][:16]}, commit {run['commit']}, {run['machine']['cores']} × {run['machine']['cpu']}", panels)


def bars_of(figure, record):
    kinds = record.figures.get(figure.key, {})
    if not figure.chart or figure.ours not in kinds:
        return None
    medians = medians_of(kinds)
    bars = [(kind, medians[kind], min(kinds[kind]), max(kinds[kind]))
            for kind in sorted(kinds, key=lambda k: (k != figure.ours, k))]
    marks = [(wanted.limit(medians), wanted.text(figure)) for wanted in figure.wanted if wanted.limit(medians) is not None]
    return plot.Bars(figure.title, figure.unit, bars, marks)


def lines_of(curve, record):
    kinds = record.curves.get(curve.key)
    if not kinds:
        return None
    series = {kind: [(float(x), statistics.median(v), min(v), max(v)) for x, v in sorted(points.items(), key=lambda p: float(p[0]))]
              for kind, points in kinds.items()}
    return plot.Lines(curve.title, curve.x, curve.y, series, log=curve.log)


def history_of(figure, runs):
    if not figure.chart:
        return None
    series = {}
    for at, run in enumerate(runs[-30:]):
        for kind, values in run["figures"].get(figure.key, {}).items():
            series.setdefault(kind, []).append((float(at), statistics.median(values), min(values), max(values)))
    series = {kind: points for kind, points in series.items() if len(points) > 1}
    return plot.Lines(figure.title + ", run by run", "run", figure.unit, series) if figure.ours in series else None


def write(folder, runs):
    """report.md and report.svg; returns their paths."""
    os.makedirs(folder, exist_ok=True)
    paths = []
    for name, made in (("report.md", markdown(runs)), ("report.svg", drawing(runs))):
        paths.append(os.path.join(folder, name))
        with open(paths[-1], "w") as f:
            f.write(made)
    return paths
