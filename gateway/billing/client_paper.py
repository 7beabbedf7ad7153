"""A client's statement: its lines with the tax in them, what else moved, its disputes."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from gateway.billing import account
from gateway.billing.frame import CLIENT, Frame
from gateway.billing.truth import Month
from metering.allotment import allot
from metering.rating import ChargeLine
from metering.summary import yuan


def client_paper(session: Session, month: Month, tenant: str, frame: Frame) -> dict[str, object]:
    """The document; `line_taxes` of all lines of the month say what is tax in each."""
    name = f"receivable:{tenant}"
    moved = account.movements(session, month.month, name)
    opening = account.opening_balance(session, month.month, name)
    taxes = line_taxes(month)
    own = [line for line in month.lines if line.key.tenant == tenant]
    whole, tax = (sum(line.amount_fen for line in own), sum(taxes[one.line_id] for one in own))
    return {
        **frame.head(CLIENT, "client", month.month, tenant),
        "lines": [_line(line, taxes[line.line_id], frame) for line in own],
        "lines_fen": whole,
        "net_fen": whole - tax,
        "tax_fen": tax,
        "tax_bp": month.terms.tax_bp,
        "movements": [one.document(month.month, own="charge") for one in moved],
        "disputes": [case.document() for case in account.cases(session, month.month, tenant)],
        "dispute_days": month.terms.dispute_days,
        "opening_balance_fen": opening,
        "closing_balance_fen": opening + sum(movement.fen for movement in moved),
    }


def line_taxes(month: Month) -> Mapping[str, int]:
    """The tax contained in each line: a service-month's tax divided among its lines by amount, so
    that all clients' statements together show what the ledger owes the tax office."""
    found: dict[str, int] = {}
    for service, parts in month.splits.items():
        amounts = {x.line_id: x.amount_fen for x in month.lines if x.key.service == service}
        found |= allot(parts.tax_fen, amounts)
    return found


def _line(line: ChargeLine, tax: int, frame: Frame) -> dict[str, object]:
    key, used = line.key, line.used
    return {
        "line_id": line.line_id,
        "category": "usage" if used.answers else "commitment",
        "grant": key.grant,
        "service": key.service,
        "title": frame.labels.service(key.service),
        "unit": key.unit,
        "price_ref": key.price_ref,
        "unit_price_cny": yuan(key.price_micro),
        "answers": used.answers,
        "cells_delivered": used.qty,
        "cells_charged": used.billable,
        "cells_repeated": used.repeated,
        "units": line.units,
        "net_fen": line.amount_fen - tax,
        "tax_fen": tax,
        "amount_fen": line.amount_fen,
    }
