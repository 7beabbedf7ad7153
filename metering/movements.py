"""The movements of money there are, each as one ledger entry that balances.

    charge       a client owes for a month's line          receivable → suspense
    share        what was charged is divided               suspense → tax, operator, fund, providers
    payment      a client pays                             cash → receivable
    payout       a provider is paid                        payable → cash
    hold         a dispute stops what was shared           payable, tax, … → held
    release      the dispute, or a part, was not upheld    held → payable, tax, …
    credit_note  the dispute was upheld, or a part of it   held → receivable

Charges and shares are booked as what is true now less what was booked before: so a later truth is a
difference in an open month, and a second run books nothing. What a provider was paid already and
must give back stands against its next earnings: its account goes below nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from metering.allotment import allot
from metering.ledger import Entry, LedgerError, postings
from metering.rating import ChargeLine
from metering.sharing import Split

SHARED: Final = ("tax", "operator_cost", "public_interest", "payable")
"""Kinds of accounts that fees are divided among."""


@dataclass(frozen=True)
class Booking:
    """When and in which open month a movement is booked, and the month it is about."""

    period: str
    at: datetime
    service_period: str


def charge(line: ChargeLine, before: Mapping[str, int], booking: Booking) -> Entry | None:
    """What a line's amount differs from what was charged for it `before`, by account."""
    due = {f"receivable:{line.key.tenant}": line.amount_fen, "suspense": -line.amount_fen}
    return _difference("charge", line.line_id, due, before, booking)


def share(service: str, parts: Split, before: Mapping[str, int], booking: Booking) -> Entry | None:
    """What the division of a service-month's fees differs from how they were shared `before`."""
    cause = f"{service}.{booking.service_period}"
    return _difference("share", cause, divided(parts), before, booking)


def divided(parts: Split) -> dict[str, int]:
    """A division of fees by account."""
    return {
        "suspense": parts.fees_fen,
        "tax": -parts.tax_fen,
        "operator_cost": -parts.operator_fen,
        "public_interest": -parts.public_interest_fen,
        **{f"payable:{name}": -fen for name, fen in parts.providers.items()},
    }


def payment(tenant: str, fen: int, booking: Booking, *, receipt: str) -> Entry:
    """Money came in from a client."""
    _positive(fen)
    return _entry("payment", receipt, {"cash": fen, f"receivable:{tenant}": -fen}, booking)


def payout(provider: str, fen: int, booking: Booking, *, order: str) -> Entry:
    """Money went out to a provider."""
    _positive(fen)
    return _entry("payout", order, {f"payable:{provider}": fen, "cash": -fen}, booking)


def hold(case: str, parts: Mapping[str, int], booking: Booking) -> Entry:
    """A dispute takes its part out of where fees went. `parts`: fen by account, all above 0."""
    if {account.partition(":")[0] for account in parts} - set(SHARED):
        raise LedgerError("a dispute holds what fees were divided into")
    moved = {**parts, f"held:{case}": -sum(parts.values())}
    return _entry("hold", case, moved, booking)


def release(case: str, parts: Mapping[str, int], booking: Booking) -> Entry:
    """What was held goes back where it came from; for a part of it, pass that part."""
    moved = {account: -fen for account, fen in parts.items()}
    return _entry("release", case, {**moved, f"held:{case}": sum(parts.values())}, booking)


def credit_note(case: str, tenant: str, fen: int, booking: Booking) -> Entry:
    """The dispute was upheld: the client owes less, by what was held."""
    _positive(fen)
    moved = {f"held:{case}": fen, f"receivable:{tenant}": -fen}
    return _entry("credit_note", case, moved, booking)


def decision(
    case: str, tenant: str, held: Mapping[str, int], credited_fen: int, booking: Booking
) -> tuple[Entry, ...]:
    """A dispute is decided: so much of what was held goes to the client, taken from every account
    by its part, and the rest goes back where it came from."""
    if not 0 <= credited_fen <= sum(held.values()):
        raise LedgerError("a dispute gives back no more than it holds, and nothing less than none")
    gone = allot(credited_fen, held)
    back = {account: fen - gone[account] for account, fen in held.items() if fen > gone[account]}
    entries = [release(case, back, booking)] if back else []
    if credited_fen:
        entries.append(credit_note(case, tenant, credited_fen, booking))
    return tuple(entries)


def _difference(
    kind: str, cause: str, due: Mapping[str, int], before: Mapping[str, int], booking: Booking
) -> Entry | None:
    """None where nothing changed. Every closing has an entry of its own for a cause."""
    moved = {account: due.get(account, 0) - before.get(account, 0) for account in {**due, **before}}
    if not any(moved.values()):
        return None
    corrects = f"{kind} of {cause}" if any(before.values()) else None
    return _entry(kind, f"{cause}/{booking.period}", moved, booking, corrects)


def _entry(
    kind: str, cause: str, moved: Mapping[str, int], booking: Booking, corrects: str | None = None
) -> Entry:
    entry_id = hashlib.sha256(f"{kind}\x1f{cause}".encode()).hexdigest()[:32]
    moving = postings(moved)
    if not moving:
        raise LedgerError(f"the {kind} of {cause} moves nothing: book no entry")
    month = booking.service_period
    return Entry(entry_id, kind, booking.period, month, booking.at, cause, moving, corrects)


def _positive(fen: int) -> None:
    if fen <= 0:
        raise LedgerError("an amount is more than nothing; money back is an entry of its own kind")
