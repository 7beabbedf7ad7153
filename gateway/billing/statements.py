"""Statements: what a client owes for a month, what a provider earned in it, signed.

A statement is made from the lines, weights and ledger entries of the month and from nothing else,
written in one canonical form and signed with Ed25519: made again, it is the same byte for byte.
A provider's statement names no other provider.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from gateway.billing.truth import Month
from gateway.db.billing_tables import LedgerEntryRow, LedgerPostingRow, StatementRow
from metering.rating import ChargeLine
from metering.summary import yuan
from metering.usage import time_text

_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
_BANDS = ((100, "under 1 %"), (500, "1–5 %"), (2000, "5–20 %"), (5000, "20–50 %"))
_MOST = "over 50 %"


@dataclass(frozen=True)
class Sealer:
    """Signs statements; the same key and bytes give the same signature."""

    key: Ed25519PrivateKey = field(repr=False)

    def sign(self, body: bytes) -> str:
        """The signature over the whole body, base64."""
        return base64.b64encode(self.key.sign(body)).decode()


@dataclass(frozen=True)
class Movement:
    """An entry of the month on one account: what, about which month, how much."""

    kind: str
    cause: str
    service_period: str
    fen: int

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "cause": self.cause,
            "service_period": self.service_period,
            "fen": self.fen,
        }


def issue(session: Session, sealer: Sealer, month: Month, now: datetime) -> int:
    """Issue the month's statements; how many."""
    made = 0
    for kind, party, document in _documents(session, month, now):
        body = orjson.dumps(document, option=_OPTIONS)
        session.add(
            StatementRow(
                month=month.month,
                kind=kind,
                party=party,
                body=body,
                sha256=hashlib.sha256(body).hexdigest(),
                signature=sealer.sign(body),
            )
        )
        made += 1
    return made


def remade(session: Session, month: Month, closed_at: datetime) -> dict[tuple[str, str], bytes]:
    """The bodies of a month's statements, made anew; whoever compares them replays the month."""
    return {
        (kind, party): orjson.dumps(document, option=_OPTIONS)
        for kind, party, document in _documents(session, month, closed_at)
    }


def as_csv(body: bytes) -> str:
    """The lines of a statement as a table with one header."""
    lines = orjson.loads(body)["lines"]
    held = io.StringIO()
    if lines:
        writer = csv.DictWriter(held, fieldnames=list(lines[0]), lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(lines)
    return held.getvalue()


def _documents(
    session: Session, month: Month, now: datetime
) -> Iterator[tuple[str, str, dict[str, object]]]:
    used = {line.key.tenant for line in month.lines}
    for tenant in sorted({*used, *_parties(session, month.month, "receivable")}):
        yield "client", tenant, _client(session, month, tenant, now)
    for provider in _parties(session, month.month, "payable"):
        yield "provider", provider, _provider(session, month, provider, now)


def _client(session: Session, month: Month, tenant: str, now: datetime) -> dict[str, object]:
    moved = _movements(session, month.month, f"receivable:{tenant}")
    opening = _balance(session, month.month, f"receivable:{tenant}")
    own = [line for line in month.lines if line.key.tenant == tenant]
    return {
        **_head("client", month.month, tenant, now),
        "lines": [_line(line) for line in own],
        "lines_fen": sum(line.amount_fen for line in own),
        "movements": [movement.as_dict() for movement in moved],
        "opening_balance_fen": opening,
        "closing_balance_fen": opening + sum(movement.fen for movement in moved),
    }


def _line(line: ChargeLine) -> dict[str, object]:
    return {
        "line_id": line.line_id,
        "grant": line.key.grant,
        "service": line.key.service,
        "unit": line.key.unit,
        "price_ref": line.key.price_ref,
        "unit_price_cny": yuan(line.key.price_micro),
        "answers": line.used.answers,
        "cells_delivered": line.used.qty,
        "cells_charged": line.used.billable,
        "cells_repeated": line.used.repeated,
        "units": line.units,
        "amount_fen": line.amount_fen,
    }


def _provider(session: Session, month: Month, name: str, now: datetime) -> dict[str, object]:
    moved = _movements(session, month.month, f"payable:{name}")
    opening = _balance(session, month.month, f"payable:{name}")
    shared = [
        {
            "service": service,
            "pool_fen_about": _about(parts.pool_fen),
            "part_fen": parts.providers[name],
            "own_weight": _band(month.weights.get(service, {}), name),
        }
        for service, parts in month.splits.items()
        if name in parts.providers
    ]
    return {
        **_head("provider", month.month, name, now),
        "lines": shared,
        "movements": [Movement(m.kind, m.cause, m.service_period, -m.fen).as_dict() for m in moved],
        "opening_balance_fen": -opening,
        "closing_balance_fen": -opening - sum(movement.fen for movement in moved),
    }


def _head(kind: str, month: str, party: str, now: datetime) -> dict[str, object]:
    return {
        "statement": f"{month}/{kind}/{party}",
        "kind": kind,
        "month": month,
        "party": party,
        "currency": "CNY",
        "issued_at": time_text(now),
    }


def _band(weights: Mapping[str, int], name: str) -> str:
    """The own part of the weights in bands: exact parts of a few would tell the others'."""
    whole = sum(weights.values())
    if not whole:
        return "none"
    bp = weights.get(name, 0) * 10_000 // whole
    return next((label for limit, label in _BANDS if bp < limit), _MOST)


def _about(fen: int) -> int:
    """Two digits of a pool: enough to see its size, too few to compute what the others got."""
    step: int = 10 ** max(0, len(str(fen)) - 2)
    return (fen + step // 2) // step * step


def _parties(session: Session, month: str, kind: str) -> list[str]:
    rows = session.scalars(
        sa.select(LedgerPostingRow.account)
        .join(LedgerEntryRow, LedgerEntryRow.number == LedgerPostingRow.number)
        .where(LedgerEntryRow.period == month, LedgerPostingRow.account.startswith(f"{kind}:"))
        .distinct()
    )
    return sorted(account.partition(":")[2] for account in rows)


def _movements(session: Session, month: str, account: str) -> list[Movement]:
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


def _balance(session: Session, month: str, account: str) -> int:
    """What stood on an account when the month began."""
    found = session.execute(
        sa.select(sa.func.sum(LedgerPostingRow.fen))
        .join(LedgerEntryRow, LedgerEntryRow.number == LedgerPostingRow.number)
        .where(LedgerEntryRow.period < month, LedgerPostingRow.account == account)
    ).scalar()
    return int(found or 0)
