"""`sluice synth report` from files to a verdict: planted faults are found, and forbid release."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from gateway.cli.synth import app
from synthetic.evaluation.questions import question
from synthetic.synthesiser.fitting import fit
from synthetic.tables.errors import SynthesisError
from tests.synthetic_world import schema, world, written


def spoilt(folder: Path) -> None:
    """Three visits off by a cent, one of nobody, one of an unknown clinic."""
    visit = pq.read_table(folder / "visit.parquet")
    at = pa.array(range(visit.num_rows))
    total = pc.if_else(pc.less(at, 3), pc.add(visit["total"], 0.01), visit["total"])
    nobody = pc.if_else(pc.equal(at, 5), 10**9, visit["person_id"])
    clinic = pc.if_else(pc.equal(at, 7), "ZZ", visit["clinic"])
    for name, column in {"total": total, "person_id": nobody, "clinic": clinic}.items():
        visit = visit.set_column(visit.column_names.index(name), name, column)
    pq.write_table(visit, folder / "visit.parquet")


def test_planted_faults_are_counted_and_forbid_release(tmp_path: Path) -> None:
    real = written(world(1, 1500), tmp_path / "real")
    fit(schema(), real, epsilon=3.0, seed=1).write(tmp_path / "model.json")
    other = written(world(2, 1500), tmp_path / "other")
    made = tmp_path / "made"
    written(world(3, 300), made)
    spoilt(made)
    files = [f"--real={name}={paths[0]}" for name, paths in real.items()]
    files += [f"--holdout={name}={paths[0]}" for name, paths in other.items()]
    asked = ["report", str(tmp_path / "model.json"), *files, f"--synthetic={made}"]
    found = CliRunner().invoke(app, [*asked, f"--out={tmp_path / 'out'}"])
    assert (found.exit_code, "not released" in found.output) == (1, True), found.output
    told = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    broken = {one["rule"]: one["broken"] for one in told["constraints"] if one["broken"]}
    assert broken == {
        "total = drugs + exams": 3,
        "person_id is of person": 1,
        "clinic is listed": 1,
    }
    assert told["released"] is False
    assert told["privacy"]["epsilon_at"]["1e-09"] == pytest.approx(3.0, rel=1e-3)
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "Not released" in page
    assert not [
        word for word in ("<script", "http://", "https://", "src=", "@import") if word in page
    ]


@pytest.mark.parametrize(
    "words", ["visit", "visit.nothing", "visit.next", "person.next<=3", "a.b;"]
)
def test_a_target_that_is_none_is_refused(words: str) -> None:
    with pytest.raises(SynthesisError) as refused:
        question(schema(), words)
    assert refused.value.code == "synth_target"


def test_a_target_hides_the_columns_that_hold_its_answer() -> None:
    assert question(schema(), "visit.total > 200").target.without == ("drugs", "exams")
