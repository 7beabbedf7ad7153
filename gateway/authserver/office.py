"""The authorisation server as the HTTP layer sees it: one method per endpoint, all synchronous.

Call them in a worker thread. Each answers with a reply, the assertion that must be used up before
the reply may leave (where it is not yet), and the event that must be recorded before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from authlib.oauth2 import OAuth2Error

from gateway.authserver.clients import claimed_client, replayed
from gateway.authserver.errors import TryLater
from gateway.authserver.grants import CodeGrant, MachineGrant, RefreshGrant, S256Only
from gateway.authserver.interaction import Interactions
from gateway.authserver.model import NO_STORE, Answered, Event, Reply
from gateway.authserver.par import NAME as PAR
from gateway.authserver.par import PushedRequests
from gateway.authserver.parts import Parts
from gateway.authserver.protocol import FormRequest, Protocol
from gateway.authserver.registration import Registration
from gateway.authserver.sweeping import Sweeper
from gateway.authserver.tokens import (
    INTROSPECTION,
    REVOCATION,
    SIGNED,
    Introspection,
    Revocation,
    signed_statement,
)
from gateway.identity.binding import Presented

_ORDINARY = frozenset({"dpop_nonce"})
"""Refusals that belong to the protocol's ordinary course: no failure, nothing to record."""


@dataclass(frozen=True)
class Office:
    """Everything the OAuth endpoints ask for."""

    parts: Parts
    interactions: Interactions
    registration: Registration
    sweeper: Sweeper

    def token(self, form: Mapping[str, str], presented: Presented, now: datetime) -> Answered:
        """The token endpoint."""

        def run(server: Protocol, request: FormRequest) -> Reply:
            server.register_grant(MachineGrant)
            server.register_grant(CodeGrant, [S256Only()])
            server.register_grant(RefreshGrant)
            reply: Reply = server.create_token_response(request)
            return reply

        return self._answer(form, presented, now, run, writes=spends_code(form))

    def push(self, form: Mapping[str, str], presented: Presented, now: datetime) -> Answered:
        """The pushed authorisation request endpoint."""

        def run(server: Protocol, request: FormRequest) -> Reply:
            server.register_grant(CodeGrant, [S256Only()])
            server.register_endpoint(PushedRequests)
            reply: Reply = server.create_endpoint_response(PAR, request)
            return reply

        self.sweeper.sweep(now)
        return self._answer(form, presented, now, run)

    def revoke(self, form: Mapping[str, str], presented: Presented, now: datetime) -> Answered:
        """The revocation endpoint."""

        def run(server: Protocol, request: FormRequest) -> Reply:
            server.register_endpoint(Revocation)
            reply: Reply = server.create_endpoint_response(REVOCATION, request)
            return reply

        return self._answer(form, presented, now, run)

    def introspect(
        self, form: Mapping[str, str], presented: Presented, now: datetime, *, signed: bool
    ) -> Answered:
        """The introspection endpoint; signed when the client asks for RFC 9701."""

        def run(server: Protocol, request: FormRequest) -> Reply:
            server.register_endpoint(Introspection)
            reply: Reply = server.create_endpoint_response(INTROSPECTION, request)
            if not signed or reply.status != 200 or server.client is None:
                return reply
            text = signed_statement(server, server.client, reply.body)
            return Reply(200, {}, {**NO_STORE, "Content-Type": SIGNED}, text)

        return self._answer(form, presented, now, run, writes=False)

    def settle(
        self, answered: Answered, presented: Presented, now: datetime, *, first: bool
    ) -> Answered:
        """The answer once its assertion is used up; another one when it was used before."""
        if first:
            return answered
        self.parts.limiter.failed(presented.ip, answered.client_id or "", now.timestamp())
        error = replayed()
        return Answered(refusal(error), Event("failed", error.code))

    def _answer(
        self,
        form: Mapping[str, str],
        presented: Presented,
        now: datetime,
        run: Callable[[Protocol, FormRequest], Reply],
        *,
        writes: bool = True,
    ) -> Answered:
        parts, at = self.parts, now.timestamp()
        parts.directory.check_fresh()
        with Protocol(parts, presented, now, writes=writes) as server:
            reply = run(server, FormRequest(form))
        if reply.status == 401:
            # Only who fails waits: a stranger's failures must not stop the client he names.
            wait = self._wait(form, presented, at)
            parts.limiter.failed(presented.ip, claimed_client(form), at)
            if wait:
                return Answered(_slow_down(wait))
        proved = server.client
        return Answered(
            reply=self._with_nonce(reply, presented, now),
            event=_event(server, reply),
            assertion=server.assertion,
            client_id=proved.client_id if proved else None,
            tenant_id=proved.tenant.id if proved else None,
        )

    def _wait(self, form: Mapping[str, str], presented: Presented, at: float) -> int:
        """Seconds a source that failed too often has to wait; forms are not parsed for nothing."""
        limiter = self.parts.limiter
        if limiter.is_quiet(at):
            return 0
        return limiter.wait_seconds(presented.ip, claimed_client(form), at)

    def _with_nonce(self, reply: Reply, presented: Presented, now: datetime) -> Reply:
        """RFC 9449 §8.2: who proves, or should, learns the nonce of the next proof."""
        wanted = reply.body.get("error") in ("use_dpop_nonce", "invalid_dpop_proof")
        if not presented.dpop and not wanted:
            return reply
        nonce = {"DPoP-Nonce": self.parts.proofs.nonce(now)}
        return replace(reply, headers={**reply.headers, **nonce})


def spends_code(form: Mapping[str, str]) -> bool:
    """Whether a token request changes what is kept."""
    return form.get("grant_type") == "authorization_code"


def refusal(error: OAuth2Error) -> Reply:
    """A refusal made before any protocol ran."""
    return Reply(error.status_code, dict(error.get_body()))


def _event(server: Protocol, reply: Reply) -> Event | None:
    if reply.status < 400:
        return server.event
    code = str(reply.body.get("code"))
    return None if code in _ORDINARY else Event("failed", code)


def _slow_down(wait: int) -> Reply:
    error = TryLater(
        "too_many_failures", f"Too many failed authentications; try again in {wait} s.", wait
    )
    return Reply(error.status_code, dict(error.get_body()), {**NO_STORE, "Retry-After": str(wait)})
