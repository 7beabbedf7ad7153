"""A paper as one table: a row for everything that changes the party's balance, in yuan and in fen.

The rows add up to the closing balance less the opening one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from metering.summary import yuan
from metering.tariff import MICRO_PER_FEN

COLUMNS: Final = (
    "number",
    "month",
    "about_month",
    "category",
    "reference",
    "grant",
    "service",
    "unit",
    "price_ref",
    "unit_price_cny",
    "cells_charged",
    "units",
    "net_cny",
    "tax_cny",
    "amount_cny",
    "amount_fen",
)
_COPIED: Final = ("grant", "service", "unit", "price_ref", "unit_price_cny", "cells_charged")
# A spreadsheet may take the full-width signs for the plain ones.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(body: bytes) -> str:
    """The rows of a paper under one header (RFC 4180)."""
    paper = orjson.loads(body)
    held = io.StringIO()
    writer = csv.DictWriter(held, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    fixed = {"number": paper["number"], "month": paper["month"]}
    for row in (*_lines(paper), *_movements(paper)):
        writer.writerow({name: _plain(value) for name, value in {**fixed, **row}.items()})
    return held.getvalue()


def plain_yuan(fen: int) -> str:
    """An amount as `-1234.50`."""
    return f"{'-' if fen < 0 else ''}{yuan(abs(fen) * MICRO_PER_FEN)}"


def _lines(paper: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    for line in paper["lines"]:
        row: dict[str, object] = {name: line[name] for name in _COPIED if name in line}
        row |= {
            "about_month": paper.get("about_month", paper["month"]),
            "category": line["category"],
        }
        row |= {"reference": line.get("line_id", ""), "units": line.get("units", "")}
        for part in ("net", "tax"):
            if f"{part}_fen" in line:
                row[f"{part}_cny"] = plain_yuan(line[f"{part}_fen"])
        yield row | _amount(line["amount_fen"])


def _movements(paper: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    for movement in paper.get("movements", ()):
        if not movement["in_lines"]:
            row = {"about_month": movement["service_period"], "category": movement["kind"]}
            yield {**row, "reference": movement["cause"]} | _amount(movement["fen"])


def _amount(fen: int) -> dict[str, object]:
    return {"amount_cny": plain_yuan(fen), "amount_fen": fen}


def _plain(value: object) -> object:
    """A text that a spreadsheet takes for no formula."""
    return (
        f"'{value}"
        if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value)
        else value
    )


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()
