"""The path of a call that asks for no cells (codes, texts): identify, decide, tell, record, answer.

The same door, policy, quotas and journal as for every service (`gateway.serving.answer`); nothing
is masked, charged or counted but the call itself, and the journal keeps the form of a question,
never what was asked.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, Protocol, TypeAlias

from gateway.catalogue.tariff import Tariff
from gateway.editions.running import Running
from gateway.errors import NotFound
from gateway.identity.model import Grant
from gateway.journal.counters import Hold
from gateway.journal.entry import Entry
from gateway.policy.decision_log import event
from gateway.policy.port import (
    AskedPeriod,
    AskingTenant,
    AskingUser,
    Decision,
    Obligations,
    PolicyInput,
)
from gateway.quota.port import QuotaUnproven
from gateway.serving.answer import Desk
from gateway.serving.asking import most_fen
from gateway.serving.entries import actor_of, attempt, took
from gateway.serving.meta import made_up, remaining
from gateway.serving.model import Call, Case, Refusal
from gateway.serving.persons import NOBODY
from gateway.serving.pinning import NO_GRANT
from gateway.serving.refusals import NOT_COVERED, attempt_decision, refusal
from gateway.serving.watermark import tag
from metering.calendar import day_of
from metering.usage import UsageEvent

FREE: Final = "free"
Json: TypeAlias = dict[str, Any]  # a JSON object
Finish: TypeAlias = Callable[[Json], tuple[int, bytes]]
"""Status and body of an answer, once its `meta` is known."""


class Contract(Protocol):
    """What the path wants to know of a service."""

    @property
    def id(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def grain(self) -> str: ...
    @property
    def params(self) -> tuple[str, ...]: ...
    @property
    def tariff(self) -> Tariff: ...


@dataclass(frozen=True)
class Asked:
    """A question with everything the caller left open decided.

    `source` is what it is answered from, under `source_name` in the answer's meta; `given` are the
    names of what the caller gave; `shape` is what the journal keeps of it, its `operation` first;
    `charge` is told beside the unit. `tell` makes the answer, in a worker thread. `geo` and
    `months` (first and last, YYYY-MM) are those of the records it is about, where there are some.
    """

    source_name: str
    source: str
    op: Literal["lookup", "deidentify", "job"]
    purpose: str
    grant_id: str | None
    given: tuple[str, ...]
    shape: Mapping[str, object]
    format: str
    media_type: str
    tell: Callable[[], Finish]
    charge: Mapping[str, object]
    geo: tuple[str, ...] = ()
    months: tuple[str, str] | None = None


@dataclass(frozen=True)
class Told:
    """An answer, recorded; the edge only has to send it."""

    status: int
    body: bytes
    media_type: str
    meta: Json
    sha256: str


@dataclass(frozen=True)
class Decided:
    """A question with the policy's word on it."""

    case: Case
    service: Contract
    asked: Asked
    put: PolicyInput
    decision: Decision

    def unanswered(self, result: str) -> Entry:
        """A refusal of the policy, or an allowed question whose answer failed."""
        return self._entry(self._audit(result), None)

    def answered(self, sent: Mapping[str, object], told: Obligations) -> Entry:
        """An answer about to leave, counted at price zero or, where it is charged, as one call.
        `sent`: bytes, hash, watermark."""
        usage = self._usage(told)
        audit = {**self._audit("answered"), "columns": [], "rows": 0, "cells": usage.qty, **sent}
        return self._entry(audit, usage)

    def _entry(self, audit: dict[str, object], usage: UsageEvent | None) -> Entry:
        stamp, kept = self.case.stamp, event(self.put, self.decision)
        return Entry(self.case.call.request_id, stamp.event_id, stamp.time, kept, audit, usage)

    def _audit(self, result: str) -> dict[str, object]:
        return {
            "kind": "read",
            "result": result,
            "tenant": self.case.caller.tenant_id,
            "actor": actor_of(self.case),
            "grant": self.put.grant_id,
            "service": self.service.id,
            "version": self.service.version,
            "release": self.asked.source,
            "purpose": self.put.purpose_code,
            "query_shape": dict(self.asked.shape),
            "deny_codes": list(self.decision.deny),
            **took(self.case),
        }

    def _usage(self, told: Obligations) -> UsageEvent:
        stamp, service, tariff = self.case.stamp, self.service, told.tariff
        charged = not tariff.free and service.tariff.unit != FREE
        return UsageEvent(
            event_id=stamp.event_id,
            request_id=self.case.call.request_id,
            decision_id=self.decision.decision_id,
            grant=self.put.grant_id,
            tenant=self.case.caller.tenant_id,
            service=service.id,
            version=service.version,
            release=self.asked.source,
            unit=tariff.unit if charged else FREE,
            qty=int(charged),
            billable_qty=int(charged),
            repeat_of=None,
            price_ref=tariff.price_ref if charged else FREE,
            price_micro=service.tariff.first_unit_micro(tariff.price_ref) if charged else 0,
            providers_ref=self.asked.source if charged else "",
            purpose=self.put.purpose_code,
            query_hash=digest_of(service.id, self.asked),
            page="",
            time=stamp.time,
        )


