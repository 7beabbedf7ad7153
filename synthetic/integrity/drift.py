"""How far two parts of the data lie apart: distributions, value sets, blanks, schema (SPEC §9.2).

Two warehouses, or two spans of one. What is told is shares, counts and names of columns: no value
of a record is in it, so that parties can show it to each other.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from synthetic.integrity.engine import MEMORY, opened, row_counts
from synthetic.integrity.placing import Connection
from synthetic.warehouse.codes import VERSIONS

PSI_WARN: Final = 0.1
PSI_STOP: Final = 0.25
COVERED_LEAST: Final = 0.985
BLANK_WARN: Final = 0.01
BLANK_STOP: Final = 0.05
_FLOOR = 1e-4  # of a share that is none: the logarithm of nothing is no number
_MOST_GROUPS = 50
_LEAST = 30  # records of the old data in a group of its own; rarer values are taken together


class Grade(StrEnum):
    """What a difference means for whoever goes on with the new data."""

    OK = "ok"
    WARN = "warn"
    STOP = "stop"


@dataclass(frozen=True)
class Span:
    """A warehouse, or the records of some of its months; both ends count."""

    folder: Path
    first: str = "0000-00"
    last: str = "9999-99"


@dataclass(frozen=True)
class Variable:
    """A column whose distribution matters; `numeric` ones are cut at the old data's deciles."""

    table: str
    column: str
    numeric: bool = False
    coded: bool = False  # its set of values is compared, too

    @property
    def name(self) -> str:
        """Table and column."""
        return f"{self.table}.{self.column}"


_KEY: Final[Mapping[str, tuple[str, str, str]]] = {
    # table: coded and grouped columns, code sets, numbers
    "setl_d": (
        "insutype psn_type med_type hosp_lv gend setl_type refd_setl_flag",
        "",
        "age medfee_sumamt inscp_amt fund_pay_sumamt psn_pay",
    ),
    "fee_list_d": (
        "list_type chrgitm_lv med_chrgitm_type",
        "med_list_codg",
        "cnt pric det_item_fee_sumamt",
    ),
    "mdtrt_d": ("med_type dscg_way adm_way", "dscg_maindiag_code", ""),
    "setl_diag_list_d": ("inout_diag_type maindiag_flag", "diag_code", ""),
    "drg_rslt_d": ("mdc case_type", "drg_code", "rw"),
}
_MONTH: Final[Mapping[str, str]] = {
    "setl_d": "setl_time",
    "fee_list_d": "fee_ocur_time",
    "mdtrt_d": "begntime",
}


def key_variables() -> tuple[Variable, ...]:
    """The variables that are compared."""
    found = []
    for table, (grouped, codes, numbers) in _KEY.items():
        found += [Variable(table, column, coded=True) for column in grouped.split()]
        found += [Variable(table, column, coded=True) for column in codes.split()]
        found += [Variable(table, column, numeric=True) for column in numbers.split()]
    return tuple(found)


@dataclass(frozen=True)
class Shift:
    """What is different about one variable."""

    name: str
    psi: float
    blank_old: float
    blank_new: float
    covered: float | None = None  # part of the new records whose value the old data know
    unknown_values: int | None = None

    @property
    def grades(self) -> Mapping[str, Grade]:
        """The grade of each thing compared."""
        blank = abs(self.blank_new - self.blank_old)
        found = {
            "psi": _grade(self.psi, PSI_WARN, PSI_STOP),
            "missing": _grade(blank, BLANK_WARN, BLANK_STOP),
        }
        if self.covered is not None:
            found["coverage"] = Grade.OK if self.covered >= COVERED_LEAST else Grade.WARN
        return found

    def as_dict(self) -> dict[str, object]:
        """The shift for machines."""
        told: dict[str, object] = {
            "variable": self.name,
            "psi": round(self.psi, 4),
            "missing_old": round(self.blank_old, 6),
            "missing_new": round(self.blank_new, 6),
            "grades": {name: grade.value for name, grade in self.grades.items()},
        }
        if self.covered is not None:
            told |= {"covered": round(self.covered, 6), "unknown_values": self.unknown_values}
        return told


@dataclass(frozen=True)
class Drift:
    """The whole comparison."""

    shifts: tuple[Shift, ...]
    fingerprints: tuple[str, str]
    schema: tuple[str, ...]  # columns that are new, gone or of another type
    skipped: tuple[str, ...] = field(default=())

    @property
    def grade(self) -> Grade:
        """The worst of all grades; another schema stops."""
        grades = [grade for one in self.shifts for grade in one.grades.values()]
        if self.fingerprints[0] != self.fingerprints[1] or Grade.STOP in grades:
            return Grade.STOP
        return Grade.WARN if Grade.WARN in grades else Grade.OK

    def as_dict(self) -> dict[str, object]:
        """The comparison for machines."""
        return {
            "grade": self.grade.value,
            "limits": {
                "psi_warn": PSI_WARN,
                "psi_stop": PSI_STOP,
                "covered_least": COVERED_LEAST,
                "missing_warn": BLANK_WARN,
                "missing_stop": BLANK_STOP,
            },
            "fingerprints": {"old": self.fingerprints[0], "new": self.fingerprints[1]},
            "schema": list(self.schema),
            "variables": [one.as_dict() for one in self.shifts],
            "skipped": list(self.skipped),
        }


def psi(old: Sequence[int], new: Sequence[int]) -> float:
    """The population stability index of two distributions over the same groups."""
    if not sum(old) or not sum(new):
        return 0.0
    pairs = [
        (max(before / sum(old), _FLOOR), max(after / sum(new), _FLOOR))
        for before, after in zip(old, new, strict=True)
    ]
    return sum((after - before) * math.log(after / before) for before, after in pairs)


