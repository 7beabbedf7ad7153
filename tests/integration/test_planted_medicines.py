"""PT1, PT2, PT7 and PT9 read back through the definitions of S11, S12, S24 and S06.

The services' own SQL runs over a simulated city, without rounding and protection: what a planted
truth needs of a figure is the definition. That releases publish these figures is tested beside.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import duckdb
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.releases.engine.sql import Library, written
from tests.bureau_warehouse import one, persons
from tests.policy_factory import POLICIES

CATALOGUE = load_catalogue(POLICIES)
AFTER, BEFORE = "BETWEEN '2024-10' AND '2025-06'", "BETWEEN '2023-10' AND '2024-06'"


def rows_of(service: str, fact: str) -> str:
    """A fact of the catalogue as one statement over the warehouse's tables."""
    contract = CATALOGUE.services[service]
    library = Library.of(CATALOGUE.rollups_sql(contract))
    return written(library.expanded(fact, CATALOGUE.fact_sql(contract, fact)))


def asked(city: duckdb.DuckDBPyConnection, service: str, fact: str, query: str) -> Any:
    """The only row of a query over `unit`, the rows of a fact."""
    return one(city, f"SELECT * FROM (WITH unit AS ({rows_of(service, fact)}) {query})")


def test_pt1_price_share_and_volume_of_the_batch(city: duckdb.DuckDBPyConnection) -> None:
    batch = "vbp_batch = 'VBP-SYN-02'"
    won = f"{batch} AND selected_flag = 'selected' AND period_m {AFTER}"
    price, share, laspeyres, more, lines = asked(
        city, "S11", "line",
        f"""SELECT sum(amount_now) FILTER ({won}) / sum(amount_then) FILTER ({won}),
              sum(ddd) FILTER ({won}) / sum(ddd) FILTER ({batch} AND period_m {AFTER}),
              sum(basket_now) FILTER ({batch} AND period_m {AFTER})
                / sum(basket_then) FILTER ({batch} AND period_m {AFTER}),
              sum(ddd) FILTER ({batch} AND period_m {AFTER})
                / sum(ddd) FILTER ({batch} AND period_m {BEFORE}),
              count(*) FILTER ({batch} AND period_m {BEFORE}) FROM unit""",
    )  # fmt: skip
    assert price == pytest.approx(0.35, rel=0.03)
    assert share == pytest.approx(0.75, abs=0.04)
    assert laspeyres == pytest.approx(0.75 * 0.35 + 0.25, abs=0.04)
    assert float(more) == pytest.approx(1.08, abs=0.03 + 3 / sqrt(lines))


def test_pt1_savings_are_volume_times_the_fall_of_price(city: duckdb.DuckDBPyConnection) -> None:
    then, now, early = asked(
        city, "S11", "line",
        "SELECT sum(award_then), sum(award_now), count(award_then) FILTER (period_m < '2024-07')"
        " FROM unit WHERE selected_flag = 'selected' AND vbp_batch = 'VBP-SYN-02'",
    )  # fmt: skip
    assert early == 0
    assert float((then - now) / then) == pytest.approx(0.65, abs=0.02)


def test_pt2_users_and_channels_of_the_drug_listed_in_2024(
    city: duckdb.DuckDBPyConnection,
) -> None:
    users, first, fills, pharmacy, fund = asked(
        city, "S12", "line",
        """SELECT count(DISTINCT psn_no), min(period_m), sum(fills),
             sum(fills) FILTER (channel3 = 'dual_channel') / sum(fills),
             sum(fund_part) / sum(amount) FROM unit WHERE generic = 'A10BJ06.injection'""",
    )  # fmt: skip
    assert first >= "2024-01"
    assert users == round(1.8e-4 * persons(city))
    assert float(pharmacy) == pytest.approx(0.40, abs=3 * sqrt(0.4 * 0.6 / float(fills)))
    assert 0 <= fund <= 1


def test_pt2_months_since_listing_count_from_january(city: duckdb.DuckDBPyConnection) -> None:
    (wrong,) = asked(
        city, "S12", "listed",
        """SELECT count(*) FILTER (months_listed <> 12 * (left(period_m, 4)::INT - 2024)
             + right(period_m, 2)::INT - 1) FROM unit WHERE generic = 'A10BJ06.injection'""",
    )  # fmt: skip
    assert wrong == 0


def _hits_by_house(city: duckdb.DuckDBPyConnection, number: int, least: int) -> list[Any]:
    """Hits per unit of each institution with at least so many units, the highest first."""
    contract = CATALOGUE.services["S24"]
    library = Library.of(CATALOGUE.rollups_sql(contract))
    name = contract.facts["unit"].queries[number - 1]
    text = (CATALOGUE.folder("S24") / name).read_text(encoding="utf-8")
    rows = city.execute(
        f"""SELECT * FROM (WITH unit AS ({written(library.expanded(name, text))})
          SELECT avg((hit = 'yes')::INT) AS r, count(*), fixmedins_code FROM unit
          GROUP BY fixmedins_code HAVING count(*) >= {least}) ORDER BY r DESC, 3"""
    )
    return rows.fetchall()


def test_pt7_the_night_pharmacy_leads_its_peers(city: duckdb.DuckDBPyConnection) -> None:
    first, second = _hits_by_house(city, 4, 100)[:2]
    assert first[0] > 0.2
    assert first[0] > 5 * second[0]


def test_pt7_the_hospital_that_splits_stays_leads_its_peers(
    city: duckdb.DuckDBPyConnection,
) -> None:
    first, second = _hits_by_house(city, 2, 100)[:2]
    assert first[0] == pytest.approx(0.15, abs=max(0.02, 2 * sqrt(0.15 * 0.85 / first[1])))
    assert first[0] > 3 * second[0]


def test_pt7_only_the_rings_meet_at_one_counter(city: duckdb.DuckDBPyConnection) -> None:
    (cards,) = asked(
        city, "S24", "unit",
        "SELECT count(DISTINCT psn_no) FROM unit WHERE indicator14 = 'F14' AND hit = 'yes'",
    )  # fmt: skip
    assert round(cards / 6) == persons(city) // 5_000


def test_pt9_the_wide_group_and_the_narrowing_one(city: duckdb.DuckDBPyConnection) -> None:
    wide, late = asked(
        city, "S06", "cost",
        """SELECT stddev_samp(medfee_trimmed) FILTER (adrg = 'IU2' AND period_m[1:4] = '2024')
              / avg(medfee_trimmed) FILTER (adrg = 'IU2' AND period_m[1:4] = '2024'),
            stddev_samp(medfee_trimmed) FILTER (adrg = 'GW1' AND period_m >= '2025-10')
              / avg(medfee_trimmed) FILTER (adrg = 'GW1' AND period_m >= '2025-10') FROM unit""",
    )  # fmt: skip
    scale = sqrt(20_000 / persons(city))
    assert wide == pytest.approx(1.32, abs=max(0.06 * scale, 0.03))
    assert late == pytest.approx(0.98, abs=0.10 * scale)
