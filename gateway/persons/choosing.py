"""The people of a sandbox: chosen from its simulated warehouse, one for each case a claim can be.

They are in the person source under the same numbers, so that a consent one of them gives leads to
records: sign-in, consent and claim are the whole way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb

from gateway.errors import OperatorError

_CLAIMS: Final = 3


class Case(NamedTuple):
    """A kind of person: what makes them one, in the words of the warehouse's columns."""

    id: str
    condition: str
    note_zh: str
    note_en: str


_ALIVE = "p.die_date IS NULL"
_AGE = "date_diff('year', p.brdy, $today)"
_WELL = f"{_ALIVE} AND NOT sick AND {_AGE}"
_CHILD = "未满 14 周岁的孩子", "a child under 14"
CASES: Final = (
    Case("adult", f"{_WELL} BETWEEN 25 AND 55", "成年人", "an adult"),
    Case("other", f"{_WELL} BETWEEN 25 AND 55", "另一位成年人", "another adult, for mix-ups"),
    Case("parent", f"{_WELL} BETWEEN 30 AND 50 AND p.gend = '2'", "有孩子的母亲", "a mother"),
    Case("child", f"{_WELL} BETWEEN 3 AND 10", *_CHILD),
    Case("teenager", f"{_WELL} BETWEEN 15 AND 16", "已满 14 周岁，自己决定", "decides alone"),
    Case("elder", f"{_WELL} >= 70", "70 岁以上", "over 70"),
    Case("patient", f"{_ALIVE} AND sick", "有敏感诊断记录", "has sensitive diagnoses on record"),
    Case("dead", "p.die_date IS NOT NULL AND NOT sick", "已故", "has died, with records left"),
)
_SENSITIVE = ("B20", "B24"), ("F20", "F29"), ("A50", "A64"), ("B18", "B18")
"""HIV, schizophrenia, infections passed on by sex, chronic hepatitis: of SPEC 4.4, enough to pick
somebody by."""
_FACTS = """
CREATE TEMP TABLE fact AS
SELECT s.psn_no, count(*) AS n FROM setl s
WHERE coalesce(s.refd_setl_flag, '0') = '0' GROUP BY s.psn_no;
CREATE TEMP TABLE ill AS
SELECT DISTINCT m.psn_no FROM mdtrt m WHERE {sick};
CREATE TEMP TABLE people AS
SELECT p.*, f.n, i.psn_no IS NOT NULL AS sick
FROM psn p JOIN fact f USING (psn_no) LEFT JOIN ill i USING (psn_no)
WHERE p.certno IS NOT NULL AND length(p.certno) = 18 AND p.psn_name IS NOT NULL;
"""
_TABLES = {"psn": "psn_info_b", "setl": "setl_d", "mdtrt": "mdtrt_d"}


def choose(folder: Path, today: date) -> list[dict[str, object]]:
    """Entries of `people.yaml` from a version of the warehouse; raises `OperatorError` where it is
    too small to have somebody for each case."""
    with duckdb.connect() as db:
        for name, table in _TABLES.items():
            file = str(folder / f"{table}.parquet").replace("'", "''")
            db.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{file}')")
        db.execute(_FACTS.format(sick=_sick()))
        chosen: dict[str, tuple[Any, ...]] = {}
        for case in CASES:
            chosen[case.id] = _one(db, case, [row[0] for row in chosen.values()], today)
        return [_entry(db, case, chosen[case.id]) for case in CASES]


def _sick() -> str:
    ranges = (f"left(m.dscg_maindiag_code, 3) BETWEEN '{a}' AND '{b}'" for a, b in _SENSITIVE)
    return " OR ".join(ranges)


def _one(
    db: duckdb.DuckDBPyConnection, case: Case, taken: Sequence[str], today: date
) -> tuple[Any, ...]:  # number, name, certificate number, birthday, day of death
    """Who has most to show, and nobody twice."""
    found = db.execute(
        "SELECT p.psn_no, p.psn_name, p.certno, p.brdy, p.die_date FROM people p "
        f"WHERE {case.condition} AND NOT list_contains($taken, p.psn_no) "
        "ORDER BY p.n DESC, p.psn_no LIMIT 1",
        {"taken": list(taken)} | ({"today": today} if "$today" in case.condition else {}),
    ).fetchone()
    if found is None:
        raise OperatorError(
            "sandbox.people", f"The warehouse has nobody who is {case.note_en}: simulate more."
        )
    return found


def _entry(db: duckdb.DuckDBPyConnection, case: Case, found: tuple[Any, ...]) -> dict[str, object]:
    number, name, certno, born, died = found
    claims = db.execute(
        "SELECT setl_id, invono, setl_time::DATE, medfee_sumamt FROM setl "
        "WHERE psn_no = $number AND coalesce(refd_setl_flag, '0') = '0' "
        "ORDER BY setl_time DESC, setl_id LIMIT $most",
        {"number": number, "most": _CLAIMS},
    ).fetchall()
    return {
        "id": case.id, "name": name, "certno": certno, "birthday": born, "died": died,
        "note_zh": case.note_zh, "note_en": case.note_en,
        "wards": [{"person": "child", "relation": "mother"}] if case.id == "parent" else [],
        "claims": [
            {"setl_id": setl, "invoice": invoice, "settled_on": day, "medfee": f"{fee:.2f}"}
            for setl, invoice, day, fee in claims
        ],
    }  # fmt: skip
