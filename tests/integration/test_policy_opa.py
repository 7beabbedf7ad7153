"""The real OPA and the embedded engine read the same files and give the same answers."""

from __future__ import annotations

import http.client
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from gateway.policy.bundle import Bundle, read_edition
from gateway.policy.engine import build_engine
from gateway.policy.line import OpaServer
from gateway.policy.opa import check_with_opa, run_opa
from tests.opa_server import Followed, bundle_served, free_port, opa_binary, opa_process
from tests.policy_factory import POLICIES, Json, ask
from tests.policy_questions import mutated, well_formed
from tests.policy_scenarios import PLANS, golden, grant, services, tenant, world

pytestmark = pytest.mark.services

NO_ANSWER: Json = {"no": "answer"}
SAMPLES = [500, pytest.param(10_000, marks=pytest.mark.slow)]


def indebted() -> Json:
    """The world, where half of the grants and a third of the organisations have little credit."""
    documents = world()
    for number, name in enumerate(PLANS):
        if number % 2 == 0:
            documents["grants"][tenant(name)][grant(name)]["credit_limit_fen"] = 100
        if number % 3 == 0:
            documents["tenants"][tenant(name)]["credit_limit_fen"] = 99
    return documents


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_edition(POLICIES, services()).bundle(indebted())


@pytest.fixture(scope="module")
def opa_port() -> Iterator[int]:
    """A real OPA server that has loaded the signed bundle of this world."""
    port = free_port()
    server = OpaServer.at(f"http://127.0.0.1:{port}")
    policy = Followed(POLICIES, services(), indebted(), server)
    with closing(policy), bundle_served(policy) as config, opa_process(port, config):
        policy.wait()
        yield port


def by_opa(port: int, questions: Iterable[Json]) -> Iterator[Json]:
    """OPA's answers, asked as the gateway asks; an error is no answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as line:
        for question in questions:
            body = orjson.dumps({"input": question})
            line.request("POST", "/v1/data/decision/told?strict-builtin-errors=true", body)
            reply = line.getresponse()
            told = orjson.loads(reply.read())
            yield told.get("result", NO_ANSWER) if reply.status == 200 else NO_ANSWER


def by_embedded(bundle: Bundle, questions: Iterable[Json]) -> Iterator[Json]:
    """Answers of the embedded engine; an error is no answer."""
    engine = build_engine(bundle.rego, bundle.documents)
    for question in questions:
        engine.set_input_json(orjson.dumps(question).decode())
        try:
            yield orjson.loads(engine.eval_rule_as_json("data.decision.told"))
        except RuntimeError:
            yield NO_ANSWER


def test_opa_finds_nothing_in_a_strict_check_and_passes_every_test() -> None:
    run = run_opa(POLICIES, Path(opa_binary()))
    assert run.ok, run.text
    assert run.text.startswith("PASS")


def test_the_strict_check_knows_what_a_question_has(tmp_path: Path) -> None:
    """The schemas bite: an attribute that no question has is found before anybody is refused."""
    folder = tmp_path / "policies"
    shutil.copytree(POLICIES, folder)
    rule = folder / "level" / "level.rego"
    text = rule.read_text(encoding="utf-8")
    rule.write_text(text.replace("input.destination in", "input.destinations in"), "utf-8")
    told = check_with_opa(folder, Path(opa_binary()))
    assert not told.ok
    assert "level.rego" in told.text
    assert "destinations" in told.text


def test_the_tests_beside_the_rules_reach_nearly_all_of_every_rule_file() -> None:
    """OPA counts expressions, also those its index or an early exit leaves aside."""
    folders = sorted({str(path.parent) for path in POLICIES.rglob("*.rego")})
    command = [
        opa_binary(),
        "test",
        "--coverage",
        "--format=json",
        "--timeout=120s",
        *folders,
        str(POLICIES / "data"),
    ]
    told = subprocess.run(command, capture_output=True, check=True, timeout=300)
    files = orjson.loads(told.stdout)["files"].items()
    rules = {path: file["coverage"] for path, file in files if not path.endswith("_test.rego")}
    assert len(rules) >= 14
    assert {path: reached for path, reached in rules.items() if reached < 95} == {}


@pytest.mark.parametrize("number", SAMPLES)
@pytest.mark.timeout(900)
def test_both_engines_give_the_same_answer_to_well_formed_questions(
    opa_port: int, bundle: Bundle, number: int
) -> None:
    questions = list(well_formed(random.Random(20260310 + number), number))  # noqa: S311 - a sample
    told = list(by_embedded(bundle, questions))
    for question, one, other in zip(questions, told, by_opa(opa_port, questions), strict=True):
        assert one == other, question
    assert NO_ANSWER not in told
    codes = Counter(code for answer in told for code in answer["deny"])
    assert len(codes) >= 30
    assert 0.2 < sum(answer["allow"] for answer in told) / number < 0.8


@pytest.mark.parametrize("number", SAMPLES)
@pytest.mark.timeout(900)
def test_both_engines_give_the_same_answer_to_mutated_questions(
    opa_port: int, bundle: Bundle, number: int
) -> None:
    questions = list(mutated(random.Random(20260311 + number), number))  # noqa: S311 - a sample
    told = list(by_embedded(bundle, questions))
    for question, one, other in zip(questions, told, by_opa(opa_port, questions), strict=True):
        assert one == other, question
    assert sum(answer.get("deny") == ["D000"] for answer in told) > number / 2


def test_opa_refuses_a_question_that_lacks_any_attribute(opa_port: int) -> None:
    for scenario in PLANS:
        whole = orjson.loads(ask(golden(scenario)).question())
        lacking = []
        for place in ("", "tenant", "user", "period", "usage", "consent"):
            for name in (whole[place] or ()) if place else whole:
                copy = orjson.loads(orjson.dumps(whole))
                del (copy[place] if place else copy)[name]
                lacking.append(copy)
        told = list(by_opa(opa_port, [whole, *lacking]))
        assert told[0]["allow"] is True
        assert all(answer == {"allow": False, "deny": ["D000"]} for answer in told[1:])
