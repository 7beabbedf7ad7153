"""An answer as people read it: a table, and a chart of the first figure that can be drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.api.schemas import shown_measures
from gateway.catalogue.model import Service
from gateway.catalogue.own import own_measures
from gateway.catalogue.worked import NOTHING
from gateway.pages.browser import Language
from gateway.pages.charts import Bars, Point, bars
from gateway.portal.pages import Table

HIDDEN = "▒▒"
MOST_BARS = 48


def written(body: Mapping[str, Any]) -> str:
    """A JSON object with a line for each of its fields, as people write a question."""
    lines = [f"  {_json(name)}: {_json(value)}" for name, value in body.items()]
    return "{\n" + ",\n".join(lines) + "\n}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def of_example(service: Service, lines: Sequence[Mapping[str, str]], language: Language) -> Table:
    """The table of a worked example, whose figures are written as `value flag`."""
    figures = _titles(service, language)
    head = list(lines[0]) if lines else []
    rows = [
        [_as_shown(line[name]) if name in figures else line[name] for name in head]
        for line in lines
    ]
    return Table(head, rows, _chart(head, rows, figures))


def of_answer(service: Service, data: Sequence[Mapping[str, Any]], language: Language) -> Table:
    """The table of a page of cells as the gateway answered it."""
    figures = _titles(service, language)
    head = list(dict.fromkeys(name for row in data for name in row))
    rows = [[_cell(row.get(name)) for name in head] for row in data]
    return Table(head, rows, _chart(head, rows, figures))


def _chart(
    head: Sequence[str], rows: Sequence[Sequence[str]], figures: Mapping[str, str]
) -> Bars | None:
    """Bars of the first figure with two shown values or more; hidden cells are left out."""
    places = [at for at, name in enumerate(head) if name not in figures]
    for at, name in enumerate(head):
        if name not in figures:
            continue
        points = [
            Point(_label(head, row, places), float(value), row[at])
            for row in rows[:MOST_BARS]
            if (value := _number(row[at])) is not None
        ]
        if len(points) > 1:
            return bars(figures[name], points)
    return None


def _label(head: Sequence[str], row: Sequence[str], places: Sequence[int]) -> str:
    """What tells one row from the others: its values but those of the geography."""
    return " ".join(row[at] for at in places if head[at] != "geo")


def _number(text: str) -> float | None:
    try:
        value = float(text.split(" ", maxsplit=1)[0])
    except ValueError:
        return None
    return value if value >= 0 else None


def _cell(told: object) -> str:
    """A cell's value with its flag; what is hidden shows neither number nor zero."""
    if not isinstance(told, Mapping):
        return "" if told is None else str(told)
    value, flag = told.get("value"), str(told.get("flag", ""))
    if value is None:
        return f"{HIDDEN} {flag}"
    return str(value) if flag == "ok" else f"{value} {flag}"


def _as_shown(written: str) -> str:
    if written in ("s", "c"):
        return f"{HIDDEN} {written}"
    return "" if written == NOTHING else written


def _titles(service: Service, language: Language) -> Mapping[str, str]:
    found = (*shown_measures(service), *own_measures(service))
    return {one.name: one.title.zh if language == "zh" else one.title.en for one in found}
