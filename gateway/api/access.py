"""Who may ask: the one dependency of every route that is not on the hot path."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import Depends, Request

from gateway.identity.caller import Caller
from gateway.serving.answer import Desk


def desk(request: Request) -> Desk:
    """The desk of this application."""
    found: Desk = request.app.state.desk
    return found


async def signed_in(request: Request) -> Caller:
    """The proven caller; raises `Unauthenticated`."""
    serving = desk(request)
    stamp = serving.journal.stamp(request.app.state.clock())
    ip = request.client.host if request.client else ""
    caller = await serving.door.identify(request.headers.get("authorization"), ip, stamp)
    request.scope["state"]["tenant"] = caller.tenant_id
    return caller


SignedIn: TypeAlias = Annotated[Caller, Depends(signed_in)]
ServiceDesk: TypeAlias = Annotated[Desk, Depends(desk)]
