"""Who owes a minimum for a month: grants in force for all of it, under a price with a commitment.

A grant that begins, ends or is stopped within a month owes its minimum only if it is used in it. A
commitment belongs to the price list, so it is the same for everybody and was approved by two
people; what is free for an organisation commits it to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.catalogue.tariff import Tariff
from gateway.db.tables import DirectoryAuditRow, GrantRow, TenantRow
from metering.calendar import month_range
from metering.prices import Price
from metering.rating import LineKey
from metering.tariff import Bounded, first_unit_micro

Free: TypeAlias = Callable[[str, str, str], bool]
"""Whether a scenario may use a service without charge: scenario, service, kind of organisation."""

_GOOD: Final = frozenset({"active", "approve"})
_BAD: Final = frozenset({"suspended", "revoked", "expire", "draft", "limited", "limit"})
_APPROVALS: Final = 2


def commitments(
    session: Session, month: str, tariffs: Mapping[str, Tariff], free: Free
) -> dict[str, LineKey]:
    """Lines that are charged even if nothing is used, by their id."""
    found = {}
    for grant, kind in _in_force(session, month):
        for service in grant.services:
            tariff = tariffs.get(service)
            if tariff is None or free(grant.scenario, service, kind):
                continue
            for price in _committing(tariff, month):
                micro = first_unit_micro(price.tariff)
                named = (grant.tenant_id, grant.id, service, tariff.unit, price.ref, micro)
                key = LineKey(month, *named)
                found[key.line_id] = key
    return found


def _committing(tariff: Tariff, month: str) -> Iterator[Price]:
    """The prices of a month that have a minimum: they hold for whole months."""
    first, last = _days(month)
    for price in tariff.published.prices:
        bounds = price.tariff
        whole = price.valid_from <= first and last <= price.valid_to
        if whole and isinstance(bounds, Bounded) and bounds.minimum_micro:
            yield price


def _in_force(session: Session, month: str) -> Iterator[tuple[GrantRow, str]]:
    """Grants that could be used from the first instant of a month to its last."""
    first, last = _days(month)
    tenants = {row.id: row for row in session.scalars(sa.select(TenantRow))}
    rows = session.scalars(
        sa.select(GrantRow)
        .where(GrantRow.valid_from <= first, GrantRow.valid_to >= last)
        .order_by(GrantRow.id)
    )
    for row in rows:
        history = _history(session, "grant", row.id)
        organisation = _history(session, "tenant", row.tenant_id)
        span = month_range(month)
        if _lasts(history, span, _APPROVALS) and _lasts(organisation, span, 0):
            yield row, tenants[row.tenant_id].type


def _history(session: Session, entity: str, name: str) -> list[tuple[datetime, str]]:
    rows = session.execute(
        sa.select(DirectoryAuditRow.at, DirectoryAuditRow.action)
        .where(DirectoryAuditRow.entity == entity, DirectoryAuditRow.entity_id == name)
        .order_by(DirectoryAuditRow.revision)
    )
    return [(at, action) for at, action in rows]


def _lasts(
    history: list[tuple[datetime, str]], span: tuple[datetime, datetime], approvals: int
) -> bool:
    """Whether something was in force before a month began and not stopped before it ended."""
    left, good = approvals, not approvals
    for at, action in history:
        if at >= span[1]:
            break
        if action == "approve":
            left -= 1
            good = good or left <= 0
        elif action == "active":
            good = True
        elif action in _BAD:
            good, left = False, approvals
        if at >= span[0] and (action in _BAD or action in _GOOD):
            return False
    return good


def _days(month: str) -> tuple[date, date]:
    begins, ends = month_range(month)
    return begins.date(), (ends - timedelta(days=1)).date()
