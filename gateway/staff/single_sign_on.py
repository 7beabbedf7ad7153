"""Single sign-on of staff by an OpenID provider: what is asked, and what an answer must satisfy.

Code flow with PKCE, state, nonce and the `iss` parameter. A sign-on belongs to the browser that
began it, and is used once. Roles come from the table in `policies/staff` alone: none by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy.orm import Session

from gateway.db.staff_tables import StaffArrivalRow
from gateway.errors import Forbidden, Unauthenticated
from gateway.identity.record import Act, append
from gateway.staff.model import RECORD
from gateway.staff.operations import Operations
from gateway.staff.secrets import Sealer, new_token
from gateway.staff.sessions import UPSTREAM, open_session
from gateway.staff.throttle import Origin, network_of

LIFE = timedelta(minutes=10)
LEEWAY = 10
_OLDEST = timedelta(minutes=10)
_ALGORITHMS = ("PS256", "ES256", "EdDSA", "Ed25519", "RS256")  # never HMAC, never none
_MOST_SUBJECT = 150
_FREE = 60  # begun and not finished, per network


@dataclass(frozen=True)
class Departure:
    """What a begun sign-on gives the browser and the address it is sent to."""

    state: str
    nonce: str
    verifier: str
    browser: str


@dataclass(frozen=True)
class Arrival:
    """What the answer to a begun sign-on has to fit."""

    nonce: str
    verifier: str


@dataclass(frozen=True)
class Expected:
    """What an identity token must say."""

    issuer: str
    client_id: str
    nonce: str
    method: str  # in `amr`; empty: the provider is trusted to ask for a second factor


def visits(sealer: Sealer, ip: str) -> tuple[Origin, ...]:
    """What counts the sign-ons begun from a network and not finished."""
    digest = sealer.digest("throttle", f"sso\0{network_of(ip)}")
    return (Origin(digest, _FREE, forgiving=True),)


def depart(session: Session, sealer: Sealer, now: datetime) -> Departure:
    """Begin a sign-on for one browser."""
    made = Departure(new_token(), new_token(), new_token(), new_token())
    session.execute(sa.delete(StaffArrivalRow).where(StaffArrivalRow.expires_at <= now))
    session.add(
        StaffArrivalRow(
            digest=sealer.digest("state", made.state),
            browser=sealer.digest("browser", made.browser),
            nonce=made.nonce,
            verifier=made.verifier,
            expires_at=now + LIFE,
        )
    )
    return made


def arrive(session: Session, sealer: Sealer, state: str, browser: str, now: datetime) -> Arrival:
    """Use up a begun sign-on; only the browser that began it can, and only once."""
    row = session.get(StaffArrivalRow, sealer.digest("state", state))
    good = row is not None and row.expires_at > now
    if row is None or not good or row.browser != sealer.digest("browser", browser):
        raise not_signed_on()
    arrival = Arrival(row.nonce, row.verifier)
    session.delete(row)
    session.flush()
    return arrival


def read_identity(
    token: object, jwks: Mapping[str, Any], expected: Expected, now: datetime
) -> Mapping[str, Any]:
    """The claims of an identity token that says all it must; anything else is refused."""
    try:
        keys = KeySet.import_key_set(dict(jwks))  # type: ignore[arg-type]  # checked by joserfc itself
        decoded = jwt.decode(str(token), keys, algorithms=list(_ALGORITHMS))
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {
                "iss": {"essential": True, "value": expected.issuer},
                "aud": {"essential": True, "value": expected.client_id},
                "sub": {"essential": True},
            },
            {"nonce": expected.nonce, "client_id": expected.client_id},
        )
        claims.validate(now=int(now.timestamp()), leeway=LEEWAY)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise not_signed_on() from error
    _check_the_rest(claims, expected, now)
    return dict(claims)


def admit(
    session: Session,
    claims: Mapping[str, Any],
    operations: Operations,
    *,
    sealer: Sealer,
    now: datetime,
) -> str | None:
    """A session for whom the table gives a role; None, recorded, for everybody else."""
    name = f"sso:{claims['sub']}"
    roles = operations.roles_of(claims)
    action = "sign_in" if roles else "sign_in_refused"
    append(session, RECORD, Act(name, now), action, ("staff", name), before=None, after=None)
    if not roles:
        return None
    return open_session(session, name, UPSTREAM, roles, sealer=sealer, now=now)


def not_signed_on() -> Unauthenticated:
    """The one refusal of an answer that does not fit."""
    return Unauthenticated(
        "staff_sso",
        "This sign-on is not or no longer good; begin again.",
        "单点登录无效或已过期，请重新开始。",
        www_authenticate='Session realm="sluice-admin"',
    )


def without_role() -> Forbidden:
    """The refusal for a person of the provider who has no role here."""
    return Forbidden(
        "staff_sso_role",
        "You are known, but have no role here; ask an administrator.",
        "您的身份已确认，但在本系统没有角色，请联系管理员。",
    )


def _check_the_rest(claims: Mapping[str, Any], expected: Expected, now: datetime) -> None:
    """What Authlib leaves to its caller: freshness, a sensible subject, a second factor."""
    subject, issued = claims.get("sub"), claims.get("iat")
    methods = claims.get("amr") or []
    if (
        not isinstance(subject, str)
        or not 1 <= len(subject) <= _MOST_SUBJECT
        or not subject.isprintable()
        or not isinstance(issued, int)
        or issued + _OLDEST.total_seconds() < now.timestamp()
        or (expected.method and expected.method not in methods)
    ):
        raise not_signed_on()
