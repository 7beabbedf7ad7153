"""Makes the files of open jobs, one after the other, each job in its turn.

A file becomes available in this order: written and synced; charged and on record in the journal,
durably; entered among the files that can be fetched. Whatever a crash cuts off is made again from
the first missing file. The journal remembers each file under a key of its own, so a file that was
on record before the crash is entered as it was recorded, and never counted or charged twice.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NamedTuple

from uuid_utils import uuid7

from gateway.errors import SluiceError, Unavailable
from gateway.exports.judging import Judge, case_of, noted, size_of, terms_of, told
from gateway.exports.making import Made, Order, Receiver, begin, make
from gateway.exports.model import Failure, File, Job, file_name
from gateway.exports.store import Jobs
from gateway.journal.counters import Hold
from gateway.journal.entry import Keyed
from gateway.journal.idempotency import KeyName, key_name, keyed
from gateway.journal.names import make_folder
from gateway.policy.port import Obligations
from gateway.releases.manifest import ReleaseError
from gateway.serving import entries
from gateway.serving.answer import Desk
from gateway.serving.arrival import find_service
from gateway.serving.charge import Delivery
from gateway.serving.fetching import selection
from gateway.serving.model import Case, Decided, Pinned
from gateway.serving.questions import Question, read_question
from gateway.serving.watermark import tag

_AGAIN: Final = frozenset({("D801",), ("D000",)})
"""Refusals that pass by themselves: the rate of this second, a policy that cannot be asked."""
_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Piece:
    """One file of a job, before it is there."""

    job: Job
    number: int

    @property
    def name(self) -> str:
        return file_name(self.job, self.number)

    @property
    def rows(self) -> range:
        return self.job.rows_of(self.number)

    @property
    def facts(self) -> dict[str, object]:
        """What the audit keeps of it."""
        return {"job": self.job.id, "file": self.name}

    @property
    def key(self) -> KeyName:
        """Under which the journal remembers it: no client can write a key with this character."""
        sender = self.job.sender
        return key_name(sender.tenant, sender.client, f"export\0{self.job.id}\0{self.number}")

    def kept(self, made: Made, now: datetime) -> Keyed:
        """What the journal keeps with the file's event, so that it is recorded once."""
        asked = hashlib.sha256(f"{self.job.id}\0{self.number}\0".encode() + self.job.body)
        return keyed(self.key, asked.digest(), bytes.fromhex(made.sha256), now)


class Delivered(NamedTuple):
    """A file that is about to be recorded, and by which word of the policy."""

    piece: Piece
    decided: Decided
    allowed: Obligations
    made: Made


