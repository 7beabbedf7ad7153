"""Risk figures that sdcMicro, ARX and the papers behind them print for published tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from gateway.masking.risk.diversity import diversity
from gateway.masking.risk.frequencies import (
    attackers,
    classes,
    coded,
    frequencies,
    individual_risk,
)
from gateway.masking.risk.suda import suda_scores

# sdcMicro `data(francdat)`, example of `freqCalc` and `indivRisk` (reference pages of 5.7.9, after
# Capobianchi, Polettini and Lucarelli).
FRANCDAT: dict[str, Sequence[object]] = {
    "Key1": [1, 1, 1, 3, 4, 4, 6, 1],
    "Key2": [2, 2, 2, 3, 3, 3, 2, 2],
    "Key3": [5, 1, 1, 1, 1, 1, 1, 5],
    "Key4": [1, 1, 1, 5, 4, 1, 5, 1],
}
WEIGHTS = [18, 45.5, 39, 17, 541, 8, 5, 92]


def test_sdcmicro_freqcalc_and_indivrisk() -> None:
    told = frequencies(FRANCDAT, WEIGHTS)
    assert told.sample.tolist() == [2, 2, 2, 1, 1, 1, 1, 2]
    assert told.population.tolist() == [110.0, 84.5, 84.5, 17.0, 541.0, 8.0, 5.0, 110.0]
    printed = "0.01714426 0.02204233 0.02204233 0.17707583 0.01165448 0.29706308 0.40235948"
    assert [f"{risk:.8f}" for risk in individual_risk(told)[:7]] == printed.split()


def test_sdcmicro_freqcalc_with_missing_values() -> None:
    holed = {name: list(values) for name, values in FRANCDAT.items()}
    holed["Key3"][2] = None
    holed["Key1"][3] = holed["Key2"][3] = None
    holed["Key4"][4] = None
    holed["Key1"][5] = None
    told = frequencies(holed, WEIGHTS)
    assert told.sample.tolist() == [3, 2, 4, 3, 3, 2, 2, 3]
    assert told.population.tolist() == [149.0, 84.5, 194.5, 563.0, 566.0, 549.0, 22.0, 149.0]


# World Bank, "Statistical Disclosure Control: A Practice Guide", chapter Measuring Risk, tables of
# frequencies and risk, of l-diversity and of SUDA scores; made with sdcMicro.
GUIDE: dict[str, Sequence[object]] = {
    "residence": ["U", "U", "U", "U", "R", "U", "U", "U", "U", "U"],
    "gender": ["F", "F", "F", "M", "F", "M", "F", "M", "F", "F"],
    "education": ["si", "si", "pi", "sc", "sc", "sc", "pc", "ps", "si", "si"],
    "labour": ["E", "E", "N", "E", "X", "E", "N", "X", "N", "N"],
}


def test_the_practice_guides_risks_scores_and_diversity() -> None:
    told = frequencies(GUIDE, [180, 180, 215, 76, 186, 76, 180, 215, 186, 76])
    risks = individual_risk(told)
    printed = ".0054 .0054 .0251 .0126 .0282 .0126 .0290 .0251 .0074 .0074"
    assert [f"{risk:.4f}"[1:] for risk in risks] == printed.split()
    assert f"{risks.mean():.5f}" == "0.01582"
    assert suda_scores(GUIDE, 3).tolist() == [0, 0, 6, 0, 12, 0, 6, 10, 0, 0]
    health = ["y", "y", "y", "y", "y", "n", "n", "y", "n", "y"]
    number = classes(coded(GUIDE))
    distinct = diversity(number, health).distinct[number]
    assert distinct.tolist() == [1, 1, 1, 2, 1, 2, 1, 1, 2, 2]


def test_arx_reidentification_risks_of_its_example() -> None:
    """ARX, `TestRiskMetrics` on the table of `DataProvider`: 1 and 1 before, .5 and 3/7 after."""
    ages = ["34", "45", "66", "70", "34", "70", "45"]
    zips = ["81667", "81675", "81925", "81931", "81931", "81931", "81931"]
    raw = {"age": ages, "gender": ["m", "f", "m", "f", "f", "m", "m"], "zipcode": zips}
    before = attackers(frequencies(raw))
    assert (before.prosecutor, before.marketer) == (1.0, 1.0)
    coarse = {
        "age": ["<50" if int(age) < 50 else ">=50" for age in ages],
        "gender": ["*"] * 7,
        "zipcode": [code[:3] + "**" for code in zips],
    }
    after = attackers(frequencies(coarse))
    assert after.prosecutor == 0.5
    assert after.marketer == pytest.approx(0.42857142857142855, abs=1e-15)


def test_t_closeness_of_the_salary_table() -> None:
    """Li, Li and Venkatasubramanian 2007, section 4.1: of 3k…11k, the class {3k,4k,5k} lies 0.375
    from the whole and {6k,8k,11k} 0.167."""
    salaries = [3, 4, 5, 6, 11, 8, 7, 9, 10]
    told = diversity(np.array([0, 0, 0, 1, 1, 1, 2, 2, 2]), salaries, ordered=True)
    assert [f"{each:.3f}" for each in told.distance[:2]] == ["0.375", "0.167"]


def test_entropy_diversity_of_the_inpatient_table() -> None:
    """Machanavajjhala et al. 2007, figure 3: three classes of four, 3-diverse; of entropy 2^1.5."""
    told = diversity(np.repeat([0, 1, 2], 4), [*"hvcc", *"chvv", *"hvcc"])
    assert told.distinct.tolist() == [3, 3, 3]
    assert told.entropy == pytest.approx([2**1.5] * 3)
    assert diversity(np.zeros(4, dtype=np.int64), [*"aabb"]).distance.tolist() == [0.0]
    halves = diversity(np.array([0, 0, 1, 1]), [*"aabb"])
    assert halves.distance.tolist() == [0.5, 0.5]
