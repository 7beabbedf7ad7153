"""The queue and its controller, on the executor without a machine: turns, ends, repeats."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from sandbox.jobs.book import ATTEMPTS, JobError, State
from sandbox.jobs.code import CodeStore, packed
from sandbox.jobs.executor import Ended, Outcome, Use
from sandbox.jobs.memory import InMemory
from sandbox.jobs.spec import JobSpec
from tests.job_world import Office


@pytest.fixture
def executor(tmp_path: Path) -> InMemory:
    return InMemory(tmp_path / "runs")


@pytest.fixture
def office(tmp_path: Path, executor: InMemory) -> Office:
    return Office(tmp_path / "office", executor)


def ended(outcome: Outcome = Outcome.SUCCEEDED, code: int | None = 0) -> Ended:
    return Ended(outcome, code, Use(1.5, 1.25, 1 << 20))


def test_a_job_goes_from_the_queue_to_its_kept_outputs(
    office: Office, executor: InMemory, tmp_path: Path
) -> None:
    job = office.submit(tmp_path / "c", "print(1)")
    assert office.controller.step()
    assert office.book.job("T1", job.job_id).state is State.RUNNING
    executor.finish(executor.begun[0], ended(), {"metrics.json": b"{}"}, b"hello")
    assert not office.controller.step()
    assert office.book.job("T1", job.job_id).state is State.SUCCEEDED
    (output,) = office.book.outputs(job.job_id)
    assert (output.name, output.size) == ("metrics.json", 2)
    assert (office.results / job.job_id / "outputs" / "metrics.json").read_bytes() == b"{}"
    assert (office.results / job.job_id / "log").read_bytes() == b"hello"
    (attempt,) = office.book.attempts(job.job_id)
    assert (attempt.wall_ms, attempt.cpu_ms, attempt.exit_code) == (1500, 1250, 0)


def test_tenants_take_turns(office: Office, executor: InMemory, tmp_path: Path) -> None:
    first = [office.submit(tmp_path / "c", "", "T1").job_id for _ in range(3)]
    other = office.submit(tmp_path / "c", "", "T2").job_id
    office.controller.step()
    assert {job.job_id for job, _ in office.book.running()} == {first[0], other}


def test_an_interrupted_job_is_begun_anew_and_not_for_ever(
    office: Office, executor: InMemory, tmp_path: Path
) -> None:
    job = office.submit(tmp_path / "c", "")
    for number in range(ATTEMPTS):
        office.controller.step()
        executor.finish(executor.begun[number], ended(Outcome.INTERRUPTED, None), {}, b"")
        office.controller.step()
    assert office.book.job("T1", job.job_id).state is State.FAILED
    assert [a.outcome for a in office.book.attempts(job.job_id)] == [Outcome.INTERRUPTED] * ATTEMPTS
    assert len(executor.begun) == ATTEMPTS


@pytest.mark.parametrize(
    "outcome", [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CPU_USED_UP, Outcome.OUT_OF_MEMORY]
)
def test_a_job_that_fails_is_not_repeated_and_leaves_nothing(
    outcome: Outcome, office: Office, executor: InMemory, tmp_path: Path
) -> None:
    job = office.submit(tmp_path / "c", "")
    office.controller.step()
    executor.finish(executor.begun[0], ended(outcome, None), {"metrics.json": b"1"}, b"")
    assert not office.controller.step()
    assert office.book.job("T1", job.job_id).state is State.FAILED
    assert office.book.job("T1", job.job_id).reason == outcome
    assert office.book.outputs(job.job_id) == []
    assert not (office.results / job.job_id / "outputs").exists()


def test_a_job_whose_input_is_not_here_ends_and_holds_up_nobody(
    office: Office, executor: InMemory, tmp_path: Path
) -> None:
    bad = office.submit(tmp_path / "c", "", inputs=("elsewhere",))
    good = office.submit(tmp_path / "c", "")
    office.controller.step()
    assert office.book.job("T1", bad.job_id).reason == Outcome.REFUSED
    assert office.book.job("T1", good.job_id).state is State.RUNNING
    (attempt,) = office.book.attempts(bad.job_id)
    assert attempt.dropped == ("An input is not here.",)


def test_a_queued_job_is_cancelled_at_once_and_a_running_one_by_the_controller(
    office: Office, executor: InMemory, tmp_path: Path
) -> None:
    queued, running = (office.submit(tmp_path / "c", "") for _ in range(2))
    assert office.book.cancel("T1", queued.job_id).state is State.CANCELLED
    office.controller.step()
    assert office.book.cancel("T1", running.job_id).state is State.RUNNING
    office.controller.step()
    office.controller.step()
    assert office.book.job("T1", running.job_id).state is State.CANCELLED
    assert len(executor.begun) == 1
    with pytest.raises(JobError) as refused:
        office.book.cancel("T1", running.job_id)
    assert refused.value.code == "job_ended"


def test_another_tenant_s_job_is_none(office: Office, tmp_path: Path) -> None:
    job = office.submit(tmp_path / "c", "", "T1")
    for act in (office.book.job, office.book.cancel):
        with pytest.raises(JobError) as refused:
            act("T2", job.job_id)
        assert refused.value.code == "no_such_job"
    assert office.book.jobs("T2") == []


def test_a_tenant_has_so_many_jobs_in_flight(office: Office, tmp_path: Path) -> None:
    office.submit(tmp_path / "c", "", most=1)
    with pytest.raises(JobError) as refused:
        office.submit(tmp_path / "c", "", most=1)
    assert refused.value.code == "jobs_in_flight"
    assert len(office.book.jobs("T1")) == 1


def test_an_end_is_written_once(office: Office, executor: InMemory, tmp_path: Path) -> None:
    """A controller killed between the book and the executor comes by a second time."""
    job = office.submit(tmp_path / "c", "")
    office.controller.step()
    ((running, attempt),) = office.book.running()
    office.book.end(running, attempt, ended(), [])
    office.book.end(running, attempt, ended(Outcome.FAILED, 1), [])
    assert office.book.job("T1", job.job_id).state is State.SUCCEEDED
    assert office.book.attempts(job.job_id)[-1].outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    "changed",
    [
        {"entry": ("../train.py",)}, {"entry": ("/bin/sh",)}, {"entry": ()},
        {"entry": ("train.py", "a\nb")}, {"outputs": ("../x",)}, {"outputs": ("a/b",)},
        {"outputs": ("x", "x")}, {"inputs": ("../pack",)}, {"name": "Ähm"}, {"image": "any"},
        {"limits": {"memory_mib": 1 << 30}}, {"limits": {"processes": 0}},
    ],
)  # fmt: skip
def test_a_declaration_that_reaches_out_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        JobSpec.model_validate({"name": "job", "entry": ("train.py",), **changed})


def archive(*entries: tuple[str, bytes, int]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content, mode in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            opened.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return made.getvalue()


BAD = {
    "a path upwards": archive(("../x", b"", 0o644)),
    "an absolute path": archive(("/etc/x", b"", 0o644)),
    "a symbolic link": archive(("x", b"/etc/passwd", 0o120777)),
    "a bomb": archive(("x", b"\0" * (33 << 20), 0o644)),
    "too many files": archive(*((f"f{n}", b"", 0o644) for n in range(1001))),
    "no archive": b"PK\x03\x04 nonsense",
    "nothing": b"",
}


@pytest.mark.parametrize("name", BAD)
def test_an_archive_that_is_no_plain_code_is_refused(name: str, tmp_path: Path) -> None:
    store = CodeStore(tmp_path / "code")
    with pytest.raises(JobError) as refused:
        store.keep(BAD[name])
    assert refused.value.code == "bad_code"
    assert list((tmp_path / "code").iterdir()) == []
    assert not (tmp_path / "x").exists()


def test_the_same_files_are_the_same_archive(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "x.py").write_text("1")
        (tmp_path / name / "train.py").write_text("2")
    one, two = packed(tmp_path / "a"), packed(tmp_path / "b")
    assert one == two
    digest = CodeStore(tmp_path / "code").keep(one)
    assert (tmp_path / "code" / digest / "sub" / "x.py").read_text() == "1"
