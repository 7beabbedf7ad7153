"""Bulk export over HTTP: start, follow, list, fetch, cancel (SPEC §5.1).

The form is that of FHIR Bulk Data: `Prefer: respond-async`, 202 with Content-Location, 202 with
X-Progress while it works, then a manifest. A job that failed is a 200 whose manifest names the
error, so that a 5xx is always about the request at hand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, TypeAlias

import orjson
from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import StreamingResponse

from gateway.api.access import SignedIn
from gateway.api.exports_http import (
    OutOfRange,
    address,
    expires,
    headers_of,
    listed,
    manifest,
    media_of,
    octets,
    part_of,
    progress,
    wanted_of,
)
from gateway.api.problems import of_error, request_id
from gateway.api.queries import call_of, refusal_response
from gateway.exports.model import Job
from gateway.exports.office import JobsOpen, Office
from gateway.serving.accept import JSON
from gateway.serving.model import Refusal

router = APIRouter()
POLL_SECONDS = 2


def _office(request: Request) -> Office:
    found: Office = request.app.state.exports.office
    return found


def _base(request: Request) -> str:
    return str(request.app.state.settings.base_url)


TheOffice: TypeAlias = Annotated[Office, Depends(_office)]
Base: TypeAlias = Annotated[str, Depends(_base)]


@router.post("/v1/services/{service}/exports")
async def start(request: Request, office: TheOffice, base: Base) -> Response:
    """Start an export of a question: the body is that of a query, without page and cursor."""
    return await _start(request, office, base, await request.body())


@router.get("/v1/services/{service}/exports")
async def start_by_get(request: Request, office: TheOffice, base: Base) -> Response:
    """The same with the question in the address."""
    return await _start(request, office, base, None)


async def _start(request: Request, office: Office, base: str, body: bytes | None) -> Response:
    call = call_of(request, body or b"", request.app.state.clock())
    if body is None:  # the address is the whole request, there is no body of another type
        call = replace(call, content_type=JSON)
    try:
        begun = await office.kick_off(call, lambda: wanted_of(request, body))
    except JobsOpen as full:
        return _too_many(full, request, base)
    if isinstance(begun, Refusal):
        return refusal_response(begun, call.request_id, call.now)
    return Response(status_code=202, headers={"Content-Location": address(base, begun.id)})


def _too_many(full: JobsOpen, request: Request, base: str) -> Response:
    """429 that names the jobs in flight, so that one of them can be cancelled."""
    jobs = [address(base, one) for one in full.jobs]
    said = of_error(full, request_id(request))
    headers = {"Retry-After": said.headers["retry-after"], "Content-Location": ", ".join(jobs)}
    body = {**orjson.loads(bytes(said.body)), "jobs": jobs}
    return Response(orjson.dumps(body), 429, headers, said.media_type)


@router.get("/v1/exports")
async def list_jobs(caller: SignedIn, office: TheOffice, base: Base) -> Response:
    """The client's own jobs, newest first."""
    found = [listed(job, len(office.jobs.files(job.id)), base) for job in office.list(caller)]
    return Response(orjson.dumps({"jobs": found}), media_type=JSON)


@router.get("/v1/exports/{job_id}")
async def follow(job_id: str, caller: SignedIn, office: TheOffice, base: Base) -> Response:
    """How far the job is; in the end, what there is to fetch."""
    job = office.find(caller, job_id)
    files = office.jobs.files(job.id)
    if job.state == "open":
        return _working(job, len(files))
    told = orjson.dumps(manifest(job, files, base))
    return Response(told, 200, {"Expires": expires(job)}, JSON)


def _working(job: Job, done: int) -> Response:
    headers = {"X-Progress": progress(job, done), "Retry-After": str(POLL_SECONDS)}
    return Response(status_code=202, headers=headers)


@router.delete("/v1/exports/{job_id}")
async def cancel(job_id: str, caller: SignedIn, office: TheOffice) -> Response:
    """Stop the job and take its files away."""
    await office.cancel(caller, job_id)
    return Response(status_code=202)


@router.get("/v1/exports/{job_id}/files/{name}")
async def fetch(
    job_id: str, name: str, request: Request, caller: SignedIn, office: TheOffice
) -> Response:
    """A file, or the part of it that is still missing."""
    call = call_of(request, b"", request.app.state.clock())
    opened = await office.open(call, caller, job_id, name)
    if isinstance(opened, Refusal):
        return refusal_response(opened, call.request_id, call.now)
    job, file = opened.job, opened.file
    try:
        part = part_of(request.headers, file)
    except OutOfRange as beyond:
        said = of_error(beyond, call.request_id)
        said.headers["Content-Range"] = f"bytes */{file.bytes}"
        return said
    first, last = part or (0, file.bytes - 1)
    body = octets(opened.path, first, last - first + 1)
    status, headers = 200 if part is None else 206, headers_of(job, file, part)
    return StreamingResponse(body, status, headers, media_of(job.form))
