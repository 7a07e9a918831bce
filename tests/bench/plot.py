"""Drawings in SVG: bars with targets, lines over a number, several to a page. Values with least and most."""
import math
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDTH, HEIGHT, COLUMNS = 460, 250, 2
LEFT, RIGHT, TOP, BOTTOM = 64, 14, 44, 44
COLOURS = ("#1b6ca8", "#d1783c", "#7a9e3f", "#8a5fa8", "#777777", "#b0413e")


KNOWN = ("epcscf", "kamailio", "tls", "kamailio IMS", "epcscf fresh tokens")


def colours(names):
    """The same series has the same colour in every panel."""
    own = {name: COLOURS[KNOWN.index(name)] for name in names if name in KNOWN}
    left = [c for c in COLOURS if c not in own.values()]
    for name in names:
        if name not in own:
            own[name] = left.pop(0) if left else COLOURS[-1]
    return own


def number(value):
    if value >= 10000:
        return f"{value / 1000:,.0f}k" if value < 1e6 else f"{value / 1e6:.1f}M"
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def steps(top):
    """About five round values from 0 to above @p top."""
    if top <= 0:
        return [0, 1]
    raw = top / 4
    unit = 10 ** math.floor(math.log10(raw))
    step = next(m * unit for m in (1, 2, 2.5, 5, 10) if m * unit >= raw)
    return [i * step for i in range(math.ceil(top / step - 1e-9) + 1)]


def text(x, y, words, anchor="middle", size=11, fill="#333", weight=""):
    bold = ' font-weight="bold"' if weight else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}"{bold}>{escape(words)}</text>'


def line(x1, y1, x2, y2, stroke="#bbb", width=1, dash=""):
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" stroke-width="{width}"{dashes}/>'


class Frame:
    """The axis of values and the title."""

    def __init__(self, title, unit, top):
        self.ticks = steps(top)
        self.out = [text(WIDTH / 2, 16, title, size=12, weight="bold"), text(LEFT - 6, TOP - 10, unit, "start", 10)]
        for value in self.ticks:
            self.out += [line(LEFT, self.y(value), WIDTH - RIGHT, self.y(value), "#e4e4e4"),
                         text(LEFT - 6, self.y(value) + 4, number(value), "end", 10)]

    def y(self, value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self.ticks[-1]

    def whisker(self, x, least, most):
        if most > least:
            self.out.append(line(x, self.y(least), x, self.y(most), "#222", 1.5))


@dataclass
class Bars:
    title: str
    unit: str
    bars: list                                  # (name, median, least, most)
    marks: list = field(default_factory=list)   # (value, text): what is wanted of the first

    def draw(self):
        near = [value for value, _ in self.marks if value < 4 * max(b[1] for b in self.bars)]
        frame = Frame(self.title, self.unit, max([b[3] for b in self.bars] + near + [1e-9]) * 1.02)
        room = (WIDTH - LEFT - RIGHT) / len(self.bars)
        fill = colours([b[0] for b in self.bars])
        for i, (name, median, least, most) in enumerate(self.bars):
            x, y = LEFT + room * (i + 0.5), frame.y(median)
            frame.out.append(f'<rect x="{x - room * 0.3:.1f}" y="{y:.1f}" width="{room * 0.6:.1f}" '
                             f'height="{max(0.0, HEIGHT - BOTTOM - y):.1f}" fill="{fill[name]}"/>')
            frame.whisker(x + room * 0.2, least, most)
            frame.out += [text(x - room * 0.05, y - 4, number(median), size=10),
                          text(x, HEIGHT - BOTTOM + 14, name, size=10)]
        for i, (value, words) in enumerate(self.marks):
            if value in near:
                frame.out.append(line(LEFT, frame.y(value), LEFT + room, frame.y(value), "#b00020", 1.5, "5 3"))
            frame.out.append(text(LEFT + (WIDTH - LEFT) * (i % 2) / 2, HEIGHT - 16 + 12 * (i // 2),
                                  f"wanted {words}" + ("" if value in near else f" = {number(value)}"), "start", 9, "#b00020"))
        return frame.out


@dataclass
class Lines:
    title: str
    x: str
    unit: str
    series: dict                                # name: [(x, median, least, most)]
    log: bool = False

    def place(self, x):
        xs = [p[0] for points in self.series.values() for p in points]
        scale = (lambda v: math.log10(max(v, 1))) if self.log else (lambda v: v)
        low, high = scale(min(xs)), scale(max(xs))
        return LEFT + 10 + (WIDTH - LEFT - RIGHT - 20) * ((scale(x) - low) / (high - low) if high > low else 0.5)

    def draw(self):
        frame = Frame(self.title, self.unit, max(p[3] for points in self.series.values() for p in points) * 1.02 or 1)
        for x in sorted({p[0] for points in self.series.values() for p in points}):
            frame.out.append(text(self.place(x), HEIGHT - BOTTOM + 14, number(x), size=9))
        frame.out.append(text(WIDTH / 2, HEIGHT - BOTTOM + 27, self.x, size=10))
        fill = colours(list(self.series))
        for i, (name, points) in enumerate(self.series.items()):
            path = " ".join(f"{self.place(x):.1f},{frame.y(median):.1f}" for x, median, _, _ in points)
            frame.out.append(f'<polyline points="{path}" fill="none" stroke="{fill[name]}" stroke-width="2"/>')
            for x, median, least, most in points:
                frame.whisker(self.place(x), least, most)
                frame.out.append(f'<circle cx="{self.place(x):.1f}" cy="{frame.y(median):.1f}" r="3" fill="{fill[name]}"/>')
            frame.out.append(text(LEFT + 10 + 100 * i, HEIGHT - 6, name, "start", 10, fill[name]))
        return frame.out


def page(title, panels):
    rows = math.ceil(len(panels) / COLUMNS)
    width, height = WIDTH * COLUMNS, 40 + HEIGHT * rows
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif">', f'<rect width="{width}" height="{height}" fill="white"/>',
           text(width / 2, 24, title, size=14, weight="bold")]
    for i, panel in enumerate(panels):
        out.append(f'<g transform="translate({WIDTH * (i % COLUMNS)},{40 + HEIGHT * (i // COLUMNS)})">')
        out += panel.draw() + ["</g>"]
    return "\n".join(out + ["</svg>"]) + "\n"
