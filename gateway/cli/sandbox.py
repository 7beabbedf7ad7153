"""`sluice sandbox`: training jobs, shut in: run one here, or queue it for a controller."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer
import yaml
from pydantic import ValidationError

from gateway.cli import sandbox_up, sandbox_views
from gateway.cli.office import Actor, Json, act_now, office, say, show
from gateway.errors import OperatorError, wrong_places
from gateway.jobs.airlock import egress_rules
from gateway.jobs.book import open_book
from gateway.jobs.views import Inputs
from gateway.settings import Settings
from sandbox.egress.review import examined, stopped
from sandbox.jobs.book import Job, JobBook, JobError, Kind, Wish
from sandbox.jobs.bubble import Environment
from sandbox.jobs.code import CodeStore, packed
from sandbox.jobs.controller import Controller
from sandbox.jobs.executor import CannotRun, Ended, Outcome, Task
from sandbox.jobs.kubernetes import Kubectl, KubernetesExecutor
from sandbox.jobs.manifests import Place
from sandbox.jobs.namespaces import ExecutorUnavailable, Namespaces
from sandbox.jobs.spec import JobSpec

app = typer.Typer(
    help="A sandbox of made-up data, its clock, and training jobs, shut in.", no_args_is_help=True
)
app.command("up")(sandbox_up.up)
app.command("people")(sandbox_up.people)
app.command("clock")(sandbox_up.clock)
app.command("view")(sandbox_views.view)
app.command("pack")(sandbox_views.pack)
P = ParamSpec("P")

Spec = Annotated[Path, typer.Argument(help="The job's declaration, YAML.", exists=True)]
Code = Annotated[
    Path, typer.Option("--code", help="Folder with the code.", exists=True, file_okay=False)
]
Tenant = Annotated[str, typer.Option("--tenant", help="Whose jobs.")]
JobId = Annotated[str, typer.Argument(help="The job's id.")]
_IN_FLIGHT = 20
_SWEEP_SECONDS = 600.0


def _explained(command: Callable[P, None]) -> Callable[P, None]:
    """A refusal of the sandbox as a sentence with its code."""

    @wraps(command)
    def wrapped(*args: P.args, **named: P.kwargs) -> None:
        try:
            command(*args, **named)
        except JobError as error:
            raise OperatorError(f"sandbox.{error.code}", str(error)) from None
        except CannotRun as error:
            raise OperatorError("sandbox.cannot_run", str(error)) from None
        except ExecutorUnavailable as error:
            raise OperatorError("sandbox.executor_unavailable", str(error)) from None

    return wrapped


@app.command()
@_explained
def run(
    spec: Spec,
    code: Code,
    out: Annotated[Path, typer.Option("--out", help="Folder for the outputs and the log.")],
    inputs: Annotated[
        list[str] | None, typer.Option("--input", metavar="NAME=FOLDER", help="An input.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run one job here and now, shut in as a controller would; exit 1 unless it succeeds."""
    wanted, given = _spec(spec), dict(_pair(each) for each in inputs or ())
    executor_of = _executor(Settings())
    with tempfile.TemporaryDirectory(prefix="sluice-job-") as scratch:
        executor = executor_of(Path(scratch) / "runs")
        kept = CodeStore(Path(scratch) / "code")
        task = Task("run", wanted, kept.folder(kept.keep(packed(code))), given)
        executor.start(task)
        ended = _awaited(executor, "run")
        out.mkdir(parents=True, exist_ok=True)
        (out / "log.txt").write_bytes(executor.log("run"))
        left = executor.outputs("run")
        for name, path in left.items():
            (out / name).write_bytes(path.read_bytes())
    say(_told(ended, sorted(left)), as_json, _sentence(ended, sorted(left)))
    raise typer.Exit(0 if ended.outcome is Outcome.SUCCEEDED else 1)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Outputs of a job.", exists=True)],
    as_json: Json = False,
) -> None:
    """What output review would say of files; exit 1 if one may not leave as it is."""
    rules = egress_rules(Settings().policies)
    found = examined({file.name: file.read_bytes() for file in files}, rules)
    told = {name: [vars(one) for one in findings] for name, findings in found.items()}
    lines = [
        f"{name}  {one.weight:4}  {one.where}: {one.sentence} [{one.code}]"
        for name, findings in found.items()
        for one in findings
    ]
    say({"stopped": stopped(found), "found": told}, as_json, "\n".join(lines or ["Nothing found."]))
    raise typer.Exit(1 if stopped(found) else 0)


