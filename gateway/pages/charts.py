"""Charts as plain geometry: a template draws them as SVG, without a script or an inline style.

Coordinates are in the units of the drawing's view box; the text beside every mark is the value as
people read it, and each chart's table stands below it for whoever does not see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640.0, 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 8.0, 12.0, 26.0
_MOST_LABELS = 12


@dataclass(frozen=True, slots=True)
class Point:
    """One value: `label` on the axis, `text` as people read the value."""

    label: str
    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A bar: its box, and what it says."""

    x: float
    y: float
    width: float
    height: float
    label: str
    text: str
    shown: bool  # whether the axis has room for its label


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across at a round value."""

    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar chart, drawn by `charts.html`."""

    title: str
    marks: Sequence[Mark]
    ticks: Sequence[Tick]
    width: float = WIDTH
    height: float = HEIGHT


def bars(title: str, points: Sequence[Point]) -> Bars:
    """Bars from zero; values are not negative. No points make an empty chart."""
    top = _round_up(max((each.value for each in points), default=0.0))
    wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    step = wide / max(len(points), 1)
    every = -(-len(points) // _MOST_LABELS) or 1
    marks = [
        Mark(
            x=round(_LEFT + at * step + step * 0.14, 2),
            y=round(_TOP + high * (1 - each.value / top), 2),
            width=round(step * 0.72, 2),
            height=round(high * each.value / top, 2),
            label=each.label,
            text=each.text,
            shown=at % every == 0,
        )
        for at, each in enumerate(points)
    ]
    ticks = [
        Tick(round(_TOP + high * (1 - part / 4), 2), _short(top * part / 4)) for part in range(5)
    ]
    return Bars(title, marks, ticks)


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 8, 10 × a power of ten, whose quarters read well."""
    if value <= 0:
        return 4.0
    power = 1.0
    while power * 10 < value:
        power *= 10
    while power > value and power > 1:
        power /= 10
    return next(power * step for step in (1, 2, 4, 8, 10) if power * step >= value or step == 10)


def _short(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