class Refused(Exception):
    """The job ends here."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


class NotNow(Exception):
    """The same file can be made a little later."""


@dataclass
class Worker:
    """One per process; `run` is its task."""

    desk: Desk
    jobs: Jobs
    releases: Path
    folder: Path
    clock: Callable[[], datetime]
    alive: Callable[[Job], bool]
    """Whether the client that started a job may still ask for anything."""
    open_pool: Callable[[], Executor]
    idle: bool = False
    """Whether it waits for news, with no job open when it looked."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _pool: Executor | None = None

    def wake(self) -> None:
        """There is a new job."""
        self._news.set()

    async def run(self) -> None:
        """Work until cancelled; what goes wrong with one job never ends the work on others."""
        pause = _PAUSE
        while True:
            self._news.clear()
            try:
                job = await asyncio.to_thread(self.jobs.next_open)
                if job is None:
                    await self._wait(_LONGEST_PAUSE)
                    continue
                await self._advance(job)
                pause = _PAUSE
            except (NotNow, SluiceError, BrokenProcessPool, OSError, sqlite3.Error) as error:
                if isinstance(error, BrokenProcessPool):
                    self.let_go()
                _log.warning("exports wait: %s", type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def let_go(self) -> None:
        """End the process that makes files."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    async def _wait(self, seconds: float) -> None:
        self.idle = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
        self.idle = False

    async def _advance(self, job: Job) -> None:
        """The next file of a job, or its end."""
        made = len(self.jobs.files(job.id))
        try:
            if made < job.files:
                await self._file(Piece(job, made))
                made += 1
            if made >= job.files:
                await asyncio.to_thread(self.jobs.end, job.id, "done", self.clock())
        except Refused as refused:
            await self._fail(job, refused.failure)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            await self._fail(job, Failure("export_store_full"))
        except (NotNow, SluiceError, BrokenProcessPool, sqlite3.Error):
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours: not to be tried for ever
            await self._fail(job, Failure("internal_error"))
            _log.error("export %s could not be made: %s", job.id, type(error).__name__)

    async def _fail(self, job: Job, failure: Failure) -> None:
        _log.warning("export %s failed: %s", job.id, failure.code)
        await asyncio.to_thread(self.jobs.end, job.id, "failed", self.clock(), failure)

    async def _file(self, piece: Piece) -> None:
        job = piece.job
        if not self.alive(job):
            raise Refused(Failure("export_client_ended"))
        case = case_of(job, str(uuid7()), self.desk.journal.stamp(self.clock()))
        with self.desk.editions.take(job.sender.tenant) as edition:
            judge = Judge(self.desk, edition)
            try:
                question = read_question(find_service(edition.catalogue, job.service), job.body)
                pinned = judge.pin(case, question)
            except Unavailable:
                raise
            except SluiceError as error:  # as another edition or a withdrawn release may bring it
                raise Refused(Failure(error.code)) from error
            await self._judged(piece, case, question, pinned, judge)

    async def _judged(
        self, piece: Piece, case: Case, question: Question, pinned: Pinned, judge: Judge
    ) -> None:
        """Decide, make, charge and record: one file as one answer."""
        job = piece.job
        size = size_of(question, pinned, len(piece.rows))
        with judge.reserve(case, pinned, size) as hold:
            decided = await judge.decide_held(case, pinned, job.form, size, hold)
            decision = decided.decision
            if decision.obligations is None:
                if decision.deny in _AGAIN:
                    raise NotNow
                await self._note(piece, decided, "refused")
                raise Refused(Failure("refused", decision.deny))
            if decision.obligations.max_cells < size.cells:
                raise Refused(Failure("export_limit_changed"))
            try:
                made = await self._make(piece, decided, decision.obligations)
            except Exception:
                await self._note(piece, decided, "failed")
                raise
            await self._hand_over(piece, decided, decision.obligations, made, hold)

    async def _note(self, piece: Piece, decided: Decided, result: str, **facts: object) -> None:
        await self.desk.journal.record(told(decided, "export", result, **piece.facts, **facts))

    async def _make(self, piece: Piece, decided: Decided, allowed: Obligations) -> Made:
        """The file, made by the other process."""
        job, folder = piece.job, self.folder / piece.job.id
        await asyncio.to_thread(make_folder, folder, 0o700)
        order = Order(
            releases=self.releases,
            selection=selection(decided.pinned, allowed),
            receiver=Receiver(
                self.desk.marks,
                job.sender.tenant,
                allowed.watermark,
                decided.pinned.question.service,
            ),
            since=job.since,
            rows=piece.rows,
            columns=allowed.columns,
            units={m.name: m.unit for m in decided.pinned.question.service.measures},
            form=job.form.name,
            notes=_notes(job),
            path=folder / piece.name,
        )
        if self._pool is None:
            self._pool = self.open_pool()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, make, order)
        except ReleaseError as error:  # withdrawn just now
            raise Refused(Failure(error.code)) from error

    async def _hand_over(
        self, piece: Piece, decided: Decided, allowed: Obligations, made: Made, hold: Hold
    ) -> None:
        """Charge and record the file; then, and only then, it can be fetched."""
        job, case = piece.job, decided.case
        found = self.jobs.find(job.id)
        if found is None or found.state != "open":  # cancelled meanwhile: nothing is delivered
            (self.folder / job.id / piece.name).unlink(missing_ok=True)
            return
        mark = tag(
            self.desk.mark, case.caller.tenant_id, decided.decision.decision_id, case.stamp.time
        )
        before = await self.desk.journal.remembered(piece.key)
        if before is not None and before.answer.hex() == made.sha256:
            charged, event = before.billable_qty, before.event_id
            # Its mark is a new one: on record, so that it can be looked up as any other.
            await self._note(piece, decided, "repeated", repeats=event, watermark_tag=mark)
        else:
            new = None if before else piece.kept(made, case.stamp.time)
            charged = await self._charge(
                Delivered(piece, decided, allowed, made), hold, new=new, mark=mark
            )
            event = case.stamp.event_id
        file = File(
            number=piece.number,
            name=piece.name,
            rows=made.rows,
            cells=made.cells,
            suppressed=made.suppressed,
            charged=charged,
            bytes=made.bytes,
            sha256=made.sha256,
            sm3=made.sm3,
            tag=mark,
            event_id=event,
            decision_id=decided.decision.decision_id,
            terms=terms_of(allowed),
            made=case.stamp.time,
        )
        await asyncio.to_thread(self.jobs.add_file, job.id, file)

    async def _charge(
        self, delivered: Delivered, hold: Hold, *, new: Keyed | None, mark: str
    ) -> int:
        """How many cells are charged; on record when this returns."""
        piece, decided, allowed, made = delivered
        case, release = decided.case, decided.pinned.manifest.release_id
        tenant, places = case.caller.tenant_id, made.chargeable.keys()
        await self.desk.journal.foresee(tenant, release, places, case.stamp.time)
        claim = hold.charge(tenant, release, made.chargeable, case.stamp.event_id)
        delivery = Delivery(
            rows=made.rows,
            cells=made.cells,
            suppressed=made.suppressed,
            unit="free" if allowed.tariff.free else allowed.tariff.unit,
            page=f"{piece.rows.start}+{len(piece.rows)}",
            charged=claim.count,
            repeat_of=claim.repeat_of,
        )
        sent = {"bytes": made.bytes, "output_hash": made.sha256, "watermark_tag": mark}
        entry = entries.answered(decided, allowed, delivery, sent, claim, keyed=new)
        await self.desk.journal.record(noted(entry, "export", **piece.facts), hold)
        return claim.count


def _notes(job: Job) -> dict[str, str]:
    """What stands in the schema of Parquet and Arrow files: the same whenever it is made."""
    return {"sluice.export": job.id, "sluice.release": job.release, "sluice.watermark": job.tag}


def in_process() -> Executor:
    """The one process that makes files, spawned fresh; it ends with this one."""
    return ProcessPoolExecutor(1, get_context("spawn"), begin, (os.getpid(),))
