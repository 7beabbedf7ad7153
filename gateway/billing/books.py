"""The ledger in the operational database: entries are added and chained, never changed.

The rules of an entry are `metering.ledger`'s; here it becomes durable, in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.billing_tables import BillingMonthRow, LedgerEntryRow, LedgerPostingRow
from gateway.errors import OperatorError
from metering.identities import Moved
from metering.ledger import NOTHING, Entry, Posting


def head(session: Session) -> str:
    """Hash of the last entry."""
    last = session.execute(
        sa.select(LedgerEntryRow.hash).order_by(LedgerEntryRow.number.desc()).limit(1)
    ).scalar()
    return last or NOTHING


def post(session: Session, entries: Iterable[Entry]) -> int:
    """Add entries in order; how many are new. One that is there already must be the same."""
    new = 0
    number = session.execute(sa.select(sa.func.max(LedgerEntryRow.number))).scalar() or 0
    before = head(session)
    for entry in entries:
        known = session.scalar(sa.select(LedgerEntryRow).filter_by(entry_id=entry.entry_id))
        if known is not None:
            _same(session, known, entry)
            continue
        if session.get(BillingMonthRow, entry.period) is not None:
            raise OperatorError("month_closed", f"{entry.period} is closed; book in an open month.")
        number, new = number + 1, new + 1
        after = entry.chained(before)
        session.add(_row(entry, number, before, after))
        session.flush()
        session.add_all(
            LedgerPostingRow(number=number, account=one.account, fen=one.fen)
            for one in entry.postings
        )
        before = after
    session.flush()
    return new


def entries(session: Session, *, after: int = 0) -> Iterator[tuple[int, Entry, str]]:
    """Every entry in order, with its number and the hash it was chained under."""
    rows = session.scalars(
        sa.select(LedgerEntryRow)
        .where(LedgerEntryRow.number > after)
        .order_by(LedgerEntryRow.number)
    )
    for row in rows:
        yield row.number, _entry(session, row), row.hash


def balances(session: Session, period: str | None = None) -> dict[str, int]:
    """What stands on every account where anything moved; `period`: booked in that month only."""
    query = sa.select(LedgerPostingRow.account, sa.func.sum(LedgerPostingRow.fen))
    if period is not None:
        query = query.join(LedgerEntryRow, LedgerEntryRow.number == LedgerPostingRow.number)
        query = query.where(LedgerEntryRow.period == period)
    rows = session.execute(query.group_by(LedgerPostingRow.account))
    return {account: int(fen) for account, fen in sorted(rows) if fen}


def moved(session: Session, kinds: Iterable[str], cause: str) -> dict[str, int]:
    """What the entries of some kinds about one cause have moved so far, by account. Causes of
    several runs share what stands before their last slash."""
    rows = session.execute(
        sa.select(LedgerPostingRow.account, sa.func.sum(LedgerPostingRow.fen))
        .join(LedgerEntryRow, LedgerEntryRow.number == LedgerPostingRow.number)
        .where(LedgerEntryRow.kind.in_(tuple(kinds)))
        .where(LedgerEntryRow.cause >= f"{cause}/", LedgerEntryRow.cause < f"{cause}0")
        .group_by(LedgerPostingRow.account)
    )
    return {account: int(fen) for account, fen in rows}


def sums(session: Session) -> list[Moved]:
    """What every kind of entry moved about every cause on every account; the entries of several
    months about one cause together."""
    rows = session.execute(
        sa.select(
            LedgerEntryRow.kind,
            LedgerEntryRow.cause,
            LedgerPostingRow.account,
            sa.func.sum(LedgerPostingRow.fen),
        )
        .join(LedgerEntryRow, LedgerEntryRow.number == LedgerPostingRow.number)
        .group_by(LedgerEntryRow.kind, LedgerEntryRow.cause, LedgerPostingRow.account)
    )
    return [Moved(kind, cause, account, int(fen)) for kind, cause, account, fen in rows]


def accounts(session: Session) -> frozenset[str]:
    """Every account on which anything ever moved."""
    return frozenset(session.scalars(sa.select(LedgerPostingRow.account).distinct()))


def income_by_year(session: Session) -> dict[int, int]:
    """What clients were charged for the use of each year, less what they were credited."""
    year = sa.func.substr(LedgerEntryRow.service_period, 1, 4)
    rows = session.execute(
        sa.select(year, sa.func.sum(LedgerPostingRow.fen))
        .join(LedgerEntryRow, LedgerEntryRow.number == LedgerPostingRow.number)
        .where(LedgerEntryRow.kind.in_(("charge", "credit_note")))
        .where(LedgerPostingRow.account.startswith("receivable:"))
        .group_by(year)
    )
    return {int(year): int(fen) for year, fen in rows}


def faults(session: Session) -> Iterator[str]:
    """What is wrong with the ledger: links that do not hold, entries that do not add up."""
    before, expected = NOTHING, 1
    for row in session.scalars(sa.select(LedgerEntryRow).order_by(LedgerEntryRow.number)):
        if row.number != expected:
            yield f"entry {expected} is missing"
        expected = row.number + 1
        try:
            entry = _entry(session, row)
        except ValueError as error:
            yield f"entry {row.number}: {error}"
            before = row.hash
            continue
        if row.prev_hash != before or entry.chained(before) != row.hash:
            yield f"entry {row.number} ({row.entry_id}) was changed, or the one before it"
        before = row.hash


def _same(session: Session, row: LedgerEntryRow, entry: Entry) -> None:
    known = _entry(session, row)
    if known.postings != tuple(sorted(entry.postings)) or known.cause != entry.cause:
        raise OperatorError(
            "entry_conflict",
            f"Entry {entry.entry_id} ({entry.kind} of {entry.cause}) stands with other amounts.",
        )


def _row(entry: Entry, number: int, before: str, after: str) -> LedgerEntryRow:
    return LedgerEntryRow(
        number=number,
        entry_id=entry.entry_id,
        kind=entry.kind,
        period=entry.period,
        service_period=entry.service_period,
        booked_at=entry.booked_at,
        cause=entry.cause,
        corrects=entry.corrects,
        prev_hash=before,
        hash=after,
    )


def _entry(session: Session, row: LedgerEntryRow) -> Entry:
    parts = session.execute(
        sa.select(LedgerPostingRow.account, LedgerPostingRow.fen)
        .filter_by(number=row.number)
        .order_by(LedgerPostingRow.account)
    )
    return Entry(
        row.entry_id,
        row.kind,
        row.period,
        row.service_period,
        row.booked_at,
        row.cause,
        tuple(Posting(account, fen) for account, fen in parts),
        row.corrects,
    )
