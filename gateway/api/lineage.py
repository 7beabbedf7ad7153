"""`GET /v1/services/{service}/lineage`: where each column of the latest release comes from."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Response

from gateway.api.access import ServiceDesk, SignedIn
from gateway.errors import NotFound
from gateway.serving.accept import JSON
from gateway.serving.arrival import find_service

PATH = "/v1/services/{service}/lineage"

router = APIRouter()


@router.get(PATH)
def lineage(service: str, caller: SignedIn, desk: ServiceDesk) -> Response:
    """The OpenLineage event of the run that built it: names of tables and columns, no values."""
    catalogue = desk.editions.cast.for_tenant(caller.tenant_id).catalogue
    found = catalogue.cohort(service) or find_service(catalogue, service)
    told = desk.releases.lineage(found.id)
    if told is None:
        raise NotFound("lineage_absent", "")
    return Response(orjson.dumps(told), media_type=JSON)
