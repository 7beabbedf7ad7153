"""Where a record belongs: the month of its settlement and the institution that delivered it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import duckdb

Connection: TypeAlias = duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class Place:
    """How a record `t` of a table finds its month and feeder; neither where it has none."""

    key: str
    month: str = "NULL::TIMESTAMP"
    feeder: str = "NULL"
    join: str = ""
    rows: str = ""  # what holds one row for each key, if the table does not

    def relation(self, record: str) -> str:
        """SQL of the records as (token, month, feeder)."""
        return (
            f"SELECT t.{self.key} AS token, {self.month} AS month,"
            f" ({self.feeder})::VARCHAR AS feeder FROM {self.rows or record} AS t {self.join}"
        )


_SETTLED = "LEFT JOIN setl_month AS k ON k.setl_id = t.setl_id"
DELIVERED: Mapping[str, Place] = {
    "setl_d": Place("setl_id", "date_trunc('month', t.setl_time)", "t.fixmedins_code"),
    "fee_list_d": Place(
        "bkkp_sn",
        "coalesce(k.month, date_trunc('month', t.fee_ocur_time))",
        "t.fixmedins_code",
        _SETTLED,
    ),
    "mdtrt_d": Place(
        "mdtrt_id",
        "coalesce(k.month, date_trunc('month', t.begntime))",
        "t.fixmedins_code",
        "LEFT JOIN mdtrt_month AS k ON k.mdtrt_id = t.mdtrt_id",
    ),
    "setl_diag_list_d": Place(
        "diag_info_id",
        "k.month",
        "k.institution",
        "JOIN mdtrt_month AS k ON k.mdtrt_id = t.mdtrt_id",
    ),
    "drg_rslt_d": Place("setl_id", "k.month", "k.institution", _SETTLED.removeprefix("LEFT ")),
}
"""What institutions deliver month by month: the tables the quality figures are made of."""

PLACES: Mapping[str, Place] = {
    **DELIVERED,
    "setl_fund_d": Place("setl_id", "t.month", "t.institution", rows="setl_month"),
    "sel_trac_d": Place("sel_sn", "date_trunc('month', t.sel_retn_time)", "t.fixmedins_code"),
    "fund_flow_m": Place(
        "token",
        "strptime(left(t.token, 6), '%Y%m')",
        rows="(SELECT DISTINCT concat(ym, '/', insutype) AS token FROM fund_flow_m)",
    ),
    "fixmedins_b": Place("fixmedins_code"),
    "psn_info_b": Place("psn_no"),
    "psn_insu_d": Place("psn_insu_rlts_id"),
    "drug_cat_b": Place("med_list_codg"),
    "admdvs_b": Place("admdvs"),
}
"""Every table whose records a rule may name."""


def place_settlements(connection: Connection) -> None:
    """Month and institution of each settlement and encounter; few institutions, so by number."""
    connection.execute(
        "CREATE TYPE institution AS ENUM (SELECT DISTINCT fixmedins_code FROM setl_d)"
    )
    connection.execute(
        "CREATE TEMP TABLE setl_month AS SELECT setl_id, mdtrt_id,"
        " date_trunc('month', setl_time) AS month, fixmedins_code::institution AS institution"
        " FROM setl_d"
    )
    connection.execute(
        "CREATE TEMP TABLE mdtrt_month AS SELECT mdtrt_id, max(month) AS month,"
        " max(institution) AS institution FROM setl_month GROUP BY mdtrt_id"
    )


def place_failures(connection: Connection) -> None:
    """Make `broken` of `failing`: each record once per rule it breaks, with month and feeder."""
    connection.execute(
        "CREATE TEMP TABLE broken (record VARCHAR, rule VARCHAR, token VARCHAR,"
        " amount DECIMAL(18,2), month TIMESTAMP, feeder VARCHAR)"
    )
    named = connection.execute("SELECT DISTINCT record FROM failing ORDER BY 1").fetchall()
    for (record,) in named:
        connection.execute(
            f"INSERT INTO broken SELECT '{record}', f.rule, f.token, max(abs(f.amount)),"
            " any_value(p.month), any_value(p.feeder) FROM failing AS f"
            f" JOIN ({PLACES[record].relation(record)}) AS p ON p.token = f.token"
            f" WHERE f.record = '{record}' GROUP BY f.rule, f.token"
        )
