"""What the public is told: counts of closed months, prices, income and where it went.

A month is published when its books are closed, once: the file under `home/transparency` is what was
published and is not computed again. Small counts are withheld in the file itself. A year's income
is told whole, as the price notice (发改价格〔2025〕65号) asks.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy.orm import Session

from gateway.billing import books
from gateway.db.billing_tables import BillingMonthRow, LedgerEntryRow, LedgerPostingRow
from gateway.db.consent_tables import ConsentEventRow
from gateway.db.engine import reading
from gateway.db.tables import DirectoryAuditRow
from gateway.journal.looking import Looking
from gateway.journal.reader import Called
from metering.calendar import month_range
from metering.revenue_cap import YearState, years

OPEN: Final = "DC1"
"""The disclosure profile of public aggregates, whose limits hold here too."""
_CHARGED: Final = ("charge", "credit_note")


class Published(BaseModel):
    """A month as it is published; None is a count too small to tell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    month: str
    calls: int | None
    organisations: int | None
    denials: int | None
    revocations: int | None
    stops: int
    income_fen: int | None
    tax_fen: int | None
    operator_fen: int | None
    public_interest_fen: int | None
    providers_fen: int | None


@dataclass(frozen=True)
class Limits:
    """Below these a count is withheld: of calls and persons, and of organisations."""

    persons: int
    organisations: int

    @classmethod
    def of(cls, documents: Mapping[str, Any]) -> Limits:
        """As the profile of public aggregates says."""
        profile = documents["sdc_profiles"][OPEN]
        return cls(int(profile["k_person"]), int(profile["min_institutions"]))


@dataclass(frozen=True)
class Figures:
    """What was counted in a month, nothing withheld."""

    called: tuple[Called, ...]
    revocations: int
    stops: int
    charged_tenants: int
    moved_fen: Mapping[str, int]  # income, tax, operator_cost, public_interest, payable


@dataclass(frozen=True)
class Archive:
    """The published months of a home."""

    folder: Path
    engine: sa.Engine
    looking: Looking
    approved_income_fen: Mapping[int, int]

    def months(self, limits: Limits) -> list[Published]:
        """Every closed month, the newest first; those not yet published are published now."""
        with reading(self.engine) as session:
            query = sa.select(BillingMonthRow.month).order_by(BillingMonthRow.month.desc())
            closed = list(session.scalars(query))
        return [self._read(month) or self._publish(month, limits) for month in closed]

    def years(self) -> tuple[YearState, ...]:
        """Each year's income against what was approved for it."""
        with reading(self.engine) as session:
            return years(self.approved_income_fen, books.income_by_year(session))

    def _read(self, month: str) -> Published | None:
        try:
            return Published.model_validate_json((self.folder / f"{month}.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def _publish(self, month: str, limits: Limits) -> Published:
        """Write a month beside and put it in its place, so that nobody reads half of it."""
        told = published(month, self._count(month), limits)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.folder / f".{month}.{os.getpid()}.{secrets.token_hex(4)}"
        draft.write_text(told.model_dump_json(), encoding="utf-8")
        draft.replace(self.folder / f"{month}.json")
        return told

    def _count(self, month: str) -> Figures:
        with reading(self.engine) as session:
            return Figures(
                tuple(self.looking.called(month)),
                _ended(session, month),
                _stopped(session, month),
                *_money(session, month),
            )


def published(month: str, figures: Figures, limits: Limits) -> Published:
    """The figures of a month with what is too small withheld.

    Amounts of a month are withheld where so few organisations were charged that one of them could
    read another's bill from them.
    """
    tenants = {each.tenant for each in figures.called}
    calls = sum(each.calls for each in figures.called)
    refused = sum(each.refused for each in figures.called)
    few = 0 < figures.charged_tenants < limits.organisations
    moved = {name: None if few else fen for name, fen in figures.moved_fen.items()}
    return Published(
        month=month,
        calls=_told(calls, limits.persons),
        organisations=_told(len(tenants), limits.organisations),
        denials=_told(refused, limits.persons),
        revocations=_told(figures.revocations, limits.persons),
        stops=figures.stops,
        income_fen=moved["income"],
        tax_fen=moved["tax"],
        operator_fen=moved["operator_cost"],
        public_interest_fen=moved["public_interest"],
        providers_fen=moved["payable"],
    )


def _told(count: int, k: int) -> int | None:
    """A count, unless it is small; that there was nothing is told."""
    return None if 0 < count < k else count


def _ended(session: Session, month: str) -> int:
    """Consents that were ended before their time."""
    begins, ends = month_range(month)
    query = sa.select(sa.func.count()).select_from(ConsentEventRow)
    query = query.where(ConsentEventRow.after == "REVOKED", ConsentEventRow.before != "REVOKED")
    found = session.scalar(query.where(ConsentEventRow.at >= begins, ConsentEventRow.at < ends))
    return int(found or 0)


def _stopped(session: Session, month: str) -> int:
    """Emergency stops that were raised."""
    begins, ends = month_range(month)
    query = sa.select(sa.func.count()).select_from(DirectoryAuditRow)
    query = query.where(DirectoryAuditRow.entity == "stop", DirectoryAuditRow.action == "stop")
    found = session.scalar(query.where(DirectoryAuditRow.at >= begins, DirectoryAuditRow.at < ends))
    return int(found or 0)


def _money(session: Session, month: str) -> tuple[int, dict[str, int]]:
    """How many organisations were charged in a month, and what was booked in it, by its end."""
    rows = session.execute(
        sa.select(LedgerEntryRow.kind, LedgerPostingRow.account, sa.func.sum(LedgerPostingRow.fen))
        .join(LedgerEntryRow, LedgerEntryRow.number == LedgerPostingRow.number)
        .where(LedgerEntryRow.period == month)
        .where(LedgerEntryRow.kind.in_((*_CHARGED, "share")))
        .group_by(LedgerEntryRow.kind, LedgerPostingRow.account)
    )
    return _sums((kind, account, int(fen)) for kind, account, fen in rows)


def _sums(rows: Iterable[tuple[str, str, int]]) -> tuple[int, dict[str, int]]:
    moved = dict.fromkeys(("income", "tax", "operator_cost", "public_interest", "payable"), 0)
    charged = set()
    for kind, account, fen in rows:
        head = account.partition(":")[0]
        if kind in _CHARGED and head == "receivable":
            moved["income"] += fen
            charged.add(account)
        elif kind == "share" and head in moved:
            moved[head] -= fen
    return len(charged), moved
