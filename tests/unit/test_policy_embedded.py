"""The embedded engine behind its port: what it tells, how it fails, how it lives with threads."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.policy.documents import PolicyDataError
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.port import Decision, PolicyUnavailable
from tests.policy_factory import DRUGS, POLICIES, PRICING, ask, catalogue, directory, embedded


@pytest.fixture(scope="module")
def policy() -> Iterator[EmbeddedPolicy]:
    running = embedded()
    yield running
    running.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the rules and their data, to break."""
    for part in POLICIES.iterdir():
        if part.is_dir() and part.name != "catalogue":
            shutil.copytree(part, tmp_path / part.name)
    return tmp_path


def broken(folder: Path, rule: str, by: str) -> EmbeddedPolicy:
    """The policy with one rule file replaced."""
    (folder / rule).write_text(by, encoding="utf-8")
    return EmbeddedPolicy(folder, catalogue(), directory(), timeout=0.3)


def test_an_allowance_names_every_column_with_its_class_and_mask(policy: EmbeddedPolicy) -> None:
    obligations = policy.decide(ask(DRUGS)).obligations
    assert obligations is not None
    named = [(column.field, column.item, column.level) for column in obligations.columns]
    assert named[:2] == [("period", "C03-03", "L2"), ("geo", "C03-04", "L2")]
    assert [field for field, _, _ in named[2:]] == ["atc", "gend", "ddd", "patients"]
    assert obligations.profile["name"] == "DC2P"
    assert obligations.profile["min_manufacturers"] == 3


def test_a_question_that_names_no_measure_is_told_all_it_may_see(policy: EmbeddedPolicy) -> None:
    obligations = policy.decide(ask(PRICING, measures=[])).obligations
    assert obligations is not None
    told = {column.field for column in obligations.columns}
    assert told == {"period", "geo", "gend", "insutype2", *catalogue()["S02"]["measures"]}


def test_every_decision_names_the_revision_that_gave_it(policy: EmbeddedPolicy) -> None:
    assert policy.decide(ask(PRICING)).policy_version == policy.version


def test_the_revision_depends_on_content_alone(policy: EmbeddedPolicy) -> None:
    before = policy.version
    documents = directory()
    documents["grants"]["insurer-1"]["g-pricing"]["status"] = "suspended"
    policy.load(documents)
    assert policy.version != before
    policy.load(directory())
    assert policy.version == before


def test_an_engine_that_meets_an_error_gives_no_decision(folder: Path) -> None:
    failing = 'package decision\ntold := {"allow": true, "deny": [], "x": to_number("03x")}\n'
    policy = broken(folder, "decision/decision.rego", failing)
    with pytest.raises(PolicyUnavailable) as refused:
        policy.decide(ask(PRICING))
    assert refused.value.status == 503
    assert refused.value.code == "policy_unavailable"


def test_an_undefined_answer_is_no_decision(folder: Path) -> None:
    policy = broken(folder, "decision/decision.rego", "package decision\ntold := 1 if false\n")
    with pytest.raises(PolicyUnavailable):
        policy.decide(ask(PRICING))


def test_an_unknown_function_is_no_decision(folder: Path) -> None:
    policy = broken(folder, "decision/decision.rego", "package decision\ntold := io.jwt.x(1)\n")
    with pytest.raises(PolicyUnavailable):
        policy.decide(ask(PRICING))


def test_an_engine_that_does_not_come_back_is_no_decision(folder: Path) -> None:
    slow = "package decision\ntold := count([1 | some a in numbers.range(1, 900)\n"
    slow += "some b in numbers.range(1, 900)\na == b])\n"
    policy = broken(folder, "decision/decision.rego", slow)
    with pytest.raises(PolicyUnavailable):
        policy.decide(ask(PRICING))


def test_the_failure_says_nothing_of_the_question(folder: Path) -> None:
    failing = "package decision\ntold := to_number(input.grant_id)\n"
    policy = broken(folder, "decision/decision.rego", failing)
    with pytest.raises(PolicyUnavailable) as refused:
        policy.decide(ask(PRICING))
    assert "g-pricing" not in f"{refused.value} {refused.value.reason} {refused.value.__cause__}"


