"""The token endpoint's protocol, on Authlib's core: `client_credentials` by `private_key_jwt` only.

Authlib runs the grant; what it is too lenient about for FAPI 2.0 is replaced here: algorithms,
audience, life time and single use come from `assertion` and `replay`, every refused client gets
status 401 with one form of body, and a client that does not exist costs the same work as one that
does: its signature is checked against a decoy key. Synchronous: call it in a worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidScopeError, OAuth2Error
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.identity.assertion import (
    ASSERTION_TYPE,
    Assertion,
    AssertionRefused,
    read_assertion,
)
from gateway.identity.directory import Directory
from gateway.identity.jose import (
    MalformedToken,
    PublicKey,
    parse_compact,
    signature_is_valid,
)
from gateway.identity.jwks import choose_key
from gateway.identity.keyring import Ring
from gateway.identity.limiter import FailureLimiter
from gateway.identity.replay import ReplayGuard
from gateway.identity.tokens import TokenRule, issue_token

CLIENT_AUTHENTICATION = "private_key_jwt"
_GRANT = "client_credentials"
_TOKEN_HEADERS = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True)
class Reply:
    """An HTTP answer of the token endpoint."""

    status: int
    body: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=lambda: dict(_TOKEN_HEADERS))


class ClientRefused(InvalidClientError):  # type: ignore[misc] # Authlib has no types
    """401 for every failed client authentication; `code` never depends on the directory's content
    unless the sender has proved to hold a registered key."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description=description, status_code=401)
        self.code = code

    def get_body(self) -> list[tuple[str, str]]:
        return [*super().get_body(), ("code", self.code)]

    def get_headers(self) -> list[tuple[str, str]]:
        return []


class TargetRefused(OAuth2Error):  # type: ignore[misc] # Authlib has no types
    """The client asks for a token for another resource (RFC 8707)."""

    error = "invalid_target"


@dataclass(frozen=True)
class TokenEndpoint:
    """Everything the token endpoint works with."""

    rule: TokenRule
    directory: Directory
    ring: Callable[[], Ring]
    replay: ReplayGuard
    limiter: FailureLimiter = field(default_factory=FailureLimiter)

    def respond(self, form: Mapping[str, str], ip: str, now: datetime) -> Reply:
        """Answer one well-formed form; failed authentications of one source are slowed down."""
        self.directory.check_fresh()
        claimed = _claimed_client(form)
        wait = self.limiter.wait_seconds(ip, claimed, now.timestamp())
        if wait:
            return _slow_down(wait)
        reply: Reply = _Server(self, now).create_token_response(form)
        if reply.status == 401:
            self.limiter.failed(ip, claimed, now.timestamp())
        return reply

    def authenticate(self, form: Mapping[str, str], now: datetime) -> str:
        """The client that signed the form's assertion; raises `ClientRefused`."""
        assertion = _read(form, self.rule.issuer, now)
        if not self._signed_by_live_client(assertion):
            raise ClientRefused("client_refused", "Client authentication failed.")
        if not self.replay.first_use(assertion, now):
            raise ClientRefused("assertion_replayed", "This client assertion was used before.")
        return assertion.client_id

    def _signed_by_live_client(self, assertion: Assertion) -> bool:
        snapshot = self.directory.snapshot
        registered = choose_key(
            snapshot.keys.get(assertion.client_id, ()), assertion.algorithm, assertion.kid
        )
        key = registered.key if registered else _DECOYS[assertion.algorithm]
        compact = assertion.compact
        valid = signature_is_valid(
            assertion.algorithm, key, compact.signing_input, compact.signature
        )
        return valid and registered is not None and assertion.client_id in snapshot.live_clients


def _read(form: Mapping[str, str], issuer: str, now: datetime) -> Assertion:
    if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
        raise ClientRefused(
            "assertion_missing", f"Authenticate with client_assertion_type {ASSERTION_TYPE}."
        )
    try:
        assertion = read_assertion(form["client_assertion"], issuer, now)
    except AssertionRefused as error:
        raise ClientRefused(error.code, error.description) from error
    if form.get("client_id", assertion.client_id) != assertion.client_id:
        raise ClientRefused("assertion_subject", "client_id is not the assertion's sub.")
    return assertion


