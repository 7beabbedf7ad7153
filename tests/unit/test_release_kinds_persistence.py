"""Kinds of S10: Kaplan-Meier curves of many cells at once, and shares held to k on both sides."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from statsmodels.duration.survfunc import SurvfuncRight

from gateway.catalogue.kinds import Survival
from gateway.releases.kernel import Ints
from gateway.releases.kinds.survival import hundredths, kaplan_meier, means, told

DAYS = (1, 90, 180, 365)
Records = list[tuple[int, bool]]


def cells(*records: Records) -> tuple[Ints, Ints]:
    """Cells of (days, stopped), as an evaluator gets them."""
    coded = [sorted(2 * days + (not stopped) for days, stopped in cell) for cell in records]
    starts = np.append(0, np.cumsum([len(cell) for cell in coded])).astype(np.int64)
    return np.array([value for cell in coded for value in cell], np.int64), starts


def times(rng: np.random.Generator, n: int) -> Records:
    """Few distinct days, so that stops and censorings fall on the same ones."""
    days = rng.integers(0, 20, n) * 20
    return [(int(day), bool(rng.random() < 0.6)) for day in days]


def by_statsmodels(records: Records, at: int) -> tuple[float, float]:
    """The estimate and its standard error by the library."""
    curve = SurvfuncRight([day for day, _ in records], [int(s) for _, s in records])
    upto = curve.surv_times <= at
    if not upto.any():
        return 1.0, 0.0
    return float(curve.surv_prob[upto][-1]), float(curve.surv_prob_se[upto][-1])


@pytest.mark.parametrize("at", DAYS)
def test_many_cells_at_once_agree_with_the_library_cell_by_cell(at: int) -> None:
    rng = np.random.default_rng(at)
    records = [times(rng, int(n)) for n in rng.integers(12, 90, 60)]
    # Somebody is always followed to the end: the library warns where nobody is left.
    records = [[*cell, (500, False)] for cell in records]
    curve = kaplan_meier(*cells(*records), at)
    for i, cell in enumerate(records):
        survival, error = by_statsmodels(cell, at)
        assert curve.survival[i] == pytest.approx(survival, abs=1e-12)
        assert curve.error[i] == pytest.approx(error, abs=1e-12)
        assert curve.followed[i] == sum(day > at or (day == at and not s) for day, s in cell)


def test_who_stops_on_a_day_does_so_before_anybody_is_censored_on_it() -> None:
    curve = kaplan_meier(*cells([(90, False), (90, True), (200, False), (200, False)]), 90)
    assert curve.survival.tolist() == pytest.approx([0.75])


def test_a_cell_in_which_all_stop_ends_at_nothing_and_an_empty_one_is_not_told() -> None:
    curve = kaplan_meier(*cells([(10, True), (20, True)], []), 90)
    assert (curve.survival[0], curve.error[0]) == (0.0, 0.0)
    assert not told(curve, 1).any()


def test_the_interval_is_greenwoods_and_stays_within_nothing_and_all() -> None:
    """20 of 25 go on: 0.8 × √(5 ÷ (25 × 20)) = 0.08, and 1.96 of these are 0.157."""
    curve = kaplan_meier(*cells([(60, True)] * 5 + [(365, False)] * 20), 90)
    assert [hundredths(curve, part).tolist() for part in ("low", "point", "high")] == [
        [64], [80], [96],
    ]  # fmt: skip
    nearly = kaplan_meier(*cells([(60, True)] + [(365, False)] * 24), 90)
    assert hundredths(nearly, "high").tolist() == [100]


def test_a_curve_is_told_of_k_who_are_followed_and_of_small_cells_never_nearly_all() -> None:
    few = [(60, True)] * 30 + [(365, False)] * 10
    most = [(60, True)] * 3 + [(365, False)] * 90
    many = [(60, True)] * 4 + [(365, False)] * 120
    curve = kaplan_meier(*cells(few, [*few, (365, False)], most, many), 90)
    assert told(curve, 11).tolist() == [False, True, False, True]


def test_a_survival_needs_a_day_after_the_first() -> None:
    with pytest.raises(ValidationError):
        Survival(kind="survival", fact="f", column="c", at=0, part="point")


def test_a_share_is_told_where_k_have_it_and_k_have_not() -> None:
    values = np.array([0] * 11 + [1] * 10 + [0] * 11 + [1] * 11 + [0] * 10 + [1] * 20, np.int64)
    starts = np.array([0, 21, 43, 73], np.int64)
    shares, held = means(values, starts, 1, least=11, both_sides=True)
    assert held.tolist() == [False, True, False]
    assert shares.tolist() == [48, 50, 67]


def test_a_mean_is_of_k_records_and_half_a_hundredth_goes_up() -> None:
    values = np.array([50, 50, 149, 151, 100], np.int64)  # of 1000
    starts = np.array([0, 2, 5, 5], np.int64)
    found, held = means(values, starts, 1000, least=3, both_sides=False)
    assert found.tolist()[:2] == [5, 13]
    assert held.tolist() == [False, True, False]
    assert means(np.array([5, 5]), np.array([0, 2]), 1000, least=1, both_sides=False)[0] == [1]
