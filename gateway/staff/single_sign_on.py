"""Single sign-on of staff by an OpenID provider: what is asked, and what an answer must satisfy.

Code flow with PKCE, state, nonce and the `iss` parameter. A sign-on belongs to the browser that
began it: what its answer must fit lies sealed in that browser's own cookie, so that beginning one
leaves nothing to store. It is used once. Roles come from the table in `policies/staff` alone, none
by default; a guarded one only to an identity that is linked to an account which has it too.
"""

from __future__ import annotations

import binascii
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.db.staff_tables import StaffSignOnRow
from gateway.errors import Forbidden, OperatorError, Unauthenticated
from gateway.identity.record import Act, append
from gateway.staff.links import account_of_identity, link
from gateway.staff.model import RECORD
from gateway.staff.operations import Operations
from gateway.staff.secrets import Sealer, new_token
from gateway.staff.sessions import UPSTREAM, open_session
from gateway.staff.throttle import Origin, holders_of

LIFE = timedelta(minutes=10)
LEEWAY = 10
_OLDEST = timedelta(minutes=10)
_ALGORITHMS = ("PS256", "ES256", "EdDSA", "Ed25519", "RS256")  # never HMAC, never none
_MOST_SUBJECT = 150
_FREE = 60  # answers brought back that were not good, per network
_SEALED = "single sign-on"
_MOST_COOKIE = 2_000


@dataclass(frozen=True)
class Departure:
    """A begun sign-on: what its answer has to fit, and the account it is to be linked to."""

    state: str
    nonce: str
    verifier: str
    expires: int
    link: str = ""


@dataclass(frozen=True)
class Expected:
    """What an identity token must say."""

    issuer: str
    client_id: str
    nonce: str
    method: str  # in `amr`; empty: the provider is trusted to ask for a second factor


def visits(sealer: Sealer, ip: str) -> tuple[Origin, ...]:
    """What counts the answers a network brings back that are not good."""
    return tuple(
        Origin(sealer.digest("throttle", f"sso\0{holder}"), _FREE * times, forgiving=True)
        for holder, times in holders_of(ip)
    )


def depart(now: datetime, link: str = "") -> Departure:
    """Begin a sign-on for one browser."""
    expires = int((now + LIFE).timestamp())
    return Departure(new_token(), new_token(), new_token(), expires, link)


def kept_by_browser(going: Departure, sealer: Sealer) -> str:
    """The cookie of a begun sign-on: unreadable, and only we can make one."""
    return sealer.seal(_SEALED, json.dumps(asdict(going)))


def arrive(cookie: str, state: str, sealer: Sealer, now: datetime) -> Departure:
    """The sign-on this browser began with this state; refused when there is none, or too old."""
    if len(cookie) > _MOST_COOKIE:
        raise not_signed_on()
    try:
        going = Departure(**json.loads(sealer.unseal(_SEALED, cookie)))
    except (OperatorError, binascii.Error, ValueError, TypeError) as error:
        raise not_signed_on() from error
    if not hmac.compare_digest(going.state.encode(), state.encode()):
        raise not_signed_on()
    if going.expires <= now.timestamp():
        raise not_signed_on()
    return going


def use_up(session: Session, going: Departure, sealer: Sealer, now: datetime) -> None:
    """Let a sign-on that succeeded count once; a second time it is refused."""
    session.execute(sa.delete(StaffSignOnRow).where(StaffSignOnRow.expires_at <= now))
    digest = sealer.digest("state", going.state)
    if session.get(StaffSignOnRow, digest) is not None:
        raise not_signed_on()
    session.add(StaffSignOnRow(digest=digest, expires_at=now + LIFE))
    try:
        session.flush()
    except IntegrityError as error:  # the same answer, at this very moment, elsewhere
        raise not_signed_on() from error


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
    going: Departure,
    operations: Operations,
    *,
    sealer: Sealer,
    now: datetime,
) -> str | None:
    """A session for whom the table gives a role; None, recorded, for everybody else.

    An identity that is linked to an account is that account's person, under the account's name.
    """
    issuer, subject = str(claims["iss"]), str(claims["sub"])
    if going.link:
        link(session, Act(going.link, now), issuer, subject, sealer)
    account = account_of_identity(session, issuer, subject, sealer)
    name = account.name if account else f"sso:{subject}"
    roles = operations.roles_of(claims)
    if account is None:
        roles = tuple(role for role in roles if role not in operations.guarded)
    may = bool(roles) and (account is None or account.state == "active")
    action = "sign_in" if may else "sign_in_refused"
    append(session, RECORD, Act(name, now), action, ("staff", name), before=None, after=None)
    if not may:
        return None
    return open_session(session, name, UPSTREAM, roles, sealer=sealer, now=now)


def unproved(session: Session, now: datetime) -> None:
    """Record an answer of the provider that proves nobody."""
    act, entity = Act("nobody", now), ("staff", "unknown")
    append(session, RECORD, act, "sign_in_refused", entity, before=None, after=None)


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
