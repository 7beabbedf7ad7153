"""The journal as JSON lines for an auditor: enough to recompute every hash, cell and fen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

import orjson

from gateway.journal.entry import canonical
from gateway.journal.reader import Recorded, identity, recorded
from gateway.journal.schema import FORMAT
from gateway.journal.seal import genesis


def plain_lines(db: sqlite3.Connection, after: int = 0) -> Iterator[bytes]:
    """A header naming the journal, then one line per event.

    To check a line: SHA-256 of `prev_hash` (bytes) followed by `event` as canonical JSON (sorted
    keys, no spaces, UTF-8) is `hash`; the event holds the SHA-256 of `decision`, of `usage` and,
    where there is any, of `charged` (places and their cells as bits, in hexadecimal).
    """
    yield from chain_lines(*identity(db), recorded(db, after))


def chain_lines(journal_id: str, created: str, events: Iterable[Recorded]) -> Iterator[bytes]:
    """The same of any chain."""
    yield canonical(
        {
            "journal": journal_id,
            "created": created,
            "format": FORMAT,
            "genesis": genesis(journal_id, created).hex(),
        }
    )
    for event in events:
        yield canonical(_content(event))


def cloud_events(db: sqlite3.Connection, after: int = 0) -> Iterator[bytes]:
    """The same events as CloudEvents 1.0 in JSON."""
    journal_id, _ = identity(db)
    yield from chain_events(journal_id, recorded(db, after))


def chain_events(journal_id: str, events: Iterable[Recorded]) -> Iterator[bytes]:
    """The same of any chain."""
    for event in events:
        content = _content(event)
        audit = orjson.loads(event.body)
        yield canonical(
            {
                "specversion": "1.0",
                "id": audit["event_id"],
                "source": f"urn:sluice:journal:{journal_id}",
                "type": f"sluice.audit.{audit['kind']}",
                "subject": audit.get("grant") or audit.get("tenant") or "gateway",
                "time": audit["time"],
                "datacontenttype": "application/json",
                "data": content,
            }
        )


def _content(event: Recorded) -> dict[str, object]:
    return {
        "seq": event.seq,
        "prev_hash": event.prev_hash.hex(),
        "hash": event.hash.hex(),
        "event": orjson.loads(event.body),
        "decision": None if event.decision is None else orjson.loads(event.decision),
        "usage": event.usage,
        "charged": [[row.place, f"{row.cells:x}"] for row in event.charged],
    }
