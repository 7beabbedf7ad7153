"""Jobs as their developers meet them: submitted, followed, proposed for validation, fetched.

What brings something in or out goes the path of all services without cells (policy, quotas,
journal); looking at one's own jobs needs the token alone. Another's job is as unknown as none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson
import sqlalchemy as sa

from gateway.errors import Forbidden, Gone, NotFound, TooMany, Unavailable, Unprocessable
from gateway.identity.caller import Caller
from gateway.jobs.asking import read_archive
from gateway.jobs.book import open_book
from gateway.jobs.telling import Json, brief, validation, whole
from gateway.jobs.views import Inputs, ViewCard
from gateway.serving.answer import Desk
from gateway.serving.model import Call, Case, Refusal
from gateway.serving.plain import Asked, Finish, PlainDesk, Told
from gateway.serving.reasons import Conflict
from sandbox.jobs import airlock
from sandbox.jobs.book import Job, JobBook, JobError, Kind, State, Wish
from sandbox.jobs.code import CodeStore
from sandbox.jobs.places import Folder

JSON: Final = "application/json"
OCTETS: Final = "application/octet-stream"
MOST_OPEN: Final = 20
"""Unfinished jobs of one organisation."""
_CREATED: Final = 201
_OK: Final = 200
_FORMS: Final = {
    ".json": "metrics_json", ".csv": "aggregate_csv", ".md": "model_card", ".txt": "model_card",
    ".onnx": "weights_if_dp_or_reviewed", ".safetensors": "weights_if_dp_or_reviewed",
}  # fmt: skip


@dataclass(frozen=True)
class Terms:
    """What the caller says of why it asks: its purpose, and the grant where it has several."""

    purpose: str
    grant_id: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class JobDesk:
    """What answers about jobs; `root` holds code, runs and results."""

    desk: Desk
    engine: sa.Engine
    root: Path
    inputs: Inputs
    clock: Callable[[], datetime]

    async def submit(self, call: Call, terms: Callable[[], Terms]) -> Told | Refusal:
        """Queue the job that the body declares."""

        def read(case: Case) -> Asked:
            book, said = self._book(case.caller), terms()
            spec = read_archive(call.body)
            self.inputs.check_packs(spec.inputs)
            digest = hashlib.sha256(call.body).hexdigest()

            def tell() -> Finish:
                with _spoken():
                    kept = CodeStore(self.root / "code").keep(call.body)
                wish = Wish(spec, kept, key=said.key)
                return _made(brief(_submitted(book, case.caller, wish)))

            shape = {"operation": "submit", "spec": spec.digest(), "code": digest}
            return _asked(said, shape, digest, tell)

        return await self._answer(call, "packs", read)

    async def propose(self, call: Call, job_id: str, terms: Callable[[], Terms]) -> Told | Refusal:
        """Propose that a job which succeeded in the sandbox runs on the views."""

        def read(case: Case) -> Asked:
            said = terms()
            book, job = self._own(case.caller, job_id, Kind.SANDBOX)
            if job.state is not State.SUCCEEDED:
                raise Conflict(
                    "job_not_succeeded", "Only a job that succeeded in the sandbox is validated.",
                    "只有在沙箱中成功的作业才能申请验证。",
                )  # fmt: skip
            cards = self.inputs.cards(job.spec.inputs)

            def tell() -> Finish:
                wish = Wish(job.spec, job.code_digest, job.job_id, said.key)
                made = _submitted(book, case.caller, wish)
                return _made(validation(made, (), (), self.clock()))

            shape = {
                "operation": "propose", "job": job_id, "views": list(job.spec.inputs),
                "spec": job.spec.digest(), "code": job.code_digest,
            }  # fmt: skip
            return _placed(_asked(said, shape, job.code_digest, tell, "metrics_json"), cards)

        return await self._answer(call, "views", read)

    async def output(
        self, call: Call, kind: Kind, at: tuple[str, str], terms: Callable[[], Terms]
    ) -> Told | Refusal:
        """Fetch an output (`at`: id and name); of a validation run only what was released."""

        def read(case: Case) -> Asked:
            said = terms()
            book, job = self._own(case.caller, at[0], kind)
            found = {one.name: one for one in book.outputs(job.job_id)}.get(at[1])
            if found is None or (kind is Kind.VALIDATION and not self._released(*at)):
                raise NotFound("unknown_output", "There is no such output.", "没有该输出文件。")
            shape = {"operation": "output", "job": at[0], "output": found.sha256}
            place = self.root / "results" / job.job_id / "outputs"
            if kind is Kind.SANDBOX and not place.exists():
                raise Gone("output_expired", "")
            tell = _file(place / at[1], found.sha256)
            if kind is Kind.SANDBOX:
                return _asked(said, shape, job.code_digest, tell, "octets", OCTETS)
            form = _FORMS[Path(at[1]).suffix.lower()]
            asked = _asked(said, shape, job.code_digest, tell, form, OCTETS)
            return _placed(asked, self.inputs.cards(job.spec.inputs))

        return await self._answer(call, "packs" if kind is Kind.SANDBOX else "views", read)

    async def pack_file(
        self, call: Call, at: tuple[str, str], terms: Callable[[], Terms]
    ) -> Told | Refusal:
        """Fetch a file of a pack (`at`: pack and file)."""

        def read(_case: Case) -> Asked:
            said, card = terms(), self.inputs.pack(at[0])
            if at[1] not in card.files:
                raise NotFound("unknown_output", "There is no such file.", "没有该文件。")
            digest = card.files[at[1]]
            shape = {"operation": "pack", "pack": card.name, "output": digest}
            return _asked(said, shape, digest, _file(self.inputs.packs()[at[0]] / at[1], digest),
                          "octets", OCTETS)  # fmt: skip

        return await self._answer(call, "packs", read)

    def listed(self, caller: Caller, kind: Kind) -> list[Json]:
        """The client's own jobs of a kind, newest first."""
        jobs = self._book(caller).jobs(caller.tenant_id)
        mine = [job for job in jobs if job.client_id == caller.client_id and job.kind is kind]
        return [brief(one) if kind is Kind.SANDBOX else self._validation(one) for one in mine]

    def shown(self, caller: Caller, job_id: str, kind: Kind) -> Json:
        """One own job."""
        book, job = self._own(caller, job_id, kind)
        if kind is Kind.VALIDATION:
            return self._validation(job)
        return whole(job, book.attempts(job_id), book.outputs(job_id))

    def log(self, caller: Caller, job_id: str) -> bytes:
        """What a job of the sandbox wrote, live while it runs."""
        book, job = self._own(caller, job_id, Kind.SANDBOX)
        kept = self.root / "results" / job.job_id / "log"
        attempts = book.attempts(job_id)
        if not kept.exists() and attempts:
            kept = Folder(self.root / "runs" / attempts[-1].attempt_id).log
        try:
            return kept.read_bytes()
        except FileNotFoundError:  # nothing was written yet
            return b""

    def cancel(self, caller: Caller, job_id: str, kind: Kind) -> Json:
        """End an own job."""
        book, _ = self._own(caller, job_id, kind)
        with _spoken():
            job = book.cancel(caller.tenant_id, job_id)
        return brief(job) if kind is Kind.SANDBOX else self._validation(job)

    async def _answer(
        self, call: Call, reads: str, read: Callable[[Case], Asked]
    ) -> Told | Refusal:
        return await PlainDesk(self.desk).answer(
            call, lambda edition: edition.catalogue.jobs_on(reads), read
        )

    def _validation(self, job: Job) -> Json:
        with self.engine.connect() as db:
            reviews = airlock.reviews(db, job.job_id)
        outputs = JobBook(self.engine, self.clock).outputs(job.job_id)
        return validation(job, reviews, outputs, self.clock())

    def _released(self, job_id: str, name: str) -> bool:
        with self.engine.connect() as db:
            found = airlock.reviews(db, job_id)
        decided = all(one.decided for one in found)
        return decided and any(one.name == name and one.state == airlock.RELEASED for one in found)

    def _book(self, caller: Caller) -> JobBook:
        if caller.subject is not None:
            raise Forbidden(
                "machine_token_needed",
                "Use a token of the client_credentials grant here.",
                "此处请使用 client_credentials 授权取得的令牌。",
            )
        return open_book(self.engine, f"client:{caller.client_id}", self.clock)

    def _own(self, caller: Caller, job_id: str, kind: Kind) -> tuple[JobBook, Job]:
        book = self._book(caller)
        with _spoken():
            job = book.job(caller.tenant_id, job_id)
        if job.client_id != caller.client_id or job.kind is not kind:
            raise _unknown()
        return book, job


