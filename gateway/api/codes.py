"""`/v1/services/{service}/lookup` and its sisters: questions about codes, as JSON or as FHIR.

POST takes a body, GET the same names in the address. With `Accept: application/fhir+json` the three
operations that FHIR knows are answered as Parameters, and what goes wrong as an OperationOutcome.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.problems import of_error
from gateway.api.queries import call_of, refusal_response, told_response
from gateway.api.tally import Tally
from gateway.codes.asking import read_address, read_body, read_values
from gateway.codes.desk import LookupDesk
from gateway.codes.fhir import MEDIA as FHIR
from gateway.codes.fhir import SPOKEN, outcome
from gateway.codes.model import Operation, Question
from gateway.codes.shelf import Shelf
from gateway.codes.telling import SQLITE
from gateway.errors import BadRequest, SluiceError
from gateway.metrics import meters
from gateway.metrics.meters import OTHER
from gateway.serving.accept import JSON, choose
from gateway.serving.answer import Desk
from gateway.serving.model import Refusal
from gateway.serving.plain import Told
from gateway.serving.reasons import UnsupportedMedia
from gateway.settings import Settings

PREFIX: Final = "/v1/services/{service}"
ASKED: Final[tuple[Operation, ...]] = (
    "search",
    "lookup",
    "validate-code",
    "validate-list",
    "translate",
)
BUNDLES: Final = f"{PREFIX}/bundles"
BUNDLE: Final = f"{BUNDLES}/{{bundle}}"
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
_ISSUES: Final = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    429: "throttled",
}


def install(app: FastAPI, settings: Settings, desk: Desk) -> None:
    """Add the routes; bundles are read where `sluice codes build` puts them."""
    app.state.lookups = LookupDesk(desk, Shelf(settings.codes))
    for operation in ASKED:
        path = f"{PREFIX}/{operation}"
        methods = ["POST"] if operation == "validate-list" else ["GET", "POST"]
        app.router.routes.append(_route(operation, path, methods))
    for operation, path in (("bundles", BUNDLES), ("download", BUNDLE)):
        app.router.routes.append(_route(operation, path, ["GET"]))


def _route(operation: Operation, path: str, methods: list[str]) -> Route:
    """The route for exactly these methods: a HEAD would be recorded and counted as an answer."""
    route = Route(path, _endpoint(operation, path), methods=methods)
    route.methods = set(methods)
    return route


def _endpoint(operation: Operation, path: str) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        request.scope["state"]["route"] = path
        fhir = operation in SPOKEN and FHIR in (request.headers.get("accept") or "").lower()
        try:
            response = await _answered(request, operation, fhir=fhir)
        except SluiceError as error:
            if not fhir:
                raise
            response = of_error(error, request.scope["state"]["request_id"])
        return _as_outcome(response) if fhir and response.media_type != FHIR else response

    return endpoint


async def _answered(request: Request, operation: Operation, *, fhir: bool) -> Response:
    lookups: LookupDesk = request.app.state.lookups
    now, body = request.app.state.clock(), await request.body()
    call = call_of(request, body, now)
    known = lookups.desk.catalogue.reference(call.service)
    with Tally(meters, known.id if known else OTHER) as tally:
        answer = await lookups.answer(
            call, lambda: _read(request, operation, body), _media(operation, fhir=fhir)
        )
        match answer:
            case Refusal():
                tally.refused(answer.deny)
                return refusal_response(answer, call.request_id, now)
            case Told():
                tally.answered()
                response = told_response(answer, now)
                if operation == "download":
                    response.headers.update(_of_file(answer))
                return response


def _media(operation: Operation, *, fhir: bool) -> str:
    if operation == "download":
        return SQLITE
    return FHIR if fhir else JSON


def _read(request: Request, operation: Operation, body: bytes) -> Question:
    """The question, whichever way it came; raises for a form that cannot be answered."""
    accepted = ", ".join(request.headers.getlist("accept")) or None
    if operation == "download":
        if accepted is not None:
            choose(accepted, (SQLITE,))
        if request.query_params:
            raise BadRequest("invalid_parameter", "This address takes no parameters.")
        return read_values(operation, {"bundle": request.path_params["bundle"]})
    choose(accepted, (JSON, FHIR) if operation in SPOKEN else (JSON,))
    if request.method == "GET":
        return read_address(operation, request.query_params.multi_items())
    if request.query_params:
        raise BadRequest("invalid_parameter", "This address takes no parameters but its body.")
    sent = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if sent not in (JSON, FHIR):
        raise UnsupportedMedia("unsupported_media_type", "")
    return read_body(operation, body, fhir=sent == FHIR)


def _of_file(answer: Told) -> dict[str, str]:
    """Headers of a downloaded bundle: its name and its digest (RFC 9530)."""
    digest = base64.b64encode(bytes.fromhex(answer.sha256)).decode()
    name = f"codes-{answer.meta['bundle']}.sqlite"
    return {
        "Repr-Digest": f"sha-256=:{digest}:",
        "Content-Disposition": f'attachment; filename="{name}"',
    }


def _as_outcome(response: Response) -> Response:
    """The same refusal or error for a caller who speaks FHIR."""
    told = orjson.loads(response.body)
    codes = ", ".join([told["code"], *told.get("deny", [])])
    resource = outcome(
        "error", _ISSUES.get(response.status_code, "processing"), f"{codes}: {told['detail']}"
    )
    kept = {
        name: value
        for name, value in response.headers.items()
        if name not in ("content-length", "content-type")
    }
    return Response(orjson.dumps(resource), response.status_code, kept, FHIR)
