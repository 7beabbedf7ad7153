"""The path of one look-up: identify, decide, read the bundle, record, answer.

The same door, policy, quotas and journal as for every service (`gateway.serving.answer`); there are
no cells, so nothing is masked, charged or counted but the call itself.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from gateway.catalogue.reference import Reference
from gateway.codes import entries
from gateway.codes.entries import Decided, digest_of
from gateway.codes.model import Json, Question
from gateway.codes.shelf import BundleError, Shelf
from gateway.codes.telling import FORMATS, tell
from gateway.editions.running import Running
from gateway.errors import NotFound
from gateway.identity.caller import Caller
from gateway.identity.model import Grant
from gateway.journal.counters import Hold
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
from gateway.serving.entries import attempt
from gateway.serving.meta import remaining
from gateway.serving.model import Call, Case, Refusal
from gateway.serving.persons import NOBODY
from gateway.serving.pinning import NO_GRANT
from gateway.serving.refusals import NOT_COVERED, attempt_decision, refusal
from gateway.serving.watermark import tag
from metering.calendar import day_of

PURPOSE: Final = "code_lookup"


@dataclass(frozen=True)
class Looked:
    """An answer, recorded; the edge only has to send it."""

    status: int
    body: bytes
    media_type: str
    meta: Json
    sha256: str


@dataclass(frozen=True)
class _Look:
    """A look-up with everything the caller left open decided."""

    case: Case
    service: Reference
    question: Question
    grant: str
    bundle: str
    media: str

    @property
    def today(self) -> date:
        return _day(self.case)


@dataclass(frozen=True)
class LookupDesk:
    """What answers look-ups: the desk of all services, and the shelf of bundles."""

    desk: Desk
    shelf: Shelf

    async def answer(
        self, call: Call, read: Callable[[], Question], media: str
    ) -> Looked | Refusal:
        """Answer the question that `read` makes of the call, or refuse it; either is on record."""
        stamp = self.desk.journal.stamp(call.now)
        caller = await self.desk.door.identify(call.authorization, call.presented, stamp)
        case = Case(call, caller, stamp)
        with self.desk.editions.take(caller.tenant_id) as edition:
            service = edition.catalogue.reference(call.service)
            if service is None:
                raise NotFound("unknown_service", "")
            if not caller.may_ask(service.id):
                return await self._refuse(case, service, edition)
            question = read()
            grants = edition.grants_for(caller.tenant_id)
            grant = _grant(grants, service, question, _day(case))
            look = _Look(case, service, question, grant, self._bundle(question), media)
            return await self._answer(look, edition)

    async def _answer(self, look: _Look, edition: Running) -> Looked | Refusal:
        """The rest of the path, under one edition and from one bundle."""
        with self._reserve(look) as hold:
            decided = await self._judge(look, hold, edition)
            decision, stamp = decided.decision, look.case.stamp
            if decision.obligations is None:
                await self.desk.journal.record(entries.unanswered(decided, "refused"))
                grain, asked = look.service.grain, decided.asked
                return refusal(decision, stamp.time, grain=grain, asked=asked)
            try:
                loop = asyncio.get_running_loop()
                told = self.shelf, look.bundle, look.question, look.today, look.media
                finish = await loop.run_in_executor(self.desk.threads, tell, *told)
            except Exception:
                await self.desk.journal.record(entries.unanswered(decided, "failed"))
                raise
            mark = tag(self.desk.mark, look.case.caller.tenant_id, decision.decision_id, stamp.time)
            meta = self._meta(decided, decision.obligations, hold, mark)
            status, body = finish(meta)
            digest = hashlib.sha256(body).hexdigest()
            sent = {"bytes": len(body), "output_hash": digest, "watermark_tag": mark}
            await self.desk.journal.record(entries.answered(decided, sent), hold)
            return Looked(status, body, look.media, meta, digest)

    def _bundle(self, question: Question) -> str:
        """The bundle named, or the current one."""
        try:
            name = question.bundle or self.shelf.current()
            if name is not None:
                self.shelf.reader(name)
                return name
        except BundleError as error:
            raise NotFound("code_bundle_unknown", "") from error
        raise NotFound("service_not_open", "")

    def _reserve(self, look: _Look) -> Hold:
        digest, now = digest_of(look.service.id, look.question), look.case.stamp.time
        tenant = look.case.caller.tenant_id
        return self.desk.journal.counters.reserve(look.grant, digest, 0, now, tenant=tenant)

    def _asking(self, look: _Look, hold: Hold) -> PolicyInput:
        """The question as the policy reads it: which parameters were given, no value of them."""
        month, case, service = look.today.isoformat()[:7], look.case, look.service
        return PolicyInput(
            request_id=case.call.request_id,
            time=case.stamp.time,
            tenant=_tenant(case.caller),
            user=AskingUser(id=case.caller.client_id),
            grant_id=look.grant,
            service=service.id,
            version=service.version,
            op="lookup",
            period=AskedPeriod.model_validate({"from": month, "to": month, "grain": "month"}),
            geo=(),
            params=dict.fromkeys((n for n in look.question.given if n in service.params), True),
            purpose_code=look.question.purpose or PURPOSE,
            env=self.desk.env,
            format=FORMATS[look.media],
            release=look.bundle,
            usage=self.desk.quotas.seen(hold),
            **NOBODY.asked(),
        )

    async def _judge(self, look: _Look, hold: Hold, edition: Running) -> Decided:
        """The decision that holds over all replicas; where that cannot be shown, nothing leaves."""

        async def decide(asked: PolicyInput) -> Decision:
            return await self.desk.decide(asked, edition)

        asked = self._asking(look, hold)
        decision = await decide(asked)
        case, service, question, bundle = look.case, look.service, look.question, look.bundle
        try:
            asked, decision = await self.desk.quotas.prove(hold, asked, decision, decide)
        except QuotaUnproven:
            failed = Decided(case, service, question, asked, decision, bundle)
            await self.desk.journal.record(entries.unanswered(failed, "failed"))
            raise
        return Decided(case, service, question, asked, decision, bundle)

    async def _refuse(self, case: Case, service: Reference, edition: Running) -> Refusal:
        decision = attempt_decision(edition.policy.version, NOT_COVERED)
        await self.desk.journal.record(attempt(case, service.id, decision))
        return refusal(decision, case.stamp.time, grain=service.grain)

    def _meta(self, decided: Decided, obligations: Obligations, hold: Hold, mark: str) -> Json:
        """Everything a reader needs to trust, repeat and trace the answer."""
        service, case = decided.service, decided.case
        return {
            "service": {"id": service.id, "code": service.code, "version": service.version},
            "bundle": decided.bundle,
            "charge": {"unit": entries.FREE},
            "quota": remaining(obligations.quota, self.desk.quotas.seen(hold), 0),
            "watermark": mark,
            "decision_id": decided.decision.decision_id,
            "policy_version": decided.decision.policy_version,
            "request_id": case.call.request_id,
            "trace_id": case.call.trace_id,
            "time": case.stamp.time,
        }


def _day(case: Case) -> date:
    """Today, as the bureau counts days."""
    return date.fromisoformat(day_of(case.stamp.time))


def _tenant(caller: Caller) -> AskingTenant:
    return AskingTenant(id=caller.tenant_id, cert_thumbprint=caller.cert_thumbprint, ip=caller.ip)


def _grant(grants: tuple[Grant, ...], service: Reference, question: Question, today: date) -> str:
    """The grant named, or the first active one that covers the service; the policy judges it."""
    if question.grant_id is not None:
        return question.grant_id
    covering = sorted((one for one in grants if service.id in one.services), key=lambda g: g.id)
    active = [one.id for one in covering if one.is_active(today)]
    return next(iter([*active, *(one.id for one in covering)]), NO_GRANT)
