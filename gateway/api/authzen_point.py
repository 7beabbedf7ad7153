"""The decision point: evaluations of other systems, put to the rules that decide here too.

Each evaluation is decided by the edition that decides for the organisation it is about, and is on
record before its answer leaves. Where the rules cannot be asked, or the record cannot be kept,
there is no answer at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.concurrency import run_in_threadpool

from gateway.api import authzen_record as record
from gateway.api.authzen_answer import Json, decided, no_evaluation, unanswered
from gateway.api.authzen_form import Batch, Evaluation, Semantic
from gateway.api.authzen_mapping import (
    CLIENT,
    TENANT,
    Surroundings,
    Unanswerable,
    map_question,
)
from gateway.api.authzen_record import Asking, Moment
from gateway.consent.desk import Consents
from gateway.editions.running import Running
from gateway.errors import Forbidden, TooMany
from gateway.identity.caller import Caller
from gateway.identity.directory import Directory, Snapshot
from gateway.journal.entry import Entry
from gateway.policy.port import Decision, PolicyInput, PolicyUnavailable, Usage
from gateway.serving.answer import Desk
from gateway.serving.asking import commitment_of, most_fen
from gateway.serving.persons import NOBODY, PersonPart, person_part
from gateway.serving.refusals import PERSON, attempt_decision, undecided

MOST_CELLS = 10**12
"""More than that is no count; the question's form refuses it."""
STOPPED = "D102"
ACTS_FOR_A_PERSON = "D103"
NOT_ADMITTED = "D302"
TOO_FAST = "D801"
UNCOUNTED = "D802"
COUNTED = frozenset({"rps", "calls_day", "cells_day", "cells_month", "distinct_queries_day"})
"""The quotas whose use is counted, whoever delivers (`gateway.serving.quotas`)."""
PRIVACY_BUDGET = "dp"
_STOPS_AT: dict[Semantic, bool | None] = {
    "execute_all": None,
    "deny_on_first_deny": False,
    "permit_on_first_permit": True,
}


@dataclass(frozen=True)
class Bounds:
    """Who may ask, and how much: the policy's word."""

    tenant_types: tuple[str, ...]
    evaluations_call: int
    evaluations_second: int


@dataclass
class Pace:
    """Evaluations of each client in the running second."""

    _second: int = 0
    _counts: dict[str, int] = field(default_factory=dict)

    def take(self, client: str, number: int, most: int, now: datetime) -> None:
        """Count them in; raises when they are more than fit into this second."""
        second = int(now.timestamp())
        if second != self._second:
            self._second, self._counts = second, {}
        counted = self._counts.get(client, 0) + number
        if counted > most:
            raise TooMany(TOO_FAST, "", retry_after=1)
        self._counts[client] = counted


@dataclass(frozen=True)
class _Outcome:
    """One evaluation: its answer, and what is to be recorded; `failed` ends the call."""

    answer: Json
    entry: Entry | None
    failed: bool = False


