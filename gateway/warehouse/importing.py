"""Import foreign sources by a mapping: stage, load, screen, judge, then publish or leave all as is.

Everything happens in a scratch folder; the current warehouse is touched only by the last step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from gateway.errors import OperatorError
from gateway.warehouse.deriving import derive
from gateway.warehouse.functions import MACROS
from gateway.warehouse.loading import create_tables, finish_table, in_order, refuse_negative
from gateway.warehouse.mapping import Derived, ImportMapping, Load, read_mapping
from gateway.warehouse.plan import Planned, plan
from gateway.warehouse.report import (
    FeedReport,
    ImportReport,
    feed_reports,
    gather_rejected,
    write_rejected,
)
from gateway.warehouse.screening import Screen, screen
from gateway.warehouse.staging import Staged, stage
from gateway.warehouse.store import draft, publish, sweep
from synthetic.integrity.engine import engine, policy_caps, run_rules
from synthetic.integrity.model import CheckReport
from synthetic.warehouse.schema import TABLES

Connection: TypeAlias = duckdb.DuckDBPyConnection
Progress: TypeAlias = Callable[[str, float], None]

# So few faulty rows never abort a table of which at least half is accepted.
_FEW = 2
_SAMPLE = 500  # values by which an unmapped column is judged


def import_warehouse(
    mapping_file: Path, root: Path, now: datetime, progress: Progress = lambda step, done: None
) -> ImportReport:
    """Import, and publish if the rules allow; the report says what happened to every row.

    MappingError if the mapping itself is wrong. A failed import leaves the old warehouse.
    """
    mapping = read_mapping(mapping_file)
    root.mkdir(parents=True, exist_ok=True)
    (root / "versions").mkdir(exist_ok=True)
    sweep(root)
    with draft(root) as scratch, engine(scratch / "import.duckdb") as connection:
        run = _Run(mapping, mapping_file, connection, scratch, progress)
        report = run.report()
        report.folder = _report_folder(root, now)
        write_rejected(connection, report.folder)
        if not report.failure:
            progress("publish", 0.95)
            source = {"kind": "import", "mapping": mapping_file.name, "report": report.as_dict()}
            report.version = publish(root, run.write(), source, now).name
        text = json.dumps(report.as_dict(), ensure_ascii=False, indent=1)
        (report.folder / "report.json").write_text(text, encoding="utf-8")
    progress("done", 1.0)
    return report


def _report_folder(root: Path, now: datetime) -> Path:
    for attempt in range(1000):
        folder = root / "imports" / f"{now:%Y%m%dT%H%M%SZ}-{attempt:03d}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise OperatorError(
        "import.busy", "Too many imports in this second; try again.", "请稍后再试。"
    )


class _Run:
    """One import in its scratch folder."""

    def __init__(
        self,
        mapping: ImportMapping,
        file: Path,
        connection: Connection,
        scratch: Path,
        progress: Progress,
    ) -> None:
        self.mapping = mapping
        self.base = file.resolve().parent
        self.connection = connection
        self.scratch = scratch
        self.progress = progress

    def report(self) -> ImportReport:
        """Everything up to the judgement; nothing is published yet."""
        for macro in MACROS:
            self.connection.execute(macro)
        create_tables(self.connection)
        staged = self._stage()
        feeds = plan(self.mapping, staged)
        unmapped = _unmapped(feeds)
        derived = self._load(feeds)
        self.progress("screen", 0.6)
        torn = _torn(self.connection, feeds)
        choice = Screen(self.mapping.tolerate, self.mapping.incomplete_settlements == "keep", torn)
        report = ImportReport(unchecked=screen(self.connection, choice), unmapped=unmapped)
        gather_rejected(self.connection, feeds)
        report.feeds = feed_reports(self.connection, feeds, torn)
        report.derived = {table: (how, self._rows(table)) for table, how in derived.items()}
        report.empty = tuple(name for name in TABLES if not self._rows(name))
        self.progress("check", 0.8)
        report.integrity = self._check()
        report.failure, report.failure_zh = _judge(self.mapping, report.feeds, report.integrity)
        return report

    def _stage(self) -> dict[str, Staged]:
        folder = self.scratch / "stage"
        folder.mkdir()
        self.connection.execute(
            "CREATE TABLE malformed (source VARCHAR, file INTEGER, line BIGINT, reason VARCHAR)"
        )
        used = {
            feed.source
            for feeds in self.mapping.tables.values()
            for feed in feeds
            if isinstance(feed, Load)
        }
        staged = {}
        for position, (name, source) in enumerate(self.mapping.sources.items()):
            if name not in used:
                continue
            self.progress(f"read {name}", 0.3 * position / len(self.mapping.sources))
            staged[name] = stage(self.connection, name, source, self.base, folder)
            _keep_malformed(self.connection, staged[name])
        return staged

    def _load(self, feeds: Sequence[Planned]) -> dict[str, str]:
        derived: dict[str, str] = {}
        order = in_order(self.mapping)
        for position, table in enumerate(order):
            self.progress(f"load {table}", 0.3 + 0.3 * position / len(order))
            mine = [feed for feed in feeds if feed.table.name == table]
            for feed in mine:
                self.connection.execute(feed.sql)
            finish_table(self.connection, TABLES[table], mine)
            for entry in self.mapping.tables[table]:
                if isinstance(entry, Derived):
                    derive(self.connection, table, entry.derive_table)
                    derived[table] = entry.derive_table
        refuse_negative(self.connection)
        return derived

    def _rows(self, table: str) -> int:
        found = self.connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(found[0]) if found else 0

    def _check(self) -> CheckReport:
        caps = [cap.model_dump() for cap in self.mapping.annual_caps]
        if caps:
            policy = self._tables() / "policy.json"
            policy.write_text(json.dumps({"annual_caps": caps}), encoding="utf-8")
            policy_caps(self.connection, policy)
        results = run_rules(self.connection)
        return CheckReport({name: self._rows(name) for name in TABLES}, results)

    def _tables(self) -> Path:
        folder = self.scratch / "tables"
        folder.mkdir(exist_ok=True)
        return folder

    def write(self) -> Path:
        """The accepted rows as Parquet, in source order; the folder they are in."""
        folder = self._tables()
        for name in TABLES:
            target = str(folder / f"{name}.parquet").replace("'", "''")
            self.connection.execute(
                f"COPY (SELECT * FROM {name}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
            )
        return folder


def _unmapped(feeds: Sequence[Planned]) -> dict[str, dict[str, list[object]]]:
    """The first values of every source column that no table takes."""
    found: dict[str, dict[str, list[object]]] = {}
    for staged in {feed.staged.name: feed.staged for feed in feeds}.values():
        mine = [set(feed.unused) for feed in feeds if feed.staged is staged]
        names = [name for name in staged.columns if all(name in unused for unused in mine)]
        if names and staged.parts:
            rows = next(pq.ParquetFile(staged.parts[0]).iter_batches(_SAMPLE, columns=names), None)
            found[staged.name] = rows.to_pydict() if rows else {}
    return found


def _keep_malformed(connection: Connection, staged: Staged) -> None:
    bad = staged.malformed
    rows = pa.table(
        {
            "source": pa.array([staged.name] * len(bad), pa.string()),
            "file": pa.array([line.file for line in bad], pa.int32()),
            "line": pa.array([line.line for line in bad], pa.int64()),
            "reason": pa.array([line.reason for line in bad], pa.string()),
        }
    )
    connection.register("malformed_lines", rows)
    connection.execute("INSERT INTO malformed SELECT * FROM malformed_lines")
    connection.unregister("malformed_lines")


def _torn(connection: Connection, feeds: Sequence[Planned]) -> set[str]:
    """Tables some of whose rows have no readable key, so that children cannot find them."""
    torn = set()
    for feed in feeds:
        table = feed.table
        keyless = connection.execute(
            f"SELECT 1 FROM t_{table.name} WHERE _load = ? AND {table.key[0]} IS NULL LIMIT 1",
            [feed.number],
        ).fetchone()
        if feed.staged.malformed or keyless:
            torn.add(table.name)
    return torn


def _judge(
    mapping: ImportMapping, feeds: Sequence[FeedReport], integrity: CheckReport
) -> tuple[str, str]:
    """Why the import must not be published, in English and Chinese; empty if it may."""
    for feed in feeds:
        few = feed.refused <= _FEW and 2 * feed.accepted >= feed.read
        if feed.share(feed.refused) > mapping.max_rejected_share and not few:
            return _too_many(feed, feed.refused, "max_rejected_share", mapping.max_rejected_share)
        if feed.share(feed.dependant) > mapping.max_dependant_share and not few:
            return _too_many(
                feed, feed.dependant, "max_dependant_share", mapping.max_dependant_share
            )
    if "setl_d" in mapping.tables and not integrity.rows["setl_d"]:
        return "No settlement was accepted.", "没有任何结算记录被接受。"
    forgiven = set(mapping.tolerate)
    if mapping.incomplete_settlements == "keep":
        forgiven |= {"R04", "R09"}
    blocked = [rule for rule in integrity.blocked_rules if rule not in forgiven]
    if blocked:
        names = ", ".join(blocked)
        return f"Block rules still fail: {names}.", f"阻断规则未通过：{names}。"
    return "", ""


def _too_many(feed: FeedReport, rows: int, limit: str, share: float) -> tuple[str, str]:
    top = next(iter(feed.reasons), "")
    return (
        f"{feed.source} → {feed.table}: {rows} of {feed.read} rows refused, more than "
        f"{limit} = {share:g}; most often {top}.",
        f"{feed.source} → {feed.table}：{feed.read} 行中 {rows} 行被拒，超过 {limit} = {share:g}。",
    )
