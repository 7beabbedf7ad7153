"""`/v1/jobs` and `/v1/validations`: training jobs on packs, and the same jobs on real views.

An archive of code goes in as `application/zip`; the purpose and, where several cover the service,
the grant stand in the address. A job is its client's alone.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final, TypeAlias

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from gateway.api.access import SignedIn
from gateway.api.plain import check_media, replied
from gateway.api.queries import call_of
from gateway.errors import BadRequest
from gateway.identity.desk import Identity
from gateway.jobs.desk import JobDesk, Terms
from gateway.jobs.views import Inputs
from gateway.metrics.meters import OTHER
from gateway.serving.accept import JSON
from gateway.serving.answer import Desk
from gateway.serving.model import Call, Refusal
from gateway.serving.plain import Told
from gateway.settings import Settings
from sandbox.jobs.book import Kind

ZIP: Final = "application/zip"
router = APIRouter(prefix="/v1", tags=["training jobs"])

_KEY: Final = "idempotency-key"
_FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    "purpose": re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII),
    "grant_id": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}", re.ASCII),
    _KEY: re.compile(r"[A-Za-z0-9_.:-]{8,64}", re.ASCII),
}


def install(app: FastAPI, settings: Settings, desk: Desk) -> None:
    """Add the routes; identity is there already."""
    identity: Identity = app.state.identity
    inputs = Inputs(settings.home / "packs", settings.home / "views")
    root = settings.home / "sandbox"
    app.state.jobs = JobDesk(desk, identity.engine, root, inputs, app.state.clock)
    app.include_router(router)


def _desk(request: Request) -> JobDesk:
    found: JobDesk = request.app.state.jobs
    return found


Jobs: TypeAlias = Annotated[JobDesk, Depends(_desk)]


def _asking(request: Request) -> Callable[[], Terms]:
    """What the address says of purpose and grant; read once it is known who asks."""

    def terms() -> Terms:
        if not set(request.query_params) <= {"purpose", "grant_id"}:
            raise BadRequest("invalid_parameter", "The address takes purpose and grant_id.")
        purpose = _given(request, "purpose")
        if purpose is None:
            raise BadRequest("invalid_parameter", "Say the purpose in the address: ?purpose=…")
        return Terms(purpose, _given(request, "grant_id"), _given(request, _KEY))

    return terms


def _given(request: Request, name: str) -> str | None:
    source = request.headers if name == _KEY else request.query_params
    value = source.get(name)
    if value is None or _FORMS[name].fullmatch(value):
        return value
    raise BadRequest("invalid_parameter", f"{name} is not of its form.")


Asking: TypeAlias = Annotated[Callable[[], Terms], Depends(_asking)]


@router.post("/jobs")
async def submit(request: Request, jobs: Jobs, terms: Asking) -> Response:
    """Queue a job: a ZIP archive of code with `job.yaml` at its top."""

    def read() -> Terms:
        check_media(request, ZIP)
        return terms()

    call = call_of(request, await request.body(), request.app.state.clock())
    return await _answered(jobs, "packs", call, jobs.submit(call, read))


@router.post("/jobs/{job_id}/validations")
async def propose(request: Request, job_id: str, jobs: Jobs, terms: Asking) -> Response:
    """Propose that a job of the sandbox runs, unchanged, on the bureau's views."""
    call = call_of(request, b"", request.app.state.clock())
    return await _answered(jobs, "views", call, jobs.propose(call, job_id, terms))


@router.get("/jobs/{job_id}/outputs/{name}")
async def fetch(request: Request, job_id: str, name: str, jobs: Jobs, terms: Asking) -> Response:
    """An output of a job of the sandbox."""
    call = call_of(request, b"", request.app.state.clock())
    asked = jobs.output(call, Kind.SANDBOX, (job_id, name), terms)
    return await _answered(jobs, "packs", call, asked)


@router.get("/validations/{job_id}/outputs/{name}")
async def fetch_released(
    request: Request, job_id: str, name: str, jobs: Jobs, terms: Asking
) -> Response:
    """An output of a validation run that two reviewers released."""
    call = call_of(request, b"", request.app.state.clock())
    asked = jobs.output(call, Kind.VALIDATION, (job_id, name), terms)
    return await _answered(jobs, "views", call, asked)


@router.get("/packs")
async def list_packs(_caller: SignedIn, jobs: Jobs) -> Response:
    """Packs that jobs may read and their developers may take away."""
    return _json({"packs": sorted(jobs.inputs.packs())})


@router.get("/packs/{pack}")
async def one_pack(pack: str, _caller: SignedIn, jobs: Jobs) -> Response:
    """The data card of a pack: how it was made, its columns, the digests of its files."""
    card = await run_in_threadpool(jobs.inputs.pack, pack)
    return Response(card.model_dump_json(), media_type=JSON)


@router.get("/packs/{pack}/files/{name}")
async def fetch_pack(request: Request, pack: str, name: str, jobs: Jobs, terms: Asking) -> Response:
    """A file of a pack."""
    call = call_of(request, b"", request.app.state.clock())
    return await _answered(jobs, "packs", call, jobs.pack_file(call, (pack, name), terms))


@router.get("/jobs")
async def list_jobs(caller: SignedIn, jobs: Jobs) -> Response:
    """Own jobs of the sandbox, newest first, and the packs there are."""
    told = await run_in_threadpool(jobs.listed, caller, Kind.SANDBOX)
    return _json({"jobs": told, "packs": sorted(jobs.inputs.packs())})


@router.get("/validations")
async def list_validations(caller: SignedIn, jobs: Jobs) -> Response:
    """Own validation runs, newest first."""
    return _json({"validations": await run_in_threadpool(jobs.listed, caller, Kind.VALIDATION)})


@router.get("/jobs/{job_id}")
async def one_job(job_id: str, caller: SignedIn, jobs: Jobs) -> Response:
    """One own job of the sandbox with its attempts and outputs."""
    return _json(await run_in_threadpool(jobs.shown, caller, job_id, Kind.SANDBOX))


@router.get("/validations/{job_id}")
async def one_validation(job_id: str, caller: SignedIn, jobs: Jobs) -> Response:
    """One own validation run: how far it is, and what the reviewers said."""
    return _json(await run_in_threadpool(jobs.shown, caller, job_id, Kind.VALIDATION))


@router.get("/jobs/{job_id}/log")
async def log(job_id: str, caller: SignedIn, jobs: Jobs) -> Response:
    """What a job of the sandbox wrote, live while it runs."""
    content = await run_in_threadpool(jobs.log, caller, job_id)
    return Response(content, media_type="text/plain; charset=utf-8")


@router.delete("/jobs/{job_id}")
async def cancel(job_id: str, caller: SignedIn, jobs: Jobs) -> Response:
    """End an own job of the sandbox."""
    return _json(await run_in_threadpool(jobs.cancel, caller, job_id, Kind.SANDBOX), 202)


@router.delete("/validations/{job_id}")
async def cancel_validation(job_id: str, caller: SignedIn, jobs: Jobs) -> Response:
    """End an own validation run."""
    return _json(await run_in_threadpool(jobs.cancel, caller, job_id, Kind.VALIDATION), 202)


async def _answered(
    jobs: JobDesk, reads: str, call: Call, asked: Awaitable[Told | Refusal]
) -> Response:
    offered = jobs.desk.catalogue.jobs_on(reads)
    return await replied(call, offered.id if offered else OTHER, asked)


def _json(told: object, status: int = 200) -> Response:
    return Response(orjson.dumps(told), status, media_type=JSON)
