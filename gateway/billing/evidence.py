"""What a disputed line rests on: every event that was counted for it, with its place in the chain.

Whoever has the exported journal finds each event at its number under this hash, between the hash
before it and the head that was kept when the month was closed; so none was added for the dispute,
and none left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.billing.former import named_heads
from gateway.billing.months import heads_of
from gateway.billing.office import Office
from gateway.db.billing_tables import BillingMonthRow, ChargeLineRow
from gateway.db.engine import reading
from gateway.errors import OperatorError
from gateway.journal.events import USAGE, Heads, Rows, within
from metering.calendar import month_range
from metering.usage import time_text

LINKS: Final = Rows(
    "audit_event", ("seq", "prev_hash", "hash"), bits=frozenset({"prev_hash", "hash"})
)


@dataclass(frozen=True)
class Counted:
    """One event of a line."""

    journal: str
    seq: int
    event_id: str
    request_id: str
    decision_id: str
    time: str
    release: str
    cells: int
    charged: int
    prev_hash: str = ""
    hash: str = ""


@dataclass(frozen=True)
class LineEvidence:
    """A line and the events it was counted from. `heads`: number and hash of each journal's last
    event when the month was closed."""

    line_id: str
    month: str
    heads: Mapping[str, object]
    events: tuple[Counted, ...]

    def document(self) -> dict[str, object]:
        """Plain values, as printed."""
        return {
            "line_id": self.line_id,
            "month": self.month,
            "heads": dict(self.heads),
            "cells": sum(event.cells for event in self.events),
            "charged": sum(event.charged for event in self.events),
            "events": [asdict(event) for event in self.events],
        }

    @property
    def sha256(self) -> str:
        """One hash of it all."""
        plain = orjson.dumps(self.document(), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(plain).hexdigest()


def evidence_of(office: Office, line_id: str, at: datetime | None = None) -> LineEvidence:
    """The events of a line, as far as its closing counted them; `at`: as it was known then."""
    with reading(office.engine) as session:
        line = line_found(session, line_id, at)
        closed = session.get_one(BillingMonthRow, line.closing)
        heads = named_heads(office.events, closed.heads)
        until = heads_of(office.events, closed)
        begins = month_range(line.month)[0]
        earlier = session.scalars(
            sa.select(BillingMonthRow)
            .where(BillingMonthRow.closed_at <= begins)
            .order_by(BillingMonthRow.closed_at.desc())
            .limit(1)
        ).first()
        after = {} if earlier is None else heads_of(office.events, earlier)
        session.expunge_all()
    ends = within(office.events.heads(), until)
    found = sorted(_counted(office, line, after, ends), key=lambda one: (one.journal, one.seq))
    return LineEvidence(line_id, line.month, heads, tuple(_linked(office, found)))


def line_found(session: Session, line_id: str, at: datetime | None = None) -> ChargeLineRow:
    """A line as last found, or as found by the closings until `at`: later truth about it does not
    change what was decided before. A line of nothing is as good as none."""
    query = sa.select(ChargeLineRow).filter_by(line_id=line_id)
    if at is not None:
        closed = sa.select(BillingMonthRow.month).where(BillingMonthRow.closed_at <= at)
        query = query.where(ChargeLineRow.closing.in_(closed))
    row = session.scalars(query.order_by(ChargeLineRow.closing.desc()).limit(1)).first()
    if row is None or not row.amount_fen:
        raise OperatorError("line_unknown", f"No closed month charged anything by line {line_id}.")
    return row


def _counted(office: Office, line: ChargeLineRow, after: Heads, until: Heads) -> Iterator[Counted]:
    begins, ends = (time_text(moment) for moment in month_range(line.month))
    seen = set()
    for batch in office.events.rows(USAGE, after, until):
        mine = pc.field("tenant") == line.tenant
        mine &= (pc.field("grant_id") == line.grant_id) & (pc.field("service") == line.service)
        mine &= (pc.field("price_ref") == line.price_ref) & (pc.field("unit") == line.unit)
        mine &= (pc.field("time") >= begins) & (pc.field("time") < ends)
        for row in pa.Table.from_batches([batch]).filter(mine).to_pylist():
            if row["price_micro"] == line.price_micro and row["event_id"] not in seen:
                seen.add(row["event_id"])
                yield _of(row)


def _of(row: Mapping[str, object]) -> Counted:
    named = ("journal", "event_id", "request_id", "decision_id", "time", "release")
    texts = {name: str(row[name]) for name in named}
    seq, cells, charged = (int(str(row[name])) for name in ("seq", "qty", "billable_qty"))
    return Counted(**texts, seq=seq, cells=cells, charged=charged)


def _linked(office: Office, found: list[Counted]) -> Iterator[Counted]:
    """The events with their hashes in the chain."""
    wanted = {(one.journal, one.seq): one for one in found}
    first = {one.journal: one.seq - 1 for one in reversed(found)}
    last = {one.journal: one.seq for one in found}
    for batch in office.events.rows(LINKS, first, last):
        for row in batch.to_pylist():
            one = wanted.get((row["journal"], row["seq"]))
            if one is not None:
                links = {name: bytes(row[name]).hex() for name in ("prev_hash", "hash")}
                yield Counted(**{**asdict(one), **links})
