"""Load planned feeds into typed tables of a scratch database, every row with its reason or none.

A table `t_<name>` holds all rows met, accepted or not; the view `<name>` shows the accepted ones,
which is what integrity rules run on. Reasons are written `reason:column`.
"""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

import duckdb

from gateway.warehouse.mapping import Derived, Feed, ImportMapping, Load, MappingError
from gateway.warehouse.plan import Planned
from synthetic.integrity.amounts import REFUNDED
from synthetic.warehouse.schema import TABLES, Table

# Tables in an order in which each finds what it refers to.
ORDER = (
    "admdvs_b",
    "fixmedins_b",
    "drug_cat_b",
    "mcs_cat_b",
    "psn_info_b",
    "psn_insu_d",
    "psn_clct_detl_d",
    "opsp_reg_d",
    "chr_prog_d",
    "setl_d",
    "mdtrt_d",
    "setl_fund_d",
    "fee_list_d",
    "setl_diag_list_d",
    "drg_rslt_d",
    "dip_rslt_d",
    "sel_trac_d",
    "trac_flow_d",
    "drug_recl_b",
    "vbp_agree_d",
    "fund_flow_m",
    "recon_3201_d",
)
_LINE_AMOUNTS = (
    "cnt",
    "det_item_fee_sumamt",
    "fulamt_ownpay_amt",
    "overlmt_selfpay",
    "preselfpay_amt",
    "inscp_amt",
)
_SIGNED = {
    "setl_d": REFUNDED,
    "setl_fund_d": ("inscp_scp_amt", "fund_payamt"),
    "fee_list_d": _LINE_AMOUNTS,
}
_IS_REFUND = "setl_id IN (SELECT setl_id FROM t_setl_d WHERE refd_setl_flag = '1')"


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """An empty typed table and its view of accepted rows, for every canonical table."""
    for table in TABLES.values():
        columns = ", ".join(f"{c.name} {c.duckdb_type}" for c in table.columns)
        connection.execute(
            f"CREATE TABLE t_{table.name} "
            f"({columns}, _load SMALLINT, _file INTEGER, _line BIGINT, _why VARCHAR)"
        )
        names = ", ".join(c.name for c in table.columns)
        connection.execute(
            f"CREATE VIEW {table.name} AS SELECT {names} FROM t_{table.name} WHERE _why IS NULL"
        )


def in_order(mapping: ImportMapping) -> list[str]:
    """The mapped tables, each after those it is derived from or looks values up in."""
    graph: dict[str, set[str]] = {}
    for table in sorted(mapping.tables, key=ORDER.index):
        graph[table] = {
            name for feed in mapping.tables[table] for name in _needs(feed) if name != table
        } & set(mapping.tables)
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        raise MappingError(
            "mapping.lookup_cycle",
            f"tables need each other in a circle: {' → '.join(error.args[1])}",
            "表之间的引用成环。",
        ) from error
    found: list[str] = []
    while ready := sorter.get_ready():
        found += sorted(ready, key=ORDER.index)
        sorter.done(*ready)
    return found


def _needs(feed: Feed) -> set[str]:
    match feed:
        case Derived(derive_table="from_settlements"):
            return {"setl_d"}
        case Derived(derive_table="from_codes_seen"):
            return {"setl_d", "psn_insu_d", "fixmedins_b"}
        case Load():
            return {rule.lookup.table for rule in feed.columns.values() if rule.lookup}
    return set()


def finish_table(
    connection: duckdb.DuckDBPyConnection, table: Table, feeds: Iterable[Planned]
) -> None:
    """After its feeds are in: refunds made negative where asked, one row kept per key."""
    positive = [str(f.number) for f in feeds if f.load.refund_amounts == "positive"]
    if positive:
        _negate(connection, table.name, ", ".join(positive))
    _one_per_key(connection, table)


def _negate(connection: duckdb.DuckDBPyConnection, table: str, loads: str) -> None:
    if table not in _SIGNED:
        return
    changes = ", ".join(f"{name} = -abs({name})" for name in _SIGNED[table])
    which = "refd_setl_flag = '1'" if table == "setl_d" else _IS_REFUND
    connection.execute(f"UPDATE t_{table} SET {changes} WHERE _load IN ({loads}) AND {which}")


def _one_per_key(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """The first accepted row of a key stays, in order of feed, file and line."""
    name, key = f"t_{table.name}", ", ".join(table.key)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE twice AS SELECT {key} FROM {name} "
        f"WHERE _why IS NULL GROUP BY {key} HAVING count(*) > 1"
    )
    connection.execute(
        f"UPDATE {name} SET _why = 'duplicate_key:{table.key[0]}' WHERE rowid IN ("
        f"SELECT rid FROM (SELECT rowid AS rid, _load, _file, _line, {key} FROM {name} "
        f"WHERE _why IS NULL AND ({key}) IN (SELECT {_row(key)} FROM twice)) "
        f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY _load, _file, _line) > 1)"
    )


def _row(key: str) -> str:
    return f"({key})" if "," in key else key


def refuse_negative(connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse negative amounts that are no refund; a returned line names its original."""
    header = " OR ".join(f"{name} < 0" for name in REFUNDED)
    lines = " OR ".join(f"{name} < 0" for name in _LINE_AMOUNTS)
    for table, condition in (
        ("setl_d", f"refd_setl_flag <> '1' AND ({header})"),
        ("setl_fund_d", f"fund_payamt < 0 AND NOT coalesce({_IS_REFUND}, false)"),
        (
            "fee_list_d",
            f"pric < 0 OR (({lines}) AND init_feedetl_sn IS NULL "
            f"AND NOT coalesce({_IS_REFUND}, false))",
        ),
    ):
        connection.execute(
            f"UPDATE t_{table} SET _why = 'negative_amount:' WHERE _why IS NULL AND ({condition})"
        )
