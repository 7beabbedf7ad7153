"""`GET /v1/services` and `/v1/services/{service}`: what is on offer, under which contract."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from fastapi import APIRouter, Response

from gateway.api.access import ServiceDesk, SignedIn
from gateway.api.claims_document import claim_contract
from gateway.api.codes_document import lookup_contract
from gateway.api.contract import contract, summary
from gateway.api.feasibility_document import cohort_contract
from gateway.api.jobs_document import job_contract
from gateway.api.texts_document import text_contract
from gateway.api.traces_document import trace_contract
from gateway.catalogue.cohort import CohortContract
from gateway.catalogue.load import Catalogue
from gateway.releases.manifest import Manifest
from gateway.serving.accept import JSON
from gateway.serving.arrival import find_service

router = APIRouter(prefix="/v1/services")


@router.get("")
async def list_services(caller: SignedIn, desk: ServiceDesk) -> Response:
    """Every data service on offer."""
    catalogue = desk.editions.cast.for_tenant(caller.tenant_id).catalogue
    return Response(orjson.dumps({"services": offered(catalogue)}), media_type=JSON)


@router.get("/{service}")
async def one_service(service: str, caller: SignedIn, desk: ServiceDesk) -> Response:
    """The contract of one service, with the codes and periods of its latest release."""
    catalogue = desk.editions.cast.for_tenant(caller.tenant_id).catalogue
    told = contract_of(catalogue, service, desk.releases.latest)
    return Response(orjson.dumps(told), media_type=JSON)


def contract_of(
    catalogue: Catalogue, service: str, latest: Callable[[str], Manifest | None]
) -> dict[str, object]:
    """The contract of a service by id or code; raises `NotFound` where there is none."""
    if (said := _without_release(catalogue, service)) is not None:
        return said
    if (counted := catalogue.cohort(service)) is not None:
        return _counted(counted, latest(counted.id))
    found = find_service(catalogue, service)
    release = latest(found.id)
    told = contract(
        found,
        release.profiles if release else {},
        periods=release.periods if release else {},
        lists=release.domains if release else {},
    )
    told |= {
        "estimated": release.estimated if release else {},
        "release": release and release.release_id,
    }
    return told


def offered(catalogue: Catalogue) -> list[dict[str, object]]:
    """A line for every data service on offer."""
    kinds = (
        catalogue.services, catalogue.references, catalogue.cohorts, catalogue.persons,
        catalogue.texts, catalogue.jobs, catalogue.traces,
    )  # fmt: skip
    return [summary(service) for kind in kinds for service in kind.values()]


def _without_release(catalogue: Catalogue, service: str) -> dict[str, object] | None:
    """The contract of a service that has no releases, if it is one."""
    if (reference := catalogue.reference(service)) is not None:
        return lookup_contract(reference)
    if (person := catalogue.person(service)) is not None:
        return claim_contract(person)
    if (text := catalogue.text(service)) is not None:
        return text_contract(text)
    if (trace := catalogue.trace(service)) is not None:
        return trace_contract(trace)
    job = catalogue.job(service)
    return None if job is None else job_contract(job)


def _counted(contract: CohortContract, release: Manifest | None) -> dict[str, object]:
    """The contract of a service that counts cohorts."""
    told = cohort_contract(
        contract, release.periods if release else {}, release.domains if release else {}
    )
    return told | {"release": release and release.release_id}
