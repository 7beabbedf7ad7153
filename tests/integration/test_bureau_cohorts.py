"""A province is simulated cohort by cohort: memory does not grow, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from synthetic.bureau import settings, simulate, tracing
from synthetic.bureau.people import populate
from synthetic.bureau.settings import Run
from synthetic.integrity.engine import check
from tests.bureau_warehouse import one, opened

SEED = 5


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cohorts of two blocks make up the smallest size."""
    monkeypatch.setattr(settings, "COHORT", 1_000)
    for module in (settings, tracing):
        monkeypatch.setattr(module, "BLOCK", 500)


def test_a_province_is_ten_cohorts_whose_blocks_and_persons_follow_one_another() -> None:
    cohorts = Run("province", 1).cohorts
    assert [c.persons for c in cohorts] == [200_000] * 10
    assert [number for c in cohorts for number in c.blocks] == list(range(400))
    assert cohorts[9].part(399) == (195_000, 200_000)
    assert len(Run("demo", 1).cohorts) == 1


def test_cohorts_make_one_warehouse(small: None, tmp_path: Path) -> None:
    first = simulate(tmp_path / "a", "mini", SEED, threads=1)
    assert simulate(tmp_path / "b", "mini", SEED, threads=3).files == first.files
    failed = {r.rule.id: r.failed for r in check(tmp_path / "a").results if r.failed}
    assert {rule: n for rule, n in failed.items() if rule != "R19b"} == {"R24": 60}
    with duckdb.connect() as connection:
        sql = opened(connection, tmp_path / "a")
        assert one(sql, "SELECT count(DISTINCT psn_no), max(psn_no) FROM psn_info_b") == (
            2_000, "990100P00002000",
        )  # fmt: skip
        assert one(
            sql, "SELECT count(DISTINCT psn_no) FROM psn_insu_d WHERE insu_admdvs = '990104'"
        ) == (9,)
        assert one(sql, """SELECT count(*) FROM (
          SELECT drg_code FROM drg_rslt_d JOIN s USING (setl_id)
          WHERE drg_code <> '0000' GROUP BY drg_code, lv HAVING count(DISTINCT std_fee) > 1
          UNION ALL SELECT dip_code FROM dip_rslt_d GROUP BY 1
          HAVING count(DISTINCT score) > 1)""") == (0,)  # fmt: skip
        for name, key in (("setl_d", "setl_id"), ("psn_insu_d", "psn_insu_rlts_id"),
                          ("sel_trac_d", "sel_sn")):  # fmt: skip
            rows, distinct, ordered = one(sql, f"""SELECT count(*), count(DISTINCT {key}),
              bool_and({key} > before IS NOT FALSE) FROM (SELECT {key}, lag({key}) OVER () AS before
                FROM {name})""")  # fmt: skip
            assert rows == distinct
            assert ordered


def test_cohorts_differ_from_each_other(small: None) -> None:
    first, second = (populate(cohort) for cohort in Run("mini", SEED).cohorts)
    assert (first.birth != second.birth).mean() > 0.9
