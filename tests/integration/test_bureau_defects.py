"""Defect profiles: `light` passes the four quality figures, `heavy` fails where it was damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from synthetic.bureau import simulate
from synthetic.bureau.settings import Defects
from synthetic.integrity.appraisal import Appraisal, appraise
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
    appraisal: Appraisal


def _damaged(folder: Path, defects: Defects) -> City:
    simulate(folder, "mini", 5, defects=defects)
    found = measure(folder, QUARTERS)
    feeders: dict[str, Counts] = {}
    for (_, code), counts in found.institutions.items():
        feeders.setdefault(code, Counts()).add(counts)
    figures = {p: {k: float(str(f[k])) for k in _KPIS} for p, f in found.figures.items()}
    return City(folder, figures, feeders, appraise(folder))


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


def test_light_defects_leave_the_rules_that_fail_named_with_the_money_on_them(light: City) -> None:
    failing = [one for one in light.appraisal.findings if one.rule == "R01" and one.feeder]
    assert failing
    for one in failing:
        assert one.table == "fee_list_d"
        assert 0 < one.failed <= one.checked
        assert one.amount_affected > 0
        assert len(one.region) == len("990101")
        assert one.severity == "block"


def test_heavy_defects_fail_every_month_and_name_feeder_and_rule(heavy: City) -> None:
    months = [one for one in heavy.appraisal.regional if one.period >= "2023-01"]
    assert all({"completeness", "consistency"} <= {*one.failed} for one in months)
    worst = [
        one
        for one in heavy.appraisal.findings
        if (one.feeder, one.rule, one.table) == (DRIFTING, "R19", "fee_list_d")
    ]
    assert len(worst) == 36  # the months that have lines
    assert all(one.failed == one.checked for one in worst)
    assert sum(one.amount_affected for one in worst) > 10_000


def test_the_lower_of_fields_and_records_received_is_the_completeness(heavy: City) -> None:
    tertiary = [one for one in heavy.appraisal.kpis if one.feeder == DRIFTING and not one.table]
    assert tertiary
    for one in tertiary:
        assert one.fields is not None
        assert one.received is not None
        assert one.completeness == min(one.fields, one.received)
    said, arrived = zip(
        *((1.0, one.received or 0) for one in heavy.appraisal.regional), strict=True
    )
    assert sum(arrived) / sum(said) == pytest.approx(0.97, abs=0.004)


def test_real_time_classes_and_batches_are_timed_apart(heavy: City) -> None:
    late = [one for one in heavy.appraisal.regional if "timeliness" in one.failed]
    assert len(late) > 40
    assert all(
        (one.timeliness or 0) >= 120 for one in late
    )  # minutes: two hours, or more than a day


def test_duplicates_and_unmapped_codes_are_further_figures(heavy: City, light: City) -> None:
    def failing(city: City, name: str) -> float:
        found = [one.failed for one in city.appraisal.further if one.name == name]
        return sum(found) / len(found)

    assert failing(heavy, "duplicates") > 0.8
    assert failing(heavy, "mapped_drugs") > 0.3
    assert failing(heavy, "valid_codes") > 0.6
    assert failing(light, "mapped_drugs") == 0
    assert failing(light, "valid_codes") < 0.1


def test_the_public_view_merges_feeders_and_loses_nothing(heavy: City) -> None:
    public, office = appraise(heavy.folder, public=True), heavy.appraisal
    assert public.regional == office.regional
    for total in ("failed", "amount_affected"):
        assert sum(getattr(one, total) for one in public.findings) == sum(
            getattr(one, total) for one in office.findings
        )
    feeders = {one.feeder for one in (*public.findings, *public.kpis)}
    assert DRIFTING not in feeders
    assert all(feeder in {"", "others"} or len(feeder) == len("990111") for feeder in feeders)


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