@app.command()
@_explained
def submit(
    spec: Spec, code: Code, tenant: Tenant, actor: Actor = "", as_json: Json = False
) -> None:
    """Queue a job for the controller."""
    with _book(Settings(), actor) as (book, settings):
        digest = CodeStore(_root(settings) / "code").keep(packed(code))
        wish = Wish(_spec(spec), digest)
        job = book.submit(tenant, actor or "operator", wish, _IN_FLIGHT)
    say(_shown(job), as_json, f"Job {job.job_id} is {job.state}.")


@app.command("list")
@_explained
def list_(tenant: Tenant, as_json: Json = False) -> None:
    """The tenant's latest jobs."""
    with _book(Settings()) as (book, _):
        rows = [_shown(job) for job in book.jobs(tenant)]
    show(rows, ("job_id", "name", "state", "reason", "attempts", "submitted_at"), as_json)


@app.command("show")
@_explained
def show_(job_id: JobId, tenant: Tenant, as_json: Json = False) -> None:
    """One job, its attempts and outputs."""
    with _book(Settings()) as (book, _):
        job = book.job(tenant, job_id)
        attempts = [{**vars(a), "dropped": list(a.dropped)} for a in book.attempts(job_id)]
        outputs = [vars(each) for each in book.outputs(job_id)]
    document = {**_shown(job), "attempt": attempts, "output": outputs}
    lines = [f"{job.job_id} {job.spec.name}: {job.state} {job.reason}".rstrip()]
    lines += [f"  attempt {a['number']}: {a['outcome'] or 'runs'}, {a['cpu_ms']} ms of CPU, "
              f"{int(str(a['peak_memory_bytes'])) >> 20} MiB" for a in attempts]  # fmt: skip
    lines += [f"  {o['name']}  {o['size']} bytes  sha256 {o['sha256']}" for o in outputs]
    say(document, as_json, "\n".join(lines))


@app.command()
@_explained
def log(job_id: JobId, tenant: Tenant) -> None:
    """What the job wrote, live while it runs."""
    with _book(Settings()) as (book, settings):
        job = book.job(tenant, job_id)
        kept = _root(settings) / "results" / job.job_id / "log"
        if kept.exists():
            content = kept.read_bytes()
        else:
            attempts = book.attempts(job_id)
            executor = _runner(settings)
            content = executor.log(attempts[-1].attempt_id) if attempts else b""
    typer.echo(content.decode(errors="replace"), nl=False)


@app.command()
@_explained
def cancel(job_id: JobId, tenant: Tenant, actor: Actor = "", as_json: Json = False) -> None:
    """End a job: at once if it waits, by the controller if it runs."""
    with _book(Settings(), actor) as (book, _):
        job = book.cancel(tenant, job_id)
    say(_shown(job), as_json, f"Job {job_id} is {job.state}.")


@app.command()
@_explained
def work(
    slots: Annotated[int, typer.Option(min=1, max=64, help="Jobs at once.")] = 2,
    once: Annotated[bool, typer.Option("--once", help="End when no job is left.")] = False,
) -> None:
    """Be the controller: run queued jobs until told to stop; after a kill, just start it anew."""
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    with _book(Settings(), "controller") as (book, settings):
        root = _root(settings)
        executor = _runner(settings)
        executor.check()
        swept = -_SWEEP_SECONDS
        controller = Controller(
            book,
            executor,
            CodeStore(root / "code"),
            _inputs(settings),
            root / "results",
            slots=slots,
        )
        while not told.is_set():
            unfinished = controller.step()
            if time.monotonic() >= swept + _SWEEP_SECONDS:
                controller.sweep(datetime.now(UTC))
                swept = time.monotonic()
            if once and not unfinished:
                return
            told.wait(0.1 if unfinished else 1.0)


