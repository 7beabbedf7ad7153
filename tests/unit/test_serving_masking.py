"""What a decision does not name does not leave; what a mask takes away is shown as suppressed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.policy.port import ColumnRule
from gateway.releases.store import Page
from gateway.serving.fetching import masked
from gateway.serving.watermark import tag

PAGE = Page(
    total=2,
    keys={"period": ["2024Q1", "2024Q1"], "geo": ["990100", "990100"], "gend": ["1", "2"]},
    values={"medfee": ["10.00", None], "persons": [15, 20]},
    flags={"medfee": ["r", "s"], "persons": ["r", "r"]},
)
UNITS = {"medfee": "CNY", "persons": "count"}
NOW = datetime(2025, 6, 2, tzinfo=UTC)


def rules(**masks: str) -> tuple[ColumnRule, ...]:
    """Obligations with these masks."""
    return tuple(ColumnRule(name, "C06-01", "L2", mask) for name, mask in masks.items())


def test_a_column_without_a_mask_is_dropped() -> None:
    table = masked(PAGE, rules(medfee="none", period="none", geo="none"), UNITS)
    assert list(table.keys) == ["period", "geo"]
    assert list(table.values) == list(table.flags) == ["medfee"]


def test_columns_come_in_the_order_of_the_contract_not_of_the_decision() -> None:
    whole = rules(persons="none", gend="none", geo="none", medfee="none", period="none")
    table = masked(PAGE, whole, UNITS)
    assert list(table.keys) == ["period", "geo", "gend"]
    assert list(table.values) == ["medfee", "persons"]
    assert table.flags == PAGE.flags


def test_a_value_that_a_mask_takes_away_is_suppressed() -> None:
    table = masked(PAGE, rules(period="none", geo="none", persons="suppress"), UNITS)
    assert table.values["persons"] == [None, None]
    assert table.flags["persons"] == ["s", "s"]


def test_a_watermark_depends_on_who_which_decision_and_when() -> None:
    marks = {
        tag(b"k" * 32, tenant, decision, time)
        for tenant in ("T-1", "T-2")
        for decision in ("d-1", "d-2")
        for time in (NOW, NOW + timedelta(milliseconds=1))
    }
    assert len(marks) == 8
    assert tag(b"x" * 32, "T-1", "d-1", NOW) not in marks
    assert tag(b"k" * 32, "T-1", "d-1", NOW) in marks
