"""Defect profiles: `light` passes the four quality figures, `heavy` fails where it was damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from synthetic.bureau import simulate
from synthetic.bureau.settings import Defects
from synthetic.integrity.counting import Counts
from synthetic.integrity.engine import opened, run_rules
from synthetic.integrity.quality import measure

QUARTERS = ("2023Q2", "2024Q1", "2025Q3")
DRIFTING = "H99011100001"
LIMITS = {"completeness": 0.98, "consistency": 0.96}


@dataclass(frozen=True)
class City:
    """A damaged `mini` warehouse and what was measured in it."""

    folder: Path
    figures: dict[str, dict[str, float]]
    feeders: dict[str, Counts]


def _damaged(folder: Path, defects: Defects) -> City:
    simulate(folder, "mini", 5, defects=defects)
    found = measure(folder, QUARTERS)
    feeders: dict[str, Counts] = {}
    for (_, code), counts in found.institutions.items():
        feeders.setdefault(code, Counts()).add(counts)
    figures = {p: {k: float(str(f[k])) for k in _KPIS} for p, f in found.figures.items()}
    return City(folder, figures, feeders)


_KPIS = ("completeness", "consistency", "timeliness", "accuracy")


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> City:
    return _damaged(tmp_path_factory.mktemp("light"), "light")


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> City:
    return _damaged(tmp_path_factory.mktemp("heavy"), "heavy")


@pytest.fixture
def sql(heavy: City) -> Iterator[duckdb.DuckDBPyConnection]:
    with opened(heavy.folder) as connection:
        yield connection


def _row(sql: duckdb.DuckDBPyConnection, query: str) -> tuple[float, ...]:
    (row,) = sql.execute(query).fetchall()
    return tuple(float(value) for value in row)


def test_light_defects_pass_all_four_figures(light: City) -> None:
    for found in light.figures.values():
        assert all(found[name] >= limit for name, limit in LIMITS.items())
        assert found["timeliness"] <= 10
        assert found["accuracy"] <= 0.005


def test_heavy_defects_fail_completeness_consistency_and_timeliness(heavy: City) -> None:
    for found in heavy.figures.values():
        assert all(found[name] < limit for name, limit in LIMITS.items())
        assert found["timeliness"] > 10


def test_incomplete_feeders_are_the_ones_of_the_vendor(heavy: City) -> None:
    for code, counts in heavy.feeders.items():
        if code.startswith("H") and counts.expected > 10_000:
            complete = 1 - counts.missing / counts.expected
            assert (complete < LIMITS["completeness"]) is (code[-1] in "02468"), code


def test_the_inconsistent_feeder_is_named_with_its_rule(
    sql: duckdb.DuckDBPyConnection, heavy: City
) -> None:
    worst = max(heavy.feeders, key=lambda code: heavy.feeders[code].violating)
    assert worst == DRIFTING
    run_rules(sql)
    named = sql.execute("""SELECT f.rule, l.fixmedins_code FROM failing f
        JOIN fee_list_d l ON l.bkkp_sn = f.token WHERE f.record = 'fee_list_d'
      GROUP BY ALL ORDER BY count(*) DESC LIMIT 1""").fetchall()
    assert named == [("R19", DRIFTING)]


def test_what_never_arrived_is_missed_in_the_reported_totals(
    sql: duckdb.DuckDBPyConnection,
) -> None:
    said, arrived, result = _row(sql, """SELECT sum(stmt_cnt),
        (SELECT count(*) FROM setl_d WHERE right(setl_id, 1) <> '5'),
        avg((stmt_rslt = '000000')::INT) FROM recon_3201_d""")  # fmt: skip
    assert arrived / said == pytest.approx(0.97, abs=0.004)
    assert result < 0.9
    orphans = _row(
        sql,
        """SELECT (SELECT count(*) FROM fee_list_d ANTI JOIN mdtrt_d USING (mdtrt_id)),
      (SELECT count(*) FROM setl_fund_d ANTI JOIN setl_d USING (setl_id)),
      (SELECT count(*) FROM dip_rslt_d ANTI JOIN setl_d USING (setl_id))""",
    )
    assert orphans == (0, 0, 0)


def test_defects_of_rows_occur_as_often_as_the_profile_says(sql: duckdb.DuckDBPyConnection) -> None:
    again, late, local, diagnoses = _row(sql, """SELECT
      (SELECT 1 - count(DISTINCT medins_setl_id) / count(*) FROM setl_d),
      (SELECT avg((crte_time > setl_time + INTERVAL 10 MINUTE)::INT) FROM setl_d),
      (SELECT avg((med_type = '110104')::INT) FROM mdtrt_d WHERE left(med_type, 2) = '11'),
      (SELECT avg((diag_code = 'ZZ9999')::INT) FROM setl_diag_list_d)""")  # fmt: skip
    assert again == pytest.approx(0.003, abs=0.0015)
    assert late == pytest.approx(0.06, abs=0.005)
    assert local == pytest.approx(0.04, abs=0.005)
    assert diagnoses == pytest.approx(0.015, abs=0.003)


def test_local_categories_agree_between_the_tables_of_a_visit(
    sql: duckdb.DuckDBPyConnection,
) -> None:
    assert _row(sql, """SELECT count(*) FROM setl_d s JOIN mdtrt_d m USING (mdtrt_id)
      WHERE s.med_type <> m.med_type""") == (0,)  # fmt: skip
    assert _row(sql, """SELECT count(*) FROM fee_list_d f JOIN mdtrt_d m USING (mdtrt_id)
      WHERE f.med_type <> m.med_type""") == (0,)  # fmt: skip
