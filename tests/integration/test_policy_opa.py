"""The real OPA and the embedded engine read the same files and give the same answers."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.policy.bundle import Bundle, read_edition
from gateway.policy.engine import build_engine
from gateway.policy.opa import run_opa
from tests.policy_factory import GOLDEN, POLICIES, Json, ask, catalogue, directory

pytestmark = pytest.mark.services

ALL_ANSWERS = """package differential

answers[name] := answer if {
	some name, question in data.questions
	answer := data.decision.answer with input as question
}
"""

# Values an attribute may take; about one question in three is allowed.
CHOICES: dict[str, list[Any]] = {
    "dims": [["gend"], ["age5", "gend"], ["insutype2", "psn_group6"], ["postcode"], []],
    "measures": [[], ["medfee"], ["persons", "medfee"], ["profit"]],
    "geo": [["990100"], ["990100", "990101"], ["990104"], ["990200"], ["110000"], []],
    "period": [
        {"from": "2025Q1", "to": "2025Q3", "grain": "quarter"},
        {"from": "2025-01", "to": "2025-12", "grain": "month"},
        {"from": "2019", "to": "2019", "grain": "year"},
        {"from": "2025Q4", "to": "2026Q1", "grain": "quarter"},
        {"from": "2025Q3", "to": "2025Q1", "grain": "quarter"},
    ],
    "where": [{}, {"gend": "1"}, {"dx_cat3": "B20"}, {"atc": "J05AR"}],
    "levels": [{}, {"atc": 3}, {"gend": 1}],
    "params": [{}, {"k": 1}, {"declared_use": "marketing_to_individuals"}, {"basis": "accident"}],
    "service": ["S02", "S04", "S06", "S09", "S99"],
    "format": ["json", "csv", "arrow", "parquet"],
    "purpose_code": ["curiosity", "reidentification", "regional_market_and_access_analysis"],
    "env": ["prod", "sandbox"],
    "grant_id": ["g-pricing", "g-drugs", "g-none"],
    "bulk": [True, False],
    "qty_estimate": [0, 24, 10**7],
    "usage": [{}, {"rps": 5}, {"calls_day": 2000}, {"cells_day": 199_990}],
    "user": [{"id": "u", "role": "analyst", "mfa": True}, {"id": "u", "role": "root", "mfa": True}],
    "destination": ["CN", "US"],
    "release": [None, "rel-1", "rel-withdrawn"],
    "consent_id": [None, "c-1"],
}
WRONG: list[Any] = [None, 7, "x", [], {}, True]


@pytest.fixture(scope="module")
def opa() -> Path:
    found = shutil.which("opa")
    if found is None:
        if "SLUICE_CI" in os.environ:
            pytest.fail("no opa on PATH: run `make services`")
        pytest.skip("no opa on PATH: run `make services`")
    return Path(found)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    documents = directory() | {"releases": {"rel-withdrawn": {"withdrawn": True}}}
    return read_edition(POLICIES, catalogue()).bundle(documents)


def well_formed(number: int) -> dict[str, Json]:
    """Questions every gate lets through, each with up to three attributes changed."""
    chance = random.Random(20260310)  # noqa: S311 - a fixed sample, not a secret
    found: dict[str, Json] = {}
    for index in range(number):
        base = GOLDEN[chance.choice(sorted(GOLDEN))]
        changed = chance.sample(sorted(CHOICES), chance.randint(0, 3))
        question = ask(base, **{name: chance.choice(CHOICES[name]) for name in changed})
        found[f"q{index:04d}"] = orjson.loads(question.question())
    return found


def mutated(number: int) -> dict[str, Json]:
    """Questions with one attribute missing or of another type."""
    chance = random.Random(20260311)  # noqa: S311 - a fixed sample, not a secret
    found = well_formed(number)
    for question in found.values():
        name = chance.choice(sorted(question))
        if chance.random() < 0.5:
            del question[name]
        else:
            question[name] = chance.choice(WRONG)
    return found


def by_opa(opa: Path, bundle: Bundle, questions: dict[str, Json], folder: Path) -> dict[str, Json]:
    for path, text in bundle.rego.items():
        target = folder / "rego" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    (folder / "rego" / "all.rego").write_text(ALL_ANSWERS, encoding="utf-8")
    documents = {**bundle.documents, "questions": questions}
    (folder / "data.json").write_bytes(orjson.dumps(documents))
    told = subprocess.run(
        [opa, "eval", "-d", folder / "rego", "-d", folder / "data.json", "data.differential"],
        capture_output=True,
        check=True,
        timeout=300,
    )
    value = json.loads(told.stdout)["result"][0]["expressions"][0]["value"]
    answers: dict[str, Json] = value.get("answers", {})
    return answers


def by_embedded(bundle: Bundle, questions: dict[str, Json]) -> dict[str, Json]:
    """Answers of the embedded engine; an error is no answer."""
    engine = build_engine(bundle.rego, bundle.documents)
    found: dict[str, Json] = {}
    for name, question in questions.items():
        engine.set_input_json(orjson.dumps(question).decode())
        try:
            found[name] = orjson.loads(engine.eval_rule_as_json("data.decision.answer"))
        except RuntimeError:
            continue
    return found


def test_opa_finds_nothing_in_a_strict_check_and_passes_every_test(opa: Path) -> None:
    run = run_opa(POLICIES, opa)
    assert run.ok, run.text
    assert run.text.startswith("PASS")


def test_both_engines_give_the_same_answer_to_well_formed_questions(
    opa: Path, bundle: Bundle, tmp_path: Path
) -> None:
    questions = well_formed(400)
    expected = by_opa(opa, bundle, questions, tmp_path)
    told = by_embedded(bundle, questions)
    assert set(expected) == set(questions)
    assert told == expected
    codes = {code for answer in expected.values() for code in answer["deny"]}
    assert len(codes) >= 20
    assert 40 <= sum(answer["allow"] for answer in expected.values()) <= 300


def test_a_mutated_question_is_never_allowed_by_one_engine_alone(
    opa: Path, bundle: Bundle, tmp_path: Path
) -> None:
    questions = mutated(400)
    expected = by_opa(opa, bundle, questions, tmp_path)
    told = by_embedded(bundle, questions)
    for name, question in questions.items():
        harmless = name in told and told[name] == expected.get(name)
        refused = not told.get(name, {}).get("allow") and not expected.get(name, {}).get("allow")
        assert harmless or refused, question
