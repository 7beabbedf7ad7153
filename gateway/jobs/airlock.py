"""The airlock as officers and reviewers see it: proposed runs, and what came out of those that ran.

What a validation run left is read by reviewers alone. The automated checks run each time an output
is looked at or let on, over all outputs of its run together; one that they stop cannot be released.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, TypeAlias

import sqlalchemy as sa
import yaml

from gateway.errors import OperatorError, Unprocessable
from gateway.identity.record import Act
from gateway.jobs.views import Inputs
from sandbox.egress.findings import Finding, Rules, Weight
from sandbox.egress.review import examined, stopped
from sandbox.jobs import airlock
from sandbox.jobs.airlock import Review, Word
from sandbox.jobs.book import Job, JobBook, JobError, Kind, Output
from sandbox.jobs.code import CodeStore, packed

Json: TypeAlias = dict[str, Any]  # a JSON object
_SHOWN: Final = 256 * 1024
"""Bytes of an output that a reviewer is shown; of a larger one there are digest and findings."""


def egress_rules(policies: Path) -> Rules:
    """The bounds of the profile that egress from the sandbox names (DC7: `egress_sdc`)."""
    document = yaml.safe_load((policies / "data" / "sdc_profiles.yaml").read_text("utf-8"))
    profiles = document["sdc_profiles"]
    bounds = profiles[profiles["DC7"]["egress_sdc"]]
    return Rules(**{field.name: bounds[field.name] for field in fields(Rules)})


@dataclass(frozen=True)
class Airlock:
    """What the office's endpoints about jobs work with."""

    book: JobBook
    root: Path
    inputs: Inputs
    rules: Callable[[], Rules]

    def proposals(self, db: sa.Connection) -> list[Json]:
        """Validation runs that wait for an officer, the oldest first."""
        return [self.told(self._job(job_id)) for job_id in airlock.proposals(db)]

    def told(self, job: Job) -> Json:
        """A validation run for the officers: what would run, on which views, who said yes."""
        origin = self.book.outputs(job.origin or "")
        try:
            cards = [card.model_dump(mode="json") for card in self.inputs.cards(job.spec.inputs)]
        except Unprocessable:  # the view was taken away since
            cards = []
        return {
            "job_id": job.job_id, "tenant_id": job.tenant_id, "client_id": job.client_id,
            "state": job.state, "reason": job.reason, "origin": job.origin,
            "spec": job.spec.model_dump(mode="json"), "spec_digest": job.spec.digest(),
            "code_digest": job.code_digest, "views": cards,
            "left_in_sandbox": [vars(one) for one in origin],
            "checked_by": job.checked_by, "approved_by": job.approved_by,
            "submitted_at": job.submitted_at,
        }  # fmt: skip

    def shown(self, job_id: str) -> Json:
        """One validation run."""
        return self.told(self._job(job_id))

    def code(self, job_id: str) -> bytes:
        """The code of a run as an archive, for officers to read."""
        return packed(CodeStore(self.root / "code").folder(self._job(job_id).code_digest))

    def check(self, db: sa.Connection, act: Act, job_id: str) -> None:
        """The first officer's word."""
        with spoken():
            airlock.check(db, job_id, _word(act))

    def approve(self, db: sa.Connection, act: Act, job_id: str) -> None:
        """The second officer's word; refused where a view was taken away meanwhile."""
        self.inputs.cards(self._job(job_id).spec.inputs)
        with spoken():
            airlock.approve(db, job_id, _word(act))

    def decline(self, db: sa.Connection, act: Act, job_id: str) -> None:
        """An officer's no."""
        with spoken():
            airlock.decline(db, job_id, _word(act))

    def waiting(self, db: sa.Connection) -> list[Json]:
        """Outputs that wait for a reviewer, the oldest first."""
        return [_review(one) for one in airlock.undecided(db)]

    def findings(self, job_id: str) -> Mapping[str, list[Finding]]:
        """What the checks say of all outputs of a run; one that is damaged is stopped."""
        kept = self.book.outputs(self._job(job_id).job_id)
        files = {one.name: self._content(job_id, one) for one in kept}
        whole = {name: content for name, content in files.items() if content is not None}
        found = dict(examined(whole, self.rules()))
        damaged = Finding(Weight.STOP, "damaged", "file", "It is not as it was written down.")
        return found | {name: [damaged] for name in files.keys() - whole.keys()}

    def output(self, db: sa.Connection, job_id: str, name: str, found: object) -> Json:
        """One output with its findings, its text, and how it differs from the sandbox's."""
        with spoken():
            review = airlock.review(db, job_id, name)
        job = self._job(job_id)
        text = self._text(job_id, name)
        before = self._text(job.origin or "", name)
        return {
            **_review(review),
            "findings": [vars(one) for one in _of(found, name)],
            "text": text,
            "difference": _difference(before, text),
        }

    def pass_on(self, db: sa.Connection, act: Act, at: tuple[str, str], found: object) -> None:
        """The first reviewer's word."""
        with spoken():
            airlock.pass_on(db, *at, _word(act), stopped=_stopped(found, at[1]))

    def release(self, db: sa.Connection, act: Act, at: tuple[str, str], found: object) -> None:
        """The second reviewer's word."""
        with spoken():
            airlock.release(db, *at, _word(act), stopped=_stopped(found, at[1]))

    def refuse(self, db: sa.Connection, act: Act, at: tuple[str, str]) -> None:
        """A reviewer's no."""
        with spoken():
            airlock.refuse(db, *at, _word(act))

    def reviewed(self, db: sa.Connection, at: tuple[str, str]) -> Json:
        """Where one output stands."""
        with spoken():
            return _review(airlock.review(db, *at))

    def _job(self, job_id: str) -> Job:
        with spoken():
            found = self.book.any_job(job_id)
            if found.kind is not Kind.VALIDATION:
                raise JobError("no_such_job", "There is no validation run of this id.")
        return found

    def _content(self, job_id: str, output: Output) -> bytes | None:
        try:
            content = (self.root / "results" / job_id / "outputs" / output.name).read_bytes()
        except OSError:
            return None
        return content if hashlib.sha256(content).hexdigest() == output.sha256 else None

    def _text(self, job_id: str, name: str) -> str | None:
        kept = {one.name: one for one in self.book.outputs(job_id)}.get(name)
        content = self._content(job_id, kept) if kept and kept.size <= _SHOWN else None
        try:
            return None if content is None else content.decode()
        except UnicodeDecodeError:
            return None


@contextmanager
def spoken() -> Iterator[None]:
    """What the book refuses, as the office's errors."""
    try:
        yield
    except JobError as error:
        unknown = error.code in {"no_such_job", "no_such_output"}
        code = "unknown" if unknown else error.code
        raise OperatorError(f"job.{code}", str(error)) from None


def _word(act: Act) -> Word:
    return Word(act.actor, act.at, act.reason)


def _review(one: Review) -> Json:
    return vars(one) | {"decided": one.decided}


def _of(found: object, name: str) -> list[Finding]:
    return found.get(name, []) if isinstance(found, Mapping) else []


def _stopped(found: object, name: str) -> bool:
    """Also where the checks were not run."""
    if not isinstance(found, Mapping) or name not in found:
        return True
    return stopped({name: found[name]})


def _difference(before: str | None, after: str | None) -> list[str]:
    if before is None or after is None:
        return []
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "sandbox", "validation", lineterm="", n=1
    )
    return list(lines)
