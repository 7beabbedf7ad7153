"""Sheets of seasons put together, and growth that looks back to another season."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gateway.catalogue.load import load_catalogue
from gateway.catalogue.model import Grain
from gateway.releases.facts import Period
from gateway.releases.measures import Layout, finished
from gateway.releases.sheet import Sheet, kept, together
from gateway.releases.shown import ABSENT, HIDDEN, ROUNDED, SUPPRESSED
from gateway.settings import Settings

SERVICE = load_catalogue(Settings().policies).services["S09"]
MEASURES = kept(SERVICE)
NAMES = [measure.name for measure in MEASURES]
CALENDAR = tuple(Period(Grain.QUARTER, f"{year}Q1", i, i) for i, year in enumerate((2023, 2024)))


def _sheet(period: int, amounts: dict[int, int | None]) -> Sheet:
    """One shape and place: cells of a period with their amounts in fen, None where hidden."""
    cells = np.array(sorted(amounts), np.int64)
    held = [amounts[cell] for cell in cells.tolist()]
    whole = np.array([HIDDEN if a is None else ROUNDED for a in held], np.uint8)
    marks = np.full((len(MEASURES), len(cells)), ABSENT, np.uint8)
    marks[NAMES.index("amount")] = whole
    marks[NAMES.index("yoy")] = np.where(whole == HIDDEN, HIDDEN, SUPPRESSED)
    open_ = np.flatnonzero(whole == ROUNDED)
    values = [np.zeros(len(open_), np.int64) for _ in MEASURES]
    values[NAMES.index("amount")] = np.array([a for a in held if a is not None], np.int64)
    blocks = np.full(len(cells), period, np.int64)
    scales = tuple(2 if name == "amount" else 0 for name in NAMES)
    empty = ((),) * len(NAMES)
    return Sheet(MEASURES, blocks, cells, whole, marks, open_, tuple(values), scales, empty)


def test_growth_is_found_across_seasons_in_whatever_order_they_came() -> None:
    old = _sheet(0, {3: 20_000, 5: None, 7: 40_000})
    new = _sheet(1, {3: 25_000, 5: 10_000, 6: 9_000, 7: None})
    for sheets in ([old, new], [new, old]):
        made = finished(together(sheets), Layout(SERVICE, CALENDAR, 1))
        assert list(zip(made.block.tolist(), made.cell.tolist(), strict=True)) == [
            (0, 3), (0, 5), (0, 7), (1, 3), (1, 5), (1, 6), (1, 7),
        ]  # fmt: skip
        amount, growth = made.figure("amount"), made.figure("yoy")
        assert amount.values.tolist() == [20_000, 0, 40_000, 25_000, 10_000, 9_000, 0]
        assert growth.values[3] / 10**growth.scale == 0.25
        # no year before, hidden itself, grown, hidden a year before, nobody a year before, hidden
        assert bytes(growth.marks).decode() == "scsrcsc"


def test_what_is_not_answered_stays_so() -> None:
    sheet = _sheet(0, {1: 500})
    bare = replace(sheet, marks=np.where(sheet.marks == SUPPRESSED, ABSENT, sheet.marks))
    made = finished(together([bare]), Layout(SERVICE, CALENDAR, 1))
    assert made.figure("yoy").marks.tolist() == [ABSENT]
