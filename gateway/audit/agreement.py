"""The records of an answer side by side: which of them are missing, doubled or of another content.

Loaded from all journals into the engine, so that one set of questions fits every store. An event
that lies in two journals (a spool and the store) is one; so everything is joined by request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import duckdb
import pyarrow as pa

from gateway.audit.findings import Difference
from gateway.audit.singly import PLAIN_TIME, STAMPED
from gateway.journal.engine import batches
from gateway.journal.events import AUDITED, CHARGED, DECIDED, USAGE, EventSource, Heads, Rows
from metering.overlap import REPEAT_WINDOW, CellCharge, overcharged_in_order
from metering.rating import LineKey

_TABLES: Final = {
    "audit_event": AUDITED,
    "decision": DECIDED,
    "recorded_usage": USAGE,
    "charged_cell": CHARGED,
}
_IN_TWO = """
CREATE TABLE in_two AS
SELECT event_id, min(journal) AS first FROM recorded_usage GROUP BY event_id
HAVING min(journal) <> max(journal)
"""
_ONCE = """
CREATE TABLE usage_event AS
SELECT recorded_usage.* FROM recorded_usage LEFT JOIN in_two USING (event_id)
WHERE coalesce(in_two.first, journal) = journal
"""
_AS_IT_IS = """
ALTER TABLE recorded_usage RENAME TO usage_event;
CREATE VIEW recorded_usage AS SELECT * FROM usage_event
"""
_CONTENT = ", ".join(name for name in USAGE.names if name != "seq")

# code → what it means, and the ids of what differs.
_CHECKS: Final = {
    "answer_without_usage": (
        "answered, but nothing was metered",
        "SELECT a.request_id FROM audit_event a LEFT JOIN usage_event u"
        " ON u.request_id = a.request_id WHERE a.result = 'answered' AND u.seq IS NULL",
    ),
    "usage_without_answer": (
        "metered, but the audit shows no answer",
        "SELECT u.request_id FROM usage_event u LEFT JOIN audit_event a"
        " ON a.request_id = u.request_id AND a.result = 'answered' WHERE a.seq IS NULL",
    ),
    "usage_without_permission": (
        "metered, but no decision allowed it",
        "SELECT u.request_id FROM usage_event u LEFT JOIN decision d"
        " ON d.request_id = u.request_id AND d.allow = 1 WHERE d.seq IS NULL",
    ),
    "refusal_answered": (
        "refused by the decision, yet answered",
        "SELECT a.request_id FROM audit_event a JOIN decision d ON d.request_id = a.request_id"
        " WHERE d.allow = 0 AND a.result = 'answered'",
    ),
    "decision_without_audit": (
        "decided, but not audited",
        "SELECT d.request_id FROM decision d LEFT JOIN audit_event a"
        " ON a.request_id = d.request_id WHERE a.seq IS NULL",
    ),
    "cells_differ": (
        "audit and usage count different cells",
        "SELECT u.request_id FROM usage_event u JOIN audit_event a ON a.request_id = u.request_id"
        " WHERE a.cells IS DISTINCT FROM u.qty",
    ),
    "parties_differ": (
        "audit, decision and usage name different tenants, grants, services or decisions",
        "SELECT u.request_id FROM usage_event u JOIN audit_event a ON a.request_id = u.request_id"
        " JOIN decision d ON d.request_id = u.request_id WHERE u.tenant IS DISTINCT FROM a.tenant"
        " OR u.grant_id IS DISTINCT FROM a.grant_id OR u.service IS DISTINCT FROM a.service"
        " OR u.decision_id IS DISTINCT FROM d.decision_id",
    ),
    "recorded_twice": (
        "more than one record of the same request",
        " UNION ".join(
            f"SELECT request_id FROM {table} GROUP BY journal, request_id HAVING count(*) > 1"
            for table in ("audit_event", "decision", "recorded_usage")
        )
        + " UNION SELECT request_id FROM usage_event GROUP BY request_id HAVING count(*) > 1",
    ),
    "event_twice": (
        "one event id on two usage events",
        "SELECT event_id FROM recorded_usage GROUP BY journal, event_id HAVING count(*) > 1",
    ),
    "repeat_of_nothing": (
        "free as a repeat of no charged answer",
        "SELECT u.request_id FROM usage_event u LEFT JOIN usage_event r ON r.event_id = u.repeat_of"
        " AND r.repeat_of IS NULL AND r.tenant = u.tenant AND r.release = u.release AND"
        " try_cast(u.time AS TIMESTAMPTZ) - try_cast(r.time AS TIMESTAMPTZ)"
        f" < INTERVAL {REPEAT_WINDOW.days} DAY WHERE u.repeat_of IS NOT NULL AND r.seq IS NULL",
    ),
    "charge_without_usage": (
        "cells charged, but not metered",
        "SELECT 'event ' || seq FROM (SELECT DISTINCT journal, seq, event_id FROM charged_cell)"
        " ANTI JOIN recorded_usage USING (journal, seq)"
        " WHERE (event_id, journal) NOT IN (SELECT (u.event_id, c.journal) FROM recorded_usage u"
        " JOIN charged_cell c ON u.event_id = c.event_id AND u.journal <> c.journal)",
    ),
    "event_conflict": (
        "one event with two contents in two journals",
        "SELECT event_id FROM recorded_usage SEMI JOIN in_two USING (event_id) GROUP BY event_id"
        f" HAVING count(DISTINCT row({_CONTENT})) > 1",
    ),
}
# A charge whose time is not as we write times is not that of its event: a difference, no credit.
_CROSSED = f"""
WITH plain AS (SELECT * FROM charged_cell WHERE {PLAIN_TIME})
SELECT tenant, release, place, try_cast(time AS TIMESTAMPTZ) AS time, event_id, min(cells) AS cells
FROM plain SEMI JOIN (
  SELECT tenant, release, place FROM plain GROUP BY ALL HAVING min(journal) <> max(journal)
) USING (tenant, release, place)
GROUP BY tenant, release, place, time, event_id ORDER BY ALL
"""
_LINES = """
SELECT event_id, month, tenant, grant_id, service, unit, price_ref, price_micro
FROM usage_event WHERE month IS NOT NULL AND event_id IN (SELECT event_id FROM credited)
"""
_COUNTS = """
SELECT (SELECT count(DISTINCT request_id) FROM audit_event WHERE result = 'answered'),
  (SELECT count(DISTINCT d.request_id) FROM decision d JOIN audit_event a USING (journal, seq)
   WHERE d.allow = 1 AND a.result = 'answered'),
  (SELECT count(*) FROM usage_event),
  (SELECT count(DISTINCT request_id) FROM audit_event WHERE result = 'refused'),
  (SELECT coalesce(sum(cells), 0) FROM
    (SELECT DISTINCT request_id, cells FROM audit_event WHERE result = 'answered')),
  (SELECT coalesce(sum(qty), 0) FROM usage_event)
