"""Laws of the Shapley strategies: closed form, samples and full enumeration tell one story."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.billing.joint import PERMUTATIONS, Held, joint, rank
from metering.sharing import SHARE_ONE
from tests.law_cases import LAW_CASES
from tests.shapley_oracle import Threshold, coverage, enumerated, sampled

NAMES = [f"P{number:02d}" for number in range(7)]
RECORDS = st.lists(st.frozensets(st.sampled_from(NAMES), min_size=1), max_size=12)
FEWER = settings(max_examples=max(30, LAW_CASES // 5), deadline=None)
CELLS = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 60), min_size=1), max_size=8
)


@FEWER
@given(RECORDS)
def test_splitting_a_record_among_its_holders_is_its_shapley_value(records):
    def worth(coalition):
        return sum(bool(coalition & holders) for holders in records)

    exact = enumerated({name for holders in records for name in holders}, worth)
    assert coverage(records) == exact
    assert sum(exact.values(), Fraction()) == len(records)


@FEWER
@given(RECORDS, st.text(max_size=5), st.randoms())
def test_sampled_values_add_up_and_know_no_order(records, seed, chance):
    def worth(coalition):
        return sum(bool(coalition & holders) for holders in records) ** 2

    names = [name for holders in records for name in sorted(holders)]
    values = sampled(names, worth, seed=seed, permutations=20)
    assert sum(values.values(), Fraction()) == len(records) ** 2
    chance.shuffle(names)
    assert sampled(names, worth, seed=seed, permutations=20) == values


def test_an_estimate_comes_close_to_the_exact_value():
    game = Threshold({name: 6 + 4 * at for at, name in enumerate(NAMES)}, least=40, houses=3)
    exact = enumerated(NAMES, game)
    near = sampled(NAMES, game, seed="2025-06/S02")
    assert max(abs(near[name] - exact[name]) for name in NAMES) < Fraction(1, 12)


def test_orders_are_those_that_anybody_computes_from_the_words_of_the_seed():
    ordered = sorted(NAMES, key=lambda name: rank("2025-06/S02", 0, name))
    # printf 2025-06/S02/0/P00 | sha256sum, and so on, sorted
    assert ordered == ["P01", "P05", "P06", "P02", "P04", "P00", "P03"]
    without = sorted(set(NAMES) - {"P02"}, key=lambda name: rank("2025-06/S02", 0, name))
    assert without == [name for name in ordered if name != "P02"]


def held(cells) -> Held:
    rows = [
        (number, NAMES.index(name), persons)
        for number, cell in enumerate(cells)
        for name, persons in sorted(cell.items())
    ]
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    return Held(*(np.ascontiguousarray(column) for column in columns))


@FEWER
@given(CELLS, st.integers(1, 60), st.integers(1, 4), st.text(max_size=5))
def test_all_cells_at_once_give_what_each_game_played_alone_gives(cells, least, houses, seed):
    found = iter(joint(held(cells), NAMES, (least, houses), seed).tolist())
    for cell in cells:
        alone = sampled(cell, Threshold(cell, least, houses), seed=seed)
        for name in sorted(cell):
            assert Fraction(next(found), SHARE_ONE) == alone[name]
    assert next(found, None) is None


@pytest.mark.parametrize("count", [1, 2, 5])
def test_who_alone_can_never_be_missed_earns_the_whole_cell(count):
    cell = {"P00": 30} | dict.fromkeys(NAMES[1 : 1 + count], 1)
    values = joint(held([cell]), NAMES, (30, 1), "seed")
    assert values.tolist() == [SHARE_ONE] + [0] * count
    assert SHARE_ONE % PERMUTATIONS == 0


def test_a_copy_that_counted_would_take_half_so_one_settlement_has_one_institution():
    """The trap the primary-source rule is there for: a settlement's number is one row of the
    warehouse (`duplicate_key`), so it has one holder, whoever sends it a second time."""
    own = [{"a"}] * 10 + [{"b"}] * 2
    copied = [{"a", "b"}] * 10 + [{"b"}] * 2
    assert coverage(own) == {"a": 10, "b": 2}
    assert coverage(copied) == {"a": 5, "b": 7}
