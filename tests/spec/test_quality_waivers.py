"""A waiver covers named figures and rules of whole periods, signed by two, to its last day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from gateway.errors import OperatorError
from gateway.quality.waiver import Waiver, can_be_waived, judge
from gateway.releases.waived import check_quality, waived_in
from tests.waivers import INVENTED

TODAY = date(2026, 3, 1)
SIGNED = replace(
    INVENTED[0], covers=("completeness", "R04"), first="2024-01", last="2024-06", until=TODAY
)


def quarter(*waivers: Waiver, failing: tuple[str, ...] = ("completeness",)) -> dict[str, object]:
    months = {"2024Q1": ("2024-01", "2024-02", "2024-03"), "2024Q3": ("2024-07", "2024-08")}
    found = judge({"2024Q1": failing}, months, waivers, TODAY)
    return {"open": dict(found.open), "used": found.used}


def test_a_signed_waiver_covers_what_it_names() -> None:
    assert quarter(SIGNED) == {"open": {}, "used": (SIGNED,)}


def test_nothing_else_is_covered() -> None:
    found = quarter(SIGNED, failing=("completeness", "accuracy", "R09"))
    assert found["open"] == {"accuracy": ("2024Q1",), "R09": ("2024Q1",)}


def test_a_period_is_covered_only_whole() -> None:
    assert quarter(replace(SIGNED, first="2024-02"))["open"] == {"completeness": ("2024Q1",)}
    assert quarter(replace(SIGNED, last="2024-02"))["open"] == {"completeness": ("2024Q1",)}


@pytest.mark.parametrize(
    "not_yet",
    [
        replace(SIGNED, state="proposed", signed_by=None),
        replace(SIGNED, state="withdrawn"),
        replace(SIGNED, until=date(2026, 2, 28)),
    ],
    ids=["proposed", "withdrawn", "over"],
)
def test_what_is_not_signed_or_no_longer_holds_covers_nothing(not_yet: Waiver) -> None:
    assert quarter(not_yet)["open"] == {"completeness": ("2024Q1",)}


def test_a_waiver_that_nothing_needs_is_not_used() -> None:
    assert quarter(SIGNED, failing=()) == {"open": {}, "used": ()}


def test_a_build_is_refused_with_what_fails_and_where() -> None:
    failing = {"2024-03": ("completeness", "R09"), "2024-07": ("completeness",)}
    with pytest.raises(OperatorError) as refused:
        check_quality(failing, (SIGNED,), TODAY)
    assert refused.value.code == "quality_blocks"
    assert "R09 (2024-03), completeness (2024-07)" in refused.value.message
    assert "2024-07" in refused.value.zh


def test_a_release_tells_only_of_waivers_that_its_own_periods_need() -> None:
    failing = {"2024-03": ("completeness",), "2024-09": ("completeness",)}
    told = waived_in((SIGNED,), failing, ["2024-03", "2024-04"])
    assert told is not None
    assert [(one.covers, one.first, one.last) for one in told] == [
        (("completeness", "R04"), "2024-01", "2024-06")
    ]
    assert told[0].signed_by == (SIGNED.proposed_by, SIGNED.signed_by)
    assert waived_in((SIGNED,), failing, ["2024-04", "2024-09"]) is None


@pytest.mark.parametrize(
    ("name", "known"),
    [
        *((name, True) for name in ("R01", "R25", "R19b", "accuracy")),
        *((name, False) for name in ("R00", "R26", "R05b", "*", "")),
    ],
)
def test_figures_and_rules_can_be_waived_and_nothing_like_everything(
    name: str, known: bool
) -> None:
    assert can_be_waived(name) is known
