"""One request's authorisation server: Authlib's objects keep request state, so each gets its own.

Synchronous: it runs in a worker thread. Its database session opens when first needed, and commits
when the request is answered, refusals included: a code that was spent stays spent.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import Self

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749.errors import UnsupportedGrantTypeError, UnsupportedResponseTypeError
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from sqlalchemy.orm import Session

from gateway.authserver.clients import (
    OAuthClient,
    binding_of,
    find_client,
    identify,
    replayed,
)
from gateway.authserver.errors import TryLater, proof_refused
from gateway.authserver.model import NO_STORE, Event, Reply
from gateway.authserver.parts import Parts
from gateway.authserver.seal import new_id
from gateway.authserver.store import end_authorisation
from gateway.db.engine import reading, writing
from gateway.identity.assertion import Assertion
from gateway.identity.binding import Presented
from gateway.identity.dpop import ProofRefused
from gateway.identity.revocation import revoke
from gateway.identity.tokens import PersonClaims, issue_token, token_type_of

TOKEN = "token"  # noqa: S105 - the name of an endpoint


class FormRequest(OAuth2Request):  # type: ignore[misc] # Authlib has no types
    """A request in Authlib's terms: its fields and nothing of the address or the headers."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        # Not Authlib's: that judges an address (read from the environment) which here is the
        # issuer's own, judged when the process started.
        self.method = "POST"
        self.payload = BasicOAuth2Payload(fields)
        self.client: OAuthClient | None = None
        self.auth_method = None
        self.user: object = None
        self.authorization_code: object = None
        self.refresh_token: object = None
        self._scope: str | None = None
        self._fields = fields

    @property
    def form(self) -> Mapping[str, str]:
        """The fields."""
        return self._fields


class Protocol(AuthorizationServer):  # type: ignore[misc] # Authlib has no types
    """Authlib's server for one request of one sender."""

    def __init__(
        self, parts: Parts, presented: Presented, now: datetime, *, writes: bool = True
    ) -> None:
        super().__init__()
        self.writes = writes
        self.parts = parts
        self.presented = presented
        self.now = now
        self.jkt: str | None = None
        self.cnf: dict[str, str] = {}
        self.client: OAuthClient | None = None
        self.assertion: Assertion | None = None
        self.event: Event | None = None
        self.revoked = False
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.__exit__(kind, error, trace)
        if self.revoked and error is None:
            self.parts.revocations.refresh()  # others follow; here it holds from this answer on

    @cached_property
    def write(self) -> Session:
        """The session whose changes become durable before the answer leaves."""
        return self._undo.enter_context(writing(self.parts.engine))

    @cached_property
    def read(self) -> Session:
        """One consistent view of the database."""
        return self._undo.enter_context(reading(self.parts.engine))

    @property
    def session(self) -> Session:
        """The transaction this request works in: the writing one once it has begun to write."""
        return self.write if "write" in self.__dict__ else self.read

    def authenticate_client(
        self, request: FormRequest, methods: object, endpoint: str = TOKEN
    ) -> OAuthClient:
        """The client that proved to be the sender, and for tokens the binding it proved.

        Proofs of strangers are not even looked at; and the assertion is used up last, so that who
        lacks our nonce, or a proof, may repeat the same request with another proof.
        """
        identified = identify(self.parts, request.form, self.presented, self.now)
        if self.presented.dpop:
            try:
                self.jkt = self.parts.proofs.check(self.presented, self.now)
            except ProofRefused as error:
                raise proof_refused(error) from error
        if endpoint == TOKEN:
            self.cnf = binding_of(identified.client, self.jkt, self.presented)
        self._use_up(identified.assertion)
        self.client = identified.client
        return identified.client

    def _use_up(self, assertion: Assertion | None) -> None:
        """A request that writes uses its assertion up in the same transaction. For another, which
        changes nothing, that is left to whoever releases the answer: many share one transaction."""
        if assertion is None:
            return
        if not self.writes:
            self.assertion = assertion
        elif not self.parts.replay.first_use_in(self.write.connection(), assertion):
            raise replayed()

    def query_client(self, client_id: str) -> OAuthClient | None:
        """For checking what an authenticated client pushed, never for authenticating it."""
        return find_client(self.parts, client_id)

    def create_oauth2_request(self, request: FormRequest) -> FormRequest:
        """Requests are made where HTTP is read."""
        return request

    def save_token(self, token: object, request: object) -> None:
        """Access tokens carry their own proof and live minutes; nothing is kept of them."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def handle_response(self, status: int, body: Mapping[str, object], _headers: object) -> Reply:
        """Every answer is ours: never cached, without Authlib's headers."""
        return Reply(status, body, dict(NO_STORE))

    def handle_error_response(self, request: object, error: OAuth2Error) -> Reply:
        """An error in OAuth's form with our `code`; it repeats nothing of the request."""
        body = dict(error.get_body())
        if isinstance(error, UnsupportedGrantTypeError):
            body["error_description"] = "This grant_type is not supported."
        if isinstance(error, UnsupportedResponseTypeError):
            body["error_description"] = "response_type must be code."
        body.setdefault("code", str(error.error))
        later = {"Retry-After": str(error.seconds)} if isinstance(error, TryLater) else {}
        return Reply(error.status_code, body, {**NO_STORE, **later})

    def issue(
        self,
        client: OAuthClient,
        grant_type: str,
        person: PersonClaims | None = None,
        not_after: datetime | None = None,
    ) -> dict[str, object]:
        """A bound access token, as a token response states it."""
        token_id, rule = new_id(), self.parts.rule
        text = issue_token(
            rule,
            self.parts.ring(),
            client_id=client.client_id,
            tenant_id=client.tenant.id,
            now=self.now,
            cnf=self.cnf,
            person=person,
            not_after=not_after,
            token_id=token_id,
        )
        life = rule.ttl_seconds
        if not_after is not None:
            life = min(life, int(not_after.timestamp()) - int(self.now.timestamp()))
        facts: dict[str, object] = {"grant_type": grant_type, "token_id": token_id}
        if person is not None:
            facts |= {"authorisation": person.gid, "consent_id": person.consent_id}
        self.event = Event("done", "token_issued", facts)
        return {"access_token": text, "token_type": token_type_of(self.cnf), "expires_in": life}

    def end(self, authorisation_id: str, reason: str) -> None:
        """End an authorisation and every token given for it."""
        end_authorisation(self.write, authorisation_id, reason, self.now)
        until = self.parts.last_token_ends(self.now)
        revoke(self.write, "grant", authorisation_id, until, self.now)
        self.revoked = True