def _awaited(executor: Namespaces, attempt_id: str) -> Ended:
    while True:
        seen = executor.look(attempt_id)
        if isinstance(seen, Ended):
            return seen
        time.sleep(0.05)  # the supervisor looks as often


def _runner(settings: Settings) -> Namespaces | KubernetesExecutor:
    """Where queued jobs run: on a cluster, or on this host."""
    runs = _root(settings) / "runs"
    if settings.sandbox_kubernetes is None:
        return _executor(settings)(runs)
    place = _place(settings.sandbox_kubernetes)
    return KubernetesExecutor(Kubectl(place.namespace), place, settings.home.resolve(), runs)


def _place(path: Path) -> Place:
    try:
        return Place.model_validate(yaml.safe_load(path.read_bytes()))
    except ValidationError as error:
        raise OperatorError("sandbox.kubernetes", wrong_places(path.name, error)) from None
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        raise OperatorError("sandbox.kubernetes", f"{path} cannot be read as YAML.") from None


def _executor(settings: Settings) -> Callable[[Path], Namespaces]:
    found = {"python": Environment.of_host()}
    if settings.sandbox_environments is not None:
        for program in settings.sandbox_environments.glob("*/bin/python3"):
            name, place = program.parents[1].name, program.parents[1].resolve()
            found[name] = Environment.of_host(place / "bin" / "python3")
    return lambda root: Namespaces(root, found, settings.sandbox_cgroup)


def _inputs(settings: Settings) -> Callable[[Job], dict[str, Path]]:
    """Packs, or for a validation run views, by name; one that is not there makes the job fail."""
    there = Inputs(settings.home / "packs", settings.home / "views")

    return lambda job: there.of(job.spec.inputs, real=job.kind is Kind.VALIDATION)


@contextmanager
def _book(settings: Settings, actor: str = "") -> Iterator[tuple[JobBook, Settings]]:
    who = act_now(actor).actor
    with office(settings) as engine:
        yield open_book(engine, who, lambda: datetime.now(UTC)), settings


def _root(settings: Settings) -> Path:
    return settings.home / "sandbox"


def _spec(file: Path) -> JobSpec:
    try:
        return JobSpec.model_validate(yaml.safe_load(file.read_text()))
    except ValidationError as error:
        raise OperatorError("sandbox.bad_job", wrong_places(file.name, error)) from None
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        raise OperatorError("sandbox.bad_job", f"{file.name} cannot be read as YAML.") from None


def _pair(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not separator or not Path(folder).is_dir():
        raise OperatorError("sandbox.bad_input", f"{text!r} is not NAME=FOLDER of a folder.")
    return name, Path(folder)


def _told(ended: Ended, outputs: list[str]) -> dict[str, object]:
    return {
        "outcome": ended.outcome, "exit_code": ended.exit_code, "outputs": outputs,
        "wall_seconds": ended.use.wall_seconds, "cpu_seconds": ended.use.cpu_seconds,
        "peak_memory_bytes": ended.use.peak_memory_bytes, "dropped": list(ended.dropped),
    }  # fmt: skip


def _sentence(ended: Ended, outputs: list[str]) -> str:
    use = ended.use
    memory = use.peak_memory_bytes >> 20
    line = f"{ended.outcome}: {use.cpu_seconds:.2f} s of CPU, {memory} MiB; outputs: "
    return line + (", ".join(outputs) or "none") + "".join(f"\n  left: {d}" for d in ended.dropped)


def _shown(job: Job) -> dict[str, object]:
    return {
        "job_id": job.job_id, "tenant_id": job.tenant_id, "name": job.spec.name,
        "state": job.state, "reason": job.reason, "attempts": job.attempts,
        "code_digest": job.code_digest, "spec_digest": job.spec.digest(),
        "submitted_at": job.submitted_at, "changed_at": job.changed_at,
    }  # fmt: skip
