"""Kinds made of bands and of largest records: sums along a dim, layers, and the tail of a cell."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.catalogue.kinds import Cumulative, Excess, Layered, Linear, Pareto, TopShare
from gateway.releases.kinds.along import Row, upwards
from gateway.releases.kinds.layered import mean_above, within
from gateway.releases.kinds.linear import worst
from gateway.releases.kinds.tail import hill, share_of_largest
from gateway.releases.shown import HIDDEN, ROUNDED, SUPPRESSED, Figure

BANDS = ("low", "middle", "high")


def row(sisters: list[int], band: list[int]) -> Row:
    return Row(slice(0, len(band)), np.array(sisters), np.array(band), BANDS)


def test_a_band_adds_up_with_all_above_it_and_with_none_of_another_row() -> None:
    cells = row([0, 0, 0, 1, 1, 1], [0, 1, 2, 2, 0, 1])
    values = np.array([100, 30, 5, 7, 50, 20])
    total, whole = upwards(cells, values, np.ones(6, np.bool_))
    assert total.tolist() == [135, 35, 5, 7, 77, 27]
    assert whole.all()


def test_a_band_that_is_not_shown_leaves_open_only_what_lies_above_it() -> None:
    cells = row([0, 0, 0], [0, 1, 2])
    total, whole = upwards(cells, np.array([100, 30, 5]), np.array([True, False, True]))
    assert whole.tolist() == [False, False, True]
    assert total[2] == 5


def test_a_band_without_a_cell_is_unknown_not_zero() -> None:
    _, whole = upwards(row([0, 0], [0, 1]), np.array([100, 30]), np.ones(2, np.bool_))
    assert not whole.any()


def test_a_code_of_no_band_is_in_no_sum() -> None:
    cells = row([0, 0, 0, 0], [0, 1, 2, 3])
    total, whole = upwards(cells, np.array([100, 30, 5, 900]), np.ones(4, np.bool_))
    assert total[:3].tolist() == [135, 35, 5]
    assert whole.tolist() == [True, True, True, False]


def test_sums_along_bands_agree_with_adding_cell_by_cell() -> None:
    rng = np.random.default_rng(3)
    sisters, band = rng.integers(0, 40, 90), rng.integers(0, 3, 90)
    keys = np.unique(sisters * 3 + band)
    sisters, band = keys // 3, keys % 3
    values, open_ = rng.integers(0, 1000, len(keys)), rng.random(len(keys)) < 0.7
    total, whole = upwards(Row(slice(0, 1), sisters, band, BANDS), values, open_)
    for at in range(len(keys)):
        above = [i for i in range(len(keys)) if sisters[i] == sisters[at] and band[i] >= band[at]]
        assert whole[at] == (len(above) == 3 - band[at] and all(open_[i] for i in above))
        if whole[at]:
            assert total[at] == sum(values[i] for i in above)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((14_000, 10, 15, 1000, 2000), 4_000 + 5 * 1000),  # ten have 14 000, five fill the band
        ((14_000, 10, 10, 1000, -1), 4_000),  # open above: what exceeds the edge
        ((9_000, 10, 15, 1000, 2000), 5 * 1000 - 1000),  # rounding took the ten below their edge
        ((9_000, 10, 10, 1000, -1), 0),  # and never below nothing
        ((60_000, 10, 15, 1000, 2000), 15 * 1000),  # nor above what all can have there
        ((-300, 100, 150, 0, 0), 0),  # the band of nothing has no width
    ],
)
def test_the_amount_in_a_layer_is_what_all_who_reach_it_have_between_its_edges(
    parts: tuple[int, ...], expected: int
) -> None:
    amount, inside, reached, low, high = (np.array([value]) for value in parts)
    assert within(amount, inside, reached, low, high).tolist() == [expected]


def test_amounts_by_layer_add_up_to_what_persons_have() -> None:
    """The layers cut each person's year into pieces: none is lost, none counted twice."""
    rng = np.random.default_rng(5)
    totals = rng.gamma(0.7, 4000, 5000).astype(np.int64)
    low = np.array([0, 1000, 2000, 5000, 10_000])
    high = np.array([1000, 2000, 5000, 10_000, -1])
    band = np.searchsorted(low, totals, side="left") - 1
    inside = np.array([(band == b).sum() for b in range(5)])
    amount = np.array([totals[band == b].sum() for b in range(5)])
    reached = inside[::-1].cumsum()[::-1]
    pieces = within(amount, inside, reached, low, high)
    top = np.where(high < 0, np.iinfo(np.int64).max, high)
    exact = [np.clip(totals - a, 0, b - a).sum() for a, b in zip(low, top, strict=True)]
    assert pieces.tolist() == exact
    assert pieces.sum() == totals.sum()


