"""The edge of calls without cells: a body of JSON comes in, an answer or a refusal goes out."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.queries import refusal_response, told_response
from gateway.api.tally import Tally
from gateway.errors import BadRequest
from gateway.metrics import meters
from gateway.serving.accept import JSON, choose
from gateway.serving.model import Call, Refusal
from gateway.serving.plain import Told
from gateway.serving.reasons import UnsupportedMedia


async def replied(call: Call, service: str, asked: Awaitable[Told | Refusal]) -> Response:
    """The reply to a call, counted under the service it was for."""
    with Tally(meters, service) as tally:
        answer = await asked
        if isinstance(answer, Refusal):
            tally.refused(answer.deny)
            return refusal_response(answer, call.request_id, call.now)
        tally.answered()
        return told_response(answer, call.now)


def check_media(request: Request, media: str) -> None:
    """Raises `UnsupportedMedia` unless the body is of this type."""
    if (request.headers.get("content-type") or "").partition(";")[0].strip().lower() != media:
        raise UnsupportedMedia("unsupported_media_type", "")


def check_body_alone(request: Request) -> None:
    """Raises for what asks otherwise than by a body of JSON, or wants anything else back."""
    choose(", ".join(request.headers.getlist("accept")) or None, (JSON,))
    if request.query_params:
        raise BadRequest("invalid_parameter", "This address takes no parameters but its body.")
    check_media(request, JSON)
