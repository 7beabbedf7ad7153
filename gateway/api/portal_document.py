"""What the OpenAPI document says of the link with which developers sign in to the portal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.serving.accept import JSON

PATH: Final = "/v1/portal/sessions"
STATUSES: Final = (401, 403, 429, 503)
_LINK: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["url", "expires_at"],
    "properties": {
        "url": {"type": "string", "description": "Open it in a browser: good once, for 60 s."},
        "expires_at": {"type": "string", "format": "date-time"},
    },
}


def link_path(headers: Mapping[str, object], problems: Mapping[str, object]) -> dict[str, Any]:
    """The operation, given the headers of every answer and the problems it may be refused with."""
    told = {"description": "The link.", "headers": headers, "content": {JSON: {"schema": _LINK}}}
    return {
        PATH: {
            "post": {
                "operationId": "openPortal",
                "summary": "A link with which your developer signs in to the portal.",
                "tags": ["catalogue and usage"],
                "responses": {"201": told, **problems},
            }
        }
    }
