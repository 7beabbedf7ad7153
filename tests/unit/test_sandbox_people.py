"""The people of a sandbox are chosen from its warehouse: one for each case, nobody twice."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from gateway.errors import OperatorError
from gateway.persons.choosing import CASES, choose
from gateway.worlds.people import People

TODAY = date(2026, 6, 1)
_BORN = {
    "p1": 1990, "p2": 1991, "p3": 1985, "p4": 2019, "p5": 2011, "p6": 1950, "p7": 1980, "p8": 1940,
}  # fmt: skip


def _warehouse(folder: Path, born: dict[str, int]) -> Path:
    """Somebody for each case; p7 has HIV on record, p8 has died."""
    people = ", ".join(
        f"('{name}', '9901011990010100{name[1]}X', '测试{name}', DATE '{year}-01-01', "
        f"'{1 + (name == 'p3')}', {'current_date' if name == 'p8' else 'NULL'}::DATE)"
        for name, year in born.items()
    )
    visits = ", ".join(f"('{name}', '{'B20' if name == 'p7' else 'J18'}.900')" for name in born)
    paid = ", ".join(
        f"('s{n}-{name}', 'i{n}', '{name}', TIMESTAMP '2025-12-0{n + 1} 09:00', 12.5, '{n // 2}')"
        for name in born
        for n in range(3)
    )
    made = {
        f"psn_info_b AS SELECT * FROM (VALUES {people})": (
            "psn_no, certno, psn_name, brdy, gend, die_date"
        ),
        f"mdtrt_d AS SELECT * FROM (VALUES {visits})": "psn_no, dscg_maindiag_code",
        f"setl_d AS SELECT * FROM (VALUES {paid})": (
            "setl_id, invono, psn_no, setl_time, medfee_sumamt, refd_setl_flag"
        ),
    }
    with duckdb.connect() as db:
        for told, columns in made.items():
            name = told.partition(" ")[0]
            db.execute(f"CREATE TABLE {told} AS t({columns})")
            db.execute(f"COPY {name} TO '{folder}/{name}.parquet'")
    return folder


def test_there_is_somebody_for_each_case_with_claims_to_ask_about(tmp_path: Path) -> None:
    found = People.model_validate({"people": choose(_warehouse(tmp_path, _BORN), TODAY)}).people
    by_id = {each.id: each for each in found}
    assert list(by_id) == [case.id for case in CASES]
    assert len({each.certno for each in found}) == len(CASES)
    named = {name: by_id[name].name for name in ("parent", "patient", "dead", "child")}
    assert named == {"parent": "测试p3", "patient": "测试p7", "dead": "测试p8", "child": "测试p4"}
    assert [ward.person for ward in by_id["parent"].wards] == ["child"]
    assert by_id["dead"].died is not None
    assert [claim.setl_id for claim in by_id["adult"].claims] == ["s1-p1", "s0-p1"]  # s2: refunded


def test_a_warehouse_without_somebody_says_whom_it_lacks(tmp_path: Path) -> None:
    lacking = {name: year for name, year in _BORN.items() if name != "p4"}
    with pytest.raises(OperatorError, match="child under 14"):
        choose(_warehouse(tmp_path, lacking), TODAY)
