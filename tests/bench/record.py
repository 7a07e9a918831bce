"""What a run has measured: values of each round by figure and server, points of curves, and what was odd."""
import statistics


class BenchError(Exception):
    """One sentence: why there is no figure."""


class Record:
    def __init__(self):
        self.figures = {}   # {figure: {kind: [value of each round]}}
        self.curves = {}    # {curve: {kind: {x: [value of each round]}}}
        self.details = {}   # {figure: {kind: [{name: number}]}}: latencies, the stand-ins' share of their core
        self.notes = []     # in words
        self.faults = []    # what must not happen: the server under test has ended, or refused what it should do

    def add(self, figure, kind, value, **details):
        self.figures.setdefault(figure, {}).setdefault(kind, []).append(value)
        if details:
            self.details.setdefault(figure, {}).setdefault(kind, []).append(details)

    def point(self, curve, kind, x, value):
        self.curves.setdefault(curve, {}).setdefault(kind, {}).setdefault(str(x), []).append(value)

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def merge(self, other):
        """Take over what an attempt that went well has measured."""
        for figure, kinds in other.figures.items():
            for kind, values in kinds.items():
                self.figures.setdefault(figure, {}).setdefault(kind, []).extend(values)
        for figure, kinds in other.details.items():
            for kind, values in kinds.items():
                self.details.setdefault(figure, {}).setdefault(kind, []).extend(values)
        for curve, kinds in other.curves.items():
            for kind, points in kinds.items():
                for x, values in points.items():
                    self.curves.setdefault(curve, {}).setdefault(kind, {}).setdefault(x, []).extend(values)
        for text in other.notes:
            self.note(text)
        self.faults += other.faults

    def median(self, figure, kind):
        values = self.figures.get(figure, {}).get(kind)
        return statistics.median(values) if values else None

    def as_json(self):
        return {"figures": self.figures, "curves": self.curves, "details": self.details, "notes": self.notes,
                "faults": self.faults}

    @classmethod
    def of_json(cls, data):
        record = cls()
        for name in ("figures", "curves", "details", "notes", "faults"):
            setattr(record, name, data.get(name, getattr(record, name)))
        return record
