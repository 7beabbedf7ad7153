"""Refuse rows that break references or block rules, and what depends on them, until none is left.

A refused line leaves its settlement incomplete, a refused settlement takes its lines, fund rows
and grouping along, and so on; each row keeps the first reason found against it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import duckdb

from synthetic.integrity.engine import missing_part, row_counts
from synthetic.integrity.model import Severity
from synthetic.integrity.rules import RULES
from synthetic.warehouse.schema import TABLES

# Reasons that are the mapping's wish, and reasons that follow from another row's refusal.
EXCLUDED = ("excluded_where", "not_valid")
DEPENDANT = ("parent_rejected", "incomplete_settlement")

# (child, column, parent): what must exist for the child to mean anything.
REFERENCES = (
    ("psn_insu_d", "psn_no", "psn_info_b"),
    ("mdtrt_d", "psn_no", "psn_info_b"),
    ("mdtrt_d", "fixmedins_code", "fixmedins_b"),
    ("setl_d", "psn_no", "psn_info_b"),
    ("setl_d", "mdtrt_id", "mdtrt_d"),
    ("setl_d", "fixmedins_code", "fixmedins_b"),
    ("setl_fund_d", "setl_id", "setl_d"),
    ("fee_list_d", "setl_id", "setl_d"),
    ("fee_list_d", "mdtrt_id", "mdtrt_d"),
    ("setl_diag_list_d", "mdtrt_id", "mdtrt_d"),
    ("drg_rslt_d", "setl_id", "setl_d"),
)
_SETTLEMENT_PARTS = {"R04": "fee_list_d", "R09": "setl_fund_d"}
_MAX_ROUNDS = 50


@dataclass(frozen=True)
class Screen:
    """What the screening needs to know beside the tables themselves."""

    tolerate: Collection[str]
    keep_incomplete: bool
    # tables some of whose rows could not even be read, so that their keys are unknown
    torn: Collection[str]


def screen(connection: duckdb.DuckDBPyConnection, choice: Screen) -> tuple[str, ...]:
    """Refuse until references and block rules hold; the references that could not be checked."""
    rows = row_counts(connection)
    unchecked = tuple(
        f"{child}.{column}: table {parent} is empty"
        for child, column, parent in REFERENCES
        if not rows[f"t_{parent}"] and rows[f"t_{child}"]
    )
    for _ in range(_MAX_ROUNDS):
        changed = _references(connection, rows)
        changed += _rules(connection, choice)
        if not changed:
            break
    return unchecked


def _references(connection: duckdb.DuckDBPyConnection, rows: dict[str, int]) -> int:
    changed = 0
    for child, column, parent in REFERENCES:
        if rows[f"t_{parent}"]:
            changed += _refuse_orphans(connection, child, column, parent)
    return changed


def _refuse_orphans(
    connection: duckdb.DuckDBPyConnection, child: str, column: str, parent: str
) -> int:
    key = TABLES[parent].key[0]
    return _changed(
        connection,
        f"UPDATE t_{child} SET _why = CASE WHEN {column} IN (SELECT {key} FROM t_{parent} "
        f"WHERE {key} IS NOT NULL) THEN 'parent_rejected:{column}' ELSE 'orphan:{column}' END "
        f"WHERE _why IS NULL AND {column} IS NOT NULL "
        f"AND {column} NOT IN (SELECT {key} FROM {parent})",
    )


def _changed(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0


def _rules(connection: duckdb.DuckDBPyConnection, choice: Screen) -> int:
    """Refuse the records that fail a block rule; what a row shows by itself comes before sums."""
    changed = 0
    rows = row_counts(connection)
    for rule in sorted(RULES, key=lambda rule: rule.id in _SETTLEMENT_PARTS):
        if rule.severity is not Severity.BLOCK or rule.id in choice.tolerate:
            continue
        for check in rule.checks:
            if missing_part(connection, check, rows) is None:
                changed += _refuse_failing(connection, rule.id, check.record, check.failing, choice)
    return changed


def _refuse_failing(
    connection: duckdb.DuckDBPyConnection, rule: str, record: str, failing: str, choice: Screen
) -> int:
    key = TABLES[record].key[0]
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE refused AS SELECT DISTINCT token FROM ({failing})"
    )
    part = _SETTLEMENT_PARTS.get(rule)
    reason, extra = f"'{rule}:'", ""
    if rule == "R12":
        gone = "SELECT setl_id FROM t_setl_d WHERE _why IS NOT NULL"
        reason = (
            f"CASE WHEN init_setl_id IN ({gone}) THEN 'parent_rejected:init_setl_id' "
            "ELSE 'R12:' END"
        )
    if part:
        torn = f"setl_id IN ({_torn_settlements(part)})" if part not in choice.torn else "true"
        reason = f"CASE WHEN {torn} THEN 'incomplete_settlement:{rule}' ELSE '{rule}:' END"
        extra = f"AND NOT ({torn})" if choice.keep_incomplete else ""
    return _changed(
        connection,
        f"UPDATE t_{record} SET _why = {reason} WHERE _why IS NULL "
        f"AND {key} IN (SELECT token FROM refused) {extra}",
    )


def _torn_settlements(part: str) -> str:
    """Settlements of which a row of this table was refused for its own sake."""
    own = " AND ".join(
        f"NOT starts_with(_why, '{reason}:')" for reason in (*EXCLUDED, "duplicate_key")
    )
    return f"SELECT setl_id FROM t_{part} WHERE setl_id IS NOT NULL AND _why IS NOT NULL AND {own}"