def _submitted(book: JobBook, caller: Caller, wish: Wish) -> Job:
    with _spoken():
        return book.submit(caller.tenant_id, caller.client_id, wish, MOST_OPEN)


def _made(told: Json) -> Finish:
    return lambda meta: (_CREATED, orjson.dumps({"result": told, "meta": meta}))


def _file(path: Path, sha256: str) -> Callable[[], Finish]:
    """The file's bytes, if they are still those that were written down."""

    def tell() -> Finish:
        try:
            content = path.read_bytes()
        except OSError:
            content = b""
        if hashlib.sha256(content).hexdigest() != sha256:
            raise Unavailable("output_damaged", "")
        return lambda _meta: (_OK, content)

    return tell


def _asked(  # noqa: PLR0917 -- what is asked, under which word, and what answers it
    terms: Terms, shape: Mapping[str, object], code: str, tell: Callable[[], Finish],
    form: str = "json", media: str = JSON,
) -> Asked:  # fmt: skip
    return Asked(
        source_name="code",
        source=f"code-{code[:16]}",
        op="job",
        purpose=terms.purpose,
        grant_id=terms.grant_id,
        given=("job",),
        shape=shape,
        format=form,
        media_type=media,
        tell=tell,
        charge={},
    )


def _placed(asked: Asked, cards: list[ViewCard]) -> Asked:
    """The question with the regions and months of the views it is about."""
    months = (min(card.first for card in cards), max(card.last for card in cards))
    geo = tuple(sorted({region for card in cards for region in card.regions}))
    return replace(asked, geo=geo, months=months)


@contextmanager
def _spoken() -> Iterator[None]:
    """What the book refuses, as what the caller is told."""
    try:
        yield
    except JobError as error:
        if error.code == "no_such_job":
            raise _unknown() from None
        if error.code == "jobs_in_flight":
            raise TooMany(
                "jobs_in_flight", str(error), "未完成的作业过多。", retry_after=30
            ) from None
        if error.code == "bad_code":
            raise Unprocessable("bad_code", str(error), "代码包有误。") from None
        raise Conflict(error.code, str(error), "当前状态下不能执行该操作。") from None


def _unknown() -> NotFound:
    return NotFound("unknown_job", "You have no job of this id.", "没有该作业。")
