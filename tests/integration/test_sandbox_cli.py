"""`sluice sandbox` as its user meets it: run one job here; queue, work, look, cancel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.job_world import require_bubblewrap

JOB = "name: sums\nentry: [train.py]\ninputs: [pack]\n"
CODE = (
    "import json\nrows = open('/job/input/pack/rows.csv').read().split()\n"
    "json.dump(len(rows), open('/job/output/metrics.json', 'w'))\nprint('read', len(rows))\n"
)
EXAMPLE = Path(__file__).parents[2] / "examples" / "jobs"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(CODE)
    (tmp_path / "job.yaml").write_text(JOB)
    (tmp_path / "home" / "packs" / "pack").mkdir(parents=True)
    (tmp_path / "home" / "packs" / "pack" / "rows.csv").write_text("a\nb\nc\n")
    return tmp_path


def sluice(desk: Path, *words: str, status: int = 0) -> Any:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("sluice")), "sandbox", *words],
        capture_output=True, text=True, check=False,
        env={**os.environ, "SLUICE_HOME": str(desk / "home")},
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    text = done.stdout if status == 0 or not done.stderr else done.stderr
    return json.loads(text) if text.startswith(("{", "[")) else text


@pytest.mark.slow
@pytest.mark.services
def test_a_job_is_queued_worked_and_told_of(desk: Path) -> None:
    require_bubblewrap()
    job = ("job.yaml", "--code", str(desk / "code"), "--tenant", "T1")
    first = sluice(desk, "submit", str(desk / job[0]), *job[1:], "--json")
    second = sluice(desk, "submit", str(desk / job[0]), *job[1:], "--json")
    sluice(desk, "cancel", second["job_id"], "--tenant", "T1")
    sluice(desk, "work", "--once")
    told = sluice(desk, "show", first["job_id"], "--tenant", "T1", "--json")
    assert (told["state"], told["output"][0]["name"]) == ("succeeded", "metrics.json")
    assert sluice(desk, "log", first["job_id"], "--tenant", "T1") == "read 3\n"
    states = {
        row["job_id"]: row["state"] for row in sluice(desk, "list", "--tenant", "T1", "--json")
    }
    assert states == {first["job_id"]: "succeeded", second["job_id"]: "cancelled"}
    refused = sluice(desk, "show", first["job_id"], "--tenant", "T2", status=1)
    assert "[sandbox.no_such_job]" in refused


@pytest.mark.services
def test_the_example_runs_here_and_now(desk: Path) -> None:
    require_bubblewrap()
    rows = "".join(f"{age},{100 + 3 * age}\n" for age in range(18, 80))
    (desk / "people").mkdir()
    (desk / "people" / "people.csv").write_text("age,cost\n" + rows)
    words = (str(EXAMPLE / "job.yaml"), "--code", str(EXAMPLE / "cost"), "--out", str(desk / "out"))
    told = sluice(desk, "run", *words, "--input", f"pack={desk / 'people'}", "--json")
    assert told["outcome"] == "succeeded"
    assert json.loads((desk / "out" / "metrics.json").read_text())["rows"] == 62
    refused = sluice(desk, "run", *words, status=1)
    assert "[sandbox.cannot_run]" in refused


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\nentry: [../x.py]\n", "entry"),
        ("name: x\nentry: [x.py]\nnetwork: host\n", "network"),
        ("{", "cannot be read"),
    ],
)  # fmt: skip
def test_a_declaration_that_is_wrong_is_told_where(desk: Path, text: str, told: str) -> None:
    (desk / "job.yaml").write_text(text)
    words = ("run", str(desk / "job.yaml"), "--code", str(desk / "code"), "--out", str(desk / "o"))
    said = sluice(desk, *words, status=1)
    assert "[sandbox.bad_job]" in said
    assert told in said


def test_outputs_are_checked_as_review_would(desk: Path) -> None:
    good, bad = desk / "metrics.json", desk / "t.csv"
    good.write_text('{"auc": 0.71}')
    bad.write_text("age,n_person\n60,10\n")
    assert sluice(desk, "check", str(good)) == "Nothing found.\n"
    told = sluice(desk, "check", str(good), str(bad), "--json", status=1)
    assert told["stopped"]
    assert [one["code"] for one in told["found"]["t.csv"]] == ["small_count"]
