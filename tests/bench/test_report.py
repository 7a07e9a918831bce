"""The report of made-up runs: verdicts, tables, a drawing that is well-formed, a history that survives a torn line."""
import json
import math
import os
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import history
import plot
import report
from figures import CURVES, FIGURES
from record import Record

MACHINE = {"cpu": "a CPU <of> & \"many\"", "cores": 2, "kernel": "6.1", "arch": "x86_64", "openssl": "OpenSSL 3",
           "kamailio": "kamailio 5.6.3"}


def run(date="2026-01-01T00:00:00+00:00", scale=1.0, **more):
    record = Record()
    for value in (14000, 15000, 16500):
        record.add("refresh_100", "epcscf", value * scale, p50_us=900.0, p99_us=2000.0, p999_us=5000.0, server_share=0.9,
                   standin_share=0.5)
        record.add("refresh_100", "kamailio", 8000 * scale)
        record.add("refresh_100", "kamailio IMS", 6000)
        record.add("refresh_100", "epcscf fresh tokens", 8000)
        record.add("memory_1000", "epcscf", 18.25)
        record.add("idle_cpu", "epcscf", 0.0)
        for x in (100, 1000):
            record.point("users", "epcscf", x, 70 + x / 1000)
    record.note("kamailio: has ended by itself; started again")
    return {"date": date, "commit": "0123456789", "machine": MACHINE, "rounds": 3, "seconds": 4, "quick": False,
            **record.as_json(), **more}


def figure(key, ours="epcscf"):
    return next(f for f in FIGURES if f.key == key and f.ours == ours)


class Verdicts(unittest.TestCase):
    def test_ratio_goal_and_absent_peer(self):
        words = report.verdicts(figure("refresh_100"), {"epcscf": 15000, "kamailio": 8000, "kamailio IMS": 6000})
        self.assertEqual(words, ["1.5 × kamailio: reached", "3 × kamailio IMS: missed", "≥ 40000 (goal): missed"])
        self.assertEqual(report.verdicts(figure("calls"), {"epcscf": 1.0}), [])

    def test_less_is_better(self):
        self.assertEqual(report.verdicts(figure("memory_1000"), {"epcscf": 18.25}),
                         ["≤ 20: reached", "≤ 16 (goal): missed"])

    def test_within_so_much_cpu(self):
        fresh = figure("refresh_100", "epcscf fresh tokens")  # 66.7 us plain: 126.7 us is the most
        for rate, word in ((8000, "reached"), (7800, "missed")):
            self.assertEqual(report.verdicts(fresh, {"epcscf": 15000, "epcscf fresh tokens": rate}),
                             [f"within 60 µs of epcscf: {word}"])


class Tables(unittest.TestCase):
    def setUp(self):
        self.text = report.markdown([run("2025-12-31T00:00:00+00:00", 0.5), run()])

    def test_medians_with_spread(self):
        self.assertIn("**15,000 (14,000 to 16,500)**", self.text)
        self.assertIn("p50/p99/p99.9 0.90/2.00/5.00 ms, server 90 %, stand-ins 50 %", self.text)

    def test_every_series_once_in_its_table(self):
        lines = [line for line in self.text.splitlines() if "| epcscf fresh tokens |" in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("within 60 µs of epcscf: reached", lines[0])

    def test_rows_have_the_columns_of_their_head(self):
        lines = self.text.splitlines()
        for at, line in enumerate(lines):
            if line.startswith("|---"):
                columns = lines[at - 1].count("|")
                for row in lines[at:]:
                    if not row.startswith("|"):
                        break
                    self.assertEqual(row.count("|"), columns, row)

    def test_curve_notes_and_earlier_runs(self):
        for wanted in ("| connected users | 100 | 1000 |", "- kamailio: has ended by itself", "## Earlier runs", "7,500"):
            self.assertIn(wanted, self.text)

    def test_terminal_shows_only_what_is_new(self):
        record = Record.of_json(run())
        self.assertNotIn("memory", report.text(record, {"memory_1000": {"epcscf"}}, curves=False))
        self.assertIn("memory", report.text(record, {}, curves=False))


class Drawing(unittest.TestCase):
    def test_well_formed_and_inside(self):
        root = ET.fromstring(report.drawing([run("2025-12-31T00:00:00+00:00", 0.5), run()]))
        self.assertGreater(len(root.findall(".//{*}rect")), 5)
        self.assertEqual(len([t for t in root.iter("{http://www.w3.org/2000/svg}text") if t.text ==
                              "REGISTER refresh, 100 connections, run by run"]), 1)
        for group in root.findall("{*}g"):
            for circle in group.findall("{*}circle"):
                self.assertTrue(0 <= float(circle.get("cx")) <= plot.WIDTH and 0 <= float(circle.get("cy")) <= plot.HEIGHT)

    def test_empty_and_single(self):
        ET.fromstring(plot.page("nothing", []))
        ET.fromstring(plot.page("zero", [plot.Bars("t", "u", [("a", 0, 0, 0)], [(5, "≤ 5")]),
                                         plot.Lines("t", "x", "u", {"a": [(0.0, 0, 0, 0)]}, log=True)]))

    def test_steps_cover_the_top(self):
        for top in (0.003, 1, 7, 99.9, 100, 12345, 8e6):
            ticks = plot.steps(top)
            self.assertGreaterEqual(ticks[-1] * (1 + 1e-9), top)
            self.assertLessEqual(len(ticks), 7)
            self.assertFalse(any(math.isnan(t) for t in ticks))


class History(unittest.TestCase):
    def test_order_doubles_and_torn_lines(self):
        with tempfile.TemporaryDirectory() as folder:
            one, other = (os.path.join(folder, n) for n in ("deep/a.jsonl", "b.jsonl"))
            history.append(one, run("2026-02-02T00:00:00+00:00"))
            history.append(other, run("2026-01-01T00:00:00+00:00"))
            history.append(other, run("2026-02-02T00:00:00+00:00"))
            with open(other, "a") as f:
                f.write(json.dumps(run())[:100])
            runs = history.read(one, other, os.path.join(folder, "absent"))
            self.assertEqual([r["date"][:10] for r in runs], ["2026-01-01", "2026-02-02"])


class Names(unittest.TestCase):
    def test_each_figure_and_curve_once(self):
        for items in ([(f.key, f.ours) for f in FIGURES], [c.key for c in CURVES]):
            self.assertEqual(len(items), len(set(items)))

    def test_merge_keeps_both(self):
        whole, part = Record(), Record()
        part.add("calls", "epcscf", 1.0, p50_us=1.0)
        whole.add("calls", "epcscf", 2.0)
        whole.merge(part)
        self.assertEqual(whole.figures, {"calls": {"epcscf": [2.0, 1.0]}})


if __name__ == "__main__":
    unittest.main()
