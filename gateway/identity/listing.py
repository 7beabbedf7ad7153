"""Lists of the directory by pages: keyed by id, sought by words, never read whole."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from gateway.db.directory_tables import ProductRow
from gateway.db.tables import ClientRow, GrantRow, TenantRow
from gateway.errors import BadRequest
from gateway.identity.model import Client, Grant, Product, Tenant
from gateway.identity.store import client_of, grant_of, product_of, tenant_of

MOST = 500
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries: after an id, so many, with this state, this id, or these words in them."""

    after: str = ""
    limit: int | None = None  # none: all there are
    q: str = ""
    state: str = ""
    id: str = ""


def wanted_of(query: dict[str, str] | Any) -> Wanted:  # Any: starlette's query parameters
    """What a request's parameters want; raises `BadRequest` for a limit that is none."""
    limit = query.get("limit")
    if limit is not None and not (
        limit.isascii() and limit.isdecimal() and 1 <= int(limit) <= MOST
    ):
        raise BadRequest("invalid_parameter", f"Not valid: query.limit; it is 1 to {MOST}.")
    texts = {name: query.get(name, "")[:_LONGEST] for name in ("after", "q", "state", "id")}
    return Wanted(limit=None if limit is None else int(limit), **texts)


def tenants(session: Session, wanted: Wanted) -> list[Tenant]:
    """Tenants by id."""
    rows = _rows(session, TenantRow, wanted, (TenantRow.id, TenantRow.name), TenantRow.status)
    return [tenant_of(row) for row in rows]


def tenants_of(session: Session, ids: Collection[str]) -> dict[str, Tenant]:
    """These tenants by id."""
    rows = session.scalars(sa.select(TenantRow).where(TenantRow.id.in_(ids)))
    return {row.id: tenant_of(row) for row in rows}


def products(session: Session, wanted: Wanted) -> list[Product]:
    """Products by id."""
    sought = (ProductRow.id, ProductRow.name_zh, ProductRow.name_en, ProductRow.tenant_id)
    return [
        product_of(row) for row in _rows(session, ProductRow, wanted, sought, ProductRow.status)
    ]


def clients(session: Session, wanted: Wanted) -> list[Client]:
    """Clients by id."""
    sought = (ClientRow.id, ClientRow.name, ClientRow.tenant_id)
    return [client_of(row) for row in _rows(session, ClientRow, wanted, sought, ClientRow.status)]


def grants(session: Session, wanted: Wanted) -> list[Grant]:
    """Grants by id."""
    sought = (GrantRow.id, GrantRow.tenant_id, GrantRow.scenario, GrantRow.product_name)
    return [grant_of(row) for row in _rows(session, GrantRow, wanted, sought, GrantRow.status)]


def count_by_state(session: Session, table: Any) -> dict[str, int]:  # Any: a table with a status
    """How many entries of a table stand in each state."""
    rows = session.execute(sa.select(table.status, sa.func.count()).group_by(table.status))
    return {str(state): int(number) for state, number in rows}


def _rows(
    session: Session,
    table: Any,  # Any: a mapped table with `id`
    wanted: Wanted,
    sought: Sequence[InstrumentedAttribute[str]],
    state: InstrumentedAttribute[str],
) -> list[Any]:
    chosen = sa.select(table).order_by(table.id)
    if wanted.id:
        chosen = chosen.where(table.id == wanted.id)
    if wanted.after:
        chosen = chosen.where(table.id > wanted.after)
    if wanted.state:
        chosen = chosen.where(state == wanted.state)
    if wanted.q:
        chosen = chosen.where(
            sa.or_(*(each.icontains(wanted.q, autoescape=True) for each in sought))
        )
    if wanted.limit is not None:
        chosen = chosen.limit(wanted.limit)
    return list(session.scalars(chosen))
