"""`GET /v1/usage`: what the caller's own organisation has used, by month of account."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from gateway.api.access import SignedIn
from gateway.catalogue.tariff import charged_by
from gateway.serving.accept import JSON
from metering.calendar import month_of

router = APIRouter()

Month = Annotated[str | None, Query(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]


@router.get("/v1/usage")
async def usage(request: Request, caller: SignedIn, month: Month = None) -> Response:
    """Own usage only: the tenant comes from the token, never from the request."""
    state = request.app.state
    asked = month or month_of(state.clock())
    edition = state.desk.editions.cast.for_tenant(caller.tenant_id)
    price = partial(charged_by, edition.catalogue.tariffs)
    rows = await run_in_threadpool(state.looking.usage, caller.tenant_id, (asked,), price)
    told = {"month": asked, "usage": [row.as_dict() for row in rows]}
    return Response(orjson.dumps(told), media_type=JSON)
