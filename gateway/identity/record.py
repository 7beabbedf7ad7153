"""Chained records of changes: one entry per change, in the change's transaction.

The directory has one such record, the staff accounts have another of the same form. A session that
has written an entry says so (`is_recorded`), so that a change without one can be refused. Every
entry is an audit event too, in the office journal, which holds the entry's hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.chains import NOTHING, Walk, digest
from gateway.db.office_journal import OfficeEvent, record_event
from gateway.db.tables import Chained, Counted, DirectoryAuditRow, RevisionRow
from gateway.identity.audited import kind_of, result_of, tenant_in
from gateway.identity.model import Document

_RECORDED = "sluice_recorded"


@dataclass(frozen=True, slots=True)
class Source:
    """Where an act came from, as far as it is known: acts on the machine itself have none."""

    roles: tuple[str, ...] = ()
    ip: str = ""
    request_id: str = ""
    trace_id: str = ""
    operation: str = ""


UNKNOWN = Source()


@dataclass(frozen=True, slots=True)
class Act:
    """Who does what, when, and why; every change of the directory carries one."""

    actor: str
    at: datetime
    reason: str = ""
    source: Source = UNKNOWN


@dataclass(frozen=True)
class Chain:
    """Where one record lies: the table of its entries and the table of their number."""

    entries: type[Chained]
    counter: type[Counted]


class Documented(Protocol):
    """What is told of as a document."""

    def document(self) -> Document:
        """As entries show it."""


DIRECTORY = Chain(DirectoryAuditRow, RevisionRow)
Entity: TypeAlias = tuple[str, str]  # kind and id


def record_change(
    session: Session,
    act: Act,
    action: str,
    entity: Entity,
    *,
    before: Document | None,
    after: Document | None,
    facts: Mapping[str, object] | None = None,
) -> int:
    """Write the entry of one change of the directory; both live or die with the transaction."""
    return append(session, DIRECTORY, act, action, entity, before=before, after=after, facts=facts)


def keep_row(
    session: Session,
    act: Act,
    action: str,
    entity: Entity,
    row: object,
    *,
    before: Documented | None,
    after: Documented,
    facts: Mapping[str, object] | None = None,
) -> None:
    """Store a row and write the entry of the change that made it what it is `after`."""
    session.add(row)
    session.flush()
    was, now = before.document() if before else None, after.document()
    record_change(session, act, action, entity, before=was, after=now, facts=facts)


def append(
    session: Session,
    chain: Chain,
    act: Act,
    action: str,
    entity: Entity,
    *,
    before: Document | None,
    after: Document | None,
    facts: Mapping[str, object] | None = None,
) -> int:
    """Grow the record by one entry; returns the entry's number. `facts` are further fields of its
    audit event, under their names in SPEC §8.2."""
    counter = chain.counter
    session.execute(sa.update(counter).values(revision=counter.revision + 1))
    revision = session.scalars(sa.select(counter.revision)).one()
    previous = session.get(chain.entries, revision - 1)
    row = chain.entries()
    row.revision, row.at, row.reason = revision, act.at, act.reason
    row.actor, row.action, row.entity, row.entity_id = act.actor, action, *entity
    row.before_hash, row.after_hash = digest(before), digest(after)
    row.prev_hash = previous.hash if previous else NOTHING
    row.hash = _entry_hash(row)
    session.add(row)
    session.info[_RECORDED] = True
    told = {**_facts(row, act), **(facts or {})}
    record_event(
        session,
        OfficeEvent(
            kind=kind_of(row.entity, action),
            result=result_of(action),
            time=act.at,
            actor=_actor(act),
            tenant=tenant_in(entity, before, after),
            request_id=act.source.request_id or None,
            facts=told,
        ),
    )
    return revision


def _actor(act: Act) -> dict[str, object]:
    """Who acted, under the names of SPEC §8.2; what is not known is not there."""
    roles = ",".join(act.source.roles)
    said = {"user": act.actor, "role": roles, "ip": act.source.ip, "trace_id": act.source.trace_id}
    return {name: value for name, value in said.items() if value}


def _facts(row: Chained, act: Act) -> dict[str, object]:
    """What was done to what, with the hashes of before and after, and the entry it is told by."""
    table = sa.inspect(row).mapper.local_table.description
    entry = {"table": table, "number": row.revision, "hash": row.hash}
    hashes = {"input_hash": row.before_hash, "output_hash": row.after_hash}
    return {
        "action": row.action,
        "target": {"entity": row.entity, "id": row.entity_id},
        "reason": row.reason,
        **({"operation": act.source.operation} if act.source.operation else {}),
        **{name: value for name, value in hashes.items() if value != NOTHING},
        "entry": entry,
    }


def is_recorded(session: Session) -> bool:
    """Whether this session has written an entry."""
    return bool(session.info.get(_RECORDED))


def broken_entries(session: Session, chain: Chain = DIRECTORY) -> tuple[str, ...]:
    """Every place where a record is not what was written; empty when it is whole."""
    walk = Walk("entry")
    table = chain.entries
    for row in session.scalars(sa.select(table).order_by(table.revision)):
        walk.step(row.revision, row.prev_hash, row.hash, _entry_hash(row))
    return tuple(walk.end(session.scalars(sa.select(chain.counter.revision)).one()))


def read_entries(session: Session, chain: Chain, after: int, limit: int) -> list[Document]:
    """Entries after a number, oldest first."""
    table = chain.entries
    rows = session.scalars(
        sa.select(table).where(table.revision > after).order_by(table.revision).limit(limit)
    )
    return [{**_content(row), "hash": row.hash} for row in rows]


def newest_entries(session: Session, chain: Chain, before: int, limit: int) -> list[Document]:
    """Entries before a number, newest first; before 0 are all."""
    table = chain.entries
    chosen = sa.select(table).order_by(table.revision.desc()).limit(limit)
    if before:
        chosen = chosen.where(table.revision < before)
    return [{**_content(row), "hash": row.hash} for row in session.scalars(chosen)]


def _entry_hash(row: Chained) -> str:
    return digest(_content(row))


def _content(row: Chained) -> Document:
    return {
        "revision": row.revision,
        "at": row.at.astimezone(UTC).isoformat(),
        "actor": row.actor,
        "action": row.action,
        "entity": row.entity,
        "entity_id": row.entity_id,
        "reason": row.reason,
        "before": row.before_hash,
        "after": row.after_hash,
        "prev": row.prev_hash,
    }
