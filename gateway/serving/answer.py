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
from gateway.catalogue.model import Service
from gateway.editions.running import Running
from gateway.editions.stage import Stage
from gateway.journal.counters import Hold
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
from gateway.serving.ports import Books, Decider, Releases
from gateway.serving.questions import Question, SdcParameter
from gateway.serving.refusals import NOT_COVERED, SDC, attempt_decision, refusal, undecided
from gateway.serving.render import RENDER, Finish
from gateway.serving.watermark import tag
from metering.calendar import day_of


@dataclass(frozen=True)
class Desk:
    """Everything needed to answer; assembled once, in `gateway.app`."""

    door: Doorkeeper
    editions: Stage
    releases: Releases
    offers: Offers
    journal: Books
    seal: CursorSeal
    mark: bytes
    env: Literal["prod", "sandbox"]
    threads: Executor

    @property
    def catalogue(self) -> Catalogue:
        """What is on offer by the live edition."""
        return self.editions.live.catalogue

    @property
    def policy(self) -> Decider:
        """What decides by the live edition."""
        return self.editions.live.policy

    async def answer(self, call: Call) -> Answer | Refusal:
        """Answer the question, or refuse it with reasons; either way it is on record."""
        case = await self.identify(call)
        with self.editions.take(case.caller.tenant_id) as edition:
            return await self._answer(case, edition)

    async def _answer(self, case: Case, edition: Running) -> Answer | Refusal:
        """The rest of the path, under one edition of the policy from here to its end."""
        call = case.call
        service = find_service(edition.catalogue, call.service)
        if not case.caller.may_ask(service.id):
            return await self._refuse_attempt(case, service, NOT_COVERED, edition)
        try:
            media, question = read_call(service, call)
        except SdcParameter:
            return await self._refuse_attempt(case, service, SDC, edition)
        pinned = self._pin(case, question, edition)
        size = size_of(pinned)
        with self._reserve(case, pinned, size) as hold:
            asked = asking(case, pinned, hold=hold, media=media, env=self.env)
            decision = await self._decide(asked, edition)
            decided = Decided(case, pinned, decision, asked)
            if decision.obligations is None:
                await self.journal.record(entries.unanswered(decided, "refused"))
                return refusal(decision, case.stamp.time, grain=service.grain)
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

    async def _decide(self, asked: PolicyInput, edition: Running) -> Decision:
        """The policy's word; where there is none, a recorded no."""
        try:
            decision = await edition.policy.decide_soon(asked)
        except PolicyUnavailable:
            return undecided(edition.policy.version)
        self.editions.compare(edition, asked, decision)
        return decision

    async def _refuse_attempt(
        self, case: Case, service: Service, code: str, edition: Running
    ) -> Refusal:
        decision = attempt_decision(edition.policy.version, code)
        await self.journal.record(entries.attempt(case, service.id, decision))
        return refusal(decision, case.stamp.time, grain=service.grain)

    def _pin(self, case: Case, question: Question, edition: Running) -> Pinned:
        grants = edition.grants_for(case.caller.tenant_id)
        today = date.fromisoformat(day_of(case.stamp.time))
        return pin(
            question,
            tenant=case.caller.tenant_id,
            grants=grants,
            releases=self.releases,
            offers=self.offers.of(edition.name),
            seal=self.seal,
            today=today,
        )

    def _reserve(self, case: Case, pinned: Pinned, size: Size) -> Hold:
        return self.journal.counters.reserve(
            pinned.grant_id,
            pinned.digest,
            size.cells,
            case.stamp.time,
            tenant=case.caller.tenant_id,
            estimate_fen=size.fen,
        )

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
