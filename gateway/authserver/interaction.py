"""The person's part of an authorisation: a visit opens, the pages read it, a decision ends it.

A visit belongs to the browser that began it: its secret lies in a cookie there and only as a
digest here, so neither a guessed address nor one sent by somebody else opens it. The pushed
request is used up by the decision, not by looking at the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import OAuth2Error
from sqlalchemy.orm import Session

from gateway.authserver import store
from gateway.authserver.clients import find_client
from gateway.authserver.errors import InteractionGone, RequestGone
from gateway.authserver.grants import CodeGrant, S256Only
from gateway.authserver.model import (
    MOST_VISITS,
    Approved,
    Denied,
    Interaction,
    Opened,
    Outcome,
    Pushed,
    Reply,
)
from gateway.authserver.parts import Parts
from gateway.authserver.protocol import FormRequest, Protocol
from gateway.authserver.pushed import JARM_MODES
from gateway.authserver.seal import new_id, new_secret, same
from gateway.db.engine import reading, writing
from gateway.db.oauth_tables import InteractionRow
from gateway.identity.binding import Presented

__all__ = ["Approved", "Denied", "Interaction", "InteractionGone", "Interactions", "cookie_name"]

REQUEST_URI = "urn:ietf:params:oauth:request_uri:"
_JARM_LIFE = 300


def cookie_name(issuer: str, interaction_id: str) -> str:
    """The cookie that binds a visit to its browser; `__Host-`: no sibling host can set it."""
    prefix = "__Host-" if issuer.startswith("https://") else ""
    return f"{prefix}sluice-ia-{interaction_id}"


@dataclass(frozen=True)
class Interactions:
    """Visits of people."""

    parts: Parts

    def open(self, client_id: str, request_uri: str, now: datetime) -> Opened:
        """Begin a visit for a pushed request; raises `RequestGone` when it cannot be answered."""
        secret = request_uri.removeprefix(REQUEST_URI)
        digest = self.parts.seal.digest("request", secret)
        opened = Opened(new_id(), new_secret())
        browser = self.parts.seal.digest("browser", opened.browser)
        # Looked up before anything is written: strangers must not be able to hold the write lock.
        with reading(self.parts.engine) as session:
            pushed = store.find_request(session, digest)
            visits = store.count_visits(session, digest)
        known = pushed is not None and pushed.client_id == client_id and secret != request_uri
        if pushed is None or not known or find_client(self.parts, client_id) is None:
            raise _gone("request_unknown", "This request is not known.", "该请求不存在。")
        if pushed.used or now >= pushed.expires_at:
            raise _gone("request_used", "This request is over.", "该请求已失效。")
        if visits >= MOST_VISITS:
            raise _gone("request_opened", "This page was opened too often.", "页面打开次数过多。")
        with writing(self.parts.engine) as session:
            store.keep_interaction(session, opened.id, digest, browser, now)
        return opened

    def read(self, interaction_id: str, browser: str, now: datetime) -> Interaction:
        """The visit, for the pages; raises `InteractionGone`."""
        with reading(self.parts.engine) as session:
            row, pushed = self._find(session, interaction_id, browser, now)
            client = find_client(self.parts, pushed.client_id)
            if client is None:
                raise InteractionGone
            return Interaction(
                id=row.id,
                client_id=pushed.client_id,
                tenant_id=client.tenant.id,
                client_name=client.record.name,
                redirect_uri=str(pushed.parameters["redirect_uri"]),
                scope=pushed.text("scope") or "",
                consent_id=pushed.consent_id,
                authorization_details=pushed.details,
                expires_at=row.expires_at,
            )

    def finish(
        self,
        session: Session,
        interaction_id: str,
        browser: str,
        outcome: Outcome,
        now: datetime,
    ) -> str:
        """End the visit in the caller's transaction; returns where to send the browser (303)."""
        _, pushed = self._find(session, interaction_id, browser, now)
        first = store.finish_interaction(session, interaction_id, now)
        if not first or not store.use_request(session, pushed.digest, now):
            raise InteractionGone
        parameters = _Decision(self.parts, session, now).decide(pushed, outcome)
        return self._address(pushed, parameters, now)

    def _find(
        self, session: Session, interaction_id: str, browser: str, now: datetime
    ) -> tuple[InteractionRow, Pushed]:
        row = store.find_interaction(session, interaction_id)
        digest = self.parts.seal.digest("browser", browser)
        if row is None or not same(row.browser_digest, digest):
            raise InteractionGone
        pushed = store.find_request(session, row.request_digest)
        over = row.finished_at is not None or now >= row.expires_at
        if over or pushed is None or pushed.used:
            raise InteractionGone
        return row, pushed

    def _address(self, pushed: Pushed, parameters: Mapping[str, str], now: datetime) -> str:
        """The answer at the client's registered address; with `iss` (RFC 9207), or signed."""
        sent = {**parameters, "iss": self.parts.issuer}
        if pushed.text("response_mode") in JARM_MODES:
            # Any: JSON. The issuer is inside the signed answer.
            claims: dict[str, Any] = {
                **sent,
                "aud": pushed.client_id,
                "exp": int(now.timestamp()) + _JARM_LIFE,
            }
            sent = {"response": self.parts.sign("JWT", claims)}
        address: str = add_params_to_uri(str(pushed.parameters["redirect_uri"]), sent.items())
        return address


class _Decision(Protocol):
    """Authlib's server for the answer to a pushed request, inside a transaction of the caller."""

    def __init__(self, parts: Parts, session: Session, now: datetime) -> None:
        super().__init__(parts, Presented("GET", f"{parts.issuer}/oauth/authorize"), now)
        self.__dict__["write"] = session  # the caller's: it commits, or nothing happened
        self.register_grant(CodeGrant, [S256Only()])

    def decide(self, pushed: Pushed, outcome: Outcome) -> dict[str, str]:
        """The parameters of the answer: a code, or an error."""
        fields = {
            name: value for name, value in pushed.parameters.items() if isinstance(value, str)
        }
        request = FormRequest(fields)
        grant = self.get_authorization_grant(request)
        grant.pushed = pushed
        approved = outcome if isinstance(outcome, Approved) else None
        reply: Reply = self.create_authorization_response(request, approved, grant)
        parameters = {name: str(value) for name, value in reply.body.items()}
        if state := pushed.text("state"):
            parameters["state"] = state
        return parameters

    def handle_error_response(self, request: object, error: OAuth2Error) -> Reply:
        """An error goes to the client's address when it stood the check again; else nowhere."""
        if not error.redirect_uri:
            raise InteractionGone
        # Not our `code`: in an authorisation response that name means the authorisation code.
        members = {name: value for name, value in error.get_body() if name.startswith("error")}
        return self.handle_response(303, members, None)


def _gone(code: str, message: str, zh: str) -> RequestGone:
    return RequestGone(
        code,
        f"{message} Begin again at the service that sent you here.",
        f"{zh}请返回原来的服务重新开始。",
    )
