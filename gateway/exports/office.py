"""Where clients start, follow, list and cancel exports, and fetch their files.

A job is its client's alone: to everybody else, another client of the same organisation included,
it is as unknown as one that never was. Whoever asks has been admitted before (token, proof of
possession, registered address), so none of the answers tells a stranger anything.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final

import orjson

from gateway.errors import BadRequest, Gone, NotFound, SluiceError, TooMany, Unavailable
from gateway.exports.judging import NOTHING, Judge, size_of, terms_of, told
from gateway.exports.model import (
    LARGEST_FILE,
    MOST_OPEN,
    File,
    Form,
    Job,
    Sender,
)
from gateway.exports.store import Jobs
from gateway.identity.caller import Caller
from gateway.policy.port import Obligations
from gateway.policy.profiles import profile_key
from gateway.serving import entries
from gateway.serving.answer import Desk
from gateway.serving.arrival import find_service
from gateway.serving.asking import size_of as size_of_page
from gateway.serving.charge import Delivery
from gateway.serving.fetching import selection
from gateway.serving.meta import describe
from gateway.serving.model import Call, Case, Decided, Pinned, Refusal
from gateway.serving.pinning import check_released
from gateway.serving.questions import (
    Question,
    SdcParameter,
    read_ask,
    read_question,
    sets_disclosure,
)
from gateway.serving.reasons import UnsupportedMedia
from gateway.serving.refusals import NOT_COVERED, SDC, attempt_decision, refusal
from gateway.serving.watermark import tag

ALL: Final = "none"
"""The word for `_since` that asks for everything."""
_OF_A_PAGE: Final = frozenset({"rows", "charge", "quota"})
SINCE, FORMAT = "_since", "_outputFormat"


class RulesChanged(SluiceError):
    status: ClassVar[int] = 409
    title: ClassVar[str] = "The rules changed"


class JobsOpen(TooMany):
    """The client has as many jobs under way as it may; `jobs` are their ids."""

    def __init__(self, jobs: tuple[str, ...]) -> None:
        super().__init__("export_jobs_open", "", retry_after=30)
        self.jobs = jobs


@dataclass(frozen=True)
class Wanted:
    """What a kick-off asks for: the question, the format, and since which release."""

    body: bytes
    form: Form
    since: str | None


@dataclass(frozen=True)
class Opened:
    """A file about to be sent, and the mark under which it is on record."""

    job: Job
    file: File
    path: Path


@dataclass(frozen=True)
class Office:
    """Everything clients can do about exports."""

    desk: Desk
    jobs: Jobs
    folder: Path
    clock: Callable[[], datetime]
    wake: Callable[[], None]

    async def kick_off(self, call: Call, wanted: Callable[[], Wanted]) -> Job | Refusal:
        """Start a job, or refuse it with reasons; either way it is on record."""
        case = await self.desk.identify(call)
        with self.desk.editions.take(case.caller.tenant_id) as edition:
            judge = Judge(self.desk, edition)
            service = find_service(edition.catalogue, call.service)
            if not _acts_for_itself(case.caller):
                return await self._refuse(case, service.id, NOT_COVERED, judge)
            try:
                if sets_disclosure(call.query):
                    raise SdcParameter
                if not (call.content_type or "").lower().startswith("application/json"):
                    raise UnsupportedMedia("unsupported_media_type", "")
                asked = wanted()
                question = read_question(service, asked.body)
            except SdcParameter:
                return await self._refuse(case, service.id, SDC, judge)
            ask = read_ask(asked.body)
            if ask.page_size is not None or ask.cursor is not None:
                raise BadRequest("invalid_parameter", "An export has no page_size and no cursor.")
            return await self._judged(case, question, asked, judge)

    async def _judged(
        self, case: Case, question: Question, wanted: Wanted, judge: Judge
    ) -> Job | Refusal:
        """The policy sees the whole of it once; each file is judged again when it is made."""
        pinned = judge.pin(case, question)
        size = size_of(question, pinned, size_of_page(pinned).rows)
        with judge.reserve(case, pinned, size) as hold:
            decided = await judge.decide_held(case, pinned, wanted.form, size, hold)
        allowed = decided.decision.obligations
        if allowed is None:
            await self.desk.journal.record(told(decided, "job", "refused"))
            return refusal(
                decided.decision, case.stamp.time, grain=question.service.grain, asked=decided.asked
            )
        try:
            self._check_open(case.caller)
            job = await self._job(decided, allowed, wanted)
        except Exception:
            await self.desk.journal.record(told(decided, "job", "failed"))
            raise
        facts = {"rows": job.rows, "since": job.since, "watermark_tag": job.tag}
        await self.desk.journal.record(told(decided, "job", "done", job=job.id, **facts))
        if found := await asyncio.to_thread(self.jobs.add, job):
            raise JobsOpen(found)
        self.wake()
        return job

    def _check_open(self, caller: Caller) -> None:
        found = self.jobs.open_of(caller.tenant_id, caller.client_id)
        if len(found) >= MOST_OPEN:
            raise JobsOpen(found)

    async def _job(self, decided: Decided, allowed: Obligations, wanted: Wanted) -> Job:
        """The job with everything the client left open decided for good."""
        case, pinned = decided.case, decided.pinned
        check_released(pinned)
        now, sender = case.stamp.time, _sender(case)
        most = allowed.max_cells // max(1, len(pinned.measures))
        asked = selection(pinned, allowed)
        mark = tag(self.desk.mark, sender.tenant, decided.decision.decision_id, now)
        found = await asyncio.to_thread(self.desk.releases.page, asked, 0, 0)
        since, release = self._since(sender, pinned, wanted), pinned.manifest.release_id
        nothing_new = since == release
        return Job(
            id=secrets.token_hex(16),
            sender=sender,
            service=pinned.question.service.id,
            body=_fixed(wanted.body, pinned),
            digest=pinned.digest,
            release=release,
            since=since,
            form=wanted.form,
            request=case.call.presented.url,
            rows=0 if nothing_new else found.total,
            per_file=max(1, min(LARGEST_FILE, most)),
            begun=now,
            tag=mark,
            meta=self._meta(decided, allowed, mark, found.total),
            state="done" if nothing_new else "open",
            ended=now if nothing_new else None,
        )

    def _meta(self, decided: Decided, allowed: Obligations, mark: str, rows: int) -> bytes:
        """What a page answer tells a reader, without what only one page has."""
        pinned, service = decided.pinned, decided.pinned.question.service
        key = profile_key(allowed.profile)
        marked = self.desk.marks.note(
            pinned.manifest, word=allowed.watermark, profile_key=key, service=service
        )
        nothing = Delivery(0, 0, 0, allowed.tariff.unit, "0+0", 0, None)
        meta = describe(
            decided,
            allowed,
            nothing,
            usage=NOTHING,
            watermark=mark,
            marked=marked,
            total_rows=rows,
        )
        return orjson.dumps({name: told for name, told in meta.items() if name not in _OF_A_PAGE})

    def _since(self, sender: Sender, pinned: Pinned, wanted: Wanted) -> str | None:
        """The release whose unchanged rows are left out: named, or the last one delivered."""
        if wanted.since == ALL:
            return None
        if wanted.since is None:
            last = self.jobs.last_release(sender, pinned.digest)
            return last if last and self.desk.releases.find(last) else None
        found = self.desk.releases.find(wanted.since)
        if found is None or found.service != pinned.question.service.id:
            raise BadRequest("export_since_unknown", "")
        return wanted.since

    async def _refuse(self, case: Case, service: str, code: str, judge: Judge) -> Refusal:
        decision = attempt_decision(judge.edition.policy.version, code)
        await self.desk.journal.record(entries.attempt(case, service, decision))
        return refusal(decision, case.stamp.time)

    def find(self, caller: Caller, job_id: str) -> Job:
        """The caller's own job; raises `NotFound` for any other, `Gone` where its time is over."""
        job = self.jobs.find(job_id)
        sender = (caller.tenant_id, caller.client_id)
        mine = job is not None and (job.sender.tenant, job.sender.client) == sender
        if job is None or not mine or not _acts_for_itself(caller) or job.state == "cancelled":
            raise NotFound("unknown_export", "")
        if job.state == "expired" or (job.ended and job.expires <= self.clock()):
            raise Gone("export_expired", "")
        return job

    def list(self, caller: Caller) -> list[Job]:
        """The caller's own jobs, newest first; those cancelled are gone."""
        if not _acts_for_itself(caller):
            return []
        found = self.jobs.of_client(caller.tenant_id, caller.client_id)
        return [job for job in found if job.state != "cancelled"]

    async def cancel(self, caller: Caller, job_id: str) -> None:
        """End the job, whether it works or is done; its files are gone from here on."""
        job = self.find(caller, job_id)
        await asyncio.to_thread(self.jobs.end, job.id, "cancelled", self.clock())
        await asyncio.to_thread(self.jobs.put_away, job.id, "cancelled")
        self.wake()

    async def open(self, call: Call, caller: Caller, job_id: str, name: str) -> Opened | Refusal:
        """A file for its client, if the policy still lets it have that; on record either way.

        Nothing is counted or charged: that was done when the file was made.
        """
        job = self.find(caller, job_id)
        file = self.jobs.file(job.id, name)
        if file is None:
            raise NotFound("unknown_export", "")
        path = self.folder / job.id / file.name
        decided = await self._decided_again(job, call, caller)
        allowed = decided.decision.obligations
        fault = None if allowed is None else _fault(file, path, allowed)
        result = "refused" if allowed is None else "repeated" if fault is None else "failed"
        facts: dict[str, object] = {
            "job": job.id,
            "file": file.name,
            "repeats": file.event_id,
            "bytes": file.bytes,
            "output_hash": file.sha256,
            "watermark_tag": file.tag,
        }
        await self.desk.journal.record(told(decided, "export", result, **facts))
        if allowed is None:
            return refusal(decided.decision, decided.case.stamp.time, asked=decided.asked)
        if fault is not None:
            raise fault
        return Opened(job, file, path)

    async def _decided_again(self, job: Job, call: Call, caller: Caller) -> Decided:
        stamp = self.desk.journal.stamp(call.now)
        case = Case(replace(call, service=job.service, body=job.body), caller, stamp)
        with self.desk.editions.take(caller.tenant_id) as edition:
            judge = Judge(self.desk, edition)
            question = read_question(find_service(edition.catalogue, job.service), job.body)
            pinned = judge.pin(case, question)
            return await judge.decide(case, pinned, job.form, 0, NOTHING)


def _fault(file: File, path: Path, allowed: Obligations) -> SluiceError | None:
    """Why a file that may be fetched cannot leave all the same."""
    if terms_of(allowed) != file.terms:
        return RulesChanged("export_rules_changed", "")
    return None if path.is_file() else Unavailable("export_file_missing", "")


def _acts_for_itself(caller: Caller) -> bool:
    """A token by which somebody else authorised the client opens no exports."""
    return caller.authorization_details is None and caller.subject is None


def _sender(case: Case) -> Sender:
    caller, call = case.caller, case.call
    return Sender(
        caller.tenant_id,
        caller.tenant_type,
        caller.client_id,
        caller.env,
        caller.ip,
        caller.token_id,
        caller.cert_thumbprint,
        call.interaction_id,
        call.trace_id,
    )


def _fixed(body: bytes, pinned: Pinned) -> bytes:
    """The question with what the client left open written out, so that it stays the same."""
    fixed = {
        "grant_id": pinned.grant_id,
        "measures": list(pinned.measures),
        "release": pinned.manifest.release_id,
    }
    return orjson.dumps({**orjson.loads(body), **fixed})
