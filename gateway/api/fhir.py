"""`GET /v1/fhir/metadata`: what of FHIR R4 is spoken here. It says nothing of anybody: no token."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Response

from gateway.api.openapi import VERSION
from gateway.fhir.capability import MEDIA, capability

router = APIRouter(prefix="/v1/fhir", tags=["fhir"])
_DOCUMENT = orjson.dumps(capability(software="Sluice", version=VERSION))


@router.get("/metadata", operation_id="fhir_metadata")
async def metadata() -> Response:
    """The CapabilityStatement."""
    return Response(_DOCUMENT, media_type=MEDIA)
