"""Laws of every mask: None stays None, masking twice changes nothing more, equal in, equal out."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.masking.grammar import parse_mask
from gateway.masking.operators import Value
from gateway.masking.plan import apply, plan

ages = st.one_of(st.integers(0, 120), st.sampled_from(["0", "1-4", "5-9", "80-84", "85+", "80+"]))
dates = st.one_of(
    st.dates(),
    st.dates().map(date.isoformat),
    st.sampled_from(["2024-03", "2024Q3", "2024", "2024-03-01T08:00:00"]),
)
regions = st.one_of(st.from_regex(r"[1-9][0-9]{5}", fullmatch=True), st.just("*"))
diagnoses = st.one_of(
    st.from_regex(r"[A-Z][0-9]{2}(\.[0-9]{1,2})?", fullmatch=True), st.just("other")
)
drugs = st.sampled_from(["C", "C08", "C08C", "C08CA", "C08CA01", "C08CA01.oral", "*"])
numbers = st.one_of(
    st.integers(-(10**12), 10**12),
    st.decimals(-(10**9), 10**9, places=2, allow_nan=False).map(str),
    st.floats(-1e9, 1e9, allow_nan=False).map(lambda number: round(number, 3)),
)
texts = st.text(max_size=20)
anything = st.one_of(texts, numbers, st.dates())

KINDS: dict[str, st.SearchStrategy[Value]] = {
    "none": anything,
    "suppress": anything,
    "const(yes)": anything,
    "partial(3,4)": texts,
    "partial(0,0)": texts,
    "gen_age(5)": ages,
    "gen_age(10)": ages,
    "gen_date(month)": dates,
    "gen_date(quarter)": dates,
    "gen_date(year)": dates,
    "gen_geo(county)": regions,
    "gen_geo(city)": regions,
    "gen_geo(prov)": regions,
    "gen_icd(3)": diagnoses,
    "gen_icd(chapter)": diagnoses,
    "gen_drug(atc1)": drugs,
    "gen_drug(atc4)": drugs,
    "gen_drug(generic)": drugs,
    "band(0,10,20.5)": numbers,
    "round(1)": numbers,
    "round(10)": numbers,
    "round(7)": numbers,
}
LAW = settings(max_examples=25, deadline=None)
EACH = pytest.mark.parametrize("text", sorted(KINDS))


@EACH
def test_none_stays_none(text: str) -> None:
    assert parse_mask(text)(None) is None


@EACH
@LAW
@given(data=st.data())
def test_masking_twice_changes_nothing_more(text: str, data: st.DataObject) -> None:
    mask, value = parse_mask(text), data.draw(KINDS[text])
    once = mask(value)
    assert mask(once) == once


@EACH
@LAW
@given(data=st.data())
def test_equal_values_have_equal_masks_and_columns_agree_with_single_values(
    text: str, data: st.DataObject
) -> None:
    values = data.draw(st.lists(st.one_of(st.none(), KINDS[text]), max_size=8))
    masked = apply(plan({"a": text}), {"a": values + values})["a"]
    assert list(masked) == [parse_mask(text)(value) for value in values] * 2


@LAW
@given(number=st.integers(-(10**9), 10**9), base=st.integers(1, 1000))
def test_rounding_gives_the_nearest_multiple(number: int, base: int) -> None:
    rounded = parse_mask(f"round({base})")(number)
    assert isinstance(rounded, int)
    assert rounded % base == 0
    assert 2 * abs(rounded - number) <= base


@LAW
@given(number=st.integers(-50, 50), edges=st.lists(st.integers(-40, 40), min_size=1, unique=True))
def test_a_band_holds_the_numbers_between_its_edges(number: int, edges: list[int]) -> None:
    rising = sorted(edges)
    label = parse_mask(f"band({','.join(map(str, rising))})")(number)
    below = [edge for edge in rising if edge <= number]
    above = [edge for edge in rising if edge > number]
    if not below:
        assert label == f"<{rising[0]}"
    elif not above:
        assert label == f"{rising[-1]}+"
    else:
        assert label == f"{below[-1]}-<{above[0]}"


@LAW
@given(age=st.integers(0, 130))
def test_a_coarser_age_band_does_not_depend_on_a_finer_one_before_it(age: int) -> None:
    fine, coarse = parse_mask("gen_age(5)"), parse_mask("gen_age(10)")
    assert coarse(fine(age)) == coarse(age)


@LAW
@given(text=texts, left=st.integers(0, 5), right=st.integers(0, 5))
def test_partial_shows_no_more_than_it_promises(text: str, left: int, right: int) -> None:
    masked = parse_mask(f"partial({left},{right})")(text)
    assert isinstance(masked, str)
    assert len(masked) == len(text)
    shown = sum(a != "*" for a in masked)
    assert shown <= left + right


def test_a_decimal_text_keeps_its_places() -> None:
    assert parse_mask("round(100)")("123450.00") == "123500.00"
    assert Decimal(str(parse_mask("round(10)")("15"))) == 20
