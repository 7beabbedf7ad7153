"""The ε ledger: what each geography has lost in a calendar year, refusing to overspend.

A purpose (one period of one table of one state of the warehouse; one cohort question of one
release) is spent for once: `spend` before anything is drawn, then the draw, then `keep`. Killed
between the two, the purpose is spent and nothing is known of the draw; the next attempt spends
nothing and draws. Once a draw is kept, everybody is given that one. Lines are hash-chained like the
record of consents; sums are exact fractions.

Budgets compose by adding up within a geography. Two geographies are counted apart: a release
charges each in full, as it bounds a person over the whole table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.chains import Walk
from gateway.db.engine import reading, writing
from gateway.db.privacy_tables import PrivacyDrawRow, PrivacyEntryRow, PrivacyHeadRow
from gateway.errors import TooMany
from metering.calendar import day_of

EXCEEDED = "privacy_budget"
"""Stable code: the year's budget of a geography does not hold what is asked."""

SPENT, DRAWN = "spent", "drawn"


class PrivacyBudgetExceeded(TooMany):
    title = "The privacy budget of this year is used up"


@dataclass(frozen=True)
class Purpose:
    """What is to be drawn: its digest, a few words for people, whom it is about, what it costs."""

    digest: str
    subject: str
    geos: tuple[str, ...]
    epsilon: Fraction
    budget: Fraction  # of each geography in a calendar year


@dataclass(frozen=True)
class Balance:
    """What a geography has lost in a year, and in how many draws."""

    year: int
    geo: str
    spent: Fraction
    draws: int


def purpose_digest(told: object) -> str:
    """The name of a purpose: all that decides about the draw, none of it a count."""
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(b"sluice privacy purpose " + text.encode()).hexdigest()


class Ledger:
    """The ledger of one operational database. Blocks: call it in a worker thread."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def drawn(self, purpose: Purpose, now: datetime, draw: Callable[[], str]) -> str:
        """What was drawn for the purpose, by this call if by none before; spends for it once.

        Raises `PrivacyBudgetExceeded` before anything is drawn.
        """
        kept = self.spend(purpose, now)
        return self.keep(purpose, now, draw()) if kept is None else kept

    def spend(self, purpose: Purpose, now: datetime) -> str | None:
        """Book the loss, for all geographies or none, unless it is; what was drawn, if it was."""
        year = year_of(now)
        with writing(self._engine) as session:
            seq, link = _locked(session)
            kept = session.get(PrivacyDrawRow, purpose.digest)
            if kept is not None:
                return kept.drawn
            if not _booked(session, purpose.digest):
                for geo in sorted(set(purpose.geos)):
                    _check(_spent(session, year, geo), purpose, geo, year)
                    row = _spending(purpose, now, geo)
                    seq, link = _append(session, row, seq, link)
            return None

    def keep(self, purpose: Purpose, now: datetime, drawn: str) -> str:
        """Keep what was drawn; where another draw was kept before, that one."""
        with writing(self._engine) as session:
            seq, link = _locked(session)
            kept = session.get(PrivacyDrawRow, purpose.digest)
            if kept is not None:
                return kept.drawn
            if not _booked(session, purpose.digest):
                raise ValueError("a draw is kept only for a purpose that was spent for")
            session.add(PrivacyDrawRow(purpose=purpose.digest, drawn=drawn))
            detail = _digest(drawn)
            row = _entry(purpose, now, act=DRAWN, geo="", epsilon="0", detail=detail)
            _append(session, row, seq, link)
        return drawn

    def spent(self, year: int, geos: Sequence[str]) -> Fraction:
        """The most that any of the geographies has lost in a year."""
        with reading(self._engine) as session:
            return max((_spent(session, year, geo) for geo in geos), default=Fraction(0))

    def booked(self, digest: str) -> bool:
        """Whether a purpose was spent for."""
        with reading(self._engine) as session:
            return _booked(session, digest)

    def balances(self) -> list[Balance]:
        """Every geography's loss by year."""
        found: dict[tuple[int, str], list[Fraction]] = {}
        for row in self.entries():
            if row.act == SPENT:
                found.setdefault((row.year, row.geo), []).append(Fraction(row.epsilon))
        return [
            Balance(year, geo, sum(each, Fraction(0)), len(each))
            for (year, geo), each in sorted(found.items())
        ]

    def entries(self) -> list[PrivacyEntryRow]:
        """All lines in order."""
        with reading(self._engine) as session:
            return list(session.scalars(sa.select(PrivacyEntryRow).order_by(PrivacyEntryRow.seq)))

    def faults(self) -> list[str]:
        """Every place where the ledger is not what was written; empty when it is whole."""
        with reading(self._engine) as session:
            return _faults(session)


