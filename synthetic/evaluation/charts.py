"""Charts as SVG text: bars side by side, lines, a matrix of pairs. No script, nothing fetched;
what a chart shows stands in its label too, for whoever hears the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite, log10

WIDTH, HEIGHT = 560, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 30, 34
COLOURS = {
    "synthetic": "#0b5cad",
    "real": "#1b1f24",
    "other real": "#0a7d4f",
    "independent": "#b35900",
}
"""One colour for one side, on every chart. Lines differ by their dashes as well."""
_DASHES = {"real": "", "synthetic": "", "other real": "6 4", "independent": "2 4"}
_SPARE = ("#6f42c1", "#a40e26", "#57606a")

Series = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True)
class _Axis:
    """From a value to a place between two ends, linear or by decades."""

    low: float
    high: float
    start: float
    end: float
    decades: bool = False

    def at(self, value: float) -> float:
        """The place, cut off at the ends."""
        low, high = self._of(self.low), self._of(self.high)
        part = (self._of(max(value, self.low)) - low) / ((high - low) or 1.0)
        return round(self.start + min(1.0, max(0.0, part)) * (self.end - self.start), 1)

    def _of(self, value: float) -> float:
        return log10(max(value, 1e-300)) if self.decades else value

    def ticks(self) -> list[float]:
        """Four to six round values, or each (third) decade."""
        if self.decades:
            first, last = round(log10(self.low)), round(log10(self.high))
            step = max(1, (last - first) // 5)
            return [10.0**power for power in range(first, last + 1, step)]
        rough = (self.high - self.low) / 4 or 1.0
        power: float = 10.0 ** int(f"{rough:e}".split("e")[1])
        wide = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= rough * 0.99)
        first = int(self.low / wide)
        found = [wide * at for at in range(first, first + 8)]
        return [v for v in found if self.low - 1e-9 <= v <= self.high + wide * 1e-6]


def bars(title: str, groups: Mapping[str, Mapping[str, float]], note: str = "") -> str:
    """Bars side by side: group → side → value; groups of more than 12 lose every other name."""
    sides = list(dict.fromkeys(side for values in groups.values() for side in values))
    top: float = (
        max((v for g in groups.values() for v in g.values() if isfinite(v)), default=1.0) or 1.0
    )
    axis = _Axis(0, top * 1.08, HEIGHT - _BOTTOM, _TOP)
    room = (WIDTH - _LEFT - _RIGHT) / max(1, len(groups))
    thick = room * 0.8 / max(1, len(sides))
    every = -(-len(groups) // 12)
    drawn = []
    for at, (name, values) in enumerate(groups.items()):
        x = _LEFT + at * room + room * 0.1
        for place, side in enumerate(sides):
            if side not in values:
                continue
            value = values[side]
            y = axis.at(value) if isfinite(value) else axis.start
            drawn.append(
                f'<rect x="{x + place * thick:.1f}" y="{y}" width="{max(1.0, thick - 1):.1f}" '
                f'height="{axis.start - y:.1f}" fill="{_colour(side, sides)}">'
                f"<title>{escape(name)}, {escape(side)}: {said(value)}</title></rect>"
            )
            if len(groups) * len(sides) <= 12:
                drawn.append(_text(x + (place + 0.45) * thick, y - 4, said(value), small=True))
        if at % every == 0:
            drawn.append(_text(x + room * 0.4, HEIGHT - _BOTTOM + 16, name))
    words = "; ".join(
        f"{name}: " + ", ".join(f"{side} {said(value)}" for side, value in values.items())
        for name, values in list(groups.items())[:12]
    )
    return _figure(title, words, _grid(axis) + "".join(drawn) + _legend(sides, {}), note)


def lines(
    title: str,
    series: Series,
    note: str = "",
    *,
    x_name: str = "",
    decades: tuple[bool, bool] = (False, False),
) -> str:
    """Curves over one x. `decades` says which axes go by powers of ten."""
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points if isfinite(y)]
    if not xs or not ys:
        return _figure(title, "nothing measured", "", note)
    low = min(y for y in ys if y > 0) if decades[1] else min(0.0, *ys)
    across = _Axis(min(xs), max(xs), _LEFT, WIDTH - _RIGHT, decades[0])
    up = _Axis(low, max(ys) * (1 if decades[1] else 1.05), HEIGHT - _BOTTOM, _TOP, decades[1])
    sides = list(series)
    drawn = [
        f'<polyline points="{" ".join(f"{across.at(x)},{up.at(y)}" for x, y in points)}" '
        f'fill="none" stroke="{_colour(side, sides)}" stroke-width="2.2" '
        f'stroke-dasharray="{_DASHES.get(side, "")}"><title>{escape(side)}</title></polyline>'
        for side, points in series.items()
    ]
    labels = [_text(across.at(x), HEIGHT - _BOTTOM + 16, _short(x)) for x in across.ticks()]
    if x_name:
        labels.append(_text((_LEFT + WIDTH) / 2, HEIGHT - 2, x_name))
    words = "; ".join(
        f"{side}: " + ", ".join(f"{said(y)} at {_short(x)}" for x, y in list(points)[:12])
        for side, points in series.items()
    )
    inside = _grid(up) + "".join([*drawn, *labels]) + _legend(sides, _DASHES)
    return _figure(title, words, inside, note)


def matrix(title: str, pairs: Mapping[tuple[str, str], float], note: str = "") -> str:
    """One square for each pair of columns, the darker the further apart."""
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    left, size = 118, max(6.0, min(26.0, 420 / max(1, len(names))))
    tall = max(150, round(_TOP + size * len(names) + 8 * max(map(len, names), default=0)))
    drawn = []
    for (a, b), value in pairs.items():
        row, column = names.index(b), names.index(a)
        drawn.append(
            f'<rect x="{left + column * size:.1f}" y="{_TOP + row * size:.1f}" '
            f'width="{size - 1:.1f}" height="{size - 1:.1f}" fill="{_heat(value)}">'
            f"<title>{escape(a)} × {escape(b)}: {said(value)}</title></rect>"
        )
    for at, name in enumerate(names):
        y = _TOP + (at + 0.7) * size
        if at:
            drawn.append(_text(left - 6, y, name[:18], small=True, anchor="end"))
        if at < len(names) - 1:
            x = left + (at + 0.6) * size
            foot = _TOP + size * len(names) + 6
            drawn.append(
                f'<text x="{x:.1f}" y="{foot:.1f}" font-size="9" text-anchor="end" '
                f'transform="rotate(-60 {x:.1f} {foot:.1f})">{escape(name[:18])}</text>'
            )
    for at in range(5):
        value = at * 0.05
        x = WIDTH - 150
        drawn.append(
            f'<rect x="{x}" y="{_TOP + at * 18}" width="16" height="16" fill="{_heat(value)}"/>'
        )
        label = f"{value:.2f}" + (" and more" if at == 4 else "")
        drawn.append(_text(x + 22, _TOP + at * 18 + 12, label, anchor="start"))
    worst = sorted(pairs.items(), key=lambda one: -one[1])[:5]
    words = "worst: " + "; ".join(f"{a} × {b} {said(value)}" for (a, b), value in worst)
    return _figure(title, words, "".join(drawn), note, tall)


def said(value: float) -> str:
    """A figure in three digits that tell something."""
    if not isfinite(value):
        return "–"
    if value == 0:
        return "0"
    return f"{value:.3f}" if 0.001 <= abs(value) < 100 else f"{value:.3g}"


def _heat(value: float) -> str:
    part = min(1.0, value / 0.2) ** 0.8
    light, dark = (237, 244, 250), (8, 48, 107)
    mixed = [round(a + (b - a) * part) for a, b in zip(light, dark, strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def _colour(side: str, sides: Sequence[str]) -> str:
    if side in COLOURS:
        return COLOURS[side]
    spare = [one for one in sides if one not in COLOURS]
    return _SPARE[spare.index(side) % len(_SPARE)]


def _short(value: float) -> str:
    if value and (abs(value) < 1e-3 or abs(value) >= 1e5):
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:g}"


def _text(x: float, y: float, words: str, *, small: bool = False, anchor: str = "middle") -> str:
    size = 9 if small else 11
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def _grid(axis: _Axis) -> str:
    return "".join(
        f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{axis.at(v)}" y2="{axis.at(v)}" '
        f'stroke="#d0d7de"/>' + _text(_LEFT - 6, axis.at(v) + 4, _short(v), anchor="end")
        for v in axis.ticks()
    )


def _legend(sides: Sequence[str], dashes: Mapping[str, str]) -> str:
    x, drawn = float(_LEFT), []
    for side in sides:
        drawn.append(
            f'<line x1="{x}" x2="{x + 18}" y1="12" y2="12" stroke="{_colour(side, sides)}" '
            f'stroke-width="{4 if dashes else 10}" stroke-dasharray="{dashes.get(side, "")}"/>'
        )
        drawn.append(_text(x + 24, 16, side, anchor="start"))
        x += 40 + 6.4 * len(side)
    return "".join(drawn)


def _figure(title: str, words: str, inside: str, note: str, tall: int = HEIGHT) -> str:
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {tall}" role="img" '
        f'aria-label="{escape(f"{title}. {words}")}">{inside}</svg>'
        + (f"<p><small>{escape(note)}</small></p>" if note else "")
        + "</figure>"
    )
