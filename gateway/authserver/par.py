"""The pushed authorisation request endpoint (RFC 9126): the only way to begin an authorisation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from authlib.oauth2.rfc6749 import Endpoint
from sqlalchemy.orm import Session

from gateway.authserver import store
from gateway.authserver.clients import AUTH_FIELDS, METHODS, OAuthClient
from gateway.authserver.details import agree
from gateway.authserver.errors import TryLater, invalid_request
from gateway.authserver.interaction import REQUEST_URI
from gateway.authserver.model import MOST_WAITING, REQUEST_LIFE, Event, Pushed
from gateway.authserver.protocol import FormRequest, Protocol
from gateway.authserver.pushed import check_pushed
from gateway.authserver.request_object import read_request_object
from gateway.authserver.seal import new_secret, same
from gateway.identity.model import Document

NAME = "par"


class PushedRequests(Endpoint):  # type: ignore[misc] # Authlib has no types
    """Checks what a client pushes and hands out the name of it."""

    ENDPOINT_NAME = NAME
    server: Protocol

    def create_endpoint_response(self, request: FormRequest) -> tuple[int, Document, None]:
        """A request_uri for a request that could be answered as it stands."""
        server = self.server
        client = server.authenticate_client(request, METHODS, NAME)
        kept = check_pushed(self._given(request.form, client), client, server.parts.rule.audience)
        jkt = _one_key(kept.pop("dpop_jkt", None), server.jkt)
        self._check_by_authlib(kept)
        request_uri = self._keep(kept, jkt, client)
        server.event = Event("done", "request_pushed")
        return 201, {"request_uri": request_uri, "expires_in": REQUEST_LIFE.seconds}, None

    def _given(self, form: Mapping[str, str], client: OAuthClient) -> Mapping[str, Any]:
        """What was asked, plain or signed. Any: a signed request is whatever JSON it holds."""
        given = {name: value for name, value in form.items() if name not in AUTH_FIELDS}
        if "request" not in given:
            if client.record.message_signing:
                raise invalid_request(
                    "request_unsigned", "This client is registered for signed requests (JAR)."
                )
            return given
        if given.keys() - {"request", "client_id"}:
            raise invalid_request(
                "request_mixed", "With a request object, no parameter may stand outside of it."
            )
        return read_request_object(self.server.parts, given["request"], client, self.server.now)

    def _check_by_authlib(self, kept: Document) -> None:
        """Authlib's own check of redirect URI, response type and PKCE."""
        fields = {name: value for name, value in kept.items() if isinstance(value, str)}
        request = FormRequest(fields)
        self.server.get_authorization_grant(request).validate_consent_request()

    def _keep(self, kept: Document, jkt: str | None, client: OAuthClient) -> str:
        server, secret = self.server, new_secret()
        session = server.write
        listed = kept.get("authorization_details")
        if isinstance(listed, list):
            clients = server.parts.directory.snapshot.clients
            stated = agree(session, listed[0], client.record, clients, server.now)
            kept["authorization_details"] = [stated]
        _check_room(session, client.client_id, server.now)
        digest = server.parts.seal.digest("request", secret)
        pushed = Pushed(
            digest=digest,
            client_id=client.client_id,
            parameters=kept,
            dpop_jkt=jkt,
            expires_at=server.now + REQUEST_LIFE,
            used=False,
        )
        store.keep_request(session, pushed, server.now)
        return f"{REQUEST_URI}{secret}"


def _check_room(session: Session, client_id: str, now: datetime) -> None:
    """One client cannot fill the database with requests nobody answers."""
    waiting, soonest = store.waiting_requests(session, client_id, now)
    if waiting >= MOST_WAITING and soonest is not None:
        raise TryLater(
            "too_many_waiting",
            f"{MOST_WAITING} pushed requests of this client wait for their person; send the people"
            " on, or try again later.",
            max(1, math.ceil((soonest - now).total_seconds())),
        )


def _one_key(asked: object, proved: str | None) -> str | None:
    """The key the code will be bound to: named, proved, or both and then one (RFC 9449 §10.1)."""
    if isinstance(asked, str) and proved is not None and not same(asked, proved):
        raise invalid_request("dpop_jkt", "dpop_jkt is not the key of the DPoP proof.")
    return asked if isinstance(asked, str) else proved
