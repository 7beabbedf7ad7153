"""Dynamic client registration (RFC 7591) and its management (RFC 7592).

A client registers itself with a software statement of the directory, used once. It may ask for less
than the directory vouches for, never for more: other redirect addresses or keys are refused, at
registration and at every later change. No client secret exists here. Not on Authlib's endpoint,
which always issues a secret and drops the members FAPI 2.0 needs (DECISIONS).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from gateway.authserver.metadata_form import ClientMetadata, metadata_of, narrowed, read_metadata
from gateway.authserver.model import NO_STORE, Reply
from gateway.authserver.parts import Parts
from gateway.authserver.seal import new_secret, same
from gateway.db.engine import writing
from gateway.errors import OperatorError
from gateway.identity.changes import disable_client, register_client, update_client
from gateway.identity.model import Client, Product
from gateway.identity.products import live_product
from gateway.identity.record import Act
from gateway.identity.software_statement import StatementRefused, use_statement

_NOBODY = "0" * 64
_SOURCE = "registration"


@dataclass(frozen=True)
class Registration:
    """The registration endpoint and the configuration endpoint of each client."""

    parts: Parts

    def register(self, document: Mapping[str, object], ip: str, now: datetime) -> Reply:
        """Make a client of what a software statement vouches for."""
        if wait := self.parts.limiter.wait_seconds(ip, _SOURCE, now.timestamp()):
            return Reply(429, _too_many(), {**NO_STORE, "Retry-After": str(wait)})
        token = new_secret()
        try:
            with writing(self.parts.engine) as session:
                client = self._register(session, document, token, now)
        except OperatorError as error:
            self.parts.limiter.failed(ip, _SOURCE, now.timestamp())
            return _refusal(error)
        self.parts.directory.refresh()
        issued = {"client_id_issued_at": int(now.timestamp())}
        return self._described(201, client, token, issued)

    def read(self, client_id: str, token: str | None, ip: str, now: datetime) -> Reply:
        """What a client has registered."""
        client = self._owner(client_id, token, ip, now)
        return self._described(200, client, token) if isinstance(client, Client) else client

    def update(
        self,
        client_id: str,
        token: str | None,
        document: Mapping[str, object],
        ip: str,
        now: datetime,
    ) -> Reply:
        """Replace what a client has registered, within what its product vouches for now."""
        client = self._owner(client_id, token, ip, now)
        if not isinstance(client, Client):
            return client
        try:
            with writing(self.parts.engine) as session:
                product = live_product(session, str(client.product_id))
                asked = read_metadata(_without(document, "client_id", client_id))
                name, jwks, terms = narrowed(asked, product, client.registration_digest)
                act = Act(f"client {client_id}", now, "RFC 7592")
                client = update_client(session, act, client_id, name=name, jwks=jwks, terms=terms)
        except OperatorError as error:
            return _refusal(error)
        self.parts.directory.refresh()
        return self._described(200, client, token)

    def delete(self, client_id: str, token: str | None, ip: str, now: datetime) -> Reply:
        """End a client for good; its tokens end with it."""
        client = self._owner(client_id, token, ip, now)
        if not isinstance(client, Client):
            return client
        with writing(self.parts.engine) as session:
            disable_client(session, Act(f"client {client_id}", now, "RFC 7592"), client_id)
        self.parts.directory.refresh()
        return Reply(204, {}, text="")

    def _register(
        self, session: Session, document: Mapping[str, object], token: str, now: datetime
    ) -> Client:
        vouched = use_statement(
            session,
            str(document.get("software_statement") or ""),
            ring=self.parts.ring(),
            issuer=self.parts.issuer,
            now=now,
        )
        product: Product = vouched.product
        asked: ClientMetadata = read_metadata(document)
        digest = self.parts.seal.digest("registration", token)
        name, jwks, terms = narrowed(asked, product, digest)
        return register_client(
            session,
            Act(f"product {product.id}", now, "RFC 7591"),
            client_id=f"{product.id[:40]}.{secrets.token_hex(6)}",
            tenant_id=product.tenant_id,
            name=name,
            jwks=jwks,
            terms=terms,
        )

    def _owner(self, client_id: str, token: str | None, ip: str, now: datetime) -> Client | Reply:
        """The live client whose registration token this is; one answer for everything else."""
        if wait := self.parts.limiter.wait_seconds(ip, client_id[:64], now.timestamp()):
            return Reply(429, _too_many(), {**NO_STORE, "Retry-After": str(wait)})
        snapshot = self.parts.directory.snapshot
        client = snapshot.clients.get(client_id)
        kept = client.registration_digest if client else None
        right = same(kept or _NOBODY, self.parts.seal.digest("registration", token or ""))
        if client is None or not right or client_id not in snapshot.live_clients:
            self.parts.limiter.failed(ip, client_id[:64], now.timestamp())
            description = "Send the registration access token of this client."
            refused = {"error": "invalid_token", "error_description": description}
            return Reply(
                401,
                {**refused, "code": "registration_token"},
                {**NO_STORE, "WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return client

    def _described(
        self,
        status: int,
        client: Client,
        token: str | None,
        more: Mapping[str, object] | None = None,
    ) -> Reply:
        management = {
            "registration_client_uri": f"{self.parts.issuer}/oauth/register/{client.id}",
            "registration_access_token": token,
        }
        return Reply(status, {**metadata_of(client), **management, **(more or {})})


def _without(document: Mapping[str, object], name: str, expected: str) -> Mapping[str, object]:
    """RFC 7592 §2.2: the client names itself in a replacement."""
    if document.get(name) != expected:
        raise OperatorError("registration.client_id", "client_id must be that of the address.")
    return {key: value for key, value in document.items() if key != name}


def _refusal(error: OperatorError) -> Reply:
    kind = "invalid_client_metadata"
    if isinstance(error, StatementRefused):
        kind = "invalid_software_statement"
    if "redirect_uris" in error.message:
        kind = "invalid_redirect_uri"
    body = {"error": kind, "error_description": error.message, "code": error.code}
    return Reply(400, body)


def _too_many() -> Mapping[str, object]:
    return {
        "error": "temporarily_unavailable",
        "error_description": "Too many failed attempts; try again later.",
        "code": "too_many_failures",
    }
