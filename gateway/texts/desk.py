"""The path of one call for clean texts: identify, decide, clean, record, answer.

The same door, policy, quotas and journal as for every service (`gateway.serving.answer`). Without
the name model, or where a recogniser fails, nothing is answered: no text passes half cleaned.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final, TypeAlias

import orjson

from gateway.catalogue.text import TextContract
from gateway.editions.running import Running
from gateway.errors import NotFound, OperatorError, Unavailable
from gateway.freetext.documents import find, replace
from gateway.freetext.names import WEIGHTS
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
from gateway.serving.model import Answer, Call, Case, Refusal
from gateway.serving.persons import NOBODY
from gateway.serving.pinning import NO_GRANT
from gateway.serving.refusals import NOT_COVERED, attempt_decision, refusal
from gateway.serving.watermark import tag
from gateway.texts import entries
from gateway.texts.asking import Question
from gateway.texts.entries import Decided, digest_of
from metering.calendar import day_of

JSON: Final = "application/json"
PURPOSE: Final = "text_deidentification"
Told: TypeAlias = dict[str, Any]  # a JSON object


@dataclass(frozen=True)
class _Asked:
    """A call with everything the caller left open decided."""

    case: Case
    service: TextContract
    question: Question
    grant: str
    weights: str


@dataclass(frozen=True)
class TextDesk:
    """What cleans texts, at the desk of all services."""

    desk: Desk

    async def answer(self, call: Call, read: Callable[[], Question]) -> Answer | Refusal:
        """Clean the texts that `read` finds in the call, or refuse; either is on record."""
        stamp = self.desk.journal.stamp(call.now)
        caller = await self.desk.door.identify(call.authorization, call.presented, stamp)
        case = Case(call, caller, stamp)
        with self.desk.editions.take(caller.tenant_id) as edition:
            service = next(iter(edition.catalogue.texts.values()), None)
            if service is None:
                raise NotFound("unknown_service", "")
            if not caller.may_ask(service.id):
                return await self._refuse(case, service, edition)
            question = read()
            grant = _grant(edition.grants_for(caller.tenant_id), service, question, case)
            return await self._answer(_Asked(case, service, question, grant, weights()), edition)

    async def _answer(self, asked: _Asked, edition: Running) -> Answer | Refusal:
        """The rest of the path, under one edition."""
        with self._reserve(asked) as hold:
            decided = await self._judge(asked, hold, edition)
            decision, stamp = decided.decision, asked.case.stamp
            if decision.obligations is None:
                await self.desk.journal.record(entries.unanswered(decided, "refused"))
                grain, put = asked.service.grain, decided.asked
                return refusal(decision, stamp.time, grain=grain, asked=put)
            try:
                loop = asyncio.get_running_loop()
                told = await loop.run_in_executor(self.desk.threads, cleaned, asked.question)
            except Exception:
                await self.desk.journal.record(entries.unanswered(decided, "failed"))
                raise
            tenant = asked.case.caller.tenant_id
            mark = tag(self.desk.mark, tenant, decision.decision_id, stamp.time)
            meta = self._meta(decided, decision.obligations, hold, mark)
            body = orjson.dumps({"result": told, "meta": meta})
            digest = hashlib.sha256(body).hexdigest()
            sent = {"bytes": len(body), "output_hash": digest, "watermark_tag": mark}
            await self.desk.journal.record(entries.answered(decided, sent), hold)
            return Answer(body, JSON, meta, None)

    def _reserve(self, asked: _Asked) -> Hold:
        now, tenant = asked.case.stamp.time, asked.case.caller.tenant_id
        digest = digest_of(asked.service.id)
        return self.desk.journal.counters.reserve(asked.grant, digest, 0, now, tenant=tenant)

    def _asking(self, asked: _Asked, hold: Hold) -> PolicyInput:
        """The call as the policy reads it: which choices were made, nothing of a text."""
        case, service, question = asked.case, asked.service, asked.question
        month = day_of(case.stamp.time)[:7]
        caller = case.caller
        return PolicyInput(
            request_id=case.call.request_id,
            time=case.stamp.time,
            tenant=AskingTenant(
                id=caller.tenant_id, cert_thumbprint=caller.cert_thumbprint, ip=caller.ip
            ),
            user=AskingUser(id=caller.client_id),
            grant_id=asked.grant,
            service=service.id,
            version=service.version,
            op="deidentify",
            period=AskedPeriod.model_validate({"from": month, "to": month, "grain": "month"}),
            geo=(),
            params=dict.fromkeys((n for n in question.given if n in service.params), True),
            purpose_code=question.purpose or PURPOSE,
            env=self.desk.env,
            format="json",
            release=asked.weights,
            usage=self.desk.quotas.seen(hold),
            **NOBODY.asked(),
        )

    async def _judge(self, asked: _Asked, hold: Hold, edition: Running) -> Decided:
        """The decision that holds over all replicas; where that cannot be shown, nothing leaves."""

        async def decide(put: PolicyInput) -> Decision:
            return await self.desk.decide(put, edition)

        put = self._asking(asked, hold)
        decision = await decide(put)
        case, service, question = asked.case, asked.service, asked.question
        try:
            put, decision = await self.desk.quotas.prove(hold, put, decision, decide)
        except QuotaUnproven:
            failed = Decided(case, service, question, put, decision, asked.weights)
            await self.desk.journal.record(entries.unanswered(failed, "failed"))
            raise
        return Decided(case, service, question, put, decision, asked.weights)

    async def _refuse(self, case: Case, service: TextContract, edition: Running) -> Refusal:
        decision = attempt_decision(edition.policy.version, NOT_COVERED)
        await self.desk.journal.record(attempt(case, service.id, decision))
        return refusal(decision, case.stamp.time, grain=service.grain)

    def _meta(self, decided: Decided, obligations: Obligations, hold: Hold, mark: str) -> Told:
        """Everything a reader needs to trust, repeat and trace the answer."""
        service, case = decided.service, decided.case
        return {
            "service": {"id": service.id, "code": service.code, "version": service.version},
            "weights": decided.weights,
            "charge": {"unit": entries.FREE, "characters": decided.question.characters},
            "quota": remaining(obligations.quota, self.desk.quotas.seen(hold), 0),
            "watermark": mark,
            "decision_id": decided.decision.decision_id,
            "policy_version": decided.decision.policy_version,
            "request_id": case.call.request_id,
            "trace_id": case.call.trace_id,
            "time": case.stamp.time,
        }


def cleaned(question: Question) -> Told:
    """The texts without what was found in them, and how much of each kind that was.

    Raises:
        Unavailable: the name model is not there. What else fails carries no text either.
    """
    try:
        found = find(question.documents, question.profile)
    except OperatorError as error:
        raise Unavailable("text_recogniser_missing", "") from error
    texts: list[Told] = []
    for name, document, spans in zip(question.ids, question.documents, found, strict=True):
        told: Told = {"id": name, "text": replace(document.text, spans)}
        if question.spans:
            told["spans"] = [[span.start, span.end, span.kind] for span in spans]
        texts.append(told)
    counts = Counter(span.kind for spans in found for span in spans)
    return {"texts": texts, "counts": dict(sorted(counts.items()))}


@lru_cache(maxsize=1)
def weights() -> str:
    """Which weights find the names: the start of their digest."""
    return f"names-{hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:16]}"


def _grant(grants: tuple[Grant, ...], service: TextContract, question: Question, case: Case) -> str:
    """The grant named, or the first active one that covers the service; the policy judges it."""
    if question.grant_id is not None:
        return question.grant_id
    today = date.fromisoformat(day_of(case.stamp.time))
    covering = sorted((one for one in grants if service.id in one.services), key=lambda g: g.id)
    active = [one.id for one in covering if one.is_active(today)]
    return next(iter([*active, *(one.id for one in covering)]), NO_GRANT)
