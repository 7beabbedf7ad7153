"""The path of a cohort question: identify, decide, count, judge what it adds, record, answer.

As `answer.Desk`, whose door, policy, quotas and journal it uses, with two differences. Before the
question is counted the policy is asked whether it may be; once it is counted, the policy is told by
how few persons it differs from what its consumer was told before, and judges again. And the
question is put into the query journal before its answer leaves: two replicas that answer two
questions at once cannot both miss the other.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, TypeVar

from gateway.catalogue.cohort import CohortContract
from gateway.cohorts.bands import BandsUnclear, Rules
from gateway.cohorts.counting import Counting
from gateway.cohorts.evaluate import Counted
from gateway.cohorts.guard import Told, nearest, tellable
from gateway.cohorts.journal import Entry, QueryJournal, Study
from gateway.cohorts.question import CohortAsk
from gateway.editions.running import Running
from gateway.errors import NotFound, SluiceError, Unavailable
from gateway.journal.counters import Hold
from gateway.policy.port import NO_EARLIER, Decision, Obligations, PolicyInput
from gateway.policy.port import Usage as AskedUsage
from gateway.privacy.ledger import Ledger
from gateway.privacy.terms import Terms
from gateway.quota.port import QuotaUnproven
from gateway.serving import entries
from gateway.serving.accept import JSON
from gateway.serving.answer import Desk
from gateway.serving.asking import asking, commitment_of, most_fen
from gateway.serving.charge import Delivery, whole_answer
from gateway.serving.cohort_answer import Answered, Sizes, render
from gateway.serving.cohort_privacy import FREE, CohortPrivacy, Cost
from gateway.serving.cohort_reading import check_listed, pin_cohort, read_cohort
from gateway.serving.meta import describe
from gateway.serving.model import Answer, Call, Case, Decided, Pinned, Refusal
from gateway.serving.questions import SdcParameter
from gateway.serving.refusals import NOT_COVERED, SDC, attempt_decision, refusal
from gateway.serving.watermark import tag
from metering.calendar import day_of

TOO_MANY_CRITERIA: Final = "D403"
TOO_NEAR: Final = "D804"
_TRIES: Final = 16
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class CohortDesk:
    """Everything needed to answer cohort questions; assembled once, in `gateway.app`."""

    desk: Desk
    counting: Counting
    journal: QueryJournal
    ledger: Ledger

    async def answer(self, call: Call) -> Answer | Refusal:
        """Answer the question, or refuse it with reasons; either way it is on record."""
        case = await self.desk.identify(call)
        with self.desk.editions.take(case.caller.tenant_id) as edition:
            contract = edition.catalogue.cohort(call.service)
            if contract is None:
                raise NotFound("unknown_service", "")
            if not case.caller.may_ask(contract.id):
                return await self._refuse_attempt(case, contract, NOT_COVERED, edition)
            try:
                ask = read_cohort(call)
            except SdcParameter:
                return await self._refuse_attempt(case, contract, SDC, edition)
            return await self._judged(case, contract, ask, edition)

    async def _judged(
        self, case: Case, contract: CohortContract, ask: CohortAsk, edition: Running
    ) -> Answer | Refusal:
        today = date.fromisoformat(day_of(case.stamp.time))
        grants = edition.grants_for(case.caller.tenant_id)
        pinned, index = pin_cohort(
            contract,
            ask,
            grants,
            today,
            releases=self.desk.releases,
            index_of=self.counting.index,
        )
        study = await self.study(case.caller.tenant_id, contract.id)
        with self._reserve(case, pinned, contract) as hold:
            path = _Path(self, case, pinned, ask, hold, edition)
            decided = await path.decide(study, NO_EARLIER, FREE, prove=False)
            if decided.decision.obligations is None:
                return await path.refuse(decided)
            rules = _rules(decided.decision.obligations)
            if len(ask.criteria) > rules.criteria:
                refused = attempt_decision(edition.policy.version, TOO_MANY_CRITERIA)
                return await path.refuse(replace(decided, decision=refused))
            check_listed(contract, ask, index, pinned.manifest)
            terms = Terms.of(decided.decision.obligations.profile)
            return await path.count_and_answer(study, rules, path.private(terms))

    def _reserve(self, case: Case, pinned: Pinned, contract: CohortContract) -> Hold:
        now = case.stamp.time
        return self.desk.journal.counters.reserve(
            pinned.grant_id,
            pinned.digest,
            1,
            now,
            tenant=case.caller.tenant_id,
            estimate_fen=most_fen(contract.tariff, 1),
            commitment=commitment_of(contract.id, contract.tariff, now),
        )

    async def _refuse_attempt(
        self, case: Case, contract: CohortContract, code: str, edition: Running
    ) -> Refusal:
        decision = attempt_decision(edition.policy.version, code)
        await self.desk.journal.record(entries.attempt(case, contract.id, decision))
        return refusal(decision, case.stamp.time)

    async def study(self, tenant: str, service: str) -> Study:
        """What was counted for a consumer so far, on all replicas."""
        return await self.in_thread(lambda: self.journal.study(tenant, service))

    async def in_thread(self, work: Callable[[], _Made]) -> _Made:
        """Have something done beside the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.desk.threads, work)


