"""PT3 read back through the definitions of S09, and what S03's say of a simulated city.

A year's cases cannot show a wave of two months, and S03 publishes years; the drug that is given for
influenza shows it month by month. The services' own SQL runs over the city, without rounding and
protection.
"""

from __future__ import annotations

from math import log, sqrt

import duckdb
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.releases.engine.sql import Library, written
from tests.bureau_warehouse import one
from tests.policy_factory import POLICIES

CATALOGUE = load_catalogue(POLICIES)
WAVE = "('2023-12', '2024-01')"
USUAL = "('2023-01', '2024-12', '2025-01', '2025-12')"


def rows_of(service: str, fact: str) -> str:
    """A fact of the catalogue as one statement over the warehouse's tables."""
    contract = CATALOGUE.services[service]
    library = Library.of(CATALOGUE.rollups_sql(contract))
    return written(library.expanded(fact, CATALOGUE.fact_sql(contract, fact)))


def test_pt3_children_are_given_oseltamivir_twice_as_often_in_the_wave(
    city: duckdb.DuckDBPyConnection,
) -> None:
    """× 2.1 against the same months of other years, both against what else children are given."""
    wave, usual, others, usual_others = one(city, f"""SELECT * FROM (
      WITH unit AS ({rows_of("S09", "line")})
      SELECT sum(prescriptions) FILTER (flu AND period_m IN {WAVE}),
        sum(prescriptions) FILTER (flu AND period_m IN {USUAL}),
        sum(prescriptions) FILTER (NOT flu AND period_m IN {WAVE}),
        sum(prescriptions) FILTER (NOT flu AND period_m IN {USUAL})
      FROM (SELECT *, generic LIKE 'J05AH02%' AS flu
            FROM unit WHERE age10 = '0-9'))""")  # fmt: skip
    found = (wave / usual) / (others / usual_others)
    # An infection of the wave comes with a second one, so pairs count as one event.
    error = sqrt(2.1 / wave + 1 / usual)
    assert abs(log(found / 2.1)) < 3 * error
    assert error > 0.1 or found > 1.7


def test_adults_have_no_wave(city: duckdb.DuckDBPyConnection) -> None:
    wave, usual = one(city, f"""SELECT * FROM (
      WITH unit AS ({rows_of("S09", "line")})
      SELECT sum(prescriptions) FILTER (period_m IN {WAVE}),
        sum(prescriptions) FILTER (period_m IN {USUAL})
      FROM unit WHERE age10 NOT IN ('0-9', '10-19') AND generic LIKE 'J05AH02%')""")  # fmt: skip
    assert abs(log(2 * wave / usual)) < 3 * sqrt(1 / wave + 1 / usual)


@pytest.mark.parametrize(
    ("target", "low", "high"),
    [("I10-I15", 0.05, 0.20), ("E11-E14", 0.02, 0.10), ("J44", 0.003, 0.05)],
)
def test_chronic_disease_is_as_common_as_claims_show_it(
    city: duckdb.DuckDBPyConnection, target: str, low: float, high: float
) -> None:
    """SPEC 3.10: claims show hypertension of 12-16 % of adults, diabetes of 5-7 %, less of all."""
    cases, insured = one(city, f"""SELECT * FROM (
      WITH unit AS ({rows_of("S03", "case")}), people AS ({rows_of("S03", "exposure")})
      SELECT (SELECT count(DISTINCT psn_no) FROM unit
              WHERE dx_group = '{target}' AND period_m LIKE '2024%'),
             (SELECT count(DISTINCT psn_no) FROM people
              WHERE counting AND period_m LIKE '2024%'))""")  # fmt: skip
    assert low < cases / insured < high