@dataclass(frozen=True)
class DecisionPoint:
    """Everything an evaluation needs; made once by `gateway.api.authzen`."""

    desk: Desk
    directory: Directory
    consents: Consents
    clock: Callable[[], datetime]
    pace: Pace = field(default_factory=Pace)

    def bounds(self) -> Bounds:
        """What the live edition says of who may ask."""
        said = self.desk.editions.live.prepared.edition.documents["authzen"]
        return Bounds(
            tuple(said["tenant_types"]), said["evaluations_call"], said["evaluations_second"]
        )

    async def admit(self, asking: Asking) -> Bounds:
        """Let a system of the bureau in; anybody else's attempt is recorded and refused."""
        bounds = self.bounds()
        code = against(asking.caller, bounds, self.directory.snapshot)
        if code is not None:
            self.pace.take(asking.caller.client_id, 1, bounds.evaluations_second, self.clock())
            moment = Moment(asking.request_id, self.desk.journal.stamp(self.clock()))
            refusal = attempt_decision(self.desk.policy.version, code)
            await self.desk.journal.record(record.attempt(asking, moment, refusal, None))
            raise Forbidden(code, "")
        return bounds

    async def one(self, asking: Asking, asked: Evaluation, bounds: Bounds) -> Json:
        """The answer to one evaluation."""
        return (await self._run(asking, (asked,), bounds, None))[0]

    async def many(self, asking: Asking, batch: Batch, bounds: Bounds) -> Json:
        """The answers to a batch, up to where its semantic ends it."""
        stops_at = _STOPS_AT[batch.semantic]
        return {"evaluations": await self._run(asking, batch.items, bounds, stops_at)}

    async def _run(
        self,
        asking: Asking,
        items: Sequence[Evaluation | str],
        bounds: Bounds,
        stops_at: bool | None,
    ) -> list[Json]:
        client, second = asking.caller.client_id, bounds.evaluations_second
        self.pace.take(client, len(items), second, self.clock())
        outcomes: list[_Outcome] = []
        with _Editions(self.desk) as editions:
            for number, item in enumerate(items):
                moment = self._moment(asking, number, len(items))
                outcomes.append(await self._evaluate(asking, moment, item, editions))
                if outcomes[-1].failed or outcomes[-1].answer["decision"] is stops_at:
                    break
            await self._record(outcomes)
        if outcomes[-1].failed:
            raise PolicyUnavailable("undecided")
        return [outcome.answer for outcome in outcomes]

    def _moment(self, asking: Asking, number: int, of: int) -> Moment:
        own = asking.request_id if of == 1 else f"{asking.request_id}.{number + 1}"
        return Moment(own, self.desk.journal.stamp(self.clock()))

    async def _record(self, outcomes: Sequence[_Outcome]) -> None:
        """Everything of this call, together; raises when anything is not on record."""
        entries = [outcome.entry for outcome in outcomes if outcome.entry is not None]
        await asyncio.gather(*(self.desk.journal.record(entry) for entry in entries))

    async def _evaluate(
        self, asking: Asking, moment: Moment, asked: Evaluation | str, editions: _Editions
    ) -> _Outcome:
        if isinstance(asked, str):
            return _Outcome(no_evaluation(asked), None)
        tenant = _tenant(asked, self.directory.snapshot)
        edition = editions.of(tenant or asking.caller.tenant_id)
        own = await self._own(asked, moment, tenant, edition)
        versions = {each.id: each.version for each in edition.catalogue.services.values()}
        question = _answerable(map_question(asked, Surroundings(tenant, versions, own)), edition)
        if isinstance(question, Unanswerable):
            refusal = attempt_decision(edition.policy.version, question.code)
            entry = record.attempt(asking, moment, refusal, tenant)
            return _Outcome(unanswered(refusal, question), entry)
        decision, failed = await self._decide(question, edition)
        answer = decided(decision, _grain(question, edition))
        return _Outcome(answer, record.evaluated(asking, moment, question, decision), failed)

    async def _decide(self, question: PolicyInput, edition: Running) -> tuple[Decision, bool]:
        try:
            decision = await edition.policy.decide_soon(question)
        except PolicyUnavailable:
            return undecided(edition.policy.version), True
        self.desk.editions.compare(edition, question, decision)
        return decision, False

    async def _own(
        self, asked: Evaluation, moment: Moment, tenant: str | None, edition: Running
    ) -> dict[str, Any]:
        """What the gateway knows itself: time, environment, consent, stops, use so far."""
        person = await self._person(asked, tenant, moment.stamp.time)
        return {
            "request_id": moment.request_id,
            "time": moment.stamp.time,
            "env": self.desk.env,
            "usage": await self._usage(asked, tenant, edition, moment),
            "consent": person.consent,
            "subject_stopped": person.subject_stopped,
        }

    async def _person(self, asked: Evaluation, tenant: str | None, now: datetime) -> PersonPart:
        consent, subject = (_text(asked, name) for name in ("consent_id", "subject_ref"))
        if consent is None and subject is None:
            return NOBODY
        view = None
        if consent is not None and tenant is not None:
            view = await run_in_threadpool(self.consents.view, consent, tenant, now)
        return person_part(consent, view, subject, self.directory.snapshot.stopped_persons)

    async def _usage(
        self, asked: Evaluation, tenant: str | None, edition: Running, moment: Moment
    ) -> Usage:
        """The counters of a grant that is there; they are looked at, and used by nobody."""
        grant, cells = _text(asked, "grant_id"), asked.context.get("cells")
        theirs = edition.grants_for(tenant) if tenant is not None else ()
        if tenant is None or grant is None or grant not in {each.id for each in theirs}:
            return Usage()
        most = cells if isinstance(cells, int) and 0 <= cells <= MOST_CELLS else 0
        service = edition.catalogue.get(asked.resource.id)
        fen = most_fen(service.tariff, most) if service else 0
        counters, now = self.desk.journal.counters, moment.stamp.time
        least = commitment_of(service.id, service.tariff, now) if service and most else None
        hold = counters.reserve(
            grant, "", most, now, tenant=tenant, estimate_fen=fen, commitment=least
        )
        hold.release()
        await self.desk.quotas.look(hold)
        return self.desk.quotas.seen(hold)


