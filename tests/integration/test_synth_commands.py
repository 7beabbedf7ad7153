"""`sluice synth fit` and `sample` as an operator calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from gateway.cli import synth
from gateway.errors import OperatorError
from synthetic.synthesiser.levels import levels_of
from synthetic.tables.loading import parse_schema

SCHEMA = """
tables:
  ward:
    key: id
    columns:
      bed: {kind: category, values: [A, B]}
      days: {kind: number, bins: [0, 5, 30]}
"""


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    rows = "\n".join(f"{i},{'AB'[i % 2]},{i % 2 * 6}" for i in range(400))
    (tmp_path / "ward.csv").write_text(f"id,bed,days\n{rows}\n")
    return tmp_path


def _fit(ward: Path, *more: str) -> list[str]:
    return [
        "fit",
        *("--schema", str(ward / "schema.yaml"), "--data", f"ward={ward / 'ward.csv'}"),
        *("--epsilon", "2", "--out", str(ward / "model.json"), *more),
    ]


def _run(arguments: list[str]) -> str:
    found = CliRunner().invoke(synth.app, arguments, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def test_fit_then_sample_writes_tables_and_says_what_they_cost(ward: Path):
    said = json.loads(_run(_fit(ward, "--unit", "id", "--seed", "1", "--delta", "1e-6", "--json")))
    assert (said["epsilon"], said["delta"], said["unit"], said["noise"]) == (
        2,
        1e-6,
        "id",
        "seeded",
    )
    sample = ["sample", str(ward / "model.json"), "--rows", "50", "--seed", "3"]
    _run([*sample, "--out", str(ward / "one"), "--form", "csv"])
    _run([*sample, "--out", str(ward / "two"), "--form", "csv"])
    made = (ward / "one" / "ward.csv").read_text()
    assert made == (ward / "two" / "ward.csv").read_text()
    assert len(made.splitlines()) == 51
    told = json.loads((ward / "one" / "synthetic.json").read_text())
    assert told["synthetic"] is True
    assert told["model"] == said["model"]


def test_without_a_seed_the_noise_is_secure_and_never_the_same(ward: Path):
    pytest.importorskip("opendp")
    digests = {json.loads(_run(_fit(ward, "--json")))["model"] for _ in (1, 2)}
    assert len(digests) == 2
    assert json.loads((ward / "model.json").read_text())["statement"]["noise"] == "secure"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--unit", "bed"], "synth_unit"),
        (["--unit", "nobody"], "synth_data"),
        (["--delta", "0.5"], "synth_budget"),
        (["--data", "ward=/nowhere.csv"], "synth_data"),
        (["--data", "ward"], "synth_data"),
    ],
)
def test_what_cannot_be_is_refused_by_its_code(ward: Path, arguments: list[str], code: str):
    with pytest.raises(OperatorError) as refusal:
        CliRunner().invoke(synth.app, _fit(ward, "--seed", "1", *arguments), catch_exceptions=False)
    assert refusal.value.code == code
    assert not (ward / "model.json").exists()


def test_a_folder_that_holds_something_is_left_alone(ward: Path):
    _run(_fit(ward, "--seed", "1"))
    sample = ["sample", str(ward / "model.json"), "--seed", "3", "--out", str(ward)]
    with pytest.raises(OperatorError) as refusal:
        CliRunner().invoke(synth.app, sample, catch_exceptions=False)
    assert refusal.value.code == "synth_out"


def test_a_file_that_is_no_model_is_refused(ward: Path):
    sample = ["sample", str(ward / "schema.yaml"), "--seed", "3", "--out", str(ward / "out")]
    with pytest.raises(OperatorError) as refusal:
        CliRunner().invoke(synth.app, sample, catch_exceptions=False)
    assert refusal.value.code == "synth_model"


def _begun(ward: Path) -> list[str]:
    book = str(ward / "book.jsonl")
    _run(["ledger", book, "--epsilon", "3", "--delta", "1e-9"])
    return _fit(ward, "--seed", "1", "--ledger", book)


def _code(arguments: list[str]) -> str:
    with pytest.raises(OperatorError) as refusal:
        CliRunner().invoke(synth.app, arguments, catch_exceptions=False)
    return refusal.value.code


def test_fits_are_refused_once_the_people_have_paid_enough(ward: Path):
    fit = _begun(ward)  # ε 2 twice is ε 2.9 in all, thrice is more than 3
    _run(fit)
    _run(fit)
    (ward / "ward.csv").write_text("no table")
    assert _code(fit) == "synth_overspent"
    assert len((ward / "book.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("change", ["removed", "changed", "no ledger"])
def test_a_ledger_that_was_changed_is_refused(ward: Path, change: str):
    fit = _begun(ward)
    _run(fit)
    _run([*fit, "--epsilon", "0.1"])
    book = ward / "book.jsonl"
    lines = book.read_text().splitlines(keepends=True)
    changed = {
        "removed": [lines[0], lines[2]],
        "changed": [lines[0].replace("3", "9"), *lines[1:]],
        "no ledger": ["[]\n"],
    }
    book.write_text("".join(changed[change]))
    assert _code([*fit, "--epsilon", "0.1"]) == "synth_ledger"


def test_a_ledger_is_begun_once(ward: Path):
    _begun(ward)
    assert _code(["ledger", str(ward / "book.jsonl"), "--epsilon", "9"]) == "synth_ledger"


@pytest.mark.parametrize("page", ["docs/synthetic.md", "examples/synthetic/bureau.yaml"])
def test_the_schemas_that_are_shown_are_schemas(page: str):
    text = (Path(__file__).parents[2] / page).read_text("utf-8")
    shown = text.split("```yaml\n")[1].split("```")[0] if page.endswith(".md") else text
    assert levels_of(parse_schema(yaml.safe_load(shown)))
