"""One account in the ledger as a paper tells it: what moved in a month, and what stood before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.billing_tables import DisputeRow, LedgerEntryRow, LedgerPostingRow


@dataclass(frozen=True)
class Movement:
    """An entry of the month on one account: what, about which month, how much."""

    kind: str
    cause: str
    service_period: str
    fen: int

    def document(self, month: str, *, own: str, sign: int = 1) -> dict[str, object]:
        """Plain values. `own` is the kind whose movements about the month itself are its lines."""
        return {
            "kind": self.kind,
            "cause": self.cause,
            "service_period": self.service_period,
            "fen": sign * self.fen,
            "in_lines": self.kind == own and self.service_period == month,
        }


@dataclass(frozen=True)
class Case:
    """A dispute as it stood at the end of a month, in fen."""

    case: str
    line_id: str
    service_period: str
    held: int
    released: int
    credited: int

    def document(self) -> dict[str, object]:
        """Plain values; its state follows from where the money is."""
        left = self.held - self.released - self.credited
        return {
            "case": self.case,
            "line_id": self.line_id,
            "service_period": self.service_period,
            "held_fen": self.held,
            "released_fen": self.released,
            "credited_fen": self.credited,
            "state": "held" if left else _outcome(self.credited, self.released),
        }


def _outcome(credited: int, released: int) -> str:
    if not credited:
        return "rejected"
    return "partially_upheld" if released else "upheld"


def parties(session: Session, month: str, kind: str) -> list[str]:
    """On whose account of a kind anything moved in a month."""
    rows = session.scalars(
        sa.select(LedgerPostingRow.account)
        .join(LedgerEntryRow, LedgerEntryRow.number == LedgerPostingRow.number)
        .where(LedgerEntryRow.period == month, LedgerPostingRow.account.startswith(f"{kind}:"))
        .distinct()
    )
    return sorted(account.partition(":")[2] for account in rows)


def movements(session: Session, month: str, account: str) -> list[Movement]:
    """What moved in a month, in the order it was booked."""
    rows = session.execute(
        sa.select(
            LedgerEntryRow.kind,
            LedgerEntryRow.cause,
            LedgerEntryRow.service_period,
            LedgerPostingRow.fen,
        )
        .join(LedgerEntryRow, LedgerEntryRow.number == LedgerPostingRow.number)
        .where(LedgerEntryRow.period == month, LedgerPostingRow.account == account)
        .order_by(LedgerEntryRow.number)
    )
    return [Movement(*row) for row in rows]


def opening_balance(session: Session, month: str, account: str) -> int:
    """What stood on an account when the month began."""
    found = session.execute(
        sa.select(sa.func.sum(LedgerPostingRow.fen))
        .join(LedgerEntryRow, LedgerEntryRow.number == LedgerPostingRow.number)
        .where(LedgerEntryRow.period < month, LedgerPostingRow.account == account)
    ).scalar()
    return int(found or 0)


def cases(session: Session, month: str, tenant: str) -> Iterator[Case]:
    """A client's disputes that held money at the end of a month, or that moved any in it."""
    moved, active = _moved(session, month)
    for row in session.scalars(
        sa.select(DisputeRow).filter_by(tenant=tenant).order_by(DisputeRow.case_id)
    ):
        own = moved.get(row.case_id, {})
        held = own.get("hold", 0)
        released, credited = -own.get("release", 0), -own.get("credit_note", 0)
        if held and (row.case_id in active or held != released + credited):
            yield Case(row.case_id, row.line_id, row.month, held, released, credited)


def _moved(session: Session, month: str) -> tuple[Mapping[str, Mapping[str, int]], set[str]]:
    """Fen that each kind of entry took into (above nothing) or out of each case, and the cases
    in which anything moved in the month itself."""
    rows = session.execute(
        sa.select(
            LedgerEntryRow.cause,
            LedgerEntryRow.kind,
            LedgerEntryRow.period,
            sa.func.sum(LedgerPostingRow.fen),
        )
        .join(LedgerPostingRow, LedgerEntryRow.number == LedgerPostingRow.number)
        .where(LedgerEntryRow.period <= month, LedgerPostingRow.account.startswith("held:"))
        .group_by(LedgerEntryRow.cause, LedgerEntryRow.kind, LedgerEntryRow.period)
    )
    found: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    active = set()
    for cause, kind, period, fen in rows:
        found[cause][kind] -= int(fen)
        if period == month:
            active.add(cause)
    return found, active
