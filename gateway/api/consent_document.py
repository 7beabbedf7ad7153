"""The OpenAPI document of consents, events and rule packages, from the routes themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi

from gateway.api import consents, events, reconciliations, rule_packages
from gateway.api.consent_forms import Problem
from gateway.api.openapi import VERSION


def consent_openapi_bytes(base_url: str = "") -> bytes:
    """The document as it is written to `docs/consent-openapi.json`."""
    document = get_openapi(
        title="Sluice: consents, events and rule packages",
        version=VERSION,
        summary="Ask a person for consent, hear of it, give it up; submit rules for S20.",
        servers=[{"url": base_url or "/"}],
        routes=[
            *_routes((consents.router, events.router, rule_packages.router, reconciliations.router))
        ],
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):  # we answer with problem documents
        schemas.pop(unused, None)
    schemas["Problem"] = Problem.model_json_schema()
    flow = {"tokenUrl": f"{base_url}/oauth/token", "scopes": {}}
    components["securitySchemes"] = {
        "token": {"type": "oauth2", "flows": {"clientCredentials": flow}}
    }
    document["security"] = [{"token": []}]
    for methods in document["paths"].values():
        for operation in methods.values():
            if operation["responses"].get("422", {}).get("description") == "Validation Error":
                del operation["responses"]["422"]
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def _routes(routers: Iterable[APIRouter]) -> Iterable[Any]:  # Any: as FastAPI declares it
    for router in routers:
        yield from router.routes
