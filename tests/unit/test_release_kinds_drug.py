"""Kinds that medicines and pay use: shares, bands and trends are made of what is published."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from gateway.catalogue.kinds import CountBand, Share, Trend
from gateway.catalogue.model import Grain
from gateway.releases.facts import Period
from gateway.releases.kernel import located
from gateway.releases.kinds.share import share
from gateway.releases.kinds.trend import _earlier, direction
from gateway.releases.shown import HIDDEN, ROUNDED, SUPPRESSED, Figure

PART = Share(kind="share", of="ddd", dim="flag", values=("won",), among=("won", "lost"))


class Cells:
    """Four cells: a total, and the same with the flag at won, at lost and at none."""

    def __init__(self, marks: bytes) -> None:
        self.marks = np.frombuffer(marks, np.uint8)
        self.table = self
        self.plan = self
        self.service = self
        self.dims = ()
        self.periods = (1,)
        self.domains = {"flag": _Domain(("won", "lost", "none"))}

    def __len__(self) -> int:
        return len(self.marks)

    def related(self, columns: object, periods: object, digits: dict[str, int]) -> object:
        """The total's cell with the flag at a value; the others have no such cell."""
        place = np.full(len(self), -1, np.int64)
        place[0] = 1 + digits["flag"]
        return place


class _Domain:
    def __init__(self, values: tuple[str, ...]) -> None:
        self.values = values


def _shared(marks: bytes, values: tuple[int, ...], define: Share = PART) -> tuple[int, int]:
    figure = Figure(np.array(values), np.frombuffer(marks, np.uint8))
    scene = _Scene(Cells(marks), {"ddd": figure})
    found = share(define, scene)  # type: ignore[arg-type]  # reads these two of a scene
    return int(found.values[0]), int(found.marks[0])


class _Scene:
    def __init__(self, shown: Cells, found: dict[str, Figure]) -> None:
        self.shown, self.found = shown, found


def test_a_share_is_the_quotient_of_published_figures() -> None:
    assert _shared(b"rrrr", (1000, 750, 250, 0)) == (7500, ROUNDED)


def test_a_share_is_of_the_values_named_and_not_of_the_whole_cell() -> None:
    assert _shared(b"rrrr", (4000, 750, 250, 3000)) == (7500, ROUNDED)


@pytest.mark.parametrize(
    ("marks", "said"), [(b"rcrr", HIDDEN), (b"rrcr", HIDDEN), (b"rsrr", SUPPRESSED)]
)
def test_a_share_is_not_told_where_a_part_is_not(marks: bytes, said: int) -> None:
    assert _shared(marks, (1000, 750, 250, 0)) == (0, said)


def test_a_share_is_not_told_where_a_part_has_no_cell() -> None:
    unknown = replace_values(PART, ("won", "unheard_of"))
    assert _shared(b"rrrr", (1000, 750, 250, 0), unknown) == (0, SUPPRESSED)


def replace_values(define: Share, among: tuple[str, ...]) -> Share:
    return define.model_copy(update={"among": among})


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [(105, 100, 1), (106, 100, 2), (95, 100, 1), (94, 100, 0), (100, 100, 1)],
)
def test_a_change_within_the_margin_is_steady(now: int, before: int, said: int) -> None:
    assert direction(np.array([now]), np.array([before]), 5).tolist() == [said]


def test_the_period_three_months_before_is_of_the_same_grain() -> None:
    labels = [(Grain.MONTH, "2023-11"), (Grain.MONTH, "2024-02"), (Grain.QUARTER, "2023Q4"),
              (Grain.QUARTER, "2024Q1"), (Grain.YEAR, "2024")]  # fmt: skip
    calendar = [Period(grain, label, 0, 0) for grain, label in labels]
    assert _earlier(calendar).tolist() == [-1, 0, -1, 2, -1]


def test_bands_ascend_and_have_one_label_more_than_edges() -> None:
    whole = {"kind": "count_band", "fact": "line", "edges": (9, 19), "labels": ("a", "b", "c")}
    assert CountBand(**whole).edges == (9, 19)
    for wrong in ({"labels": ("a", "b")}, {"edges": (19, 9)}):
        with pytest.raises(ValidationError):
            CountBand(**{**whole, **wrong})


def test_a_trend_is_late_and_says_its_margin() -> None:
    define = Trend(kind="trend", of="deviation", margin="0.05")
    assert define.late
    assert "±0.05" in define.phrase()


def test_cells_of_periods_a_fact_has_no_rows_in_have_no_place() -> None:
    """A fact whose last rows are in an early period counts fewer codes than there are cells."""
    cells, codes = np.array([0, 3, 40, 41]), np.array([0, 1, 3])
    assert located(cells, codes, 4).tolist() == [0, -1, 1]
