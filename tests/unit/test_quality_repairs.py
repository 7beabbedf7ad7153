"""Time to repair: from the first version that shows a fault to the first that holds it no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import OperatorError
from gateway.quality.repairs import Key, Register, Seen, repairs
from synthetic.integrity.told import Told

BEGIN = datetime(2026, 1, 30, tzinfo=UTC)
MONTHS = ("2024-01", "2024-02", "2024-03")
ALL_HELD = frozenset(("H1", month) for month in MONTHS)


def key(rule: str, month: str = "2024-01", feeder: str = "H1") -> Key:
    return Key(rule, "setl_d", feeder, month)


def seen(hours: int, *faults: Key, held: frozenset[tuple[str, str]] = ALL_HELD) -> Seen:
    at = BEGIN + timedelta(hours=hours)
    return Seen(f"v{hours:04d}", at, frozenset(faults), held, (("H1", "990100"),))


def test_a_fault_lasts_until_the_first_version_without_it() -> None:
    found = repairs([seen(0, key("R04")), seen(24, key("R04"), key("R05")), seen(72, key("R05"))])
    (one,) = found.mended
    assert (one.name, one.hours) == ("R04", 72)
    assert found.mean_hours == 72
    assert (found.waiting, found.oldest) == (1, BEGIN + timedelta(hours=24))


def test_months_that_come_and_go_together_are_one_fault() -> None:
    both = (key("R04"), key("R04", "2024-02"))
    found = repairs([seen(0, *both), seen(4)])
    assert [one.hours for one in found.mended] == [4]
    apart = repairs([seen(0, *both), seen(4, both[0]), seen(10)])
    assert apart.mean_hours == 7  # one month took 4 hours, the other 10


def test_what_is_no_longer_held_was_not_mended() -> None:
    gone = frozenset({("H1", "2024-02")})
    found = repairs([seen(0, key("R04")), seen(4, held=gone)])
    assert found.mended == ()
    assert found.mean_hours is None
    assert found.waiting == 0


def test_a_fault_that_comes_back_is_another_one() -> None:
    found = repairs([seen(0, key("R04")), seen(10), seen(20, key("R04")), seen(50)])
    assert [one.hours for one in found.mended] == [10, 30]
    assert found.by_month() == {"2026-01": (1, 10.0), "2026-02": (1, 30.0)}
    assert found.told() == (
        Told("repair_hours", "2026-01", "990100", 10, 1),
        Told("repair_hours", "2026-02", "990100", 30, 1),
    )


def test_a_fault_of_a_catalogue_has_no_month_and_is_mended_all_the_same() -> None:
    of_catalogue = Key("R19", "drug_cat_b", "", "")
    found = repairs([seen(0, of_catalogue), seen(5)])
    assert [one.hours for one in found.mended] == [5]
    assert found.told() == ()  # of no city


FAULTS = st.frozensets(
    st.builds(key, st.sampled_from(["R04", "R05", "R19"]), st.sampled_from(MONTHS)), max_size=6
)


@given(st.lists(FAULTS, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_every_fault_is_mended_or_waits_and_versions_come_in_any_order(
    shown: list[frozenset[Key]],
    rng: Random,
) -> None:
    history = [seen(10 * at, *faults) for at, faults in enumerate(shown)]
    found = repairs(history)
    began = {
        (one.name, one.table, one.feeder, at)
        for at, faults in enumerate(shown)
        for one in faults
        if at == 0 or one not in shown[at - 1]
    }
    starts = {(r.name, r.table, r.feeder, r.since) for r in found.mended}
    named = {(n, t, f, BEGIN + timedelta(hours=10 * at)) for n, t, f, at in began}
    assert starts <= named
    assert len(named) <= len(found.mended) + found.waiting
    assert bool(found.waiting) == bool(shown[-1])
    rng.shuffle(history)
    assert repairs(history) == found


def test_the_register_keeps_what_a_version_showed(tmp_path: Path) -> None:
    register = Register(tmp_path)
    one = seen(3, key("R04"), key("completeness"))
    register.note(one)
    register.note(one)
    assert register.knows("v0003")
    assert not register.knows("v0004")
    assert list(register.history()) == [one]


def test_a_register_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    register = Register(tmp_path)
    register.note(seen(3))
    (tmp_path / "quality" / "faults" / "v0003.json").write_text("{}")
    with pytest.raises(OperatorError) as refused:
        list(register.history())
    assert refused.value.code == "quality.register"
