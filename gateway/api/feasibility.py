"""`POST /v1/services/{service}/query`: cohort questions over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gateway.api.queries import answer_response, call_of, refusal_response
from gateway.api.tally import Tally
from gateway.metrics import meters
from gateway.metrics.meters import OTHER
from gateway.serving.feasibility import CohortDesk
from gateway.serving.model import Answer, Refusal

PATH: Final = "/v1/services/{service}/query"


class Feasibility:
    """The endpoint, given its desk and its clock."""

    def __init__(self, desk: CohortDesk, clock: Callable[[], datetime]) -> None:
        self._desk = desk
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        scope["state"]["route"] = PATH
        now = self._clock()
        call = call_of(request, await request.body(), now)
        known = self._desk.desk.catalogue.cohort(call.service)
        with Tally(meters, known.id if known else OTHER) as tally:
            match await self._desk.answer(call):
                case Answer() as answer:
                    tally.answered()
                    response = answer_response(answer, now)
                case Refusal() as refusal:
                    tally.refused(refusal.deny)
                    response = refusal_response(refusal, call.request_id, now)
            await response(scope, receive, send)
