"""`POST /v1/services/{service}/queries` and `…/query`: ASGI endpoints that send bytes.

The first is the hot path. They are no FastAPI functions on purpose: validation, policy and
rendering happen once, in `gateway.serving`; here a request becomes a `Call`, an `Answer` or a
`Refusal` becomes HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.presented import presented
from gateway.api.problems import problem
from gateway.api.tally import Tally
from gateway.metrics import meters
from gateway.metrics.meters import OTHER
from gateway.quota.windows import seconds, seconds_left
from gateway.serving.accept import JSON
from gateway.serving.answer import Desk
from gateway.serving.feasibility import CohortDesk
from gateway.serving.model import Answer, Call, Refusal
from gateway.serving.plain import Told
from gateway.serving.quotas import window_of
from gateway.serving.repeats import HEADER, REPLAYED

PATH = "/v1/services/{service}/queries"
COHORT_PATH = "/v1/services/{service}/query"
_SERVICES = "/v1/services/"


def call_of(request: Request, body: bytes, now: datetime) -> Call:
    """What the request says, unjudged."""
    headers, state = request.headers, request.scope["state"]
    return Call(
        request_id=state["request_id"],
        interaction_id=state["interaction_id"],
        trace_id=state["trace_id"],
        now=now,
        presented=presented(request),
        authorization=", ".join(headers.getlist("authorization")) or None,
        service=request.path_params.get("service", ""),
        query=tuple(request.query_params.keys()) if request.scope["query_string"] else (),
        accept=", ".join(headers.getlist("accept")) or None,
        content_type=headers.get("content-type"),
        body=body,
        idempotency=tuple(headers.getlist(HEADER)),
        started=state["started"],
    )


def _rate_headers(quota: Mapping[str, Mapping[str, int]], now: datetime) -> dict[str, str]:
    """The caller's quotas as draft-ietf-httpapi-ratelimit-headers writes them: `q` quota, `w` its
    window, `r` what remains, `t` seconds until it begins anew. `pk` is not sent: the partition is
    the caller's own grant."""
    policies, left = [], []
    for name, each in quota.items():
        window = window_of(name, now)
        whole, after = seconds(window), seconds_left(window, now)
        policies.append(f'"{name}";q={each["limit"]};w={whole}')
        left.append(f'"{name}";r={each["remaining"]};t={after}')
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(left)}


def _ascii(meta: Mapping[str, object]) -> str:
    """One line of JSON that may stand in a header; other letters as \\u escapes."""
    text = orjson.dumps(meta).decode()
    return "".join(c if c.isascii() else json.dumps(c).strip('"') for c in text)


def answer_response(answer: Answer, now: datetime) -> Response:
    """The answer with its headers; meta goes into one where the body has no place for it."""
    quota: Mapping[str, Mapping[str, int]] = answer.meta["quota"]  # type: ignore[assignment]  # as serving.meta wrote it
    headers = _rate_headers(quota, now) | {"Sluice-Watermark": str(answer.meta["watermark"])}
    if answer.replayed:
        headers[REPLAYED] = "true"
    if answer.media_type != JSON:
        headers["Sluice-Meta"] = _ascii(answer.meta)
        if answer.next_cursor:
            headers["Sluice-Next-Cursor"] = answer.next_cursor
    media = f"{answer.media_type}; charset=utf-8" if "csv" in answer.media_type else None
    return Response(answer.body, 200, headers, media or answer.media_type)


def told_response(told: Told, now: datetime) -> Response:
    """An answer without cells, with the status it was given."""
    response = answer_response(Answer(told.body, told.media_type, told.meta, None), now)
    response.status_code = told.status
    return response


def refusal_response(refusal: Refusal, request_id: str, now: datetime) -> Response:
    """The refusal as a problem document with its deny codes."""
    headers = {"Sluice-Decision": refusal.decision_id}
    if refusal.quota:
        headers |= _rate_headers(refusal.quota, now)
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    return problem(
        refusal.code, request_id, status=refusal.status, deny=refusal.deny, headers=headers
    )


class QuestionsFirst:
    """Lets questions be answered before the framework looks for who answers them: that costs more
    than an answer that is kept. What it does not let through (other methods, other addresses) is
    the framework's; so are the same endpoints in its list, by which they are known."""

    def __init__(self, app: ASGIApp, ways: Sequence[Route]) -> None:
        self._app = app
        self._ways = {way.path.rpartition("/")[2]: way.endpoint for way in ways}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = None
        if scope["type"] == "http" and scope["method"] == "POST" and not scope.get("root_path"):
            before, _, rest = scope["path"].partition(_SERVICES)
            service, _, last = rest.partition("/")
            if not before and service:
                endpoint = self._ways.get(last)
        if endpoint is None:
            await self._app(scope, receive, send)
        else:
            scope["path_params"] = {"service": service}
            await endpoint(scope, receive, send)


class Answering:
    """The endpoint of one path, given what answers it, the id of a service meant, and a clock."""

    def __init__(
        self,
        path: str,
        answer: Callable[[Call], Awaitable[Answer | Refusal]],
        meant: Callable[[str], str | None],
        clock: Callable[[], datetime],
    ) -> None:
        self._path, self._answer = path, answer
        self._meant, self._clock = meant, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        scope["state"]["route"] = self._path
        now = self._clock()
        call = call_of(request, await request.body(), now)
        with Tally(meters, self._meant(call.service) or OTHER) as tally:
            match await self._answer(call):
                case Answer() as answer:
                    tally.answered()
                    response = answer_response(answer, now)
                case Refusal() as refusal:
                    tally.refused(refusal.deny)
                    response = refusal_response(refusal, call.request_id, now)
            await response(scope, receive, send)


def queries(desk: Desk, clock: Callable[[], datetime]) -> Route:
    """Where cells are asked for."""

    def meant(key: str) -> str | None:
        found = desk.catalogue.get(key)
        return found.id if found else None

    return Route(PATH, Answering(PATH, desk.answer, meant, clock), methods=["POST"])


def cohort_questions(cohorts: CohortDesk, clock: Callable[[], datetime]) -> Route:
    """Where cohorts are asked for."""

    def meant(key: str) -> str | None:
        found = cohorts.desk.catalogue.cohort(key)
        return found.id if found else None

    endpoint = Answering(COHORT_PATH, cohorts.answer, meant, clock)
    return Route(COHORT_PATH, endpoint, methods=["POST"])


def install(app: FastAPI, desk: Desk, cohorts: CohortDesk, clock: Callable[[], datetime]) -> None:
    """Put both endpoints into the application, before its outermost ring is added."""
    ways = queries(desk, clock), cohort_questions(cohorts, clock)
    app.router.routes += ways
    app.add_middleware(QuestionsFirst, ways=ways)
