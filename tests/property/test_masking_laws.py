"""Laws of every mask: None stays None, masking twice changes nothing more, equal in, equal out."""

from __future__ import annotations

import os
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.masking.grammar import parse_mask
from gateway.masking.keyed import KEYED, DateShiftMask, FpeMask, PseudonymMask
from gateway.masking.keys import Context, KeyMaterial, MaskingKeys
from gateway.masking.operators import Mask, MaskError, Value
from gateway.masking.plan import apply, apply_arrow, plan
from tests.law_cases import cases

SECRETS = (bytes(range(32)), bytes(range(1, 33)))


def keys(consumer: str = "T-1", secret: int = 0, suite: str = "gm") -> MaskingKeys:
    root = KeyMaterial(SECRETS[secret], "masking/2026.1", suite)  # type: ignore[arg-type]  # a Suite
    return MaskingKeys(root, Context(consumer, "SC02"))


def mask_of(text: str) -> Mask:
    """The operator, bound to the test's own keys if it needs any."""
    return plan({"a": text}, keys())["a"]  # type: ignore[return-value]  # none of these is by person


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
    "gen_icd(group)": diagnoses,
    "gen_icd(chapter)": diagnoses,
    "gen_drug(atc1)": drugs,
    "gen_drug(atc4)": drugs,
    "gen_drug(generic)": drugs,
    "band(0,10,20.5)": numbers,
    "round(1)": numbers,
    "round(10)": numbers,
    "round(7)": numbers,
    "gen_age(5,top=90)": ages,
    "gen_proc(2)": st.from_regex(r"[0-9]{2}(\.[0-9]{2,4})?", fullmatch=True),
}
digits = st.from_regex(r"[0-9]{6,18}", fullmatch=True)
UNDONE: dict[str, st.SearchStrategy[Value]] = {
    "pseud": texts,
    "hash_salted": texts,
    "fpe": digits,
}
"""Keyed masks; masking their results again gives yet others: a token is no identifier."""

LAW = settings(max_examples=cases(25), deadline=None)
EACH = pytest.mark.parametrize("text", sorted(KINDS | UNDONE))
IDEMPOTENT = pytest.mark.parametrize("text", sorted(KINDS))


@EACH
def test_none_stays_none(text: str) -> None:
    assert mask_of(text)(None) is None


@IDEMPOTENT
@LAW
@given(data=st.data())
def test_masking_twice_changes_nothing_more(text: str, data: st.DataObject) -> None:
    mask, value = mask_of(text), data.draw(KINDS[text])
    once = mask(value)
    assert mask(once) == once


@EACH
@LAW
@given(data=st.data())
def test_equal_values_have_equal_masks_and_columns_agree_with_single_values(
    text: str, data: st.DataObject
) -> None:
    kind = (KINDS | UNDONE)[text]
    values = data.draw(st.lists(st.one_of(st.none(), kind), max_size=8))
    masked = apply(plan({"a": text}, keys()), {"a": values + values})["a"]
    assert list(masked) == [mask_of(text)(value) for value in values] * 2


@LAW
@given(number=st.integers(-(10**9), 10**9), base=st.integers(1, 1000))
def test_rounding_gives_the_nearest_multiple(number: int, base: int) -> None:
    rounded = mask_of(f"round({base})")(number)
    assert isinstance(rounded, int)
    assert rounded % base == 0
    assert 2 * abs(rounded - number) <= base


@LAW
@given(number=st.integers(-50, 50), edges=st.lists(st.integers(-40, 40), min_size=1, unique=True))
def test_a_band_holds_the_numbers_between_its_edges(number: int, edges: list[int]) -> None:
    rising = sorted(edges)
    label = mask_of(f"band({','.join(map(str, rising))})")(number)
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
    fine, coarse = mask_of("gen_age(5)"), mask_of("gen_age(10)")
    assert coarse(fine(age)) == coarse(age)