def _claimed_client(form: Mapping[str, str]) -> str:
    """Whom the assertion claims to be; only for counting failures."""
    try:
        claimed = parse_compact(form.get("client_assertion", "")).claims.get("sub")
    except MalformedToken:
        return ""
    return claimed[:64] if isinstance(claimed, str) else ""


def _slow_down(wait: int) -> Reply:
    body = {
        "error": "temporarily_unavailable",
        "error_description": f"Too many failed authentications; try again in {wait} s.",
        "code": "too_many_failures",
    }
    return Reply(429, body, {**_TOKEN_HEADERS, "Retry-After": str(wait)})


def _decoys() -> dict[str, PublicKey]:
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    return {
        "ES256": ec.generate_private_key(ec.SECP256R1()).public_key(),
        "PS256": rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key(),
        "EdDSA": edwards,
        "Ed25519": edwards,
    }


_DECOYS = _decoys()


class _Client(ClientMixin):  # type: ignore[misc] # Authlib has no types
    """An authenticated client in Authlib's terms."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id

    def get_client_id(self) -> str:
        return self.client_id

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == CLIENT_AUTHENTICATION and endpoint == "token"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == _GRANT


class _Request(OAuth2Request):  # type: ignore[misc] # Authlib has no types
    """A token request: always POST, always at the published address, form fields only."""

    def __init__(self, uri: str, form: Mapping[str, str]) -> None:
        super().__init__("POST", uri)
        self.payload = BasicOAuth2Payload(form)


class _Grant(ClientCredentialsGrant):  # type: ignore[misc] # Authlib has no types
    TOKEN_ENDPOINT_AUTH_METHODS = (CLIENT_AUTHENTICATION,)

    def validate_requested_scope(self) -> None:
        if self.request.payload.scope:
            raise InvalidScopeError("There are no scopes here: grants decide what may be asked.")
        if self.request.payload.data.get("resource", self.server.resource) != self.server.resource:
            raise TargetRefused(f"The only resource is {self.server.resource}.")


class _Server(AuthorizationServer):  # type: ignore[misc] # Authlib has no types
    """One request's authorisation server: Authlib's objects keep request state."""

    def __init__(self, endpoint: TokenEndpoint, now: datetime) -> None:
        super().__init__()
        self.resource = endpoint.rule.audience
        self._endpoint = endpoint
        self._now = now
        self.register_grant(_Grant)
        self.register_client_auth_method(CLIENT_AUTHENTICATION, self._by_private_key_jwt)
        self.register_token_generator("default", self._issue)

    def query_client(self, client_id: str) -> None:
        """Never by name alone: clients are found through the assertion they sign."""

    def create_oauth2_request(self, request: Mapping[str, str] | OAuth2Request) -> OAuth2Request:
        uri = f"{self._endpoint.rule.issuer}/oauth/token"
        return request if isinstance(request, OAuth2Request) else _Request(uri, request)

    def save_token(self, token: Mapping[str, object], request: OAuth2Request) -> None:
        """Access tokens carry their own proof and live minutes; nothing is kept."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def handle_response(self, status: int, body: Mapping[str, object], _headers: object) -> Reply:
        return Reply(status, body)

    def _by_private_key_jwt(self, _query: object, request: OAuth2Request) -> _Client:
        return _Client(self._endpoint.authenticate(request.payload.data, self._now))

    def _issue(self, *, client: _Client, **_options: Any) -> dict[str, object]:  # Authlib's words
        endpoint = self._endpoint
        tenant = endpoint.directory.snapshot.live_clients.get(client.client_id)
        if tenant is None:
            raise ClientRefused("client_refused", "Client authentication failed.")
        token = issue_token(
            endpoint.rule,
            endpoint.ring(),
            client_id=client.client_id,
            tenant_id=tenant.id,
            now=self._now,
        )
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": endpoint.rule.ttl_seconds,
        }
