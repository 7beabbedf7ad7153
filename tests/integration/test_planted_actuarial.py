"""PT4 and PT8 read back through the definitions of S01, S02 and S05.

The services' own SQL runs over a simulated city, without rounding and protection: what a planted
truth needs of a figure is the definition. That releases publish these figures is tested beside.
"""

from __future__ import annotations

from math import sqrt

import duckdb
import numpy as np
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.releases.engine.sql import Library, written
from gateway.releases.kinds.tail import hill, share_of_largest
from tests.bureau_figures import GROUP, Wanted, astray, ratio, ratios
from tests.policy_factory import POLICIES

CATALOGUE = load_catalogue(POLICIES)


def rows_of(service: str, fact: str) -> str:
    """A fact of the catalogue as one statement over the warehouse's tables."""
    contract = CATALOGUE.services[service]
    library = Library.of(CATALOGUE.rollups_sql(contract))
    return written(library.expanded(fact, CATALOGUE.fact_sql(contract, fact)))


@pytest.mark.parametrize(
    ("service", "column", "wanted"),
    [("S01", "visits", Wanted(1.20, 0.012, "persons")), ("S02", "rx_cnt", ratio(0.88, "persons"))],
)
def test_pt4_the_reform_of_2023_moves_employees_to_outpatient_care(
    city: duckdb.DuckDBPyConnection, service: str, column: str, wanted: Wanted
) -> None:
    """Visits per insured day of 2023 against 2022; purchases at pharmacies fall."""
    found = ratios(
        city,
        f"""SELECT * FROM (WITH unit AS ({rows_of(service, "settlement")}),
          insured AS ({rows_of(service, "exposure")}),
          days AS (SELECT sum(days) FILTER (period_m < '2023') AS early,
              sum(days) FILTER (period_m LIKE '2023%') AS late
            FROM insured WHERE insutype2 = 'employee')
          SELECT 'employee', {GROUP} AS g,
            sum({column}) FILTER (period_m LIKE '2023%') / any_value(late),
            sum({column}) FILTER (period_m < '2023') / any_value(early)
          FROM unit, days WHERE insutype2 = 'employee' GROUP BY g)""",
    )
    assert astray(found, {"employee": wanted}) == []


def test_pt8_the_cost_of_a_stay_has_a_tail_of_index_2_3(city: duckdb.DuckDBPyConnection) -> None:
    """SPEC 3.5 plants it on stays. The fits of four years are read together, by their numbers."""
    rows = city.execute(f"""SELECT period_m[:4], (cost * 100)::BIGINT
      FROM ({rows_of("S05", "stay")}) ORDER BY 1, 2""").fetchnumpy()  # fmt: skip
    years, costs = rows.values()
    fits = [hill(np.asarray(costs[years == year]), 10) for year in np.unique(years)]
    alphas = [(fit[0] / 100, fit[2]) for fit in fits if fit is not None]
    assert len(alphas) == 4
    number = sum(n for _, n in alphas)
    found = number / sum(n / alpha for alpha, n in alphas)  # the estimate from all logarithms
    assert abs(found - 2.3) < 3 * 2.3 / sqrt(number)


def test_pt8_one_per_cent_of_the_insured_have_27_per_cent_of_the_cost(
    city: duckdb.DuckDBPyConnection,
) -> None:
    (costs,) = (
        city.execute(f"""SELECT (cost * 100)::BIGINT AS cost FROM ({rows_of("S05", "spending")})
      WHERE period_m[:4] = '2024' ORDER BY 1""")
        .fetchnumpy()
        .values()
    )
    share = share_of_largest(np.asarray(costs), 1, 11)
    assert share is not None
    # The largest have a Pareto tail: by 3 standard errors of its share, besides a point.
    assert abs(share / 100 - 0.27) <= 0.01 + 3 * 0.27 / sqrt(len(costs) / 100) / 2
