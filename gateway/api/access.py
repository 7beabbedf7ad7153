"""Who may ask: the one dependency of every route that is not on the hot path."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import Depends, Request

from gateway.api.presented import presented
from gateway.errors import Forbidden
from gateway.identity.binding import sender_is_registered
from gateway.identity.caller import Caller
from gateway.serving.answer import Desk


def desk(request: Request) -> Desk:
    """The desk of this application."""
    found: Desk = request.app.state.desk
    return found


async def signed_in(request: Request) -> Caller:
    """The proven caller; raises `Unauthenticated`, or `Forbidden` for an unregistered sender."""
    serving, shown = desk(request), presented(request)
    stamp = serving.journal.stamp(request.app.state.clock())
    authorization = ", ".join(request.headers.getlist("authorization")) or None
    caller = await serving.door.identify(authorization, shown, stamp)
    request.scope["state"]["tenant"] = caller.tenant_id
    tenant = request.app.state.identity.directory.snapshot.tenants[caller.tenant_id]
    if not sender_is_registered(tenant, shown):  # queries are refused by the policy itself
        raise Forbidden("D101", "")
    return caller


SignedIn: TypeAlias = Annotated[Caller, Depends(signed_in)]


def machine(caller: SignedIn) -> Caller:
    """The caller itself, where it acts for itself and not with a person's authorisation."""
    if caller.gid is not None:
        raise Forbidden(
            "machine_token_needed",
            "Use a token of the client_credentials grant here.",
            "此处请使用 client_credentials 授权取得的令牌。",
        )
    return caller


Machine: TypeAlias = Annotated[Caller, Depends(machine)]
ServiceDesk: TypeAlias = Annotated[Desk, Depends(desk)]