def compare(old: Span, new: Span, memory: str = MEMORY, threads: int = 2) -> Drift:
    """Compare two spans, variable by variable."""
    with _both(old, new, memory, threads) as (before, after):
        there = {name for name, n in row_counts(before).items() if n}
        there &= {name for name, n in row_counts(after).items() if n}
        wanted = key_variables()
        shifts = tuple(
            _shift(one, _values(one, old), _values(one, new), before, after)
            for one in wanted
            if one.table in there
        )
        schemas = _schema(before), _schema(after)
    skipped = tuple(one.name for one in wanted if one.table not in there)
    return Drift(
        shifts,
        (_fingerprint(schemas[0]), _fingerprint(schemas[1])),
        _differences(*schemas),
        skipped,
    )


@contextmanager
def _both(
    old: Span, new: Span, memory: str, threads: int
) -> Iterator[tuple[Connection, Connection]]:
    with (
        opened(old.folder, memory, threads) as before,
        opened(new.folder, memory, threads) as after,
    ):
        yield before, after


def _values(one: Variable, span: Span) -> str:
    """SQL of the variable's values `v` in the span."""
    month, table = _MONTH.get(one.table), f'"{one.table}" AS t'
    if month is None:
        key = "setl_id" if one.table == "drg_rslt_d" else "mdtrt_id"
        head = "setl_d" if one.table == "drg_rslt_d" else "mdtrt_d"
        month = f"h.{_MONTH[head]}"
        table += f" JOIN {head} AS h ON h.{key} = t.{key}"
    else:
        month = f"t.{month}"
    return (
        f"SELECT t.{one.column} AS v FROM {table}"
        f" WHERE strftime({month}, '%Y-%m') BETWEEN '{span.first}' AND '{span.last}'"
    )


def _shift(one: Variable, before: str, after: str, old: Connection, new: Connection) -> Shift:
    blanks = (_blank(old, before), _blank(new, after))
    if one.numeric:
        edges = _edges(old, before)
        moved = psi(_histogram(old, before, edges), _histogram(new, after, edges))
        return Shift(one.name, moved, *blanks)
    groups = (_groups(old, before), _groups(new, after))
    known = [value for value, n in groups[0].items() if n >= _LEAST][:_MOST_GROUPS]
    whole = sum(groups[1].values())
    covered = sum(n for value, n in groups[1].items() if value in groups[0])
    return Shift(
        one.name,
        psi(_tally(groups[0], known), _tally(groups[1], known)),
        *blanks,
        covered / whole if whole else 1.0,
        len(groups[1].keys() - groups[0].keys()),
    )


def _groups(connection: Connection, values: str) -> dict[str, int]:
    """Records by value, the most frequent first."""
    return dict(
        connection.execute(
            f"SELECT v::VARCHAR, count(*) FROM ({values}) WHERE v IS NOT NULL"
            " GROUP BY 1 ORDER BY 2 DESC, 1"
        ).fetchall()
    )


def _tally(held: Mapping[str, int], known: Sequence[str]) -> list[int]:
    own = [held.get(value, 0) for value in known]
    return [*own, sum(held.values()) - sum(own)]


def _blank(connection: Connection, values: str) -> float:
    row = connection.execute(f"SELECT count(*) - count(v), count(*) FROM ({values})").fetchone()
    return row[0] / row[1] if row and row[1] else 0.0


def _edges(connection: Connection, values: str) -> list[float]:
    """The deciles of the old values, each once."""
    shares = ", ".join(f"{n / 10}" for n in range(1, 10))
    row = connection.execute(
        f"SELECT quantile_disc(v::DOUBLE, [{shares}]) FROM ({values}) WHERE v IS NOT NULL"
    ).fetchone()
    return sorted(set(row[0])) if row and row[0] else []


def _histogram(connection: Connection, values: str, edges: Sequence[float]) -> list[int]:
    """How many values lie up to each edge, and above the last."""
    steps = " ".join(f"WHEN v::DOUBLE <= {edge!r} THEN {at}" for at, edge in enumerate(edges))
    place = f"CASE {steps} ELSE {len(edges)} END" if edges else "0"
    found = dict(
        connection.execute(
            f"SELECT {place}, count(*) FROM ({values}) WHERE v IS NOT NULL GROUP BY 1"
        ).fetchall()
    )
    return [int(found.get(at, 0)) for at in range(len(edges) + 1)]


def _schema(connection: Connection) -> dict[str, str]:
    """Every column's type, by table and column."""
    rows = connection.execute(
        "SELECT table_name || '.' || column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'main' AND table_catalog = current_database()"
    ).fetchall()
    return dict(rows)


def _fingerprint(schema: Mapping[str, str]) -> str:
    """SHA-256 over names, types and the versions of the code lists."""
    whole = {"columns": dict(schema), "codes": {str(k): str(v) for k, v in VERSIONS.items()}}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    gone = [f"{name}: gone" for name in old.keys() - new.keys()]
    fresh = [f"{name}: new" for name in new.keys() - old.keys()]
    other = [f"{n}: {old[n]} → {new[n]}" for n in old.keys() & new.keys() if old[n] != new[n]]
    return tuple(sorted([*gone, *fresh, *other]))


def _grade(value: float, warn: float, stop: float) -> Grade:
    if value > stop:
        return Grade.STOP
    return Grade.WARN if value >= warn else Grade.OK
