"""From the warehouse into the source of packs: counts by code, under keyed hashes.

For the builder's command, which may read the warehouse. Sales are `sel_trac_d` (3505); purchases,
returns to the supplier and returns by buyers `trac_flow_d` (3503, 3504, 3506), recalls of lots
`drug_recl_b`; a warehouse without the last two knows sold packs alone. Packs that were sold twice
are a clue for the bureau (`resold`), with the places the source itself does not hold.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb

from gateway.db.whole import written_whole
from gateway.errors import OperatorError
from gateway.traces.forms import PRODUCT_DIGITS
from gateway.traces.source import code_mac

BATCH: Final = 20_000
_NO_FLOWS = """SELECT NULL::VARCHAR AS flow_type, NULL::VARCHAR AS med_list_codg,
  NULL::VARCHAR AS manu_lotnum, NULL::DATE AS expy_end, NULL::VARCHAR AS trac_codg WHERE false"""
_NO_RECALLS = """SELECT NULL::VARCHAR AS med_list_codg, NULL::VARCHAR AS manu_lotnum,
  NULL::DATE AS recl_date WHERE false"""
_SALES: Final = """
CREATE VIEW sale AS SELECT * FROM read_parquet('{sales}') WHERE coalesce(vali_flag, '1') = '1'"""
_PACKS: Final = """
CREATE TEMP TABLE pack AS
WITH sold AS (
  SELECT drug_trac_codg AS code, any_value(med_list_codg) AS med_list_codg,
    any_value(manu_lotnum) AS lot, max(expy_end) AS expires,
    count(*) FILTER (coalesce(trdn_flag, '0') <> '1')
      + coalesce(ceil(sum(sel_retn_cnt) FILTER (trdn_flag = '1')), 0)::BIGINT AS sold,
    strftime(min(sel_retn_time), '%Y-%m') AS month
  FROM sale WHERE drug_trac_codg IS NOT NULL GROUP BY ALL
), moved AS (
  SELECT trac_codg AS code, any_value(med_list_codg) AS med_list_codg,
    any_value(manu_lotnum) AS lot, max(expy_end) AS expires,
    count(*) FILTER (flow_type = '3503') AS bought,
    count(*) FILTER (flow_type = '3504') AS sent_back,
    count(*) FILTER (flow_type = '3506') AS returned
  FROM ({flows}) WHERE trac_codg IS NOT NULL GROUP BY ALL
), called AS (
  SELECT med_list_codg, manu_lotnum AS lot, min(recl_date) AS recalled FROM ({recalls}) GROUP BY ALL
), one AS (
  SELECT code, coalesce(s.med_list_codg, m.med_list_codg) AS med_list_codg,
    coalesce(s.lot, m.lot) AS lot, coalesce(s.expires, m.expires) AS expires,
    coalesce(bought, 0) AS bought, coalesce(sent_back, 0) AS sent_back,
    coalesce(sold, 0) AS sold, coalesce(returned, 0) AS returned, month
  FROM sold s FULL JOIN moved m USING (code)
)
SELECT one.*, called.recalled FROM one LEFT JOIN called USING (med_list_codg, lot)"""
_PRODUCTS: Final = """
WITH counted AS (
  SELECT CASE WHEN code LIKE '(01)%' THEN code[5:18] ELSE code[1:{digits}] END AS prefix,
    med_list_codg, count(*) AS packs
  FROM pack WHERE med_list_codg IS NOT NULL GROUP BY ALL
), best AS (
  -- A prefix names one product; the few packs filed under another are errors, or were swapped.
  SELECT * FROM counted
  QUALIFY row_number() OVER (PARTITION BY prefix ORDER BY packs DESC, med_list_codg) = 1
    AND packs >= 0.9 * sum(packs) OVER (PARTITION BY prefix)
)
SELECT b.prefix, b.med_list_codg, coalesce(d.drug_genname, m.mcs_genname),
  coalesce(d.drug_spec, m.spec), coalesce(d.prodentp_name, m.prodentp_name)
FROM best b
LEFT JOIN read_parquet('{drugs}') d USING (med_list_codg)
LEFT JOIN read_parquet('{devices}') m ON m.med_list_codg = b.med_list_codg
ORDER BY b.prefix"""
_ROWS: Final = """
SELECT code, bought, sent_back, sold, returned, month, expires::VARCHAR, recalled::VARCHAR
FROM pack ORDER BY code"""
_RESOLD: Final = """
SELECT s.drug_trac_codg AS code, s.med_list_codg, s.fixmedins_code, s.sel_retn_time AS sold_at,
  s.sel_sn
