"""S15 against its second implementation: the same persons are compared, to the same figures."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from gateway.releases.studies.effect import Panel, balance, difference, matched_sets
from synthetic.bureau.settings import Size
from tests.integration.conftest import simulated
from tests.outcome_study import SCALE, Key, persons, study
from tests.second import s15, slices

# Every second of the insured outside County A is a member: from January, from within March, or from
# July on; some let nobody link their records, and some are in a second programme. All are of an age
# and a sex, so that many can be matched.
ENROLLED = """
    CREATE TABLE enrolled AS
    WITH drawn AS (
        SELECT psn_no, row_number() OVER (ORDER BY md5(psn_no)) AS n
        FROM (SELECT DISTINCT psn_no FROM psn_insu_d WHERE insu_admdvs <> '990101'))
    SELECT 'HTN-' || if(n % 8 = 0, '990101', '990102') AS prog_id, psn_no, 'M03900' AS dise_no,
           if(n % 15 = 0, 'CARE_ONLY', 'LINK_FOR_EVALUATION') AS scope,
           [DATE '2024-01-01', DATE '2024-03-15', DATE '2024-07-01'][1 + n // 2 % 3] AS begndate,
           NULL::DATE AS enddate, '1' AS vali_flag
    FROM drawn WHERE n % 2 = 0;
    CREATE TABLE alike AS
    SELECT * REPLACE ('1' AS gend, DATE '1955-06-01' AS brdy) FROM psn_info_b;
    CREATE OR REPLACE VIEW psn_info_b AS FROM alike;
    CREATE OR REPLACE VIEW chr_prog_d AS FROM enrolled"""


@pytest.fixture(
    scope="module", params=[pytest.param(size, marks=pytest.mark.slow) for size in ("mini", "ci")]
)
def warehouse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> duckdb.DuckDBPyConnection:
    """A simulated city with members of every kind."""
    size: Size = request.param
    con = duckdb.connect()
    slices.tables_of(con, Path(simulated(tmp_path_factory, size, 1)))
    con.execute(ENROLLED)
    return con


@pytest.mark.timeout(1800)
def test_the_same_persons_are_matched_and_every_figure_agrees(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    found = study(warehouse)
    cohorts = s15.Cohorts(warehouse)
    people = cohorts.people()
    assert {programme for programme, _, _ in found} == set(people)
    joined = {(one.month, one.late) for own in people.values() for one in own}
    assert len(joined) == 3
    assert all(people.values())
    assert sum(map(len, people.values())) > 100
    for programme, own in people.items():
        who, panel = found[programme, "cost", "effect"]
        assert set(persons(who, panel)) == {(one.psn_no, one.treated) for one in own}
        assert len(set(panel.set_no.tolist())) == len({one.set_no for one in own})
        values = cohorts.values(own)
        for outcome in s15.OUTCOMES:
            for window in s15.WINDOWS if outcome == "op_visits" else ("effect", "pretrend"):
                agreed((programme, outcome, window), found, s15.regressed(values, outcome, window))


def agreed(key: Key, found: dict[Key, tuple[list[str], Panel]], other: s15.Found) -> None:
    panel = found[key][1]
    sets = matched_sets(panel)
    whole = difference(sets).times(1 / SCALE)
    assert whole.value == pytest.approx(other.estimate, rel=1e-4, abs=1e-4), key
    if len(sets) > 50 and whole.error > 0:
        assert whole.error == pytest.approx(other.error, rel=0.02), key
    smd = balance(panel)
    if smd is not None:
        assert smd == pytest.approx(other.smd, rel=1e-4, abs=1e-4), key