def year_of(now: datetime) -> int:
    """The calendar year of account that a draw is booked in."""
    return int(day_of(now)[:4])


def _locked(session: Session) -> tuple[int, str]:
    """The head, locked until the end of the transaction: writers come one after the other."""
    session.execute(sa.update(PrivacyHeadRow).values(seq=PrivacyHeadRow.seq))
    head = session.execute(sa.select(PrivacyHeadRow.seq, PrivacyHeadRow.hash)).one()
    return head.seq, head.hash


def _booked(session: Session, digest: str) -> bool:
    wanted = sa.select(PrivacyEntryRow.seq).where(
        PrivacyEntryRow.purpose == digest, PrivacyEntryRow.act == SPENT
    )
    return session.scalars(wanted.limit(1)).first() is not None


def _spent(session: Session, year: int, geo: str) -> Fraction:
    wanted = sa.select(PrivacyEntryRow.epsilon).where(
        PrivacyEntryRow.year == year, PrivacyEntryRow.geo == geo, PrivacyEntryRow.act == SPENT
    )
    return sum(map(Fraction, session.scalars(wanted)), Fraction(0))


def _check(spent: Fraction, purpose: Purpose, geo: str, year: int) -> None:
    if spent + purpose.epsilon > purpose.budget:
        left = float(max(purpose.budget - spent, Fraction(0)))
        raise PrivacyBudgetExceeded(
            EXCEEDED,
            f"{geo} has ε {left:g} of {float(purpose.budget):g} left in {year}; "
            f"{purpose.subject} needs {float(purpose.epsilon):g}. "
            "Wait for the next year, or publish less with noise.",
            f"{geo} {year}年剩余隐私预算 ε {left:g}，不足以支出 {float(purpose.epsilon):g}。",
        )


def _entry(
    purpose: Purpose, now: datetime, *, act: str, geo: str, epsilon: str, detail: str
) -> PrivacyEntryRow:
    return PrivacyEntryRow(
        at=now,
        act=act,
        year=year_of(now),
        geo=geo,
        epsilon=epsilon,
        purpose=purpose.digest,
        subject=purpose.subject[:200],
        detail=detail,
    )


def _spending(purpose: Purpose, now: datetime, geo: str) -> PrivacyEntryRow:
    return _entry(purpose, now, act=SPENT, geo=geo, epsilon=str(purpose.epsilon), detail="")


def _append(session: Session, row: PrivacyEntryRow, seq: int, link: str) -> tuple[int, str]:
    row.seq, row.prev_hash = seq + 1, link
    row.hash = _hash(row)
    session.add(row)
    session.flush()
    session.execute(sa.update(PrivacyHeadRow).values(seq=row.seq, hash=row.hash))
    return row.seq, row.hash


def _faults(session: Session) -> list[str]:
    walk = Walk("line")
    draws: dict[str, str] = {}
    for row in session.scalars(sa.select(PrivacyEntryRow).order_by(PrivacyEntryRow.seq)):
        walk.step(row.seq, row.prev_hash, row.hash, _hash(row))
        if row.act == DRAWN:
            draws[row.purpose] = row.detail
    head = session.execute(sa.select(PrivacyHeadRow.seq, PrivacyHeadRow.hash)).one()
    found = walk.end(head.seq, head.hash)
    kept = {one.purpose: _digest(one.drawn) for one in session.scalars(sa.select(PrivacyDrawRow))}
    found += [
        f"the draw for {purpose[:16]} is not the one that was kept"
        for purpose in sorted({*draws, *kept})
        if draws.get(purpose) != kept.get(purpose)
    ]
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _hash(row: PrivacyEntryRow) -> str:
    told = [
        row.seq, row.at.astimezone(UTC).isoformat(), row.act, row.year, row.geo, row.epsilon,
        row.purpose, row.subject, row.detail, row.prev_hash,
    ]  # fmt: skip
    return _digest(json.dumps(told, separators=(",", ":"), ensure_ascii=False))