@dataclass(frozen=True)
class PlainDesk:
    """What answers calls without cells, at the desk of all services."""

    desk: Desk

    async def answer(
        self,
        call: Call,
        find: Callable[[Running], Contract | None],
        read: Callable[[Case], Asked],
    ) -> Told | Refusal:
        """Answer the question that `read` makes of the call to the service that `find` finds, or
        refuse it; either is on record."""
        stamp = self.desk.journal.stamp(call.now)
        caller = await self.desk.door.identify(call.authorization, call.presented, stamp)
        case = Case(call, caller, stamp)
        with self.desk.editions.take(caller.tenant_id) as edition:
            service = find(edition)
            if service is None:
                raise NotFound("unknown_service", "")
            if not caller.may_ask(service.id):
                return await self._refuse(case, service, edition)
            return await self._answer(case, service, read(case), edition)

    async def _answer(
        self, case: Case, service: Contract, asked: Asked, edition: Running
    ) -> Told | Refusal:
        """The rest of the path, under one edition."""
        tenant, stamp = case.caller.tenant_id, case.stamp
        grant = _grant(edition.grants_for(tenant), service.id, asked.grant_id, today(case))
        reserve, digest = self.desk.journal.counters.reserve, digest_of(service.id, asked)
        unit, most = int(service.tariff.unit != FREE), most_fen(service.tariff, 1)
        with reserve(grant, digest, unit, stamp.time, tenant=tenant, estimate_fen=most) as hold:
            decided = await self._judge(case, service, asked, grant, hold, edition)
            decision = decided.decision
            if decision.obligations is None:
                await self.desk.journal.record(decided.unanswered("refused"))
                return refusal(decision, stamp.time, grain=service.grain, asked=decided.put)
            try:
                loop = asyncio.get_running_loop()
                finish = await loop.run_in_executor(self.desk.threads, asked.tell)
            except Exception:  # whatever it was, the failure is on record before it is told
                await self.desk.journal.record(decided.unanswered("failed"))
                raise
            mark = tag(self.desk.mark, tenant, decision.decision_id, stamp.time)
            meta = self._meta(decided, decision.obligations, hold, mark)
            status, body = finish(meta)
            digest = hashlib.sha256(body).hexdigest()
            sent = {"bytes": len(body), "output_hash": digest, "watermark_tag": mark}
            entry = decided.answered(sent, decision.obligations)
            await self.desk.journal.record(entry, hold)
            return Told(status, body, asked.media_type, meta, digest)

    async def _judge(  # noqa: PLR0917 -- a question, where it stands, and under what
        self, case: Case, service: Contract, asked: Asked, grant: str, hold: Hold, edition: Running
    ) -> Decided:
        """The decision that holds over all replicas; where that cannot be shown, nothing leaves."""

        async def decide(put: PolicyInput) -> Decision:
            return await self.desk.decide(put, edition)

        put = self._put(case, service, asked, grant, hold)
        decision = await decide(put)
        try:
            put, decision = await self.desk.quotas.prove(hold, put, decision, decide)
        except QuotaUnproven:
            failed = Decided(case, service, asked, put, decision)
            await self.desk.journal.record(failed.unanswered("failed"))
            raise
        return Decided(case, service, asked, put, decision)

    def _put(
        self, case: Case, service: Contract, asked: Asked, grant: str, hold: Hold
    ) -> PolicyInput:
        """The question as the policy reads it: which parameters were given, no value of them."""
        caller, now = case.caller, today(case).isoformat()[:7]
        first, last = asked.months or (now, now)
        return PolicyInput(
            request_id=case.call.request_id,
            time=case.stamp.time,
            tenant=AskingTenant(
                id=caller.tenant_id, cert_thumbprint=caller.cert_thumbprint, ip=caller.ip
            ),
            user=AskingUser(id=caller.client_id),
            grant_id=grant,
            service=service.id,
            version=service.version,
            op=asked.op,
            period=AskedPeriod.model_validate({"from": first, "to": last, "grain": "month"}),
            geo=asked.geo,
            params=dict.fromkeys((n for n in asked.given if n in service.params), True),
            purpose_code=asked.purpose,
            env=self.desk.env,
            format=asked.format,
            release=asked.source,
            usage=self.desk.quotas.seen(hold),
            **NOBODY.asked(),
        )

    async def _refuse(self, case: Case, service: Contract, edition: Running) -> Refusal:
        decision = attempt_decision(edition.policy.version, NOT_COVERED)
        await self.desk.journal.record(attempt(case, service.id, decision))
        return refusal(decision, case.stamp.time, grain=service.grain)

    def _meta(self, decided: Decided, obligations: Obligations, hold: Hold, mark: str) -> Json:
        """Everything a reader needs to trust, repeat and trace the answer."""
        service, case, asked = decided.service, decided.case, decided.asked
        return made_up(case.caller.env) | {
            "service": {"id": service.id, "code": service.code, "version": service.version},
            asked.source_name: asked.source,
            "charge": {
                "unit": FREE if obligations.tariff.free else service.tariff.unit,
                **asked.charge,
            },
            "quota": remaining(obligations.quota, self.desk.quotas.seen(hold), 0),
            "watermark": mark,
            "decision_id": decided.decision.decision_id,
            "policy_version": decided.decision.policy_version,
            "request_id": case.call.request_id,
            "trace_id": case.call.trace_id,
            "time": case.stamp.time,
        }


def digest_of(service: str, asked: Asked) -> str:
    """All questions of one operation are one: what is asked about tells of nobody."""
    return hashlib.sha256(f"{service}/{asked.shape['operation']}".encode()).hexdigest()


def today(case: Case) -> date:
    """Today, as the bureau counts days."""
    return date.fromisoformat(day_of(case.stamp.time))


def _grant(grants: tuple[Grant, ...], service: str, named: str | None, day: date) -> str:
    """The grant named, or the first active one that covers the service; the policy judges it."""
    if named is not None:
        return named
    covering = sorted((one for one in grants if service in one.services), key=lambda g: g.id)
    active = [one.id for one in covering if one.is_active(day)]
    return next(iter([*active, *(one.id for one in covering)]), NO_GRANT)
