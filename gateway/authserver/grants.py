"""The three grants, on Authlib's: machine tokens, codes with PKCE, refresh without rotation.

What Authlib leaves open is closed here: S256 always, codes spent atomically by their first
exchange, a replayed code ends what it gave, refresh tokens stay and are bound to a key.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Any

from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc6749.errors import AccessDeniedError
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7636.challenge import create_s256_code_challenge

from gateway.authserver import store
from gateway.authserver.clients import METHODS, OAuthClient
from gateway.authserver.errors import Refused, invalid_grant, invalid_request
from gateway.authserver.model import CODE_LIFE, Approved, Authorisation, Code, Pushed, RefreshToken
from gateway.authserver.persons import authorise, person_tokens
from gateway.authserver.protocol import Protocol
from gateway.authserver.seal import new_secret, same


def _same_challenge(verifier: str, challenge: str) -> bool:
    return hmac.compare_digest(create_s256_code_challenge(verifier), challenge)


class S256Only(CodeChallenge):  # type: ignore[misc] # Authlib has no types
    """PKCE that cannot be left out or weakened."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)
    CODE_CHALLENGE_METHODS = {"S256": _same_challenge}  # noqa: RUF012 - Authlib's attribute

    def validate_code_challenge(self, grant: CodeGrant, redirect_uri: str) -> None:
        """Refuse a request without a challenge; Authlib would let a confidential client pass."""
        if not grant.request.payload.data.get("code_challenge"):
            raise invalid_request("pkce", "code_challenge is missing.")
        super().validate_code_challenge(grant, redirect_uri)

    def validate_code_verifier(self, grant: CodeGrant, result: object) -> None:
        """Refuse an exchange without the right verifier; the code is spent either way."""
        if not grant.request.form.get("code_verifier"):
            raise invalid_grant("pkce", "code_verifier is missing.")
        super().validate_code_verifier(grant, result)


class MachineGrant(grants.ClientCredentialsGrant):  # type: ignore[misc] # Authlib has no types
    """`client_credentials`: a machine acting for its organisation."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS
    server: Protocol

    def validate_requested_scope(self) -> None:
        """Grants decide what may be asked; there are no scopes to choose from."""
        if self.request.payload.scope:
            raise Refused("invalid_scope", "scope", "There are no scopes for this grant type.")
        _check_resource(self)

    def generate_token(self, **_options: object) -> dict[str, object]:
        """A bound access token."""
        return self.server.issue(self.client, self.GRANT_TYPE)


class _SpentCode:
    """A code in Authlib's terms, already spent."""

    code_challenge_method = "S256"

    def __init__(self, code: Code) -> None:
        self.record = code
        self.code_challenge = code.challenge

    def get_redirect_uri(self) -> str:
        return self.record.redirect_uri

    def get_scope(self) -> str:
        return ""


class CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc] # Authlib has no types
    """`authorization_code`: at PAR its request is checked, at the decision a code is made, at the
    token endpoint the code is spent."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS
    server: Protocol
    pushed: Pushed

    def create_authorization_response(
        self, redirect_uri: str, approved: Approved | None
    ) -> tuple[int, dict[str, str], None]:
        """The parameters of the answer; `interaction` makes the address of them."""
        client = self.request.client
        given = authorise(self.server, client, self.pushed, approved) if approved else None
        if given is None:
            raise AccessDeniedError(redirect_uri=redirect_uri)
        self.request.user = given
        code = new_secret()
        self.save_authorization_code(code, self.request)
        return 303, {"code": code}, None

    def save_authorization_code(self, code: str, request: Any) -> None:  # Any: Authlib's request
        """Keep the code's digest with everything its exchange must match."""
        server, pushed = self.server, self.pushed
        record = Code(
            authorisation_id=request.user.id,
            client_id=pushed.client_id,
            redirect_uri=str(pushed.parameters["redirect_uri"]),
            challenge=str(pushed.parameters["code_challenge"]),
            dpop_jkt=pushed.dpop_jkt,
            expires_at=server.now + CODE_LIFE,
        )
        store.keep_code(server.write, server.parts.seal.digest("code", code), record)

    def query_authorization_code(self, code: str, client: OAuthClient) -> _SpentCode:
        """Spend the code: the first exchange by its client uses it up, right or wrong."""
        _check_resource(self)
        server = self.server
        digest = server.parts.seal.digest("code", code)
        found = store.find_code(server.write, digest)
        if found is None or found.client_id != client.client_id:
            raise invalid_grant("code_unknown", "There is no such code of yours.")
        if not store.use_code(server.write, digest, server.now):
            server.end(found.authorisation_id, "code_replayed")
            raise invalid_grant(
                "code_replayed", "This code was used before; what it gave is revoked."
            )
        if server.now >= found.expires_at:
            raise invalid_grant("code_expired", "The code has expired; codes live a minute.")
        if found.dpop_jkt is not None and not same(found.dpop_jkt, server.jkt or ""):
            raise invalid_grant("code_binding", "The code is bound to another DPoP key.")
        return _SpentCode(found)

    def delete_authorization_code(self, authorization_code: object) -> None:
        """It was spent when it was looked up."""

    def authenticate_user(self, authorization_code: _SpentCode) -> Authorisation:
        """Who allowed it."""
        return _live(self.server, authorization_code.record.authorisation_id)

    def generate_token(
        self, user: Authorisation, include_refresh_token: bool = False, **_options: object
    ) -> dict[str, object]:
        """Access, refresh and identity tokens for what the person allowed."""
        return person_tokens(
            self.server, self.client, user, self.GRANT_TYPE, with_refresh=include_refresh_token
        )


class _HeldToken:
    """A refresh token in Authlib's terms."""

    def __init__(self, token: RefreshToken) -> None:
        self.record = token

    def check_client(self, client: OAuthClient) -> bool:
        return self.record.client_id == client.client_id

    def get_scope(self) -> str:
        return "openid"


class RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc] # Authlib has no types
    """`refresh_token`: the token stays as it is (FAPI 2.0 forbids rotation)."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS
    INCLUDE_NEW_REFRESH_TOKEN = False
    server: Protocol

    def authenticate_refresh_token(self, refresh_token: str) -> _HeldToken:
        """The token if it is this client's, live, and this key's."""
        _check_resource(self)
        server = self.server
        digest = server.parts.seal.digest("refresh", refresh_token)
        found = store.find_refresh_token(server.read, digest)
        if found is None or found.client_id != self.request.client.client_id:
            raise invalid_grant("refresh_unknown", "There is no such refresh token of yours.")
        if found.jkt is not None and not same(found.jkt, server.jkt or ""):
            raise invalid_grant("refresh_binding", "The refresh token is bound to another key.")
        return _HeldToken(_current(found, server.now))

    def authenticate_user(self, refresh_token: _HeldToken) -> Authorisation:
        """Who allowed it."""
        return _live(self.server, refresh_token.record.authorisation_id)

    def generate_token(self, user: Authorisation, **_options: object) -> dict[str, object]:
        """A new access token of the same authorisation."""
        return person_tokens(self.server, self.client, user, self.GRANT_TYPE, with_refresh=False)

    def revoke_old_credential(self, refresh_token: object) -> None:
        """Nothing: rotation loses consents whenever an answer is lost on its way."""


def _current(token: RefreshToken, now: datetime) -> RefreshToken:
    if token.ended:
        raise invalid_grant("authorisation_ended", "This authorisation has ended.")
    if now >= token.expires_at:
        raise invalid_grant("refresh_expired", "The refresh token has expired.")
    return token


def _live(server: Protocol, authorisation_id: str) -> Authorisation:
    found = store.find_authorisation(server.session, authorisation_id)
    if found is None or found.ended:
        raise invalid_grant("authorisation_ended", "This authorisation has ended.")
    return found


def _check_resource(grant: MachineGrant | CodeGrant | RefreshGrant) -> None:
    """RFC 8707: the data API is the only resource there is."""
    resource = grant.server.parts.rule.audience
    if grant.request.payload.data.get("resource", resource) != resource:
        raise Refused("invalid_target", "resource", f"The only resource is {resource}.")
