"""The policy's word on an export and on each of its files: what a page answer needs, for bulk.

A file is judged as one answer that came from the client at the kick-off: same grant, same address,
and the rules of this moment. So a grant revoked while a job works stops it at the next file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date

import orjson

from gateway.editions.running import Running
from gateway.exports.model import Form, Job
from gateway.identity.binding import Presented
from gateway.identity.caller import Caller
from gateway.journal.counters import Hold
from gateway.journal.entry import Entry
from gateway.journal.stamp import Stamp
from gateway.policy.port import Decision, Obligations, PolicyInput
from gateway.policy.port import Usage as AskedUsage
from gateway.policy.profiles import profile_key
from gateway.serving import entries
from gateway.serving.accept import JSON
from gateway.serving.answer import Desk
from gateway.serving.asking import Size, asking, commitment_of, most_fen
from gateway.serving.model import Call, Case, Decided, Pinned
from gateway.serving.pinning import pin
from gateway.serving.questions import Question
from metering.calendar import day_of

NOTHING = AskedUsage()
"""What a fetch of a file is judged by: it uses nothing up."""


@dataclass(frozen=True)
class Judge:
    """Asks the policy for one case, under one edition."""

    desk: Desk
    edition: Running

    def pin(self, case: Case, question: Question) -> Pinned:
        """The question, complete."""
        return pin(
            question,
            tenant=case.caller.tenant_id,
            grants=self.edition.grants_for(case.caller.tenant_id),
            releases=self.desk.releases,
            offers=self.desk.offers.of(self.edition.name),
            seal=self.desk.seal,
            today=date.fromisoformat(day_of(case.stamp.time)),
        )

    @contextmanager
    def reserve(self, case: Case, pinned: Pinned, size: Size) -> Iterator[Hold]:
        """What the answer can use at most, held back from others."""
        service, now = pinned.question.service, case.stamp.time
        with self.desk.journal.counters.reserve(
            pinned.grant_id,
            pinned.digest,
            size.cells,
            now,
            tenant=case.caller.tenant_id,
            estimate_fen=size.fen,
            commitment=commitment_of(service.id, service.tariff, now) if size.cells else None,
        ) as hold:
            yield hold

    async def decide(
        self, case: Case, pinned: Pinned, form: Form, cells: int, usage: AskedUsage
    ) -> Decided:
        """The policy's word; where there is none, a no."""
        asked = asking(
            case, pinned, cells=cells, usage=usage, media=JSON, env=self.desk.env
        ).model_copy(update={"bulk": True, "format": form.agreed})
        return Decided(case, pinned, await self._ask(asked), asked)

    async def decide_held(
        self, case: Case, pinned: Pinned, form: Form, size: Size, hold: Hold
    ) -> Decided:
        """The word that holds over all replicas; raises `QuotaUnproven` where none does."""
        usage = self.desk.quotas.seen(hold)
        decided = await self.decide(case, pinned, form, size.cells, usage)
        proved = await self.desk.quotas.prove(hold, decided.asked, decided.decision, self._ask)
        return replace(decided, asked=proved[0], decision=proved[1])

    async def _ask(self, asked: PolicyInput) -> Decision:
        return await self.desk.decide(asked, self.edition)


def size_of(question: Question, pinned: Pinned, rows: int) -> Size:
    """What so many rows hold and can cost at most."""
    cells = rows * max(1, len(pinned.measures))
    return Size(rows, cells, most_fen(question.service.tariff, cells))


def terms_of(allowed: Obligations) -> str:
    """What of a decision a cell reads by: the profile, the mask of each column, and the marks.

    A file made on other terms is not what a page of now would show.
    """
    masks = sorted((column.field, column.mask) for column in allowed.columns)
    terms = [profile_key(allowed.profile), allowed.watermark, masks]
    return hashlib.sha256(orjson.dumps(terms)).hexdigest()


def case_of(job: Job, request_id: str, stamp: Stamp) -> Case:
    """A file of a job as if its client asked for it now, from where it asked for the job."""
    sender = job.sender
    call = Call(
        request_id=request_id,
        interaction_id=sender.interaction,
        trace_id=sender.trace,
        now=stamp.time,
        presented=Presented("POST", job.request, ip=sender.ip),
        authorization=None,
        service=job.service,
        query=(),
        accept=None,
        content_type=JSON,
        body=job.body,
    )
    caller = Caller(
        sender.tenant,
        sender.tenant_type,
        sender.client,
        sender.env,
        sender.ip,
        sender.token,
        sender.cert,
    )
    return Case(call, caller, stamp)


def noted(entry: Entry, kind: str, **facts: object) -> Entry:
    """The entry as one of an export: its kind, and what else the audit keeps."""
    return replace(entry, audit={**entry.audit, "kind": kind, **facts})


def told(decided: Decided, kind: str, result: str, **facts: object) -> Entry:
    """What happened without anything being delivered anew."""
    return noted(entries.unanswered(decided, result), kind, **facts)