FROM sale s JOIN pack p ON p.code = s.drug_trac_codg
WHERE p.sold - p.returned > 1 ORDER BY code, sold_at, s.sel_sn"""
_TABLES: Final = """
CREATE TABLE load (id TEXT NOT NULL, loaded_at TEXT NOT NULL);
CREATE TABLE product (prefix TEXT PRIMARY KEY, med_list_codg TEXT NOT NULL, genname TEXT,
  spec TEXT, maker TEXT, mah TEXT) WITHOUT ROWID;
CREATE TABLE pack (code BLOB PRIMARY KEY, bought INTEGER NOT NULL, sent_back INTEGER NOT NULL,
  sold INTEGER NOT NULL, returned INTEGER NOT NULL, month TEXT, expires TEXT, recalled TEXT)
  WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Loaded:
    """What a load holds; `resold` counts the packs that are a clue for the bureau."""

    load: str
    packs: int
    products: int
    resold: int


@dataclass(frozen=True)
class Resale:
    """One sale of a pack that was sold more than once; for the bureau alone."""

    code: str
    med_list_codg: str
    fixmedins_code: str
    sold_at: datetime
    sel_sn: str

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "sold_at": self.sold_at.isoformat()}


def load_traces(folder: Path, path: Path, key: bytes, now: datetime) -> Loaded:
    """The warehouse in `folder` as a new file at `path`, in the place of the old one, in one step.
    Readers see one load or the other. Raises `OperatorError` for a warehouse without trace codes.
    """
    with (
        written_whole(path) as draft,
        closing(_packs_of(folder)) as duck,
        closing(sqlite3.connect(draft)) as db,
    ):
        return _fill(db, duck, folder, key, now)


def resold(folder: Path) -> Iterator[Resale]:
    """Every sale of packs that were sold more than once and not given back in between."""
    with closing(_packs_of(folder)) as duck:
        for row in duck.execute(_RESOLD).fetchall():
            yield Resale(*row)


def _packs_of(folder: Path) -> duckdb.DuckDBPyConnection:
    if not (folder / "sel_trac_d.parquet").is_file():
        raise OperatorError(
            "trace_no_sales", f"{folder} has no sel_trac_d: there are no trace codes to load."
        )
    duck = duckdb.connect()
    duck.execute("SET threads = 1")
    duck.execute(_SALES.format(sales=_file(folder, "sel_trac_d")))
    flows = _optional(folder, "trac_flow_d", _NO_FLOWS)
    duck.execute(_PACKS.format(flows=flows, recalls=_optional(folder, "drug_recl_b", _NO_RECALLS)))
    return duck


def _fill(
    db: sqlite3.Connection, duck: duckdb.DuckDBPyConnection, folder: Path, key: bytes, now: datetime
) -> Loaded:
    name = f"traces-{now:%Y%m%dT%H%M%SZ}"
    db.executescript(_TABLES)
    found = duck.execute(
        _PRODUCTS.format(
            digits=PRODUCT_DIGITS,
            drugs=_file(folder, "drug_cat_b"),
            devices=_file(folder, "mcs_cat_b"),
        )
    ).fetchall()
    # The catalogue names the maker; a holder of the authorisation it does not name yet.
    db.executemany("INSERT INTO product VALUES (?, ?, ?, ?, ?, NULL)", found)
    packs = 0
    duck.execute(_ROWS)
    while batch := duck.fetchmany(BATCH):
        rows = [(code_mac(key, str(code)), *rest) for code, *rest in batch]
        db.executemany("INSERT INTO pack VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        packs += len(rows)
    db.execute("INSERT INTO load VALUES (?, ?)", (name, now.isoformat()))
    db.commit()
    twice = duck.execute("SELECT count(*) FROM pack WHERE sold - returned > 1").fetchone()
    return Loaded(name, packs, len(found), int((twice or (0,))[0]))


def _optional(folder: Path, table: str, nothing: str) -> str:
    there = (folder / f"{table}.parquet").is_file()
    return f"SELECT * FROM read_parquet('{_file(folder, table)}')" if there else nothing


def _file(folder: Path, table: str) -> str:
    return str(folder / f"{table}.parquet").replace("'", "''")
