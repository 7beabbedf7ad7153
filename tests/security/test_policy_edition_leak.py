"""An edition in shadow sees live questions; whatever its rules do with them, none of it is kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.editions.running import prepare
from gateway.editions.shadow import difference
from gateway.editions.wording import MOST_NEW, Words, words_of
from gateway.policy.bundle import Edition
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.port import Decision, PolicyUnavailable
from tests.policy_factory import POLICIES, PRICING, ask, directory, embedded

SECRET = "990100"
QUESTION = ask(PRICING, geo=[SECRET], request_id="geheim-1")
TOLD = 'sprintf("%s %s", [input.geo[0], input.request_id])'
LEAKS = {
    "watermark": ("obligations", "data.facts.scenario.egress.watermark", TOLD),
    "log level": ("obligations", "data.facts.scenario.audit.log", "input.geo[0]"),
    "profile": ("obligations", "data.facts.profile,", f'{{"name": {TOLD}, input.geo[0]: 1}},'),
    "mask": ("obligations", '"mask": mask}', f'"mask": {TOLD}}}'),
    "field": ("obligations", '"field": field,', f'"field": {TOLD},'),
    "figure": ("obligations", "data.budget.max_cells", "to_number(input.geo[0])"),
    "quota": ("obligations", "data.budget.quota", "{input.geo[0]: to_number(input.geo[0])}"),
    "price": ("obligations", "data.facts.price.ref", TOLD),
}


@pytest.fixture(scope="module")
def live() -> Iterator[Decision]:
    policy = embedded()
    yield policy.decide(QUESTION)
    policy.close()


@pytest.fixture(scope="module")
def own() -> Edition:
    return prepare(POLICIES).edition


def changed(folder: Path, package: str, swap: Callable[[str], str]) -> Edition:
    shutil.copytree(POLICIES, folder)
    rule = folder / package / f"{package}.rego"
    before = rule.read_text("utf-8")
    rule.write_text(swap(before), "utf-8")
    assert rule.read_text("utf-8") != before
    return prepare(folder).edition


def decided(edition: Edition) -> Decision:
    policy = EmbeddedPolicy.of(edition, directory())
    try:
        return policy.decide(QUESTION)
    finally:
        policy.close()


@pytest.mark.parametrize("leak", LEAKS)
def test_what_a_rule_took_from_a_question_is_not_shown(
    tmp_path: Path, live: Decision, own: Edition, leak: str
) -> None:
    package, honest, stolen = LEAKS[leak]
    bad = changed(tmp_path / "p", package, lambda text: text.replace(honest, stolen))
    decision = decided(bad)
    assert SECRET in str(decision.obligations), "the edition is not as bad as it should be"
    found = difference(QUESTION, live, decision, words_of(own, bad))
    assert found["changes"], found
    assert SECRET not in str(found)
    assert QUESTION.request_id not in str(found)


def test_a_reason_made_of_the_question_is_no_decision(tmp_path: Path) -> None:
    bad = changed(
        tmp_path / "p",
        "level",
        lambda text: f"{text}\ndeny contains {TOLD}\n",
    )
    with pytest.raises(PolicyUnavailable):
        decided(bad)


def test_a_code_made_of_the_question_is_shown_as_another_code(
    tmp_path: Path, live: Decision, own: Edition
) -> None:
    stolen = 'deny contains sprintf("D%s", [substring(input.geo[0], 0, 3)])'
    bad = changed(tmp_path / "p", "level", lambda text: f"{text}\n{stolen}\n")
    decision = decided(bad)
    assert decision.deny == (f"D{SECRET[:3]}",)
    assert difference(QUESTION, live, decision, words_of(own, bad))["shadow"] == "deny D???"


def test_a_few_new_words_of_an_edition_are_shown_and_a_list_of_everything_is_not(
    live: Decision, own: Edition
) -> None:
    told = live.obligations
    assert told is not None
    other = replace(live, obligations=replace(told, watermark="a900100"))

    def shown(words: list[str]) -> object:
        marked = {name: {"egress": {"watermark": name}} for name in words}
        edition = replace(own, documents={**own.documents, "scenarios": marked})
        return difference(QUESTION, live, other, words_of(own, edition))["changes"]

    assert shown(["a900100"]) == [f"watermark: {told.watermark} → a900100"]
    assert shown([f"a{900_100 + n}" for n in range(MOST_NEW + 1)]) == ["watermark"]


def test_without_any_words_only_small_figures_are_shown() -> None:
    words = Words()
    assert [words.shows("quota", value) for value in (None, True, 2000, -1)] == [True] * 4
    assert not any(words.shows("quota", value) for value in (10_000, 0.5, "x", ["x"], {"x": 1}))