@LAW
@given(text=texts, left=st.integers(0, 5), right=st.integers(0, 5))
def test_partial_shows_no_more_than_it_promises(text: str, left: int, right: int) -> None:
    masked = mask_of(f"partial({left},{right})")(text)
    assert isinstance(masked, str)
    assert len(masked) == len(text)
    shown = sum(a != "*" for a in masked)
    assert shown <= left + right


def test_a_decimal_text_keeps_its_places() -> None:
    assert mask_of("round(100)")("123450.00") == "123500.00"
    assert Decimal(str(mask_of("round(10)")("15"))) == 20


arrow_kinds: dict[str, tuple[pa.DataType, st.SearchStrategy[Value], str]] = {
    "date": (pa.date32(), st.dates(date(1900, 1, 1), date(2100, 1, 1)), "gen_date(quarter)"),
    "shift": (pa.date32(), st.dates(date(1900, 1, 1), date(2100, 1, 1)), "dateshift(who)"),
    "band": (pa.decimal128(16, 2), st.decimals(-(10**6), 10**6, places=2), "band(0,10,20.5)"),
    "whole": (pa.int32(), st.integers(-1000, 1000), "band(-5,0,20)"),
    "odd": (pa.decimal128(16, 2), st.decimals(-(10**6), 10**6, places=2), "band(0,0.125)"),
    "round": (pa.decimal128(16, 2), st.decimals(-(10**6), 10**6, places=2), "round(7)"),
    "noise": (
        pa.decimal128(16, 2),
        st.decimals(-(10**6), 10**6, places=2),
        "noise(laplace,1,50,who)",
    ),
    "age": (pa.decimal128(4, 1), st.decimals(0, 130, places=1), "gen_age(5)"),
    "fpe": (pa.string(), st.from_regex(r"[0-9]{17}", fullmatch=True), "fpe"),
    "mixed": (pa.string(), digits, "fpe"),
    "pseud": (pa.string(), texts, "pseud"),
}


