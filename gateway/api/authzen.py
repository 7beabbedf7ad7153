"""AuthZEN Authorization API 1.0: the gateway's decisions for the bureau's other systems.

`POST /access/v1/evaluation`, `POST /access/v1/evaluations`, and the document that says where they
are. A refusal by the rules is an answer (200, `decision: false`); an error is a problem document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeAlias

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute

from gateway.api.access import SignedIn
from gateway.api.authzen_form import Evaluation, read_evaluation, read_evaluations
from gateway.api.authzen_point import DecisionPoint
from gateway.api.authzen_record import Asking
from gateway.api.problems import of_error, request_id
from gateway.errors import BadRequest, SluiceError
from gateway.serving.accept import JSON
from gateway.serving.reasons import UnsupportedMedia

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
METADATA = "/.well-known/authzen-configuration"
REQUEST_ID = "X-Request-ID"
_SHORT = re.compile(r"[!-~]{1,128}")


class Echoing(APIRoute):
    """Answers under the request id the caller chose, errors too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def echoing(request: Request) -> Response:
            given = request.headers.get(REQUEST_ID)
            try:
                _check(request, given)
                response = await handle(request)
            except SluiceError as error:
                response = of_error(error, request_id(request))
            if given is not None and _SHORT.fullmatch(given):
                response.headers[REQUEST_ID] = given
            return response

        return echoing


router = APIRouter(route_class=Echoing)


def _check(request: Request, given: str | None) -> None:
    """The outer form of a call."""
    if given is not None and not _SHORT.fullmatch(given):
        raise BadRequest("invalid_parameter", f"{REQUEST_ID} is longer than 128 plain characters.")
    if request.query_params:
        raise BadRequest("invalid_parameter", "This address takes no parameters but its body.")


def _point(request: Request) -> DecisionPoint:
    found: DecisionPoint = request.app.state.decision_point
    return found


def _asking(request: Request, caller: SignedIn) -> Asking:
    state = request.scope["state"]
    return Asking(caller, state["request_id"], state["interaction_id"])


Point: TypeAlias = Annotated[DecisionPoint, Depends(_point)]
WhoAsks: TypeAlias = Annotated[Asking, Depends(_asking)]


async def _body(request: Request) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMedia("unsupported_media_type", "")
    return await request.body()


def _json(answer: object) -> Response:
    return Response(orjson.dumps(answer), media_type=JSON)


@router.post(EVALUATION, include_in_schema=False)
async def evaluation(request: Request, asking: WhoAsks, point: Point) -> Response:
    """Whether one subject may do one thing to one data service."""
    bounds = await point.admit(asking)
    return _json(await point.one(asking, read_evaluation(await _body(request)), bounds))


@router.post(EVALUATIONS, include_in_schema=False)
async def evaluations(request: Request, asking: WhoAsks, point: Point) -> Response:
    """Several at once; without items, the one that the defaults make."""
    bounds = await point.admit(asking)
    asked = read_evaluations(await _body(request), bounds.evaluations_call)
    if isinstance(asked, Evaluation):
        return _json(await point.one(asking, asked, bounds))
    return _json(await point.many(asking, asked, bounds))


@router.get(METADATA, include_in_schema=False)
async def configuration(request: Request) -> Response:
    """Where the decision point is (AuthZEN §9); there is no search."""
    base = request.app.state.identity.issuer
    return _json(
        {
            "policy_decision_point": base,
            "access_evaluation_endpoint": f"{base}{EVALUATION}",
            "access_evaluations_endpoint": f"{base}{EVALUATIONS}",
        }
    )


def install(app: FastAPI) -> None:
    """Open the decision point; desk, identity and consents are there already."""
    state = app.state
    state.decision_point = DecisionPoint(
        state.desk, state.identity.directory, state.consents, state.clock
    )
    app.include_router(router)
