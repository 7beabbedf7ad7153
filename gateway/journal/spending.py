"""What each grant and each organisation owes for the running month, in memory.

Priced as the bill prices it: begun units count whole within a line, fen are rounded once per line.
Calls in flight hold the most they could cost, so that calls deciding at the same time cannot pass a
credit limit together. Restored from sums over the journal at start.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import NamedTuple

from metering.calendar import month_begins, month_of
from metering.rating import LineKey, Pricing, amount_fen, key_of, stamped_price
from metering.usage import UsageEvent

FREE = "free"
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Spent:
    """Fen owed for the month by a grant and by its organisation, the asking call not included."""

    grant_fen: int = 0
    tenant_fen: int = 0


class Payer(NamedTuple):
    """Who owes: a grant, and the organisation it belongs to."""

    tenant: str
    grant: str


class Commitment(NamedTuple):
    """What a grant owes for a month at least, once it has used a service by a price."""

    service: str
    price_ref: str
    fen: int


class Owed(NamedTuple):
    """A running month: what was used in it, and that with what calls in flight may add."""

    month: str
    used: Spent
    taken: Spent


@dataclass
class _Bill:
    """The lines of one grant's month, and what calls in flight may add."""

    month: datetime = _NEVER
    billable: dict[LineKey, int] = field(default_factory=dict)
    fen: int = 0
    held: int = 0

    def turn(self, month: datetime) -> None:
        if month > self.month:
            self.month, self.billable, self.fen = month, {}, 0

    def has(self, commitment: Commitment) -> bool:
        """Whether the month owes the commitment already; what is free of charge brings none."""
        named = (commitment.service, commitment.price_ref)
        lines = (key for key in self.billable if key.unit != FREE)
        return any((key.service, key.price_ref) == named for key in lines)

    def add(self, key: LineKey, billable: int, price: Pricing) -> None:
        before = self.billable.get(key, 0)
        was = _fen(key, before, price) if key in self.billable else 0
        self.billable[key] = before + billable
        self.fen += _fen(key, before + billable, price) - was


class Spending:
    """The running month of all grants of one process. Every method is safe from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._price: Pricing = stamped_price
        self._bills: dict[str, dict[str, _Bill]] = {}

    def price_by(self, price: Pricing) -> None:
        """Price by the published prices from now on, also what was used before."""
        with self._lock:
            self._price = price
            for bills in self._bills.values():
                for bill in bills.values():
                    bill.fen = sum(_fen(key, qty, price) for key, qty in bill.billable.items())

    def most(self, payer: Payer, fen: int, commitment: Commitment, now: datetime) -> int:
        """What a call can add to the month, its units costing `fen`: the commitment, where the bill
        does not have it yet. Of first calls at the same time each counts it; one may be refused."""
        with self._lock:
            return fen if self._bill(payer, now).has(commitment) else max(fen, commitment.fen)

    def hold(self, payer: Payer, fen: int, now: datetime) -> Spent:
        """Reserve `fen`; what is owed and reserved without it."""
        with self._lock:
            seen = self._seen(payer, now)
            self._bill(payer, now).held += fen
            return seen

    def settle(self, payer: Payer, fen: int, now: datetime, usage: UsageEvent | None) -> None:
        """Give a reservation back; `usage` is what was recorded instead, if anything was."""
        with self._lock:
            self._bill(payer, now).held -= fen
            if usage is not None:
                bill = self._bill(Payer(usage.tenant, usage.grant), now)
                if usage.time >= bill.month:
                    bill.add(key_of(usage), usage.billable_qty, self._price)

    def standing(self, payer: Payer, now: datetime) -> Owed:
        """How the month stands, in the latest that a call was in."""
        with self._lock:
            taken, own = self._seen(payer, now), self._bill(payer, now)
            tenant = sum(bill.fen for bill in self._bills[payer.tenant].values())
            return Owed(month_of(own.month), Spent(own.fen, tenant), taken)

    def payers(self) -> tuple[Payer, ...]:
        """Everybody who was ever counted."""
        with self._lock:
            found = self._bills.items()
            return tuple(Payer(tenant, grant) for tenant, bills in found for grant in bills)

    def restore(self, rows: Iterable[tuple[LineKey, int]], now: datetime) -> None:
        """Start where the journal stands: billable units of the month of `now`, by line."""
        with self._lock:
            for key, billable in rows:
                self._bill(Payer(key.tenant, key.grant), now).add(key, billable, self._price)

    def _seen(self, payer: Payer, now: datetime) -> Spent:
        own = self._bill(payer, now)
        bills = self._bills[payer.tenant].values()
        for bill in bills:
            bill.turn(own.month)
        return Spent(own.fen + own.held, sum(bill.fen + bill.held for bill in bills))

    def _bill(self, payer: Payer, now: datetime) -> _Bill:
        bills = self._bills.setdefault(payer.tenant, {})
        bill = bills.get(payer.grant)
        if bill is None:
            bill = bills[payer.grant] = _Bill()
        bill.turn(_month(now))
        return bill


def _fen(key: LineKey, billable: int, price: Pricing) -> int:
    return amount_fen(key, billable, price(key))


def _month(now: datetime) -> datetime:
    return month_begins(now).astimezone(UTC)
