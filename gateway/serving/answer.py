"""The path of one request: identify, decide, fetch, mask, record, answer.

Read `Desk.answer`: it is the whole path. A refusal is a value on it and is recorded like an answer;
when identity, policy, releases or journal cannot be reached an error ends it and nothing leaves.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Service
from gateway.editions.running import Running
from gateway.editions.stage import Stage
from gateway.journal.charges import Claim
from gateway.journal.counters import Hold
from gateway.journal.entry import Entry
from gateway.journal.idempotency import Remembered
from gateway.journal.spending import Commitment
from gateway.policy.port import Decision, Obligations, PolicyInput, PolicyUnavailable
from gateway.policy.profiles import profile_key
from gateway.quota.port import QuotaUnproven
from gateway.serving import entries
from gateway.serving.again import Kept, Known
from gateway.serving.arrival import Doorkeeper, find_service, read_call
from gateway.serving.asking import Size, asking, commitment_of, size_of
from gateway.serving.charge import Delivery, deliver
from gateway.serving.cursor import CursorSeal, Place
from gateway.serving.fetching import fetch
from gateway.serving.meta import describe
from gateway.serving.model import Answer, Call, Case, Decided, Pinned, Refusal
from gateway.serving.pages import Pages, Ready, ready
from gateway.serving.pinning import Offers, find_manifest, pin
from gateway.serving.ports import Books, Decider, Releases
from gateway.serving.questions import Question, Questions, SdcParameter
from gateway.serving.quotas import Quotas
from gateway.serving.reasons import Conflict
from gateway.serving.refusals import NOT_COVERED, SDC, attempt_decision, refusal, undecided
from gateway.serving.render import RENDER
from gateway.serving.repeats import (
    KeyUse,
    arriving,
    as_before,
    as_charged,
    digest,
    free_of_charge,
    is_repeat,
    to_reserve,
    uses_nothing,
)
from gateway.serving.watermark import tag
from gateway.tracing import span
from gateway.watermark.marking import Marks
from metering.calendar import day_of


@dataclass(frozen=True)
class Desk:
    """Everything needed to answer; assembled once, in `gateway.app`."""

    door: Doorkeeper
    editions: Stage
    releases: Releases
    offers: Offers
    journal: Books
    quotas: Quotas
    seal: CursorSeal
    mark: bytes
    marks: Marks
    env: Literal["prod", "sandbox"]
    threads: Executor
    pages: Pages = field(default_factory=Pages)
    questions: Questions = field(default_factory=Questions)
    known: Known = field(default_factory=Known)

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
        if (answer := await self._answer_again(case, edition)) is not None:
            return answer
        service = find_service(edition.catalogue, call.service)
        if not case.caller.may_ask(service.id):
            return await self._refuse_attempt(case, service, NOT_COVERED, edition)
        try:
            media, question = read_call(service, call, self.questions)
        except SdcParameter:
            return await self._refuse_attempt(case, service, SDC, edition)
        async with arriving(self.journal, case, service.id, media) as key:
            return await self._answer_once(case, question, media, key, edition)

    async def _answer_once(
        self, case: Case, question: Question, media: str, key: KeyUse | None, edition: Running
    ) -> Answer | Refusal:
        """A question that is in order; a repeat of an answered one uses nothing up."""
        service, repeat = question.service, is_repeat(key)
        pinned = as_before(self._pin(case, question, edition), key, self.releases)
        size = size_of(pinned)
        taken = to_reserve(size, key)
        with self._reserve(case, pinned, taken, _commitment(case, service, taken)) as hold:
            usage = uses_nothing(hold) if repeat else self.quotas.seen(hold)
            asked = asking(case, pinned, cells=size.cells, usage=usage, media=media, env=self.env)
            decided = Decided(case, pinned, await self.decide(asked, edition), asked)
            if not repeat:
                decided = await self._judge(decided, hold, edition)
            decision = decided.decision
            if decision.obligations is None:
                await self.journal.record(entries.unanswered(decided, "refused"))
                return refusal(decision, case.stamp.time, grain=service.grain, asked=decided.asked)
            try:
                prepared = await self._prepare(decided, decision.obligations, media, size)
            except Exception:
                await self.journal.record(entries.unanswered(decided, "failed"))
                raise
            answer, entry = await self._hand_over(
                decided, decision.obligations, prepared, hold, media=media, key=key
            )
            if key is None:
                self.known.keep(decided, edition, media, size, entry, {**answer.meta})
            return answer

    async def _answer_again(self, case: Case, edition: Running) -> Answer | None:
        """The answer to a question that was answered before, if everything it stood on stands."""
        kept = self.known.find(case, edition)
        if kept is None or self.editions.compares(edition):
            return None
        pinned, question = kept.decided.pinned, kept.decided.pinned.question
        if find_manifest(self.releases, question.service, question.release) is not pinned.manifest:
            return None
        page = self.pages.find(kept.decided, kept.obligations, kept.media)
        if page is None:
            return None
        with self._reserve(case, pinned, kept.size, kept.commitment) as hold:
            decision = kept.policy.again(kept.recalled, self.quotas.seen(hold), case.stamp.time)
            if decision is None or not await self.quotas.proves(hold, decision):
                return None  # what was reserved is given back, and the question asked anew
            return await self._hand_over_again(case, kept, decision, page, hold)

    async def _hand_over_again(
        self, case: Case, kept: Kept, decision: Decision, page: Ready, hold: Hold
    ) -> Answer:
        """As `_hand_over`: charge, mark and record the answer; only then may it leave."""
        pinned, tenant, stamp = kept.decided.pinned, case.caller.tenant_id, case.stamp
        mark = tag(self.mark, tenant, decision.decision_id, stamp.time)
        cursor, release = self._next(case, pinned, page), pinned.manifest.release_id
        await self.journal.foresee(tenant, release, page.chargeable.keys(), stamp.time)
        usage = self.quotas.seen(hold)
        claim = hold.charge(tenant, release, page.chargeable, stamp.event_id)
        place = f"{pinned.offset}+{page.limit}"
        delivery = deliver(page.counted, kept.obligations.tariff, place, claim)
        meta = kept.describe(case, decision, usage, delivery, mark)
        body = page.finish(meta, cursor)
        sent = _sent(body, page.finish.sha256(body), mark)
        entry = kept.entry(case, decision, usage, claim, delivery, sent)
        await self.journal.record(entry, hold)
        return Answer(body, kept.media, meta, cursor)

    async def identify(self, call: Call) -> Case:
        """Who asks, and when, as the journal counts time."""
        stamp = self.journal.stamp(call.now)
        caller = await self.door.identify(call.authorization, call.presented, stamp)
        return Case(call, caller, stamp)

    async def decide(self, asked: PolicyInput, edition: Running) -> Decision:
        """The policy's word; where there is none, a recorded no."""
        try:
            decision = await edition.policy.decide_soon(asked)
        except PolicyUnavailable:
            return undecided(edition.policy.version)
        self.editions.compare(edition, asked, decision)
        return decision

    async def _judge(self, decided: Decided, hold: Hold, edition: Running) -> Decided:
        """The decision that holds over all replicas; where that cannot be shown, nothing leaves."""

        async def again(asked: PolicyInput) -> Decision:
            return await self.decide(asked, edition)

        try:
            asked, decision = await self.quotas.prove(hold, decided.asked, decided.decision, again)
        except QuotaUnproven:
            await self.journal.record(entries.unanswered(decided, "failed"))
            raise
        return replace(decided, asked=asked, decision=decision)

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

    def _reserve(
        self, case: Case, pinned: Pinned, size: Size, commitment: Commitment | None
    ) -> Hold:
        return self.journal.counters.reserve(
            pinned.grant_id,
            pinned.digest,
            size.cells,
            case.stamp.time,
            tenant=case.caller.tenant_id,
            estimate_fen=size.fen,
            commitment=commitment,
        )

    async def _prepare(
        self, decided: Decided, obligations: Obligations, media: str, size: Size
    ) -> Ready:
        """The page if it is at hand; else fetch, mask and render it, where it is large in a thread
        of its own."""
        page = self.pages.find(decided, obligations, media)
        if page is None:
            page = await self._make(decided, obligations, media, size)
            self.pages.keep(decided, obligations, media, page)
        return page

    async def _make(
        self, decided: Decided, obligations: Obligations, media: str, size: Size
    ) -> Ready:
        def prepare() -> Ready:
            tenant = decided.case.caller.tenant_id
            fetched = fetch(self.releases, self.marks, tenant, decided.pinned, obligations)
            return ready(fetched, RENDER[media](fetched.table))

        service = decided.pinned.question.service.id
        with span("release.page", sluice__service=service, sluice__cells=size.cells):
            if size.is_small:
                return prepare()
            return await asyncio.get_running_loop().run_in_executor(self.threads, prepare)

    async def _hand_over(
        self,
        decided: Decided,
        obligations: Obligations,
        page: Ready,
        hold: Hold,
        *,
        media: str,
        key: KeyUse | None,
    ) -> tuple[Answer, Entry]:
        """Charge, mark and record the answer; only then may it leave."""
        case, pinned = decided.case, decided.pinned
        before = None if key is None else key.before
        cells = b"" if key is None else digest(media, page.finish)
        if before is not None:
            await self._check_same(decided, before, cells)
        mark = tag(self.mark, case.caller.tenant_id, decided.decision.decision_id, case.stamp.time)
        cursor = self._next(case, pinned, page)
        if before is None:
            tenant, release = case.caller.tenant_id, pinned.manifest.release_id
            places = page.chargeable.keys()
            await self.journal.foresee(tenant, release, places, case.stamp.time)
        delivery, claim = self._charge(decided, obligations, page, hold, before)
        meta = describe(
            decided,
            obligations,
            delivery,
            usage=self.quotas.seen(hold),
            watermark=mark,
            marked=self._marked(pinned, obligations),
            total_rows=page.total,
        )
        body = page.finish(meta, cursor)
        told = decided, obligations, delivery, _sent(body, page.finish.sha256(body), mark)
        if before is None:
            kept = None if key is None else key.kept(case, cells)
            entry = entries.answered(*told, claim, keyed=kept)
            await self.journal.record(entry, hold)
        else:
            entry = entries.repeated(*told, before.event_id)
            await self.journal.record(entry)
        return Answer(body, media, meta, cursor, replayed=before is not None), entry

    def _marked(self, pinned: Pinned, obligations: Obligations) -> dict[str, object] | None:
        """What meta says of marked amounts; an institution's own are never marked."""
        if pinned.own:
            return None
        return self.marks.note(
            pinned.manifest,
            word=obligations.watermark,
            profile_key=profile_key(obligations.profile),
            service=pinned.question.service,
        )

    def _charge(
        self,
        decided: Decided,
        obligations: Obligations,
        ready: Ready,
        hold: Hold,
        before: Remembered | None,
    ) -> tuple[Delivery, Claim]:
        """What is delivered and charged; nothing anew where it was answered `before`."""
        case, release = decided.case, decided.pinned.manifest.release_id
        page = f"{decided.pinned.offset}+{ready.limit}"
        if before is not None:
            claim = free_of_charge(case, release)
            return as_charged(
                deliver(ready.counted, obligations.tariff, page, claim), before
            ), claim
        tenant, event = case.caller.tenant_id, case.stamp.event_id
        claim = hold.charge(tenant, release, ready.chargeable, event)
        return deliver(ready.counted, obligations.tariff, page, claim), claim

    async def _check_same(self, decided: Decided, before: Remembered, cells: bytes) -> None:
        """A repeat that could not be answered alike is on record, and refused."""
        if before.answer != cells:
            await self.journal.record(entries.unanswered(decided, "failed"))
            raise Conflict("idempotency_answer_gone", "")

    def _next(self, case: Case, pinned: Pinned, page: Ready) -> str | None:
        offset = pinned.offset + page.counted.rows
        if offset >= page.total or not page.counted.rows:
            return None
        place = Place(pinned.manifest.release_id, offset)
        return self.seal.seal(place, case.caller.tenant_id, pinned.digest)


def _commitment(case: Case, service: Service, size: Size) -> Commitment | None:
    """What this answer may bring on the month's bill beside its own price."""
    return commitment_of(service.id, service.tariff, case.stamp.time) if size.cells else None


def _sent(body: bytes, hashed: str, mark: str) -> dict[str, object]:
    """What the audit keeps of the bytes that leave."""
    return {"bytes": len(body), "output_hash": hashed, "watermark_tag": mark}
