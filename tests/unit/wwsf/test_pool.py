#!/usr/bin/env python3
"""No identity is lent twice, whatever dies when: several processes borrow from one pool and are killed
with SIGKILL at any moment. test_pool.py PATH-OF-pool_worker"""
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

WORKER = ""
WORKERS, POOL, LIFE_S, SECONDS = 4, 5, 1, 5


class Pool(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="epc-pool-")
        self.file = os.path.join(self.dir, "wwsf.sqlite")
        self.children, self.count, self.ended = [], 0, []

    def tearDown(self):
        for child in self.children:
            child.kill()
            child.wait()
        shutil.rmtree(self.dir)

    def start(self):
        self.count += 1
        out = open(os.path.join(self.dir, f"out{self.count}"), "w")
        err = open(os.path.join(self.dir, f"err{self.count}"), "w")
        child = subprocess.Popen([WORKER, self.file, str(LIFE_S)], stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=err)
        out.close()
        err.close()
        self.children.append(child)

    def replace(self, i):
        child = self.children.pop(i)
        child.send_signal(signal.SIGKILL)
        self.ended.append(child.wait())
        self.start()

    def fill(self):
        """The schema is made by the first process that opens the file, whichever that is."""
        for _ in range(WORKERS):
            self.start()
        end = time.monotonic() + 10
        while True:
            try:
                with sqlite3.connect(self.file, timeout=5) as db:
                    for i in range(POOL):
                        db.execute("INSERT INTO pool (impi, impu, source) VALUES (?, ?, 'tool')",
                                   (f"g{i}@ims.test", f"sip:g{i}@ims.test"))
                db.close()
                return
            except sqlite3.OperationalError:
                self.assertLess(time.monotonic(), end, "no schema")
                time.sleep(0.02)

    def lines(self):
        for i in range(1, self.count + 1):
            with open(os.path.join(self.dir, f"out{i}")) as f:
                for line in f:
                    impi, holder, now, end = line.split()
                    yield impi, holder, int(now), int(end)

    def test_killed_at_any_time(self):
        self.fill()
        begin = time.monotonic()
        while time.monotonic() - begin < SECONDS or self.count < 30 or len(list(self.lines())) < 80:
            self.assertLess(time.monotonic() - begin, 90, "too little was lent")
            time.sleep(random.uniform(0.0, 0.2))  # not a wait for anything: a moment as good as any
            self.replace(random.randrange(WORKERS))
        for child in self.children:
            child.kill()
            self.ended.append(child.wait())
        self.children = []
        # Each died of the signal, none of a fault of its own.
        for i in range(1, self.count + 1):
            with open(os.path.join(self.dir, f"err{i}")) as f:
                faults = [line for line in f if "database-migrated" not in line]
            self.assertEqual(faults, [])
        self.assertEqual(set(self.ended), {-signal.SIGKILL})
        db = sqlite3.connect(self.file)
        self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        self.assertEqual(db.execute("PRAGMA foreign_key_check").fetchall(), [])
        self.check_database(db)
        self.check_what_was_told(db)
        db.close()

    def check_database(self, db):
        leases = {}
        for impi, since, lease_end in db.execute("SELECT impi, since_s, lease_end_s FROM assignments ORDER BY id"):
            leases.setdefault(impi, []).append((since, lease_end))
        self.assertEqual(len(leases), POOL)  # all were used
        for impi, all_of_it in leases.items():
            self.assertGreater(len(all_of_it), 1, impi)
            for before, after in zip(all_of_it, all_of_it[1:]):
                self.assertLessEqual(before[1], after[0], impi)

    def check_what_was_told(self, db):
        """What a process said it had, it had: also after it was killed. And nobody else had it."""
        spans_of, by_impi, n = {}, {}, 0
        for impi, holder, now, end in self.lines():
            n += 1
            spans = spans_of.setdefault((impi, holder), [])
            if spans and now < spans[-1][1]:  # prolonged
                spans[-1][1] = max(spans[-1][1], end)
            else:
                spans.append([now, end])
        self.assertGreaterEqual(n, 80)
        for (impi, _), spans in spans_of.items():
            by_impi.setdefault(impi, []).extend(spans)
            for now, end in spans:
                row = db.execute("SELECT 1 FROM assignments WHERE impi = ? AND since_s <= ? AND lease_end_s >= ?",
                                 (impi, now, end)).fetchone()
                self.assertIsNotNone(row, (impi, now, end))
        for impi, spans in by_impi.items():
            spans.sort()
            for before, after in zip(spans, spans[1:]):
                self.assertLessEqual(before[1], after[0], impi)


if __name__ == "__main__":
    WORKER = sys.argv.pop(1)
    unittest.main(verbosity=1)
