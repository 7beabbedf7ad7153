"""Run the integrity rules by DuckDB over a folder of Parquet files, inside a memory budget."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import duckdb

from synthetic.integrity.model import (
    Check,
    CheckReport,
    Rule,
    RuleResult,
    Status,
    WarehouseUnreadable,
)
from synthetic.integrity.rules import RULES
from synthetic.warehouse.schema import TABLES

MEMORY = "3GiB"
_SAMPLE = 5


@contextmanager
def engine(
    database: Path | None = None, memory: str = MEMORY, threads: int = 2
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection with bounded memory that spills to a scratch folder it removes."""
    with tempfile.TemporaryDirectory(
        prefix="sluice-spill-", dir=database.parent if database else None
    ) as spill:
        connection = duckdb.connect(str(database) if database else ":memory:")
        try:
            connection.execute(f"SET memory_limit = '{memory}'")
            connection.execute(f"SET threads = {threads:d}")
            connection.execute("SET enable_progress_bar = false")  # to standard output
            connection.execute("SET temp_directory = ?", [spill])
            connection.execute("SET autoinstall_known_extensions = false")
            connection.execute("SET TimeZone = 'UTC'")
            # It turns each of our many short code lists into a join: three times slower to plan.
            connection.execute("SET disabled_optimizers = 'in_clause'")
            yield connection
        finally:
            connection.close()


@contextmanager
def opened(
    warehouse: Path, memory: str = MEMORY, threads: int = 2
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with one view of the valid rows per table of the warehouse."""
    files = sorted(warehouse.glob("*.parquet"))
    if not files:
        raise WarehouseUnreadable("the folder holds no Parquet table")
    with engine(memory=memory, threads=threads) as connection:
        for file in files:
            _view(connection, file)
        policy_caps(connection, warehouse / "policy.json")
        yield connection


def _view(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    name = file.stem
    source = f"read_parquet('{str(file).replace(chr(39), chr(39) * 2)}')"
    try:
        found = {row[0] for row in connection.execute(f"DESCRIBE FROM {source}").fetchall()}
    except duckdb.Error as error:
        raise WarehouseUnreadable(f"{file.name} is not a readable Parquet file") from error
    if name in TABLES:
        missing = [column.name for column in TABLES[name].columns if column.name not in found]
        if missing:
            raise WarehouseUnreadable(f"{file.name} lacks columns: {', '.join(missing)}")
    valid = " WHERE vali_flag = '1'" if "vali_flag" in found else ""
    connection.execute(f'CREATE VIEW "{name}" AS SELECT * FROM {source}{valid}')


def policy_caps(connection: duckdb.DuckDBPyConnection, policy: Path) -> None:
    """Make the table `policy_caps` from policy.json, if the warehouse has one."""
    if not policy.exists():
        return
    caps = json.loads(policy.read_text(encoding="utf-8")).get("annual_caps", [])
    connection.execute(
        "CREATE TABLE policy_caps (insutype VARCHAR, field VARCHAR, cap DECIMAL(16,2))"
    )
    for entry in caps:
        connection.execute(
            "INSERT INTO policy_caps VALUES (?, ?, ?)",
            [entry["insutype"], entry["field"], entry["cap"]],
        )


def row_counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows of each table or view of the connection, by name."""
    names = [
        row[0]
        for row in connection.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = 'main' AND table_catalog = current_database() ORDER BY 1"
        ).fetchall()
    ]
    return {
        name: _number(connection, f'SELECT count(*) FROM "{name}"')
        for name in names
        if name != "failing"
    }


def _number(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0


def missing_part(
    connection: duckdb.DuckDBPyConnection, check: Check, rows: dict[str, int]
) -> str | None:
    """Why the check cannot be run on these tables, or None."""
    for name in check.needs:
        if name not in rows:
            return f"table {name} absent"
        if rows[name] == 0:
            return f"table {name} empty"
    for name, columns in check.columns.items():
        found = {row[0] for row in connection.execute(f'DESCRIBE "{name}"').fetchall()}
        lacking = [column for column in columns if column not in found]
        if lacking:
            return f"table {name} lacks column {lacking[0]}"
    return None


def run_rules(
    connection: duckdb.DuckDBPyConnection, rules: Sequence[Rule] = RULES
) -> tuple[RuleResult, ...]:
    """Check the rules on the connection's tables; failing records stay in its table `failing`."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE failing "
        "(rule VARCHAR, record VARCHAR, token VARCHAR, amount DECIMAL(18,2))"
    )
    rows = row_counts(connection)
    return tuple(_run(connection, rule, rows) for rule in rules)


def _run(connection: duckdb.DuckDBPyConnection, rule: Rule, rows: dict[str, int]) -> RuleResult:
    checked, reasons = 0, []
    for check in rule.checks:
        reason = missing_part(connection, check, rows)
        if reason:
            reasons.append(reason)
            continue
        checked += _number(connection, check.checked_sql)
        connection.execute(
            "INSERT INTO failing SELECT ?, ?, token, any_value(amount) "
            f"FROM ({check.failing}) GROUP BY token",
            [rule.id, check.record],
        )
    return _result(connection, rule, checked, tuple(dict.fromkeys(reasons)))


def _result(
    connection: duckdb.DuckDBPyConnection, rule: Rule, checked: int, reasons: tuple[str, ...]
) -> RuleResult:
    found = connection.execute(
        "WITH once AS (SELECT record, token, max(abs(amount)) AS amount FROM failing "
        "  WHERE rule = ? GROUP BY record, token) "
        f"SELECT count(*), coalesce(sum(amount), 0), min(token, {_SAMPLE}) FROM once",
        [rule.id],
    ).fetchone()
    failed, amount, sample = found if found else (0, 0, None)
    if failed:
        status = Status.FAILED
    elif checked:
        status = Status.PASSED
    else:
        status = Status.NOT_APPLICABLE
        reasons = reasons or ("no rows to check",)
    affected = Decimal(amount).quantize(Decimal("0.01"))
    return RuleResult(rule, status, checked, failed, affected, reasons, tuple(sample or ()))


def check(warehouse: Path, memory: str = MEMORY, threads: int = 2) -> CheckReport:
    """Check every integrity rule over the warehouse folder."""
    with opened(warehouse, memory, threads) as connection:
        results = run_rules(connection)
        return CheckReport(row_counts(connection), results)
