"""Every shown cell of the releases in force, counted again straight from the warehouse's files.

Shares no code with the release builder: the cells are read out of the published files here, the
rows are those of `tests.served_recount`, and thresholds are SPEC 4.3's for DC2 and DC2P. Of each
cell: persons, institutions, insured, the shares of the largest institutions and of one person, for
drugs the makers; and that no sensitive code is named. A share whose numerator is a part of its cell
(a band of days, a kind of fee) is held to the same rules for that part.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from tests import served_recount
from tests.second import s07, s11, s12, s13, s24, slices

PERSONS, INSURED, TOP1, TOP2, ONE_PERSON, MAKERS = 11, 100, 0.8, 0.9, 0.5, 3
PERSONS_OF, ROUNDED_TO = {"DC1": 30}, {"DC1": 10}
INSTITUTIONS = {"DC2": 3, "DC2P": 5, "DC1": 5}
PERSON_FIGURE = {
    "S02": "persons", **dict.fromkeys(("S09", "S11", "S12", "S13"), "patients"),
}  # fmt: skip
ROW_OF = {
    "S04": "stay_row", "S06": "stay_row", "S07": "dip_row", "S09": "drug_row", "S11": "sold_row",
    "S12": "nego_row", "S13": "device_row", "S24": "unit_row",
}  # fmt: skip
RECOUNTED = {"S02", *ROW_OF}
SECOND = (s07, s11, s12, s13, s24)
COUNTING = {"unit_row": "true"}  # whoever is checked counts, whatever the amount
FEE = ("fee_cat14", "catalog_lv3")
OWN = ("insutype2", "psn_group6", "age5", "age10", "gend")
"""Dims a person has without any care."""

_AGE5 = """CASE WHEN years < 1 THEN '0' WHEN years < 5 THEN '1-4' WHEN years >= 85 THEN '85+'
           ELSE (years // 5 * 5) || '-' || (years // 5 * 5 + 4) END AS age5"""
# SPEC 4.4 as it is enabled; F00-F99 and the rare diseases of the bureau's list included.
_SENSITIVE = """(dx BETWEEN 'B20' AND 'B24' OR dx IN ('Z21', 'R75', 'N46', 'N97', 'T74', 'G35')
    OR dx BETWEEN 'A50' AND 'A64' OR dx[1:1] = 'F' OR dx BETWEEN 'O02' AND 'O06'
    OR dx IN ('Z30', 'Z31') OR dx[1:1] = 'Q' OR dx BETWEEN 'A15' AND 'A19'
    OR dx BETWEEN 'B15' AND 'B19' OR dx BETWEEN 'T36' AND 'T50' OR dx BETWEEN 'X60' AND 'X84'
    OR dx BETWEEN 'Y05' AND 'Y07' OR dx IN ('D66', 'D67', 'G70') OR dx BETWEEN 'E70' AND 'E72'
    OR dx BETWEEN 'E74' AND 'E77' OR dx IN ('E84', 'E85') OR dx BETWEEN 'G10' AND 'G12')"""
CHAPTER = """CASE WHEN dx < 'C' THEN '01' WHEN dx < 'D50' THEN '02' WHEN dx < 'E' THEN '03'
    WHEN dx[1:1] = 'H' THEN if(dx < 'H60', '07', '08') WHEN dx[1:1] IN ('S', 'T') THEN '19'
    WHEN dx[1:1] IN ('V', 'W', 'X', 'Y') THEN '20' WHEN dx[1:1] = 'Z' THEN '21'
    ELSE lpad(MAP {'E': '4', 'F': '5', 'G': '6', 'I': '9', 'J': '10', 'K': '11', 'L': '12',
        'M': '13', 'N': '14', 'O': '15', 'P': '16', 'Q': '17', 'R': '18'}[dx[1:1]], 2, '0') END"""
NAMED_SENSITIVE = {
    "dx_cat3": re.compile(
        "B2[0-4]|Z21|R75|A5|A6[0-4]|F|O0[2-6]|Z3[01]|N46|N97|Q|A1[5-9]|B1[5-9]|T3[6-9]|T4|T50|X[67]"
        "|X8[0-4]|T74|Y0[5-7]|D6[67]|E7[0-24-7]|E8[45]|G1[0-2]|G35|G70"
    ),
    **dict.fromkeys(
        ("atc3", "atc4", "generic"),
        re.compile("J05A[REGJP]|N07BC|N05A|G03XB|J04A"),
    ),
    **dict.fromkeys(("mdc", "adrg", "drg", "drg_adrg"), re.compile("T")),
}
_WHO = """hash(psn_no) AS person, hash(fixmedins_code) AS house, insu_admdvs AS county,
          insu_admdvs[1:4] || '00' AS city"""
ROWS = {
    "care_row": f"SELECT *, {_WHO}, {_AGE5}, (medfee_sumamt * 100)::BIGINT AS fen FROM care",
    "fee_row": f"SELECT *, {_WHO}, {_AGE5}, (amount * 100)::BIGINT AS fen FROM lines",
    "stay_row": f"""
        SELECT * REPLACE (if({_SENSITIVE}, 'sensitive_other.' || {CHAPTER}, dx) AS dx_cat3)
        FROM (SELECT *, dx_cat3 AS dx, {_WHO}, (medfee_sumamt * 100)::BIGINT AS fen
              FROM care WHERE benefit5 = 'IP')""",
    "bill_row": f"""
        SELECT *, {_WHO}, (amount * 100)::BIGINT AS fen FROM lines WHERE benefit5 = 'IP'""",
    "drug_row": f"SELECT *, {_WHO}, (amount * 100)::BIGINT AS fen FROM drugs",
    "dip_row": f"""
        SELECT * REPLACE (if({_SENSITIVE}, 'sensitive_other.' || dip_dx4[1:3], dip_dx4) AS dip_dx4)
        FROM (SELECT *, dip_dx4[1:3] AS dx, {_WHO}, (medfee_sumamt * 100)::BIGINT AS fen
              FROM dip_stays)""",
    "sold_row": f"SELECT *, {_WHO}, (amount * 100)::BIGINT AS fen FROM procured",
    "nego_row": f"SELECT *, {_WHO}, (amount * 100)::BIGINT AS fen FROM negotiated",
    "device_row": f"SELECT *, {_WHO}, (amount * 100)::BIGINT AS fen FROM devices",
    "unit_row": """
        SELECT *, hash(psn_no) AS person, hash(fixmedins_code) AS house, '990100' AS city,
               (inscp * 100)::BIGINT AS fen FROM checked_units""",
    "insured_row": f"""
        SELECT DISTINCT hash(psn_no) AS person, insu_admdvs AS county,
               insu_admdvs[1:4] || '00' AS city, gend, month, quarter, {_AGE5},
               if(insutype = '310', 'employee', 'resident') AS insutype2,
               MAP {{'11': 'active', '12': 'retired', '1401': 'child', '1402': 'child',
                     '1403': 'student', '1404': 'student', '15': 'adult_resident',
                     '16': 'elder_resident'}}[psn_type] AS psn_group6,
               if(years >= 80, '80+', (years // 10 * 10) || '-' || (years // 10 * 10 + 9)) AS age10
        FROM (SELECT *, date_sub('year', brdy, day) AS years
              FROM psn_insu_d JOIN psn_info_b USING (psn_no)
              JOIN (SELECT DISTINCT date_trunc('month', setl_time)::DATE AS day,
                           strftime(setl_time, '%Y-%m') AS month,
                           year(setl_time) || 'Q' || quarter(setl_time) AS quarter FROM setl_d)
              ON coalesce(crt_insu_date, psn_insu_date) < day + INTERVAL 1 MONTH
                 AND coalesce(paus_insu_date, DATE '9999-12-31') > day
                 AND coalesce(die_date, DATE '9999-12-31') >= day)""",
}
_DAYS = {"le1": "los <= 1", "2_3": "los BETWEEN 2 AND 3", "4_7": "los BETWEEN 4 AND 7",
         "8_14": "los BETWEEN 8 AND 14", "15_30": "los BETWEEN 15 AND 30",
         "gt30": "los > 30"}  # fmt: skip
_KINDS = {"drug": "'09', '10', '11'", "consumable": "'08'", "lab": "'04'", "exam": "'03'"}
PARTS = {
    "S04": {
        **{f"share_{band}": ("stay_row", where) for band, where in _DAYS.items()},
        "readmit31_share": ("stay_row", "back"),
    },
    "S06": {
        **{f"outlier_{k}_share": ("stay_row", f"case_type = '{k}'") for k in ("high", "low")},
        **{f"{k}_share": ("bill_row", f"fee_cat14 IN ({of})") for k, of in _KINDS.items()},
    },
}


@dataclass(frozen=True)
class Sheet:
    """The shown cells over the same columns, in periods of one grain and places of one level."""

    service: str
    profile: str
    columns: tuple[str, ...]
    grain: str
    level: str
    where: dict[str, list[str]]
    marks: list[str]
    persons: list[int]
    measures: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.marks)

    def having(self, measure: str) -> list[int]:
        """Cells in which the measure is shown."""
        at = self.measures.index(measure)
        return [i for i, marks in enumerate(self.marks) if marks[at] in "or"]