@dataclass(frozen=True)
class _Path:
    """One question on its way, from the first decision to the answer."""

    office: CohortDesk
    case: Case
    pinned: Pinned
    ask: CohortAsk
    hold: Hold
    edition: Running

    def private(self, terms: Terms | None) -> CohortPrivacy | None:
        """What to noise the counts with; nothing where differential privacy is off."""
        release, geos = self.pinned.manifest.release_id, self.pinned.question.geo
        ledger, now = self.office.ledger, self.case.stamp.time
        if terms is None:
            return None
        return CohortPrivacy(ledger, terms, release, self.ask.digest, geos, now)

    async def count_and_answer(
        self, study: Study, rules: Rules, private: CohortPrivacy | None
    ) -> Answer | Refusal:
        """Count, let the policy judge the distance, go on record, answer."""
        for _ in range(_TRIES):
            counted, told, apart = await self._counted(study, rules)
            cost = await self.office.in_thread(private.cost) if private else FREE
            decided = await self.decide(study, apart, cost, prove=True)
            obligations = decided.decision.obligations
            if obligations is None and TOO_NEAR not in decided.decision.deny:
                return await self.refuse(decided)
            kept = await self._on_record(study, told if obligations else None)
            if kept and obligations is None:
                return await self.refuse(decided)
            if kept and obligations is not None:
                sizes = await self._sizes(decided, counted, private)
                answered = Answered.of(
                    self.ask, counted, told, _rules(obligations), self.contract, sizes=sizes
                )
                return await self._hand_over(decided, obligations, answered, study)
            study = await self.office.study(study.tenant, study.service)
        raise Unavailable("cohort_busy", "")

    @property
    def contract(self) -> CohortContract:
        """The contract of the live edition."""
        return self.edition.catalogue.cohorts[self.pinned.question.service.id]

    async def _counted(self, study: Study, rules: Rules) -> tuple[Counted, Told, int]:
        """The cohorts, which of them may be told, and how near the result is to others."""
        release, counting = self.pinned.manifest.release_id, self.office.counting

        def work() -> tuple[Counted, Told, int]:
            counted = counting.count(release, self.ask)
            earlier = study.before(self.ask.digest)
            near = counting.near(release, counted, earlier, rules.delta)
            told = tellable(counted, near, rules)
            first = study.first(self.ask.digest)
            # Later questions were held against what is on record: nothing beyond it is ever told,
            # whatever another release or grant would leave room for.
            if first is not None and first.told is not None:
                told = told.within(first.told)
            return counted, told, nearest(counted, near, rules)

        return await self.office.in_thread(work)

    async def _sizes(
        self, decided: Decided, counted: Counted, private: CohortPrivacy | None
    ) -> Sizes:
        """As counted, or noised; another replica may have spent what the policy saw as left."""
        if private is None:
            return Sizes.of(counted)
        try:
            return await self.office.in_thread(lambda: private.sizes(counted))
        except SluiceError:
            await self.office.desk.journal.record(entries.unanswered(decided, "failed"))
            raise

    async def _on_record(self, study: Study, told: Told | None) -> bool:
        """Whether the question is in the journal now; False where another one came between."""
        answered = told is not None
        if study.counted(self.pinned.grant_id, self.ask.digest, answered=answered):
            return True
        entry = Entry(
            self.pinned.grant_id,
            self.ask,
            told,
            self.pinned.manifest.release_id,
            self.case.call.request_id,
            self.case.stamp.time,
        )
        return await self.office.in_thread(lambda: self.office.journal.add(study, entry))

    async def decide(self, study: Study, apart: int, cost: Cost, *, prove: bool) -> Decided:
        """The policy's word on the question, told what was used and how near it comes."""
        desk, grant = self.office.desk, self.pinned.grant_id
        spent = study.spent(grant, self.ask.digest, self.case.stamp.time)
        own = {
            "queries_per_study": spent.study,
            "queries_month": spent.month,
            "smallest_difference": apart,
            "epsilon_spent_micro": cost.spent_micro,
        }

        def with_own(asked: PolicyInput) -> PolicyInput:
            usage = asked.usage.model_copy(update=own)
            return asked.model_copy(update={"usage": usage, "epsilon_micro": cost.epsilon_micro})

        async def decide(asked: PolicyInput) -> Decision:
            return await desk.decide(with_own(asked), self.edition)

        usage: AskedUsage = desk.quotas.seen(self.hold)
        asked = with_own(
            asking(self.case, self.pinned, cells=1, usage=usage, media=JSON, env=desk.env)
        )
        decided = Decided(self.case, self.pinned, await decide(asked), asked)
        if not prove:
            return decided
        try:
            asked, decision = await desk.quotas.prove(self.hold, asked, decided.decision, decide)
        except QuotaUnproven:
            await desk.journal.record(entries.unanswered(decided, "failed"))
            raise
        return replace(decided, asked=with_own(asked), decision=decision)

    async def refuse(self, decided: Decided) -> Refusal:
        """The refusal, on record."""
        await self.office.desk.journal.record(entries.unanswered(decided, "refused"))
        return refusal(decided.decision, self.case.stamp.time, asked=decided.asked)

    async def _hand_over(
        self, decided: Decided, obligations: Obligations, answered: Answered, study: Study
    ) -> Answer:
        """Charge, mark and record the answer; only then may it leave."""
        desk, case, release = self.office.desk, self.case, self.pinned.manifest.release_id
        tenant, now = case.caller.tenant_id, case.stamp.time
        mark = tag(desk.mark, tenant, decided.decision.decision_id, now)
        cells = whole_answer(self.ask.digest, self._block(), 1)
        await desk.journal.foresee(tenant, release, cells.keys(), now)
        claim = self.hold.charge(tenant, release, cells, case.stamp.event_id)
        delivery = Delivery(
            rows=len(answered.steps),
            cells=1,
            suppressed=answered.withheld,
            unit="free" if obligations.tariff.free else obligations.tariff.unit,
            page="0+1",
            charged=claim.count,
            repeat_of=claim.repeat_of,
        )
        meta = describe(
            decided,
            obligations,
            delivery,
            usage=desk.quotas.seen(self.hold),
            watermark=mark,
            marked=None,
            total_rows=len(answered.steps),
        )
        meta["study"] = self._left(obligations, study)
        body = render(answered, meta)
        sent = {
            "bytes": len(body),
            "output_hash": hashlib.sha256(body).hexdigest(),
            "watermark_tag": mark,
        }
        entry = entries.answered(decided, obligations, delivery, sent, claim)
        await desk.journal.record(entry, self.hold)
        return Answer(body, JSON, meta, None)

    def _left(self, obligations: Obligations, study: Study) -> dict[str, object]:
        """What remains of the study's questions after this answer."""
        spent = study.spent(self.pinned.grant_id, self.ask.digest, self.case.stamp.time)
        used = {"queries_per_study": spent.study + 1, "queries_month": spent.month + 1}
        return {
            name: {"limit": limit, "remaining": max(0, limit - used[name])}
            for name, limit in obligations.quota.items()
            if name in used
        }

    def _block(self) -> int:
        """The block of the release in which the books keep that this question was charged: that of
        the last year and the first region asked about."""
        manifest, question = self.pinned.manifest, self.pinned.question
        years = manifest.periods[question.grain]
        block = years.index(question.periods[-1]) * len(manifest.geo)
        return block + manifest.geo.index(question.geo[0])


def _rules(obligations: Obligations) -> Rules:
    try:
        return Rules.of(obligations.profile)
    except BandsUnclear as error:
        raise Unavailable("cohort_profile", "") from error
