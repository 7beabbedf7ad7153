"""Software products of tenants: registered once, then named by every client made for them."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from gateway.db.directory_tables import ProductRow
from gateway.db.tables import TenantRow
from gateway.errors import OperatorError
from gateway.identity.entries import ProductEntry
from gateway.identity.jwks import accept_jwks
from gateway.identity.model import PRODUCT_TRANSITIONS, Document, Product
from gateway.identity.record import Act, record_change
from gateway.identity.states import allow
from gateway.identity.store import product_of, product_row

_NO_KEYS: Document = {"keys": []}


def register_product(session: Session, act: Act, entry: ProductEntry) -> Product:
    """Put a product of a live tenant into the directory, active."""
    tenant = session.get(TenantRow, entry.tenant)
    if tenant is None or tenant.status == "revoked":
        raise OperatorError("tenant.unknown", f"There is no live tenant {entry.tenant}.")
    if session.get(ProductRow, entry.id):
        raise OperatorError("product.exists", f"Product {entry.id} is already registered.")
    product = _product(entry, "active")
    session.add(product_row(product, act.at))
    record_change(
        session, act, "register", ("product", product.id), before=None, after=product.document()
    )
    return product


def update_product(session: Session, act: Act, entry: ProductEntry) -> Product:
    """Replace what a product has registered; its tenant and state stay."""
    row = _row(session, entry.id)
    before = product_of(row)
    if before.status == "revoked" or before.tenant_id != entry.tenant:
        raise OperatorError("product.state", f"Product {entry.id} cannot be changed so.")
    return _keep(session, act, "update", before, _product(entry, before.status))


def set_product_status(session: Session, act: Act, product_id: str, status: str) -> Product:
    """Suspend, resume or revoke a product; its clients' tokens stop or start within a second."""
    before = product_of(_row(session, product_id))
    allow(PRODUCT_TRANSITIONS, before.status, status, f"Product {product_id}")
    return _keep(session, act, status, before, replace(before, status=status))


def live_product(session: Session, product_id: str) -> Product:
    """An active product of an active tenant; anything else is refused."""
    row = session.get(ProductRow, product_id)
    tenant = session.get(TenantRow, row.tenant_id) if row else None
    if row is None or tenant is None or (row.status, tenant.status) != ("active", "active"):
        raise OperatorError("product.unknown", f"There is no active product {product_id}.")
    return product_of(row)


def _product(entry: ProductEntry, status: str) -> Product:
    return Product(
        id=entry.id,
        tenant_id=entry.tenant,
        name_zh=entry.name_zh,
        name_en=entry.name_en,
        logo_uri=entry.logo_uri or "",
        status=status,
        redirect_uris=entry.redirect_uris,
        jwks=_NO_KEYS if entry.jwks is None else accept_jwks(entry.jwks),
        jwks_uri=entry.jwks_uri,
        security_contact=entry.security_contact,
    )


def _keep(session: Session, act: Act, action: str, before: Product, after: Product) -> Product:
    session.merge(product_row(after, _row(session, before.id).created_at))
    record_change(
        session,
        act,
        action,
        ("product", before.id),
        before=before.document(),
        after=after.document(),
    )
    return after


def _row(session: Session, product_id: str) -> ProductRow:
    row = session.get(ProductRow, product_id)
    if row is None:
        raise OperatorError("product.unknown", f"There is no product {product_id}.")
    return row
