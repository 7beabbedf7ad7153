"""Money that came in from clients and went out to providers, booked in the open month.

The money itself moves at the bank; here it is entered, once per receipt or order.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from gateway.billing import books
from gateway.billing.months import open_month
from gateway.billing.office import Office
from gateway.db.engine import writing
from gateway.errors import OperatorError
from metering import movements
from metering.movements import Booking


def receive(office: Office, tenant: str, fen: int, receipt: str, now: datetime) -> int:
    """A client paid; what it owes afterwards (below nothing: it has paid ahead)."""
    with writing(office.engine) as session:
        return take_in(session, tenant, fen, receipt, now)


def take_in(session: Session, tenant: str, fen: int, receipt: str, now: datetime) -> int:
    """As `receive`, in a transaction of the caller's."""
    account = f"receivable:{tenant}"
    if account not in books.accounts(session):
        raise OperatorError("account_unknown", f"{tenant} was never charged anything.")
    month = open_month(session, now)
    entry = movements.payment(tenant, fen, Booking(month, now, month), receipt=receipt)
    _once(books.post(session, [entry]), receipt)
    return books.balances(session).get(account, 0)


def pay_out(office: Office, provider: str, fen: int, order: str, now: datetime) -> int:
    """A provider was paid; what it is still owed. Never more than it is owed."""
    with writing(office.engine) as session:
        return give_out(session, provider, fen, order, now)


def give_out(session: Session, provider: str, fen: int, order: str, now: datetime) -> int:
    """As `pay_out`, in a transaction of the caller's."""
    owed = -books.balances(session).get(f"payable:{provider}", 0)
    if fen > owed:
        raise OperatorError(
            "payout_too_much", f"{provider} is owed {owed} fen, less than the {fen} to pay out."
        )
    month = open_month(session, now)
    entry = movements.payout(provider, fen, Booking(month, now, month), order=order)
    _once(books.post(session, [entry]), order)
    return owed - fen


def _once(new: int, document: str) -> None:
    if not new:
        raise OperatorError("booked_before", f"{document} was booked before; nothing was changed.")