class _Editions:
    """The editions of one call: each organisation's is taken once and kept to the end."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._held = desk, ExitStack()
        self._taken: dict[str, Running] = {}

    def of(self, tenant: str) -> Running:
        if tenant not in self._taken:
            held = self._held.enter_context(self._desk.editions.take(tenant))
            self._taken[tenant] = held
        return self._taken[tenant]

    def __enter__(self) -> _Editions:
        return self

    def __exit__(self, *_error: object) -> None:
        self._held.close()


def against(caller: Caller, bounds: Bounds, snapshot: Snapshot) -> str | None:
    """Why this caller may not ask for decisions about others; None where it may."""
    if caller.authorization_details is not None:
        return ACTS_FOR_A_PERSON
    if caller.tenant_type not in bounds.tenant_types:
        return NOT_ADMITTED
    tenant = snapshot.tenants[caller.tenant_id]
    stopped = any(
        stop.kind == "tenant" and stop.target == tenant.id for stop in snapshot.contents.stops
    )
    return STOPPED if stopped or tenant.status != "active" else None


def _tenant(asked: Evaluation, snapshot: Snapshot) -> str | None:
    """The organisation an evaluation is about: a known one, or that of a client that is heard."""
    name = asked.subject.id
    if asked.subject.type == TENANT:
        return name if name in snapshot.tenants else None
    client = snapshot.live_clients.get(name)
    return client.id if client and asked.subject.type == CLIENT else None


def _answerable(
    question: PolicyInput | Unanswerable, edition: Running
) -> PolicyInput | Unanswerable:
    """The question, unless its scenario limits what nobody counts yet: then the answer is no."""
    if isinstance(question, Unanswerable):
        return question
    uncounted = tuple(sorted(_limits(question, edition) - COUNTED))
    return Unanswerable("uncounted_quota", UNCOUNTED, uncounted) if uncounted else question


def _limits(question: PolicyInput, edition: Running) -> frozenset[str]:
    """The quotas and budgets of the grant's scenario; of an unknown grant the rules say no."""
    said = edition.prepared.edition
    theirs = edition.grants_for(question.tenant.id)
    scenario = next((each.scenario for each in theirs if each.id == question.grant_id), None)
    if scenario is None:
        return frozenset()
    profile = said.profiles.get(question.service, {}).get(scenario, {})
    budget = {PRIVACY_BUDGET} if PRIVACY_BUDGET in profile else set()
    return frozenset({*said.documents["scenarios"][scenario].get("quota", {}), *budget})


def _text(asked: Evaluation, name: str) -> str | None:
    """A text of the context; the mapping refuses anything else at this place."""
    value = asked.context.get(name)
    return value if isinstance(value, str) else None


def _grain(question: PolicyInput, edition: Running) -> str:
    """A service that is not on offer is spoken of as one about persons: with the fewest words."""
    service = edition.catalogue.get(question.service)
    return service.grain if service else PERSON
