"""Three models trained on a pack, then as validation runs on the view; only figures leave."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from gateway.cli.sandbox import _executor, _inputs
from gateway.db.engine import writing
from gateway.identity.desk import open_identity
from gateway.identity.record import Act
from gateway.jobs.airlock import Airlock, egress_rules
from gateway.jobs.book import open_book
from gateway.jobs.views import Inputs
from gateway.settings import Settings
from sandbox.egress.review import stopped
from sandbox.jobs.book import Job, State, Wish
from sandbox.jobs.code import CodeStore, packed
from sandbox.jobs.controller import Controller
from sandbox.jobs.spec import JobSpec
from tests.job_world import require_bubblewrap
from tests.jobs_bureau import GRANT, bureau

MODELS = Path(__file__).parents[2] / "examples" / "jobs" / "models"
MONTHS = ("--from", "2023-01", "--to", "2025-12")


def sluice(settings: Settings, *words: str) -> None:
    """`sluice sandbox` as the office calls it."""
    places = {"SLUICE_HOME": str(settings.home), "SLUICE_POLICIES": str(settings.policies)}
    subprocess.run(
        [str(Path(sys.executable).with_name("sluice")), "sandbox", *words],
        check=True, env={**os.environ, **places},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_models_are_confirmed_on_real_rows_and_only_figures_leave(tmp_path: Path) -> None:
    require_bubblewrap()
    made_up = bureau(tmp_path / "sandbox", "ci", 7, lambda: datetime.now(UTC))
    real = bureau(tmp_path / "bureau", "ci", 8, lambda: datetime.now(UTC))
    for name in ("stay", "course"):
        sluice(made_up, "pack", name)
        sluice(real, "view", name, "--grant", GRANT, *MONTHS)
    shutil.copytree(made_up.home / "packs", real.home / "packs")
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "learning").symlink_to(Path(sys.prefix))
    settings = real.model_copy(update={"sandbox_environments": tmp_path / "programs"})
    root = settings.home / "sandbox"
    identity = open_identity(settings, clock=lambda: datetime.now(UTC))
    book, code = open_book(identity.engine, "lab", identity.clock), CodeStore(root / "code")
    executor, inputs = _executor(settings)(root / "runs"), _inputs(settings)
    controller = Controller(book, executor, code, inputs, root / "results")
    lock = Airlock(
        book, root, Inputs(settings.home / "packs", settings.home / "views"),
        lambda: egress_rules(settings.policies),
    )  # fmt: skip

    def ran(wish: Wish) -> Job:
        job = book.submit("T-LAB", "lab", wish, 20)
        if wish.origin:
            with writing(identity.engine) as session:
                for who, step in (("liu", lock.check), ("wang", lock.approve)):
                    step(session.connection(), Act(who, identity.clock()), job.job_id)
        while controller.step():
            pass
        return book.any_job(job.job_id)

    def figures(job: Job) -> dict[str, float]:
        told = (root / "results" / job.job_id / "outputs" / "metrics.json").read_text()
        return dict(json.loads(told))

    kept = code.keep(packed(MODELS))
    for name in ("cost", "readmission", "persistence"):
        spec = JobSpec.model_validate(yaml.safe_load((MODELS / f"{name}.yaml").read_text()))
        first = ran(Wish(spec, kept))
        assert first.state is State.SUCCEEDED, first.reason
        assert figures(first)["gap"] == 0
        run = ran(Wish(spec, kept, first.job_id))
        assert run.state is State.SUCCEEDED, run.reason
        assert [one.name for one in book.outputs(run.job_id)] == ["metrics.json"]
        assert not stopped(lock.findings(run.job_id))
        found = figures(run)
        *scores, gap = found.values()
        assert gap == pytest.approx(scores[0] - scores[1], abs=0.0011)
        assert figures(first) != found
    assert found["auc_trained_here"] > 0.6, "persistence can be told in the simulated city"
    identity.close()