"""


class Agreement:
    """The records of all journals, loaded; an event that lies in two of them is `usage` once."""

    def __init__(self, db: duckdb.DuckDBPyConnection, events: EventSource, until: Heads) -> None:
        self._db = db
        for table, what in _TABLES.items():
            _load(db, table, events, what, until)
        self._count_once()

    def counts(self) -> tuple[int, int, int, int, int, int]:
        """Answers, their decisions, usage events, refusals, cells audited and metered."""
        answers, decisions, usage, refusals, audited, metered = self._db.execute(
            _COUNTS
        ).fetchall()[0]
        return answers, decisions, usage, refusals, audited, metered

    def differences(self) -> Iterator[Difference]:
        """Every request whose records do not agree."""
        for code, (message, query) in _CHECKS.items():
            rows = self._db.execute(f"SELECT DISTINCT * FROM ({query}) ORDER BY 1").fetchall()
            yield from (Difference(code, subject, message) for (subject,) in rows)

    def overcharged(self) -> dict[LineKey, int]:
        """Cells that two journals charged for both, by the line of the later charge. What belongs
        to no usage event (an edited journal) is on no line."""
        found = list(overcharged_in_order(self._crossed()))
        if not found:
            return {}
        self._db.register("credited", pa.table({"event_id": [one.event_id for one in found]}))
        rows = self._db.execute(_LINES).fetchall()
        lines = {event_id: LineKey(*key) for event_id, *key in rows}
        sums: Counter[LineKey] = Counter()
        for one in found:
            if one.event_id in lines:
                sums[lines[one.event_id]] += one.cells.bit_count()
        return dict(sums)

    def _count_once(self) -> None:
        """Mostly no event lies in two journals: then nothing is copied."""
        self._db.execute(_IN_TWO)
        several = self._db.execute("SELECT 1 FROM in_two LIMIT 1").fetchall()
        self._db.execute(_ONCE if several else _AS_IT_IS)

    def _crossed(self) -> Iterator[CellCharge]:
        for batch in batches(self._db, _CROSSED):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                tenant, release, place, time, event_id, cells = row
                bits = int.from_bytes(cells, "big")
                yield CellCharge(tenant, release, place, time, event_id, bits)


def _load(
    db: duckdb.DuckDBPyConnection, table: str, events: EventSource, what: Rows, until: Heads
) -> None:
    """Batch by batch in this thread: the engine's own threads must not read from a journal."""
    columns = f"*, {STAMPED}" if what is USAGE else "*"
    db.register("loading", what.schema.empty_table())
    db.execute(f"CREATE TABLE {table} AS SELECT {columns} FROM loading")
    for batch in events.rows(what, {}, until):
        db.register("loading", pa.table(batch))
        db.execute(f"INSERT INTO {table} SELECT {columns} FROM loading")
    db.unregister("loading")
