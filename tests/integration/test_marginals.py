"""The marginals of SPEC 3.1–3.6, read back from a simulated city: `ci` always, `demo` when slow."""

from __future__ import annotations

import duckdb
import pytest

from tests.bureau_figures import GROUP, about, astray, correlation, ratio, ratios, top_share
from tests.bureau_sheets import FEES, SHEETS


@pytest.fixture
def priced(city: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The city with its fee lines summed by kind of care, level, category and class."""
    city.execute(FEES)
    return city


@pytest.mark.parametrize("sheet", SHEETS)
def test_figures_lie_within_their_tolerance(priced: duckdb.DuckDBPyConnection, sheet: str) -> None:
    query, wanted = SHEETS[sheet]
    assert astray(ratios(priced, query), wanted) == []


def test_longer_stays_cost_more(city: duckdb.DuckDBPyConnection) -> None:
    found = correlation(city, f"""SELECT {GROUP} AS g, ln(medfee_sumamt) AS x,
        ln(greatest(1, date_diff('day', begndate, enddate))) AS y FROM s
      WHERE k = 'IP' AND mid_setl_flag = '0'""")  # fmt: skip
    assert astray({"log": found}, {"log": about(0.65, 0.01)}) == []


def test_few_persons_cost_much(city: duckdb.DuckDBPyConnection) -> None:
    """PT8 for the first per cent."""
    query = f"""WITH i AS (SELECT DISTINCT psn_no FROM psn_insu_d
        WHERE crt_insu_date < '2025-01-01'
          AND coalesce(paus_insu_date, '2030-01-01') > '2024-01-01'),
      p AS (SELECT psn_no, sum(medfee_sumamt) AS m FROM s WHERE y = 2024 GROUP BY 1)
      SELECT {GROUP}, coalesce(m, 0)::DOUBLE FROM i LEFT JOIN p USING (psn_no)"""
    found = {str(share): top_share(city, query, share) for share in (0.01, 0.05, 0.20)}
    wanted = {
        "0.01": ratio(0.27, "persons"), "0.05": about(0.50, 0.035), "0.2": about(0.825, 0.025),
    }  # fmt: skip
    assert astray(found, wanted) == []
