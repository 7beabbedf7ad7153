"""One entry as rows of the central store, whichever way it comes: from memory or from a spool."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from gateway.journal.entry import Entry, canonical
from gateway.journal.seal import Sealed
from metering.usage import FIELDS, time_of

Value: TypeAlias = str | int | bytes | bool | datetime | None
Row: TypeAlias = tuple[Value, ...]

_USAGE = tuple("grant_id" if name == "grant" else name for name in FIELDS)
_CHAIN = {"journal_id": "text", "seq": "bigint"}
_USAGE_TYPES = {
    **dict.fromkeys(_USAGE, "text"),
    **dict.fromkeys(("event_id", "repeat_of"), "uuid"),
    **dict.fromkeys(("qty", "billable_qty", "price_micro"), "bigint"),
    "time": "timestamptz",
}
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "audit_event": {
        **_CHAIN,
        "request_id": "text",
        "time": "timestamptz",
        "kind": "text",
        "result": "text",
        "tenant": "text",
        "grant_id": "text",
        "service": "text",
        "cells": "bigint",
        "subject": "text",
        "body": "text",
        "prev_hash": "bytea",
        "hash": "bytea",
    },
    "decision": {
        **_CHAIN,
        "request_id": "text",
        "decision_id": "text",
        "allow": "boolean",
        "body": "text",
    },
    "usage_event": {**_CHAIN, **_USAGE_TYPES, "payload_hash": "bytea"},
    "charged_cell": {
        **_CHAIN,
        "tenant": "text",
        "release": "text",
        "place": "bigint",
        "event_id": "uuid",
        "time": "timestamptz",
        "cells": "bytea",
    },
    "idempotency": {
        "tenant": "text",
        "client": "text",
        "key": "bytea",
        "request_hash": "bytea",
        "event_id": "uuid",
        "answer_digest": "bytea",
        "release": "text",
        "qty": "bigint",
        "billable_qty": "bigint",
        "time": "timestamptz",
        "expires": "timestamptz",
    },
}
"""Columns and types of each table, in the order in which rows are made here."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of some entries by table."""

    audit: Sequence[Row]
    decision: Sequence[Row]
    usage: Sequence[Row]
    charged: Sequence[Row]
    keyed: Sequence[Row]

    def tables(self) -> tuple[tuple[str, Sequence[Row]], ...]:
        """The tables' names with their rows."""
        return (
            ("audit_event", self.audit),
            ("decision", self.decision),
            ("usage_event", self.usage),
            ("charged_cell", self.charged),
            ("idempotency", self.keyed),
        )


def payload_hash(usage_hash: str | None, charged_hash: str | None) -> bytes:
    """What must be equal when an event comes twice: its usage and the cells it is charged for."""
    return hashlib.sha256(canonical({"usage": usage_hash, "charged": charged_hash})).digest()


def of_entries(journal_id: str, entries: Sequence[Entry], sealed: Sequence[Sealed]) -> Rows:
    """Entries on their way into the store, sealed in its own chain."""
    pairs = list(zip(entries, sealed, strict=True))
    return Rows(
        audit=[_audit(journal_id, one.audit, orjson.loads(str(one.audit[2]))) for _, one in pairs],
        decision=[
            (journal_id, *one.decision[:2], *_decided(entry.decision), one.decision[2])
            for entry, one in pairs
            if one.decision is not None
        ],
        usage=[
            (journal_id, *one.usage[:-1], entry.time, payload_hash(*one.hashes))
            for entry, one in pairs
            if one.usage is not None
        ],
        charged=[
            (journal_id, row[3], *row[:3], row[4], entry.time, row[6])
            for entry, one in pairs
            for row in one.charged
        ],
        keyed=[_keyed(one.keyed) for _, one in pairs if one.keyed is not None],
    )


def of_spool(journal_id: str, tables: Sequence[Sequence[Row]]) -> Rows:
    """Rows as a spool has them: audit events (seq, request_id, body, prev_hash, hash), decisions
    (seq, request_id, body), usage, charged cells and keys in the order of their tables."""
    audit, decision, usage, charged, keyed = tables
    bodies = {row[0]: orjson.loads(str(row[2])) for row in audit}
    return Rows(
        audit=[_audit(journal_id, row, bodies[row[0]]) for row in audit],
        decision=[
            (journal_id, *row[:2], *_decided(orjson.loads(str(row[2]))), row[2]) for row in decision
        ],
        usage=[
            (journal_id, *row[:-1], _moment(row[-1]), payload_hash(*_hashes(bodies[row[0]])))
            for row in usage
        ],
        charged=[
            (journal_id, row[3], *row[:3], row[4], _moment(row[5]), row[6]) for row in charged
        ],
        keyed=[_keyed(row) for row in keyed],
    )


def _audit(journal_id: str, row: Row, said: Mapping[str, Any]) -> Row:  # Any: an event is JSON
    names = ("tenant", "grant", "service", "cells", "subject")
    about = (said.get(name) for name in names)
    head = (time_of(str(said["time"])), said["kind"], said["result"])
    return (journal_id, *row[:2], *head, *about, *row[2:])


def _decided(decision: Mapping[str, object] | None) -> tuple[str, bool]:
    said = decision or {}
    return str(said["decision_id"]), bool(said["allow"])


def _hashes(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return body.get("usage_hash"), body.get("charged_hash")


def _keyed(row: Row) -> Row:
    """Without the spool's number of the event; moments as moments."""
    return (*row[:4], *row[5:10], _moment(row[10]), _moment(row[11]))


def _moment(text: Value) -> datetime:
    return time_of(str(text))
