"""Reading a simulated warehouse by SQL: views of its tables and the settlements that stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from synthetic.warehouse.schema import TABLES

_STANDING = """CREATE TABLE s AS SELECT *, year(setl_time) AS y,
  CASE clr_type WHEN '21' THEN 'IP' WHEN '41' THEN 'RX' ELSE 'OP' END AS k,
  CASE WHEN hosp_lv <= '04' THEN 'T' WHEN hosp_lv <= '07' THEN 'S' ELSE 'P' END AS lv
FROM setl_d WHERE refd_setl_flag = '0' AND setl_id NOT IN
  (SELECT init_setl_id FROM setl_d WHERE init_setl_id IS NOT NULL)"""


def opened(connection: duckdb.DuckDBPyConnection, folder: Path) -> duckdb.DuckDBPyConnection:
    """A view of each table, and `s`: settlements without refunds and what they undo.

    `y` is the year of settlement, `k` the kind of care, `lv` the level of the institution.
    """
    for name in TABLES:
        connection.execute(f"CREATE VIEW {name} AS FROM '{folder / name}.parquet'")
    connection.execute(_STANDING)
    return connection


def one(sql: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:  # Any: as queried
    """The only row of the answer."""
    rows = sql.execute(query).fetchall()
    assert len(rows) == 1
    return rows[0]


def persons(sql: duckdb.DuckDBPyConnection) -> int:
    """How many persons the warehouse knows."""
    return int(one(sql, "SELECT count(*) FROM psn_info_b")[0])


def table(sql: duckdb.DuckDBPyConnection, query: str) -> dict[Any, float]:  # Any: one or two keys
    """First columns → last column."""
    rows = sql.execute(query).fetchall()
    return {r[:-1] if len(r) > 2 else r[0]: float(r[-1]) for r in rows}
