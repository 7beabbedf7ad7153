"""PT6 read back through the definitions of S10: adherence to metformin, switching to SGLT2.

The service's own SQL runs over a simulated city, without rounding and protection. Tolerances are
those of SPEC 3.12, or chance where there are few new users.
"""

from __future__ import annotations

from math import log, sqrt

import duckdb
import pytest

from tests.bureau_warehouse import persons
from tests.integration.test_planted_medicines import asked

METFORMIN, SGLT2 = "generic = 'A10BA02.oral'", "A10BK"


def test_pt6_new_users_of_metformin_are_covered_on_62_of_100_days(
    city: duckdb.DuckDBPyConnection,
) -> None:
    users, covered, spread, share = asked(
        city, "S10", "start",
        f"""SELECT count(pdc), avg(pdc), stddev_samp(pdc), avg(adherent)
            FROM unit WHERE {METFORMIN}""",
    )  # fmt: skip
    assert users > 0.002 * persons(city)
    assert covered == pytest.approx(0.62, abs=max(0.03, 2 * spread / sqrt(users)))
    assert 0.2 < share < 0.6


def test_pt6_the_hazard_of_going_to_sglt2_doubles_from_july_2024(
    city: duckdb.DuckDBPyConnection,
) -> None:
    early, late, days_early, days_late = asked(
        city, "S10", "calendar",
        f"""SELECT sum(switches) FILTER (moved_to = '{SGLT2}' AND period_m < '2024-07'),
              sum(switches) FILTER (moved_to = '{SGLT2}' AND period_m >= '2024-07'),
              sum(days) FILTER (period_m < '2024-07'), sum(days) FILTER (period_m >= '2024-07')
            FROM unit WHERE used_{METFORMIN}""",
    )  # fmt: skip
    found = (late / days_late) / (early / days_early)
    assert abs(log(found / 2)) < 2 * sqrt(1 / early + 1 / late)
    assert found > 1.2


def test_longer_gaps_and_shorter_times_leave_more_users_on_the_drug(
    city: duckdb.DuckDBPyConnection,
) -> None:
    """Of the users whose gaps were all followed: who stops by a gap of 90 days does by 30."""
    wrong, users = asked(
        city, "S10", "course",
        """SELECT count(*) FILTER (NOT (a <= b AND b <= c)), count(*)
           FROM (SELECT max(course) FILTER (gap = '30') AS a, max(course) FILTER (gap = '60') AS b,
                        max(course) FILTER (gap = '90') AS c
                 FROM unit WHERE course % 2 = 0 OR course = 731
                 GROUP BY psn_no, atc4, period_m HAVING count(*) = 3)""",
    )  # fmt: skip
    assert wrong == 0
    assert users > 100
