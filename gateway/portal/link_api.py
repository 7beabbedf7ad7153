"""`POST /v1/portal/sessions`: a client asks for a link with which its developer signs in."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from gateway.api.access import SignedIn
from gateway.errors import Forbidden
from gateway.journal.entry import Entry
from gateway.portal.frame import HOME
from gateway.portal.sessions import LINK_LIFE
from gateway.portal.visits import Portal
from gateway.serving.accept import JSON

router = APIRouter()


def _portal(request: Request) -> Portal:
    found: Portal = request.app.state.portal
    return found


@router.post("/v1/portal/sessions")
async def invite(
    request: Request, caller: SignedIn, portal: Annotated[Portal, Depends(_portal)]
) -> Response:
    """A link of a minute for the client's own tenant; on record before it is told."""
    if caller.gid is not None:
        raise Forbidden(
            "portal_own_token",
            "Ask with the client's own token, not with a person's authorisation.",
            "请使用客户端自身的令牌，而不是参保人授权的令牌。",
        )
    journal = portal.trying.desk.journal
    stamp = journal.stamp(portal.identity.clock())
    secret = await run_in_threadpool(portal.sessions.invite, caller, stamp.time)
    actor = {"client": caller.client_id, "ip": caller.ip}
    said = {"kind": "login", "result": "done", "reason": "portal_link", "tenant": caller.tenant_id}
    audit = {**said, "actor": actor}
    await journal.record(Entry(stamp.event_id, stamp.event_id, stamp.time, None, audit, None))
    told = {
        "url": f"{portal.identity.issuer}{HOME}/enter/{secret}",
        "expires_at": (stamp.time + LINK_LIFE).isoformat(timespec="seconds"),
    }
    return Response(orjson.dumps(told), 201, media_type=JSON)
