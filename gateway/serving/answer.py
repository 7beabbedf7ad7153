"""The path of one request: identify, decide, fetch, mask, record, answer.

Read `Desk.answer`: it is the whole path. A refusal is a value on it and is recorded like an answer;
when identity, policy, releases or journal cannot be reached an error ends it and nothing leaves.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import date
from typing import Literal

from gateway.catalogue.load import Catalogue
from gateway.journal.counters import Hold
from gateway.journal.stamp import Stamp
from gateway.policy.port import Decision, Obligations, PolicyInput, PolicyUnavailable
from gateway.serving import entries
from gateway.serving.arrival import Doorkeeper, find_service, read_call
from gateway.serving.asking import Size, asking, size_of
from gateway.serving.charge import deliver
from gateway.serving.cursor import CursorSeal, Place
from gateway.serving.fetching import Fetched, fetch
from gateway.serving.meta import describe
from gateway.serving.model import Answer, Call, Case, Decided, Pinned, Refusal
from gateway.serving.pinning import Offers, pin
from gateway.serving.ports import Books, Decider, Grants, Releases
from gateway.serving.questions import Question, SdcParameter
from gateway.serving.refusals import NOT_COVERED, SDC, attempt_decision, refusal, undecided
from gateway.serving.render import RENDER, Finish
from gateway.serving.watermark import tag
from metering.calendar import day_of


@dataclass(frozen=True)
class Desk:
    """Everything needed to answer; assembled once, in `gateway.app`."""

    door: Doorkeeper
    catalogue: Catalogue
    grants: Grants
    policy: Decider
    releases: Releases
    offers: Offers
    journal: Books
    seal: CursorSeal
    mark: bytes
    env: Literal["prod", "sandbox"]
    threads: Executor

    async def answer(self, call: Call) -> Answer | Refusal:
        """Answer the question, or refuse it with reasons; either way it is on record."""
        case = await self.identify(call)
        service = find_service(self.catalogue, call.service)
        if not case.caller.may_ask(service.id):
            return await self._refuse_attempt(case, service.id, NOT_COVERED)
        try:
            media, question = read_call(service, call)
        except SdcParameter:
            return await self._refuse_attempt(case, service.id, SDC)
        pinned = self._pin(case, question)
        size = size_of(pinned)
        with self._reserve(pinned, size.cells, case.stamp) as hold:
            asked = asking(
                case, pinned, usage=hold.usage, cells=size.cells, media=media, env=self.env
            )
            decision = await self._decide(asked)
            decided = Decided(case, pinned, decision)
            if decision.obligations is None:
                await self.journal.record(entries.unanswered(decided, "refused"))
                return refusal(decision, case.stamp.time)
            try:
                prepared = await self._prepare(decided, decision.obligations, media, size)
            except Exception:
                await self.journal.record(entries.unanswered(decided, "failed"))
                raise
            return await self._hand_over(decided, decision.obligations, prepared, hold, media)

    async def identify(self, call: Call) -> Case:
        """Who asks, and when, as the journal counts time."""
        stamp = self.journal.stamp(call.now)
        caller = await self.door.identify(call.authorization, call.presented, stamp)
        return Case(call, caller, stamp)

    async def _decide(self, asked: PolicyInput) -> Decision:
        """The policy's word; where there is none, a recorded no."""
        try:
            return await self.policy.decide_soon(asked)
        except PolicyUnavailable:
            return undecided(self.policy.version)

    async def _refuse_attempt(self, case: Case, service: str, code: str) -> Refusal:
        decision = attempt_decision(self.policy.version, code)
        await self.journal.record(entries.attempt(case, service, decision))
        return refusal(decision, case.stamp.time)

    def _pin(self, case: Case, question: Question) -> Pinned:
        grants = self.grants.grants_for(case.caller.tenant_id)
        today = date.fromisoformat(day_of(case.stamp.time))
        return pin(
            question,
            tenant=case.caller.tenant_id,
            grants=grants,
            releases=self.releases,
            offers=self.offers,
            seal=self.seal,
            today=today,
        )

    def _reserve(self, pinned: Pinned, cells: int, stamp: Stamp) -> Hold:
        return self.journal.counters.reserve(pinned.grant_id, pinned.digest, cells, stamp.time)

    async def _prepare(
        self, decided: Decided, obligations: Obligations, media: str, size: Size
    ) -> tuple[Fetched, Finish]:
        """Fetch, mask and render the cells; a large page in a thread of its own."""

        def prepare() -> tuple[Fetched, Finish]:
            fetched = fetch(self.releases, decided.pinned, obligations)
            return fetched, RENDER[media](fetched.table)

        if size.is_small:
            return prepare()
        return await asyncio.get_running_loop().run_in_executor(self.threads, prepare)

    async def _hand_over(
        self,
        decided: Decided,
        obligations: Obligations,
        prepared: tuple[Fetched, Finish],
        hold: Hold,
        media: str,
    ) -> Answer:
        """Charge, mark and record the answer; only then may it leave."""
        (fetched, finish), case, pinned = prepared, decided.case, decided.pinned
        page = f"{pinned.offset}+{fetched.limit}"
        tenant, release = case.caller.tenant_id, pinned.manifest.release_id
        claim = hold.charge(tenant, release, fetched.chargeable, case.stamp.event_id)
        delivery = deliver(fetched.table, obligations.tariff, page, claim)
        mark = tag(self.mark, case.caller.tenant_id, decided.decision.decision_id, case.stamp.time)
        cursor = self._next(case, pinned, fetched)
        meta = describe(
            decided,
            obligations,
            delivery,
            usage=hold.usage,
            watermark=mark,
            total_rows=fetched.total,
        )
        body = finish(meta, cursor)
        sent = {
            "bytes": len(body),
            "output_hash": hashlib.sha256(body).hexdigest(),
            "watermark_tag": mark,
        }
        entry = entries.answered(decided, obligations, delivery, sent, claim)
        await self.journal.record(entry, hold)
        return Answer(body, media, meta, cursor)

    def _next(self, case: Case, pinned: Pinned, fetched: Fetched) -> str | None:
        offset = pinned.offset + fetched.table.rows
        if offset >= fetched.total or not fetched.table.rows:
            return None
        place = Place(pinned.manifest.release_id, offset)
        return self.seal.seal(place, case.caller.tenant_id, pinned.digest)
