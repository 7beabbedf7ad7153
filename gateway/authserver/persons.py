"""What a person's decision becomes: an authorisation, and the tokens given for it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from gateway.authserver import store
from gateway.authserver.clients import OAuthClient
from gateway.authserver.details import in_force, state
from gateway.authserver.errors import Refused, invalid_grant
from gateway.authserver.model import (
    SIGN_IN_LIFE,
    Approved,
    Authorisation,
    Pushed,
    RefreshToken,
)
from gateway.authserver.protocol import Protocol
from gateway.authserver.pushed import OPENID
from gateway.authserver.seal import new_id, new_secret
from gateway.consent.tokens import ConsentView
from gateway.identity.tokens import JKT, PersonClaims

_ID_TOKEN_LIFE = 300


def authorise(
    server: Protocol, client: OAuthClient, pushed: Pushed, approved: Approved
) -> Authorisation | None:
    """Write down what the person allowed; None when there is no consent of just this person."""
    consent = None
    if pushed.consent_id is not None:
        consent = _given_by(server, client, pushed.consent_id, approved)
        if consent is None:
            return None
    given = Authorisation(
        id=new_id(),
        client_id=pushed.client_id,
        tenant_id=client.tenant.id,
        subject=server.parts.seal.subject(pushed.client_id, approved.subject_ref),
        subject_ref=approved.subject_ref,
        consent_id=consent.id if consent else None,
        scope=pushed.text("scope") or "",
        details=(state(consent),) if consent else (),
        nonce=pushed.text("nonce"),
        auth_time=approved.auth_time,
        ended=False,
    )
    store.keep_authorisation(server.write, given, server.now)
    return given


def _given_by(
    server: Protocol, client: OAuthClient, consent_id: str, approved: Approved
) -> ConsentView | None:
    try:
        consent = in_force(server.write, consent_id, client.tenant.id, server.now)
    except Refused:
        return None
    return consent if consent.subject_ref == approved.subject_ref else None


def person_tokens(
    server: Protocol,
    client: OAuthClient,
    given: Authorisation,
    grant_type: str,
    *,
    with_refresh: bool,
) -> dict[str, object]:
    """The token response of an authorisation that is in force now."""
    consent = _consent(server.session, given, server.now)
    not_after = consent.valid_to if consent else None
    person = PersonClaims(given.subject, given.id, given.consent_id, given.details)
    body = server.issue(client, grant_type, person, not_after)
    if given.scope:
        body["scope"] = given.scope
    if consent is not None and not_after is not None:
        body["authorization_details"] = list(given.details)
        body["consent_id"] = consent.id
        body["consent_expires_at"] = int(not_after.timestamp())
    if with_refresh:
        body["refresh_token"] = _refresh_token(server, given, not_after)
    if grant_type == "authorization_code" and OPENID in given.scope.split():
        body["id_token"] = _id_token(server, given)
    return body


def _consent(session: Session, given: Authorisation, now: datetime) -> ConsentView | None:
    if given.consent_id is None:
        return None
    consent = in_force(session, given.consent_id, given.tenant_id, now)
    if consent.subject_ref != given.subject_ref:
        raise invalid_grant("authorisation_ended", "This authorisation has ended.")
    return consent


def _refresh_token(server: Protocol, given: Authorisation, not_after: datetime | None) -> str:
    """A refresh token that lives as long as the consent, and never changes."""
    text = new_secret()
    token = RefreshToken(
        digest=server.parts.seal.digest("refresh", text),
        authorisation_id=given.id,
        client_id=given.client_id,
        # A certificate is renewed while consents last: there the client's own proof must do.
        jkt=server.cnf.get(JKT),
        expires_at=not_after or server.now + SIGN_IN_LIFE,
        ended=False,
    )
    store.keep_refresh_token(server.write, token, server.now)
    return text


def _id_token(server: Protocol, given: Authorisation) -> str:
    issued = int(server.now.timestamp())
    claims: dict[str, Any] = {  # Any: JSON
        "iss": server.parts.issuer,
        "sub": given.subject,
        "aud": given.client_id,
        "iat": issued,
        "exp": issued + _ID_TOKEN_LIFE,
        "auth_time": int(given.auth_time.timestamp()),
    }
    if given.nonce is not None:
        claims["nonce"] = given.nonce
    return server.parts.sign("JWT", claims)