def sheets(releases: Path) -> Iterator[Sheet]:
    """All shown cells of the releases in force, read from the published files."""
    in_force = json.loads((releases / "CURRENT.json").read_text(encoding="utf-8"))
    for service, release in in_force.items():
        folder = releases / service / release
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        # A release without measures has no cells: an index of cohorts, rows of institutions.
        for profile in manifest["profiles"] if manifest["measures"] else ():
            yield from _sheets(folder, service, profile, manifest)


def _sheets(
    folder: Path, service: str, profile: str, manifest: Mapping[str, Any]
) -> Iterator[Sheet]:
    spans = [(grain, p) for grain, labels in manifest["periods"].items() for p in labels]
    names = tuple(measure["name"] for measure in manifest["measures"])
    figure = PERSON_FIGURE.get(service, names[0])
    size = len(spans) * len(manifest["geo"])
    with sqlite3.connect(f"file:{folder}/cells-{profile}.sqlite?immutable=1", uri=True) as con:
        for shape, columns in enumerate(manifest["shapes"]):
            rows = con.execute(
                f'SELECT block, cell, marks, "{figure}" FROM cells WHERE block BETWEEN ? AND ? '
                "AND (instr(marks, 'r') > 0 OR instr(marks, 'o') > 0)",
                (shape * size, (shape + 1) * size - 1),
            ).fetchall()
            lists = [manifest["levels"][column]["values"] for column in columns]
            for grain, level in product(manifest["periods"], ("city", "county")):
                own = [
                    row
                    for row in rows
                    if spans[row[0] % size // len(manifest["geo"])][0] == grain
                    and _level(manifest["geo"][row[0] % len(manifest["geo"])]) == level
                ]
                where = _decoded(own, columns, lists, spans, manifest["geo"])
                marks, persons = [row[2] for row in own], [row[3] or 0 for row in own]
                shaped = tuple(columns)
                yield Sheet(service, profile, shaped, grain, level, where, marks, persons, names)
    con.close()


def _level(place: str) -> str:
    return "city" if place.endswith("00") else "county"


def _decoded(
    rows: list[Any], columns: list[str], lists: list[list[str]],
    spans: list[tuple[str, str]], geo: list[str],
) -> dict[str, list[str]]:  # fmt: skip
    size = len(spans) * len(geo)
    where = {
        "period": [spans[row[0] % size // len(geo)][1] for row in rows],
        "geo": [geo[row[0] % len(geo)] for row in rows],
    }
    code = np.array([row[1] for row in rows], np.int64)
    for column, values in reversed(list(zip(columns, lists, strict=True))):
        code, digit = np.divmod(code, len(values))
        where[column] = [values[d] for d in digit.tolist()]
    return where


@dataclass(frozen=True)
class Fault:
    """A shown cell that breaks a rule; what is shown, never a count."""

    rule: str
    service: str
    cell: tuple[str, ...]


class Recount:
    """The warehouse as rows of care, fees, stays and drugs, and what cells of them hold."""

    def __init__(self, warehouse: Path) -> None:
        self._sql = duckdb.connect()
        slices.tables_of(self._sql, warehouse)
        second = {name: query for module in SECOND for name, query in module.TABLES.items()}
        for name, frame in s24.frames(self._sql).items():
            self._sql.register(name, frame)
        for name, query in {**served_recount.TABLES, **second, **ROWS}.items():
            self._sql.execute(f"CREATE TABLE {name} AS {query}")

    @contextmanager
    def spoilt(self, statement: str) -> Iterator[None]:
        """Other rows for the time of a block, for tests of this very recount."""
        self._sql.execute("BEGIN")
        try:
            self._sql.execute(statement)
            yield
        finally:
            self._sql.execute("ROLLBACK")

    def members(self, sheet: Sheet, cells: list[int], who: str, where: str) -> dict[int, set[int]]:
        """By cell, who (or what) is in it."""
        if not cells:
            return {}
        self._ask(sheet, cells)
        rows = self._sql.execute(
            f"SELECT DISTINCT a.id, {who} FROM {_table_of(sheet)} r "
            f"JOIN {_keyed(sheet, sheet.columns)} WHERE {where}"
        ).fetchall()
        found: dict[int, set[int]] = {}
        for cell, member in rows:
            found.setdefault(cell, set()).add(member)
        return found

    def _ask(self, sheet: Sheet, cells: list[int]) -> None:
        chosen = {name: [values[i] for i in cells] for name, values in sheet.where.items()}
        self._sql.register("asked", pa.table({"id": pa.array(cells), **chosen}))

    def faults(self, sheet: Sheet) -> Iterator[Fault]:
        """What is wrong with the cells of a sheet."""
        yield from self._broken(sheet, "", _table_of(sheet), "true", list(range(len(sheet))))
        for measure, (table, where) in PARTS.get(sheet.service, {}).items():
            if measure in sheet.measures:
                yield from self._broken(sheet, measure, table, where, sheet.having(measure))
        for column, pattern in NAMED_SENSITIVE.items():
            for i, value in enumerate(sheet.where.get(column, ())):
                if pattern.match(value):
                    yield self._fault("sensitive", sheet, i)
        if sheet.profile.startswith("DC2P"):
            for i, value in enumerate(sheet.where.get("dx_cat3", ())):
                if value.startswith("sensitive"):
                    yield self._fault("sensitive", sheet, i)

    def _broken(
        self, sheet: Sheet, part: str, table: str, where: str, cells: list[int]
    ) -> Iterator[Fault]:
        if not cells:
            return
        counted = self._counted(sheet, table, where, cells)
        for i in cells:
            for rule in _rules(sheet, part, i, counted.get(i)):
                yield self._fault(f"{part}: {rule}" if part else rule, sheet, i)

    def _fault(self, rule: str, sheet: Sheet, i: int) -> Fault:
        return Fault(rule, sheet.service, tuple(values[i] for values in sheet.where.values()))

    def _counted(
        self, sheet: Sheet, table: str, where: str, cells: list[int]
    ) -> dict[int, dict[str, float]]:
        """By cell: persons, houses, their largest parts and the whole; insured; makers."""
        self._ask(sheet, cells)
        named = {"generic", "mcs_generic"} & set(sheet.columns)
        maker = "hash(maker)" if named else "0"
        self._sql.execute(
            f"CREATE OR REPLACE TEMP TABLE base AS SELECT a.id, person, house, {maker} AS maker, "
            f"sum(fen) AS fen, bool_or({counts(sheet)}) AS counts FROM {table} r "
            f"JOIN {_keyed(sheet, sheet.columns)} WHERE {where} GROUP BY ALL"
        )
        known = [column for column in sheet.columns if column in OWN]
        found = self._sql.execute(
            "SELECT * FROM (SELECT id, count(DISTINCT person) FILTER (counts) AS persons, "
            f"sum(fen) AS whole FROM base GROUP BY 1) {_top('person', 'one')} "
            f"{_top('house', 'house')} {_top('maker', 'maker')} LEFT JOIN (SELECT id, insured "
            "FROM (SELECT key, count(DISTINCT person) AS insured FROM (SELECT person, "
            f"{_key(sheet, known)} AS key FROM insured_row) GROUP BY 1) "
            f"JOIN (SELECT id, {_key(sheet, known, asked=True)} AS key FROM asked) USING (key)) "
            "USING (id)"
        )
        names = [column[0] for column in found.description or ()]
        return {row[0]: dict(zip(names, row, strict=True)) for row in found.fetchall()}

    @cached_property
    def hidden_county(self) -> str:
        """The county with the fewest insured."""
        query = "SELECT county FROM insured_row GROUP BY 1 ORDER BY count(DISTINCT person) LIMIT 1"
        (row,) = self._sql.execute(query).fetchall()
        return str(row[0])


def counts(sheet: Sheet) -> str:
    """Which of its records count for a person figure."""
    return COUNTING.get(_table_of(sheet), "fen <> 0")


def _table_of(sheet: Sheet) -> str:
    if sheet.service == "S02":
        return "fee_row" if set(FEE) & set(sheet.columns) else "care_row"
    return ROW_OF[sheet.service]


def _key(sheet: Sheet, columns: Sequence[str], *, asked: bool = False) -> str:
    """One number for a period, a place and values of dims."""
    where = ("period", "geo") if asked else (sheet.grain, sheet.level)
    return f"hash({', '.join([*where, *columns])})"


def _keyed(sheet: Sheet, columns: Sequence[str]) -> str:
    own = f"SELECT id, {_key(sheet, columns, asked=True)} AS key FROM asked"
    return f"({own}) a ON {_key(sheet, columns)} = a.key"


def _top(party: str, name: str) -> str:
    """Of each cell: how many parties count, the largest part and that of the largest two."""
    return (
        f"JOIN (SELECT id, count(*) FILTER (c) AS {name}_n, max(f) AS {name}_1, "
        f"list_sum(max(f, 2)) AS {name}_2 FROM (SELECT id, {party}, sum(fen) AS f, "
        f"bool_or(counts) AS c FROM base GROUP BY ALL) GROUP BY id) USING (id)"
    )


def _rules(sheet: Sheet, part: str, i: int, of: Mapping[str, float] | None) -> Iterator[str]:
    """Names of the rules that a cell breaks."""
    if of is None:
        yield "no records"
        return
    whole = of["whole"]
    profile = sheet.profile.split("-")[0]
    limits = {
        "persons": of["persons"] >= PERSONS_OF.get(profile, PERSONS),
        "institutions": of["house_n"] >= INSTITUTIONS[profile],
        "insured": (of["insured"] or 0) >= INSURED,
        "negative": whole >= 0,
        "one institution": not whole or of["house_1"] <= TOP1 * whole,
        "two institutions": not whole or of["house_2"] <= TOP2 * whole,
        "one person": not whole or of["one_1"] <= ONE_PERSON * whole,
    }
    if {"generic", "mcs_generic"} & set(sheet.columns):
        limits["makers"] = of["maker_n"] >= MAKERS
        limits["one maker"] = not whole or of["maker_1"] <= TOP1 * whole
    figure = PERSON_FIGURE.get(sheet.service)
    if not part and figure and sheet.marks[i][sheet.measures.index(figure)] == "r":
        limits["figure"] = abs(sheet.persons[i] - of["persons"]) < ROUNDED_TO.get(profile, 5)
    yield from (rule for rule, holds in limits.items() if not holds)
