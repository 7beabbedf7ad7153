"""The ruler the simulated cities are measured by: sampling error, tolerance, what is astray."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from tests.bureau_figures import Found, Wanted, astray, correlation, jackknife, ratios, top_share


def test_the_error_of_a_mean_is_the_textbook_one() -> None:
    values = np.random.default_rng(1).normal(5, 2, 50)
    found = jackknife(np.column_stack([values, np.ones(50)]), lambda s: float(s[0] / s[1]))
    assert found.value == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std(ddof=1) / np.sqrt(50))


@pytest.mark.parametrize(
    ("chance", "allowed"), [("none", 0.01), ("events", 3 * 0.5 / 20), ("persons", 0.06)]
)
def test_only_what_chance_explains_widens_a_tolerance(chance: str, allowed: float) -> None:
    wanted = Wanted(0.5, 0.01, chance)  # type: ignore[arg-type]  # a parameter of the test
    assert wanted.allows(Found(0.5, 400, 0.02)) == pytest.approx(allowed)


def test_what_lies_outside_or_is_no_number_is_astray() -> None:
    found = {"in": Found(1.009, 1, 0), "out": Found(1.011, 1, 0), "none": Found(np.nan, 0, 0)}
    wanted = dict.fromkeys(found, Wanted(1.0, 0.01))
    assert [line.split(":")[0] for line in astray(found, wanted)] == ["out", "none"]


def test_a_figure_nobody_finds_is_no_figure_met() -> None:
    with pytest.raises(KeyError):
        astray({}, {"gone": Wanted(1.0, 1.0)})


def test_ratios_correlations_and_shares_are_those_of_all_groups_together() -> None:
    with duckdb.connect() as sql:
        sql.execute(
            "CREATE TABLE t AS SELECT i, i % 50 AS g, i * i AS x, -i AS y FROM range(1, 1001) r(i)"
        )
        rate = ratios(sql, "SELECT 'all', g, sum(x), sum(i) FROM t GROUP BY g")["all"]
        assert rate.value == pytest.approx(667)
        row = sql.execute("SELECT corr(x, y) FROM t").fetchone()
        assert row is not None
        assert correlation(sql, "SELECT g, x, y FROM t").value == pytest.approx(row[0])
        half = top_share(sql, "SELECT g, i FROM t", 0.5).value
        assert half == pytest.approx(sum(range(501, 1001)) / sum(range(1, 1001)))
