"""Tables that sources do not have, made from the tables they have; always named in the report."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import duckdb

from gateway.warehouse.functions import quoted
from synthetic.warehouse.codes import rows
from synthetic.warehouse.schema import TABLES

# Which fund a header amount is paid from, where the split itself is not delivered.
_FUNDS = (
    ("hifp_pay", "CASE WHEN insutype IN ('390', '391', '392') THEN '390100' ELSE '310100' END"),
    ("cvlserv_pay", "'320100'"),
    ("hifes_pay", "'370100'"),
    ("hifmi_pay", "'390200'"),
    ("hifob_pay", "'330100'"),
    ("hifdm_pay", "'350100'"),
    ("maf_pay", "'610100'"),
    ("othfund_pay", "'999996'"),
    ("acct_pay", "'310200'"),
)
_MARK = "'1' AS vali_flag, -1 AS _load, 0 AS _file, 0 AS _line"
_SETTLED = "FROM t_setl_d WHERE _why IS NULL"


def _fund_split() -> str:
    parts = [
        f"SELECT setl_id, {kind} AS fund_pay_type, {name} AS fund_payamt {_SETTLED} "
        f"AND coalesce({name}, 0) <> 0"
        for name, kind in _FUNDS
    ]
    return f"SELECT *, {_MARK} FROM ({' UNION ALL '.join(parts)}) ORDER BY setl_id, fund_pay_type"


def _encounters() -> str:
    """One encounter per mdtrt_id, as its first settlement describes it."""
    shared = {c.name for c in TABLES["setl_d"].columns} & {
        c.name for c in TABLES["mdtrt_d"].columns
    }
    shared -= {"mdtrt_id", "vali_flag", "rid", "crte_time", "updt_time"}
    first = ", ".join(f"arg_min({name}, setl_time) AS {name}" for name in sorted(shared))
    return (
        f"SELECT mdtrt_id, {first}, CAST(min(begndate) AS TIMESTAMP) AS begntime, "
        "CAST(max(enddate) AS TIMESTAMP) AS endtime, '0' AS inhosp_stas, "
        f"{_MARK} {_SETTLED} GROUP BY mdtrt_id ORDER BY mdtrt_id"
    )


def _persons() -> str:
    return (
        "SELECT psn_no, arg_max(gend, setl_time) AS gend, arg_max(brdy, setl_time) AS brdy, "
        f"{_MARK} {_SETTLED} GROUP BY psn_no ORDER BY psn_no"
    )


def _institutions() -> str:
    kind = "CASE WHEN left(fixmedins_code, 1) = 'P' THEN '2' ELSE '1' END"
    return (
        f"SELECT fixmedins_code, fixmedins_code AS fixmedins_name, {kind} AS fixmedins_type, "
        "coalesce(arg_max(hosp_lv, setl_time), '11') AS hosp_lv, "
        "coalesce(arg_max(fix_blng_admdvs, setl_time), mode(insu_admdvs)) AS fix_blng_admdvs, "
        f"{_MARK} {_SETTLED} GROUP BY fixmedins_code ORDER BY fixmedins_code"
    )


def _regions_seen() -> str:
    """Every region code met, with the city and province its digits name."""
    return f"""
WITH seen AS (
  SELECT insu_admdvs AS code FROM t_psn_insu_d WHERE _why IS NULL
  UNION SELECT insu_admdvs {_SETTLED}
  UNION SELECT fix_blng_admdvs FROM t_fixmedins_b WHERE _why IS NULL),
valid AS (SELECT code FROM seen WHERE regexp_full_match(code, '\\d{{6}}')),
nested AS (SELECT code FROM valid UNION SELECT left(code, 4) || '00' FROM valid
  UNION SELECT left(code, 2) || '0000' FROM valid)
SELECT code AS admdvs, code AS admdvs_name,
  CASE WHEN right(code, 4) = '0000' THEN NULL WHEN right(code, 2) = '00'
    THEN left(code, 2) || '0000' ELSE left(code, 4) || '00' END AS prnt_admdvs,
  CASE WHEN right(code, 4) = '0000' THEN '1' WHEN right(code, 2) = '00' THEN '2'
    ELSE '3' END AS admdvs_lv, {_MARK}
FROM nested ORDER BY code"""


def _regions_shipped() -> str:
    values = ", ".join(
        f"({quoted(r['code'])}, {quoted(r['title_zh'])}, "
        f"{quoted(r['parent']) if r['parent'] else 'NULL'}, {quoted(r['level'])})"
        for r in rows("admdvs")
    )
    return (
        f"SELECT *, {_MARK} FROM (VALUES {values}) AS shipped"
        "(admdvs, admdvs_name, prnt_admdvs, admdvs_lv)"
    )


_SQL: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("setl_fund_d", "from_settlements"): _fund_split(),
        ("mdtrt_d", "from_settlements"): _encounters(),
        ("psn_info_b", "from_settlements"): _persons(),
        ("fixmedins_b", "from_settlements"): _institutions(),
        ("admdvs_b", "from_codes_seen"): _regions_seen(),
        ("admdvs_b", "shipped"): _regions_shipped(),
    }
)


def derive(connection: duckdb.DuckDBPyConnection, table: str, strategy: str) -> None:
    """Fill a table by a strategy, from the rows accepted so far."""
    connection.execute(f"INSERT INTO t_{table} BY NAME {_SQL[table, strategy]}")