def test_rules_that_do_not_parse_are_not_loaded(folder: Path) -> None:
    with pytest.raises(PolicyDataError, match=r"shape.rego:\d+:\d+"):
        broken(folder, "shape/shape.rego", "package shape\ndeny contains {{{\n")


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("data/extra.yaml", "unheard_of: 1\n", "unheard_of"),
        ("data/extra.yaml", "- 1\n", "mapping"),
        ("data/extra.yaml", "a: [\n", "cannot be read"),
        ("data/extra.yaml", "policy: {version: '1'}\n", "second time"),
        ("data/masks.yaml", "masks: {by_level: {L3: blur}, by_scenario: {}, common: {}}\n", "blur"),
        ("data/roles.yaml", "roles:\n  a: {mfa: false}\n  a: {mfa: true}\n", "twice"),
    ],
)
def test_policy_data_of_another_form_are_not_loaded(
    folder: Path, file: str, text: str, told: str
) -> None:
    with pytest.raises(PolicyDataError, match=told):
        broken(folder, file, text)


def test_a_service_with_an_unknown_mask_is_not_loaded() -> None:
    services = {name: dict(service) for name, service in catalogue().items()}
    column = services["S02"]["columns"]["medfee"] | {"mask": "blur"}
    services["S02"]["columns"] = services["S02"]["columns"] | {"medfee": column}
    with pytest.raises(PolicyDataError, match="blur"):
        EmbeddedPolicy(POLICIES, services, directory())


def test_a_malformed_document_is_left_out_and_others_go_on(
    policy: EmbeddedPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    documents = directory()
    documents["grants"]["insurer-1"]["g-pricing"]["valid_to"] = "soon"
    documents["regions"]["990300"] = {"level": "moon", "insured": 1, "data_open": True}
    with caplog.at_level(logging.WARNING):
        policy.load(documents)
    try:
        assert policy.decide(ask(PRICING)).deny == ("D201",)
        assert policy.decide(ask(DRUGS)).allow
    finally:
        policy.load(directory())
    assert "grant of insurer-1 g-pricing: valid_to" in caplog.text
    assert "region 990300: level" in caplog.text


def test_the_directory_may_add_a_region(policy: EmbeddedPolicy) -> None:
    documents = directory()
    city = {"level": "city", "parent": "990000", "insured": 900000, "data_open": True}
    documents["regions"]["990300"] = city
    documents["grants"]["insurer-1"]["g-pricing"]["regions"] = ["990300"]
    policy.load(documents)
    try:
        assert policy.decide(ask(PRICING, geo=["990300"])).allow
    finally:
        policy.load(directory())


def test_a_closed_policy_gives_no_decision() -> None:
    policy = embedded()
    policy.close()
    with pytest.raises(PolicyUnavailable):
        policy.decide(ask(PRICING))


def test_a_decision_can_be_awaited(policy: EmbeddedPolicy) -> None:
    async def both() -> list[Decision]:
        first, second = policy.decide_soon(ask(PRICING)), policy.decide_soon(ask(DRUGS))
        return list(await asyncio.gather(first, second))

    assert [decision.allow for decision in asyncio.run(both())] == [True, True]


def test_an_awaited_failure_is_no_decision(folder: Path) -> None:
    policy = broken(folder, "decision/decision.rego", "package decision\ntold := 1 if false\n")
    with pytest.raises(PolicyUnavailable):
        asyncio.run(policy.decide_soon(ask(PRICING)))


def test_sixteen_threads_get_the_answers_one_thread_gets(policy: EmbeddedPolicy) -> None:
    questions = [ask(PRICING), ask(DRUGS), ask(PRICING, format="parquet"), ask(DRUGS, dims=["x"])]
    alone = [policy.decide(question).deny for question in questions]
    with ThreadPoolExecutor(16) as threads:
        told = list(threads.map(lambda q: policy.decide(q).deny, questions * 40))
    assert told == alone * 40


def test_reloading_under_load_never_fails_and_never_mixes() -> None:
    """Every answer is that of the revision it names: allowed by one, refused by the other."""
    policy = embedded(timeout=20.0)
    stopped = directory()
    stopped["stops"]["scenario"]["SC01"] = {"since": "2026-03-01", "reason": "drill"}
    opened = policy.version

    def reload_often() -> None:
        for _ in range(10):
            policy.load(stopped)
            policy.load(directory())

    with ThreadPoolExecutor(9) as threads:
        reloading = threads.submit(reload_often)
        asked = [threads.submit(policy.decide, ask(PRICING)) for _ in range(160)]
        decisions = [waiting.result() for waiting in asked]
        reloading.result()
    policy.close()
    assert all(decision.allow == (decision.policy_version == opened) for decision in decisions)
