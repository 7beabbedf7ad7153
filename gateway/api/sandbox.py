"""`/v1/sandbox`: what a developer has in a sandbox and nobody has in production.

The clock, faults for one's own next calls, and the invented people: they answer one's own requests
for consent and end one's own consents, on the same pages as anybody, without a browser.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final, TypeAlias

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from gateway.api.access import machine, signed_in
from gateway.api.faults import Fault, FaultPlans, Faults, Marked
from gateway.api.person.login import Simulated
from gateway.api.person.office import Office
from gateway.api.persona import Persona, answer, end
from gateway.consent.desk import Consents
from gateway.errors import Forbidden, NotFound
from gateway.identity.caller import Caller
from gateway.journal.entry import Entry
from gateway.serving.accept import JSON
from gateway.serving.answer import Desk
from gateway.serving.meta import SYNTHETIC
from gateway.settings import Settings
from gateway.worlds.clock import SandboxClock
from gateway.worlds.guard import SANDBOX
from gateway.worlds.people import Invented

router = APIRouter(prefix="/v1/sandbox", tags=["sandbox"])
_LONGEST_STEP: Final = 400 * 86_400


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Step(_Body):
    """How far the clock is put forward."""

    advance_seconds: Annotated[int, Field(ge=1, le=_LONGEST_STEP)]


class Plan(_Body):
    """What is to go wrong, and how often."""

    fault: Fault
    times: Annotated[int, Field(ge=1, le=100)] = 1


def install(app: FastAPI, settings: Settings, clock: object) -> None:
    """Add the routes; in a sandbox also faults, and the mark on every answer."""
    app.state.fault_plans, app.state.sandbox_clock = None, None
    if settings.env == SANDBOX:
        app.state.fault_plans, app.state.sandbox_clock = FaultPlans(), clock
        app.add_middleware(Faults, plans=app.state.fault_plans)
    app.include_router(router)


def mark(app: FastAPI, settings: Settings) -> None:
    """The outermost ring of a sandbox; to be added after every other."""
    if settings.env == SANDBOX:
        app.add_middleware(Marked)


async def developer(request: Request) -> Caller:
    """The client itself, in a sandbox; outside, the address is not there for anybody."""
    if request.app.state.sandbox_clock is None:
        raise NotFound("sandbox_only", "Only a sandbox has this.", "仅沙箱提供该功能。")
    return machine(await signed_in(request))


Developer: TypeAlias = Annotated[Caller, Depends(developer)]


@router.get("")
async def standing(request: Request, caller: Developer) -> Response:
    """The sandbox's time, who may change it, and what of one's own is to go wrong."""
    clock: SandboxClock = request.app.state.sandbox_clock
    plans: FaultPlans = request.app.state.fault_plans
    settings: Settings = request.app.state.settings
    planned = plans.of(caller.client_id)
    return _json({
        "env": SANDBOX,
        "data": SYNTHETIC,
        "now": _moment(clock()),
        "seconds_ahead": int(clock.lead().total_seconds()),
        "may_advance": settings.sandbox_owner == caller.tenant_id,
        "fault": planned and {"fault": planned[0], "times": planned[1]},
    })  # fmt: skip


@router.post("/clock")
async def advance(request: Request, caller: Developer, step: Step) -> Response:
    """Put the sandbox's clock forward; for its owner alone, as all who use it share the clock."""
    settings: Settings = request.app.state.settings
    if not settings.sandbox_owner or settings.sandbox_owner != caller.tenant_id:
        raise Forbidden(
            "sandbox_clock_owner",
            "Only the organisation whose sandbox this is may put its clock forward; run one of "
            "your own: sluice sandbox up.",
            "只有该沙箱的所属机构可以拨动时钟；可用 sluice sandbox up 建立自己的沙箱。",
        )
    clock: SandboxClock = request.app.state.sandbox_clock
    by = timedelta(seconds=step.advance_seconds)
    await _record(request, caller, f"clock +{step.advance_seconds}s")
    now = await run_in_threadpool(clock.advance, by)
    return _json({"now": _moment(now), "seconds_ahead": int(clock.lead().total_seconds())})


@router.put("/fault")
async def plan(request: Request, caller: Developer, wanted: Plan) -> Response:
    """One's own next calls go wrong; nobody else's."""
    plans: FaultPlans = request.app.state.fault_plans
    plans.plan(caller.client_id, wanted.fault, wanted.times)
    return Response(status_code=204)


@router.delete("/fault")
async def repair(request: Request, caller: Developer) -> Response:
    """One's own calls go right again."""
    plans: FaultPlans = request.app.state.fault_plans
    plans.clear(caller.client_id)
    return Response(status_code=204)


def _people(request: Request) -> tuple[Office, Simulated]:
    office: Office = request.app.state.persons
    if not isinstance(office.login, Simulated):
        raise NotFound(
            "sandbox_people",
            "This sandbox has no simulated sign-in: set SLUICE_PERSON_LOGIN=simulated.",
            "该沙箱未启用模拟登录。",
        )
    return office, office.login


def _person(request: Request, name: str) -> Invented:
    for each in _people(request)[1].people:
        if each.id == name:
            return each
    raise NotFound("sandbox_persona", "There is no such invented person.", "没有该虚构人物。")


@router.get("/personas")
async def personas(request: Request, _caller: Developer) -> Response:
    """The invented people; all developers have the same."""
    _, login = _people(request)
    people = [each.model_dump(mode="json") for each in login.people]
    return _json({"data": SYNTHETIC, "people": people})


@router.post("/personas/{name}/answers")
async def answers(request: Request, caller: Developer, name: str, said: Persona) -> Response:
    """The person opens one's own pushed request in the simulated app, and answers."""
    _person(request, name)
    return _json(await answer(request, caller, name, said))


@router.delete("/personas/{name}/consents/{consent_id}")
async def ends(request: Request, caller: Developer, name: str, consent_id: str) -> Response:
    """The person ends a consent they gave to one's own organisation."""
    _person(request, name)
    desk: Consents = request.app.state.consents
    await run_in_threadpool(desk.read, consent_id, caller.tenant_id)
    await end(request, caller, name, consent_id)
    return Response(status_code=204)


async def _record(request: Request, caller: Caller, what: str) -> None:
    """On record before it is done: everybody's time changes."""
    desk: Desk = request.app.state.desk
    stamp = desk.journal.stamp(request.app.state.clock())
    actor = {"client": caller.client_id, "ip": caller.ip}
    audit = {
        "kind": "config", "result": "done", "reason": what, "tenant": caller.tenant_id,
        "actor": actor,
    }  # fmt: skip
    await desk.journal.record(Entry(stamp.event_id, stamp.event_id, stamp.time, None, audit, None))


def _moment(now: datetime) -> str:
    return now.isoformat(timespec="seconds")


def _json(told: object, status: int = 200) -> Response:
    return Response(orjson.dumps(told), status, media_type=JSON)
