"""Revocation (RFC 7009) and introspection (RFC 7662, signed by RFC 9701), on Authlib's endpoints.

A client may ask about and end what is its own. What it learns is what holds in the database now,
not what a replica has heard so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from gateway.authserver import store
from gateway.authserver.clients import METHODS, OAuthClient
from gateway.authserver.details import in_force
from gateway.authserver.errors import Refused, invalid_request
from gateway.authserver.model import Event
from gateway.authserver.parts import SLACK
from gateway.authserver.protocol import FormRequest, Protocol
from gateway.identity.jose import MalformedToken, parse_compact, signature_is_valid
from gateway.identity.keyring import ALGORITHM
from gateway.identity.model import Document
from gateway.identity.revocation import revoke, revoked_in
from gateway.identity.tokens import JKT, TOKEN_TYPE, token_type_of

SIGNED = "application/token-introspection+jwt"
REVOCATION = "revocation"
INTROSPECTION = "introspection"
_LONGEST = 8192
_HINTS = (None, "access_token", "refresh_token")
_SHOWN = (
    "iss",
    "sub",
    "aud",
    "client_id",
    "iat",
    "exp",
    "jti",
    "cnf",
    "consent_id",
    "authorization_details",
)


@dataclass(frozen=True)
class Known:
    """A token of ours: an access token's claims, or a refresh token's record."""

    client_id: str
    authorisation_id: str | None
    claims: Mapping[str, Any]
    jkt: str | None = None
    expires: datetime | None = None
    ended: bool = False

    @property
    def is_access(self) -> bool:
        return bool(self.claims)

    def check_client(self, client: OAuthClient) -> bool:
        return self.client_id == client.client_id


def find_token(server: Protocol, text: str) -> Known | None:
    """The token this text is, if this server made it; access tokens may be expired."""
    if len(text) > _LONGEST:
        return None
    if text.count(".") == 2:
        return _read_access(server, text)
    found = store.find_refresh_token(server.read, server.parts.seal.digest("refresh", text))
    if found is None:
        return None
    return Known(
        found.client_id, found.authorisation_id, {}, found.jkt, found.expires_at, found.ended
    )


def _read_access(server: Protocol, text: str) -> Known | None:
    try:
        compact = parse_compact(text)
    except MalformedToken:
        return None
    header, claims = compact.header, compact.claims
    key = server.parts.ring().verifying.get(str(header.get("kid")))
    ours = header.get("alg") == ALGORITHM and header.get("typ") == TOKEN_TYPE and key is not None
    if not ours or key is None:
        return None
    if not signature_is_valid(ALGORITHM, key, compact.signing_input, compact.signature):
        return None
    return Known(str(claims["client_id"]), claims.get("gid"), claims)


def _check_form(request: FormRequest) -> None:
    if not request.form.get("token"):
        raise invalid_request("token_missing", "token is missing.")
    if request.form.get("token_type_hint") not in _HINTS:
        raise Refused(
            "unsupported_token_type",
            "token_type_hint",
            "token_type_hint must be access_token or refresh_token.",
        )


class Revocation(RevocationEndpoint):  # type: ignore[misc] # Authlib has no types
    """Ends a token; a refresh token takes its whole authorisation with it."""

    CLIENT_AUTH_METHODS = METHODS
    server: Protocol

    def check_params(self, request: FormRequest, client: OAuthClient) -> None:
        _check_form(request)

    def query_token(self, text: str, _hint: str | None) -> Known | None:
        return find_token(self.server, text)

    def revoke_token(self, token: Known, request: FormRequest) -> None:
        """Written before the answer leaves; replicas follow within five seconds."""
        server = self.server
        server.event = Event("done", "token_revoked", {"authorisation": token.authorisation_id})
        if not token.is_access:
            server.end(str(token.authorisation_id), "revoked_by_client")
            return
        until = datetime.fromtimestamp(token.claims["exp"], UTC) + SLACK
        revoke(server.write, "token", str(token.claims["jti"]), until, server.now)
        server.revoked = True


class Introspection(IntrospectionEndpoint):  # type: ignore[misc] # Authlib has no types
    """Says what a token is good for, as JSON or as a signed statement."""

    CLIENT_AUTH_METHODS = METHODS
    server: Protocol

    def check_params(self, request: FormRequest, client: OAuthClient) -> None:
        _check_form(request)

    def query_token(self, text: str, _hint: str | None) -> Known | None:
        return find_token(self.server, text)

    def check_permission(self, token: Known, client: OAuthClient, request: FormRequest) -> bool:
        """A client learns of its own tokens alone; of others it learns that they are not active."""
        return token.check_client(client)

    def create_introspection_payload(self, token: Known | None) -> Document:
        """RFC 7662 §2.2."""
        if token is None or not self._is_active(token):
            return {"active": False}
        if not token.is_access:
            return _refresh_statement(token)
        shown = {name: token.claims[name] for name in _SHOWN if name in token.claims}
        return {"active": True, **shown, "token_type": token_type_of(token.claims["cnf"])}

    def _is_active(self, token: Known) -> bool:
        server = self.server
        if not token.is_access:
            return self._refresh_is_active(token)
        claims = token.claims
        return server.now.timestamp() < claims["exp"] and not revoked_in(
            server.read,
            token_id=claims["jti"],
            client_id=token.client_id,
            gid=token.authorisation_id,
            consent_id=claims.get("consent_id"),
            issued=claims["iat"],
        )

    def _refresh_is_active(self, token: Known) -> bool:
        server = self.server
        if token.ended or token.expires is None or server.now >= token.expires:
            return False
        given = store.find_authorisation(server.read, str(token.authorisation_id))
        if given is None or given.ended:
            return False
        if given.consent_id is None:
            return True
        try:
            in_force(server.read, given.consent_id, given.tenant_id, server.now)
        except Refused:
            return False
        return True


def _refresh_statement(token: Known) -> Document:
    cnf: Document = {"cnf": {JKT: token.jkt}} if token.jkt else {}
    expires = {"exp": int(token.expires.timestamp())} if token.expires else {}
    return {"active": True, "client_id": token.client_id, **expires, **cnf}


def signed_statement(server: Protocol, client: OAuthClient, statement: Mapping[str, object]) -> str:
    """RFC 9701: the same answer, signed for the client that asked."""
    claims: dict[str, Any] = {  # Any: JSON
        "iss": server.parts.issuer,
        "aud": client.client_id,
        "iat": int(server.now.timestamp()),
        "token_introspection": dict(statement),
    }
    return server.parts.sign("token-introspection+jwt", claims)
