"""The audited sample: who is drawn, what a sheet must be, and how exactly an error is known."""

from __future__ import annotations

from decimal import Decimal
from math import comb
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import OperatorError
from gateway.quality.audit import HEADER, Found, compare, draw, fingerprint, read_sheet, sheet
from synthetic.integrity.auditing import Discharge
from synthetic.integrity.told import AUDITED, Told, audited_error, audited_errors

KEY = b"a secret of thirty-two bytes....."


def stays(number: int, month: str = "2024-01") -> list[Discharge]:
    codes = ("I63.900", "", "1")
    return [
        Discharge(f"M{i:05d}", month, "990100", codes, Decimal("100.00")) for i in range(number)
    ]


def coded(sample: tuple[Discharge, ...], **wrong: str) -> str:
    """The sheet as it comes back: coded like the first time, but for the fields of some stays."""
    lines = [",".join(HEADER)]
    for stay in sample:
        values = [*stay.codes, "100"]
        if stay.id in wrong:
            values[0] = wrong[stay.id]
        lines.append(",".join((stay.id, *values[:3], "100.0", "王")))
    return "\n".join(lines) + "\n"


@given(st.randoms(use_true_random=False))
def test_four_hundred_are_drawn_whatever_the_order_of_the_stays(rng: Random) -> None:
    population = stays(1000)
    wanted = draw(population, KEY)
    rng.shuffle(population)
    assert draw(population, KEY) == wanted
    assert len({stay.id for stay in wanted}) == 400


def test_another_secret_draws_others_and_each_stay_is_as_likely() -> None:
    population = stays(200)
    drawn = [{stay.id for stay in draw(population, bytes([n]) * 32, 50)} for n in range(200)]
    assert len({fingerprint(one) for one in drawn}) == 200
    often = [sum(stay.id in one for one in drawn) for stay in population]
    # 200 draws of a quarter each: mean 50, standard deviation 6.1.
    assert sum(often) == 200 * 50
    assert max(abs(n - 50) for n in often) < 5 * 6.2


def test_the_sheet_is_blind_to_what_was_coded_first() -> None:
    sample = draw(stays(10), KEY)
    assert "I63" not in sheet(sample)
    assert "100.00" not in sheet(sample)
    assert sheet(sample).splitlines()[0] == ",".join(HEADER)


def test_what_is_coded_otherwise_is_counted_by_stay_and_field() -> None:
    sample = draw(stays(400), KEY)
    other = {sample[3].id: "I61.900", sample[7].id: "i63.900 "}
    found = compare(sample, read_sheet(coded(sample, **other)))
    assert (found.coded, found.wrong) == (400, 1)  # spelling is no difference
    assert found.by_field["dscg_maindiag_code"] == 1
    assert found.by_field["medfee_sumamt"] == 0
    assert found.told() == (Told(AUDITED, "2024-01", "990100", 399, 400),)


def test_a_sheet_that_is_not_whole_or_of_other_stays_is_refused() -> None:
    sample = draw(stays(5), KEY)
    with pytest.raises(OperatorError) as uncoded:
        read_sheet(sheet(sample))
    assert uncoded.value.code == "audit.uncoded"
    others = draw(stays(5), KEY, 4)
    with pytest.raises(OperatorError) as refused:
        compare(sample, read_sheet(coded(others)))
    assert refused.value.code == "audit.other_sample"
    for broken in (
        "a,b\n",
        coded(sample) + coded(sample).splitlines()[1] + "\n",
        coded(sample) + "x\n",
    ):
        with pytest.raises(OperatorError) as bad:
            read_sheet(broken)
        assert bad.value.code == "audit.sheet"
        assert sample[0].id not in str(bad.value)


def tail(wrong: int, coded: int, p: float, *, upper: bool) -> float:
    """The chance of so many errors or more (or fewer) where each stay is wrong with chance p."""
    cases = range(wrong, coded + 1) if upper else range(wrong + 1)
    return sum(comb(coded, i) * p**i * (1 - p) ** (coded - i) for i in cases)


@pytest.mark.parametrize("wrong", [0, 1, 2, 7, 400])
def test_the_interval_leaves_two_and_a_half_per_cent_on_either_side(wrong: int) -> None:
    """Clopper and Pearson's, from their definition."""
    error = Found(400, wrong, {}, {}, ()).error
    assert error.value == wrong / 400
    if wrong:
        assert tail(wrong, 400, error.low, upper=True) == pytest.approx(0.025, rel=1e-6)
    else:
        assert error.low == 0
    if wrong < 400:
        assert tail(wrong, 400, error.high, upper=False) == pytest.approx(0.025, rel=1e-6)
    else:
        assert error.high == 1


def test_a_months_error_is_that_of_its_quarter_over_all_cities() -> None:
    told = [
        Told(AUDITED, "2024-01", "990100", 100, 100),
        Told(AUDITED, "2024-03", "990100", 198, 200),
        Told(AUDITED, "2024-03", "990200", 100, 100),
        Told("repair_hours", "2024-03", "990100", 9, 1),
    ]
    errors = audited_errors(told)
    assert errors["2024Q1", ""] == pytest.approx(2 / 400)
    assert errors["2024Q1", "990100"] == pytest.approx(2 / 300)
    assert audited_error(told, ["2024-02"]) == pytest.approx(2 / 400)
    assert audited_error(told, ["2024-04"]) is None
