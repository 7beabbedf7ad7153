"""Software statements: what the directory vouches for when a client registers itself (RFC 7591).

A statement is a JWT signed by the directory's current key, lives at most half an hour, and is used
once: issuing and using are both recorded, in the transaction that issues or registers.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from gateway.db.directory_tables import StatementRow
from gateway.db.tables import TenantRow
from gateway.errors import OperatorError
from gateway.identity.jose import MalformedToken, parse_compact, sign_es256, signature_is_valid
from gateway.identity.keyring import ALGORITHM, Ring
from gateway.identity.model import Product
from gateway.identity.products import live_product
from gateway.identity.record import Act, record_change

LIFE = timedelta(minutes=30)
STATEMENT_TYPE = "ssa+jwt"


class StatementRefused(OperatorError):
    """A statement that registers nothing; the message says no more than that and why."""

    def __init__(self, why: str) -> None:
        super().__init__("statement.refused", f"The software statement is refused: {why}.")


@dataclass(frozen=True)
class Vouched:
    """What a used statement stands for: the product as the directory knows it now."""

    product: Product
    org_name: str
    claims: dict[str, Any]


def issue_statement(session: Session, act: Act, product_id: str, *, ring: Ring, issuer: str) -> str:
    """A statement for an active product of an active tenant, good once, for half an hour."""
    product = live_product(session, product_id)
    tenant = session.get_one(TenantRow, product.tenant_id)
    jti, expires = secrets.token_urlsafe(16), act.at + LIFE
    session.execute(
        sa.delete(StatementRow).where(StatementRow.expires_at < act.at - timedelta(days=1))
    )
    session.add(StatementRow(jti=jti, product_id=product.id, expires_at=expires, used_at=None))
    record_change(
        session, act, "issue", ("statement", jti), before=None, after={"product": product.id}
    )
    claims = {
        "iss": issuer,
        "aud": issuer,
        "iat": int(act.at.timestamp()),
        "exp": int(expires.timestamp()),
        "jti": jti,
        "software_id": product.id,
        "org_id": product.tenant_id,
        "org_name": tenant.name,
        **_metadata(product),
    }
    header = {"alg": ALGORITHM, "typ": STATEMENT_TYPE, "kid": ring.kid}
    return sign_es256(ring.signing, header, claims)


def use_statement(
    session: Session, statement: str, *, ring: Ring, issuer: str, now: datetime
) -> Vouched:
    """Use a statement up; call it in the session that registers the client."""
    claims = _verified(statement, ring, issuer, now)
    used = session.execute(
        sa.update(StatementRow)
        .where(StatementRow.jti == claims["jti"], StatementRow.used_at.is_(None))
        .where(StatementRow.product_id == claims["software_id"])
        .values(used_at=now)
    )
    if not isinstance(used, CursorResult) or used.rowcount != 1:
        raise StatementRefused("it was used before")
    try:
        product = live_product(session, str(claims["software_id"]))
    except OperatorError as error:
        raise StatementRefused("its product is not active") from error
    return Vouched(product, str(claims["org_name"]), claims)


def _metadata(product: Product) -> dict[str, Any]:
    """Client metadata the directory vouches for, in the names of RFC 7591."""
    keys = {"jwks_uri": product.jwks_uri} if product.jwks_uri else {"jwks": product.jwks}
    return {
        "client_name": product.name_en,
        "client_name#zh": product.name_zh,
        **({"logo_uri": product.logo_uri} if product.logo_uri else {}),
        "redirect_uris": list(product.redirect_uris),
        "contacts": [product.security_contact],
        **keys,
    }


def _verified(statement: str, ring: Ring, issuer: str, now: datetime) -> dict[str, Any]:
    try:
        parsed = parse_compact(statement)
    except MalformedToken as error:
        raise StatementRefused("it is no signed statement") from error
    header, claims = parsed.header, parsed.claims
    key = ring.verifying.get(str(header.get("kid")))
    if (
        key is None
        or (header.get("alg"), header.get("typ")) != (ALGORITHM, STATEMENT_TYPE)
        or "crit" in header
        or not signature_is_valid(ALGORITHM, key, parsed.signing_input, parsed.signature)
        or (claims.get("iss"), claims.get("aud")) != (issuer, issuer)
    ):
        raise StatementRefused("this directory has not signed it")
    expires = claims.get("exp")
    if not isinstance(expires, int) or datetime.fromtimestamp(expires, UTC) <= now:
        raise StatementRefused("it has expired; ask the directory for a new one")
    return claims