@pytest.mark.parametrize("name", sorted(arrow_kinds))
@LAW
@given(data=st.data())
def test_arrow_columns_are_masked_as_their_single_values_are(
    name: str, data: st.DataObject
) -> None:
    kind, values, text = arrow_kinds[name]
    drawn = data.draw(st.lists(st.tuples(st.one_of(st.none(), values), texts), max_size=8))
    column = pa.array([value for value, _ in drawn], kind)
    whose = [who for _, who in drawn]
    table = pa.table({"a": column, "who": pa.array(whose, pa.string())}).slice(len(drawn) // 3)
    masks = plan({"a": text}, keys())
    masked = apply_arrow(masks, table).column("a").to_pylist()
    plain = {name: [_plain(value) for value in table.column(name).to_pylist()] for name in ("a",)}
    expected = apply(masks, {**plain, "who": table.column("who").to_pylist()})["a"]
    assert [_plain(value) for value in masked] == list(expected)


def _plain(value: object) -> Value:
    return str(value) if isinstance(value, Decimal) else value  # type: ignore[return-value]  # a Value


@LAW
@given(number=digits)
def test_a_format_preserved_number_keeps_its_form_and_can_be_told_apart(number: str) -> None:
    masked = mask_of("fpe")(number)
    assert isinstance(masked, str)
    assert len(masked) == len(number)
    assert masked.isdecimal()


@LAW
@given(first=texts, second=texts)
def test_tokens_of_other_consumers_epochs_purposes_and_suites_have_nothing_in_common(
    first: str, second: str
) -> None:
    told = [
        plan({"a": text}, of)["a"](value)  # type: ignore[operator]  # none is by person
        for text in ("pseud", "hash_salted")
        for of in (keys(), keys("T-2"), keys(secret=1), keys(suite="international"))
        for value in {first, second}
    ]
    assert len(set(told)) == len(told)


@LAW
@given(
    days=st.lists(st.dates(date(1900, 3, 1), date(2100, 1, 1)), min_size=2, max_size=5),
    person=texts,
)
def test_a_persons_dates_move_together_and_no_further_than_a_month(
    days: list[date], person: str
) -> None:
    shift = plan({"a": "dateshift(who)"}, keys())["a"]
    assert isinstance(shift, DateShiftMask)
    moved = [shift.of(day, person) for day in days]
    offsets = {
        (new - old).days for new, old in zip(moved, days, strict=True) if isinstance(new, date)
    }
    assert len(offsets) == 1
    assert abs(offsets.pop()) <= 30


@LAW
@given(ages_=st.lists(st.integers(0, 130), min_size=2, max_size=2), data=st.data())
def test_order_is_kept_where_it_may_be(ages_: list[int], data: st.DataObject) -> None:
    low, high = sorted(ages_)
    bounds = [int(str(mask_of("gen_age(5)")(age)).split("-")[0].rstrip("+")) for age in (low, high)]
    assert bounds[0] <= bounds[1]
    first, last = sorted(data.draw(st.lists(st.dates(), min_size=2, max_size=2)))
    for grain in ("month", "quarter", "year"):
        mask = mask_of(f"gen_date({grain})")
        assert str(mask(first)) <= str(mask(last))


@pytest.mark.parametrize("text", ["pseud", "hash_salted", "fpe"])
def test_order_is_not_kept_where_it_may_not_be(text: str) -> None:
    """Of consecutive numbers about half of the pairs stand the other way round: 4 σ is 0.02."""
    numbers = [f"{number:012d}" for number in range(10_000)]
    masked = apply(plan({"a": text}, keys()), {"a": numbers})["a"]
    turned = sum(str(a) > str(b) for a, b in zip(masked[::2], masked[1::2], strict=True))
    assert abs(turned / 5_000 - 0.5) < 0.03
    assert len(set(masked)) == len(numbers)


def test_two_consumers_share_no_pseudonym_and_no_order_of_100_000_persons() -> None:
    persons = pa.table({"psn_no": pa.array([f"{number:018d}" for number in range(100_000)])})

    def told(of: MaskingKeys) -> list[str]:
        made: list[str] = apply_arrow(plan({"psn_no": "pseud"}, of), persons)[0].to_pylist()
        return made

    one, again = told(keys(suite="international")), told(keys(suite="international"))
    other, later = (told(of) for of in (keys("T-2", suite="international"), keys(secret=1)))
    assert one == again
    assert len({*one, *other, *later}) == 300_000
    agree = sum((a < b) == (c < d) for a, b, c, d in zip(one, one[1:], other, other[1:]))  # noqa: B905 - each one shorter
    assert abs(agree / 99_999 - 0.5) < 0.01


def test_noise_is_laplace_noise_of_its_scale_and_the_same_when_asked_again() -> None:
    """Mean 0 and mean absolute value sensitivity/ε = 100, over 20 000 draws; 4 σ are 4 and 2.9."""
    whose = [f"{number:08d}" for number in range(20_000)]
    columns: dict[str, list[Value]] = {"a": [0.0] * len(whose), "who": list(whose)}
    masks = plan({"a": "noise(laplace,0.5,50,who)"}, keys())
    drawn = [float(value) for value in apply(masks, columns)["a"]]  # type: ignore[arg-type]  # numbers
    assert drawn == list(apply(masks, columns)["a"])
    assert abs(sum(drawn) / len(drawn)) < 4
    assert abs(sum(map(abs, drawn)) / len(drawn) - 100) < 3


def test_no_identifier_is_hashed_without_a_key() -> None:
    for text in ("hash", "sha256", "md5", "hash_unkeyed", "hash_salted()x", "pseud(1)"):
        with pytest.raises(MaskError):
            parse_mask(text)
    for text in ("pseud", "hash_salted", "fpe", "dateshift(a)", "noise(laplace,1,1,a)", "token"):
        assert isinstance(parse_mask(text), KEYED)
        with pytest.raises(MaskError, match="needs a key"):
            plan({"a": text})
    for made in (PseudonymMask, FpeMask):
        with pytest.raises(TypeError):
            made(os.urandom(32))  # type: ignore[arg-type]  # bytes are no key of ours
    with pytest.raises(ValueError, match="32 bytes"):
        KeyMaterial(b"short", "x", "gm")
    with pytest.raises(MaskError):
        Context("", "SC02")
