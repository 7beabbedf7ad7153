"""What an import tells: per feed rows read, accepted and rejected with reasons; never a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from gateway.warehouse.plan import Planned
from gateway.warehouse.screening import DEPENDANT, EXCLUDED, REFERENCES
from synthetic.integrity.model import CheckReport

_REJECTED = """
SELECT f.source, f.table_name, s.file, r.line, split_part(r.why, ':', 1) AS reason,
  split_part(r.why, ':', 2) AS "column"
FROM rejected AS r JOIN feeds AS f ON f.number = r.load
  JOIN source_files AS s ON s.source = f.source AND s.number = r.file
ORDER BY f.number, r.file, r.line"""


@dataclass(frozen=True)
class FeedReport:
    """One source into one table. `rejected` includes excluded and dependant rows."""

    source: str
    table: str
    read: int
    accepted: int
    reasons: Mapping[str, int]
    excluded: int
    dependant: int
    unused_columns: tuple[str, ...]

    @property
    def rejected(self) -> int:
        """Rows not taken over, for whatever reason."""
        return sum(self.reasons.values())

    @property
    def refused(self) -> int:
        """Rows not taken over for a fault of their own."""
        return self.rejected - self.excluded - self.dependant

    def share(self, part: int) -> float:
        """A part of the rows that the mapping did not exclude."""
        return part / max(self.read - self.excluded, 1)

    def as_dict(self) -> dict[str, object]:
        """The figures for machines."""
        return {
            "source": self.source,
            "table": self.table,
            "read": self.read,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "of_these": {
                "excluded_by_mapping": self.excluded,
                "dependants_of_rejected_rows": self.dependant,
                "refused": self.refused,
            },
            "reasons": dict(self.reasons),
            "unused_columns": list(self.unused_columns),
        }


@dataclass
class ImportReport:
    """The outcome of an import; `failure` is empty when a new version was published."""

    feeds: tuple[FeedReport, ...] = ()
    derived: dict[str, tuple[str, int]] = field(default_factory=dict)
    empty: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    integrity: CheckReport | None = None
    failure: str = ""
    failure_zh: str = ""
    version: str = ""
    folder: Path | None = None
    # Source → column nobody mapped → some of its values: to propose what it is, never to be shown.
    unmapped: dict[str, dict[str, list[object]]] = field(default_factory=dict, repr=False)

    def as_dict(self) -> dict[str, object]:
        """The report for machines."""
        return {
            "ok": not self.failure,
            "failure": self.failure or None,
            "failure_zh": self.failure_zh or None,
            "version": self.version or None,
            "report_folder": str(self.folder) if self.folder else None,
            "feeds": [feed.as_dict() for feed in self.feeds],
            "derived_tables": {
                table: {"strategy": how, "rows": rows}
                for table, (how, rows) in self.derived.items()
            },
            "empty_tables": list(self.empty),
            "unchecked_references": list(self.unchecked),
            "integrity": self.integrity.as_dict() if self.integrity else None,
        }


def gather_rejected(connection: duckdb.DuckDBPyConnection, feeds: tuple[Planned, ...]) -> None:
    """Tables `rejected`, `feeds` and `source_files`: every row not taken over, with its place."""
    connection.execute(
        "CREATE OR REPLACE TABLE rejected (load INTEGER, file INTEGER, line BIGINT, why VARCHAR)"
    )
    connection.execute(
        "CREATE OR REPLACE TABLE feeds (number INTEGER, source VARCHAR, table_name VARCHAR)"
    )
    connection.execute(
        "CREATE OR REPLACE TABLE source_files (source VARCHAR, number INTEGER, file VARCHAR)"
    )
    for feed in feeds:
        name = feed.table.name
        connection.execute(
            "INSERT INTO feeds VALUES (?, ?, ?)", [feed.number, feed.load.source, name]
        )
        connection.execute(
            f"INSERT INTO rejected SELECT _load, _file, _line, _why FROM t_{name} "
            "WHERE _load = ? AND _why IS NOT NULL",
            [feed.number],
        )
        connection.execute(
            "INSERT INTO rejected SELECT ?, file, line, concat(reason, ':') FROM malformed "
            "WHERE source = ?",
            [feed.number, feed.load.source],
        )
    for staged in {feed.staged.name: feed.staged for feed in feeds}.values():
        for number, file in enumerate(staged.files):
            connection.execute(
                "INSERT INTO source_files VALUES (?, ?, ?)", [staged.name, number, file]
            )


def write_rejected(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """rejects.csv and rejects.parquet: source, table, file, line, reason and column of each row."""
    for name, form in (("rejects.csv", "csv, HEADER"), ("rejects.parquet", "parquet")):
        target = str(folder / name).replace("'", "''")
        connection.execute(f"COPY ({_REJECTED}) TO '{target}' (FORMAT {form})")


def feed_reports(
    connection: duckdb.DuckDBPyConnection, feeds: tuple[Planned, ...], torn: set[str]
) -> tuple[FeedReport, ...]:
    """The figures of every feed; accepted and rejected rows are counted independently."""
    return tuple(_feed_report(connection, feed, torn) for feed in feeds)


def _feed_report(
    connection: duckdb.DuckDBPyConnection, feed: Planned, torn: set[str]
) -> FeedReport:
    name = feed.table.name
    counted = connection.execute(
        "SELECT why, count(*) FROM rejected WHERE load = ? GROUP BY why ORDER BY 2 DESC, 1",
        [feed.number],
    ).fetchall()
    reasons = {why.removesuffix(":"): int(count) for why, count in counted}
    accepted = connection.execute(
        f"SELECT count(*) FROM t_{name} WHERE _load = ? AND _why IS NULL", [feed.number]
    ).fetchone()
    return FeedReport(
        feed.load.source,
        name,
        feed.staged.read,
        int(accepted[0]) if accepted else 0,
        reasons,
        sum(n for why, n in reasons.items() if why.split(":")[0] in EXCLUDED),
        sum(n for why, n in reasons.items() if _is_dependant(feed, why, torn)),
        feed.unused,
    )


def _is_dependant(feed: Planned, why: str, torn: set[str]) -> bool:
    """Whether the row fell for another's fault; an orphan may, if parents could not be read."""
    reason, _, column = why.partition(":")
    if reason != "orphan":
        return reason in DEPENDANT
    place = (feed.table.name, column)
    parents = {parent for child, key, parent in REFERENCES if (child, key) == place}
    rule = feed.load.columns.get(column)
    if rule and rule.lookup:
        parents = {rule.lookup.table}
    return bool(parents & torn)