def test_the_mean_excess_is_over_those_who_reach_the_edge() -> None:
    amount, reached, edge = np.array([60_000, 4000]), np.array([20, 5]), np.array([1000, 1000])
    assert mean_above(amount, reached, edge).tolist() == [2000, 0]


def figure(marks: bytes) -> Figure:
    return Figure(np.zeros(len(marks), np.int64), np.frombuffer(marks, np.uint8))


def test_a_figure_of_parts_is_hidden_as_its_worst_part_is() -> None:
    parts = [figure(b"rrrs"), figure(b"rcss")]
    held = np.array([True, False, False, False])
    assert worst(parts, held).tolist() == [ROUNDED, HIDDEN, SUPPRESSED, SUPPRESSED]


def test_the_tail_index_of_a_pareto_sample_is_found_within_its_error() -> None:
    rng = np.random.default_rng(11)
    body = rng.lognormal(9, 0.5, 39_600)
    edge = 60_000
    values = np.sort(np.concatenate([body, edge * rng.random(400) ** (-1 / 2.3)]))
    found = hill(np.rint(values * 100).astype(np.int64), 10)
    assert found is not None
    alpha, threshold, n = found
    assert abs(alpha / 100 - 2.3) < 3 * 2.3 / np.sqrt(n)
    assert len(str(threshold).rstrip("0")) <= 2
    assert n == int((values * 100 > threshold).sum()) <= 400


def test_the_tail_index_agrees_with_the_likelihood_of_a_library() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.sort((1000 * np.random.default_rng(7).pareto(1.7, 60_000) + 1000).astype(np.int64))
    found = hill(values, 50)
    assert found is not None
    alpha, threshold, _ = found
    above = values[values > threshold]
    fitted, _, _ = stats.pareto.fit(above, floc=0, fscale=threshold)
    assert alpha / 100 == pytest.approx(fitted, abs=0.006)


def test_equal_costs_have_no_tail() -> None:
    assert hill(np.full(1000, 700), 10) is None
    assert hill(np.zeros(1000, np.int64), 10) is None


def test_the_largest_per_cent_is_told_only_of_k_persons_of_whom_none_has_half() -> None:
    even = np.arange(1, 2001)
    assert share_of_largest(even, 1, 11) == round(100 * sum(range(1981, 2001)) / even.sum())
    assert share_of_largest(even[:1000], 1, 11) is None  # ten persons
    assert share_of_largest(np.append(even[:-1], 10**6), 1, 11) is None  # one has most of it
    assert share_of_largest(np.zeros(2000, np.int64), 1, 11) is None


def test_kinds_say_what_they_are_made_of() -> None:
    lower = {"low": 0, "middle": 1000, "high": 5000}
    kinds = [
        Linear(kind="linear", terms={"all": 1, "local": -1}),
        Cumulative(kind="cumulative", of="persons", along="layer"),
        Layered(
            kind="layer", amount="oop", persons="persons", reached="reached", along="layer",
            lower=lower,
        ),
        Excess(kind="excess", amount="above", reached="reached", along="layer", lower=lower),
        Pareto(kind="pareto", fact="stay", column="cost", part="alpha"),
        TopShare(kind="top_share", fact="spending", column="cost"),
    ]  # fmt: skip
    assert [kind.phrase() for kind in kinds] == [
        "all − local",
        "Σ persons of this and all higher values of layer",
        "oop − lower edge of layer × persons + width × (reached − persons)",
        "above ÷ reached − lower edge of layer",
        "Pareto fit of cost (alpha) above the largest 10 of 1000, at least 500 records",
        "share of the largest 1 % of cost in their sum",
    ]
    assert [[part.measure for part in kind.parts] for kind in kinds[:2]] == [
        ["all", "local"],
        ["persons"],
    ]
