"""The worked example of cohort counts: its people become a release, its question is counted."""

from __future__ import annotations

from pathlib import Path

import orjson

from gateway.catalogue.cohort import CohortExample, cohort_example
from gateway.catalogue.load import load_catalogue
from gateway.catalogue.worked import NOTHING, lines
from gateway.cohorts.bands import Rules
from gateway.cohorts.counting import Counting
from gateway.cohorts.guard import tellable
from gateway.cohorts.question import CohortQuestion
from gateway.policy.profiles import merged_profiles
from gateway.releases.store import current
from gateway.serving.cohort_answer import Answered, Sizes
from tests.gateway_factory import POLICIES

CATALOGUE = load_catalogue(POLICIES)
CONTRACT = CATALOGUE.cohorts["S16"]


def example() -> CohortExample:
    found = cohort_example(CATALOGUE.root, CONTRACT)
    assert found is not None
    return found


def told(answered: Answered) -> list[dict[str, str]]:
    """An answer as the example draws it."""
    rows: list[tuple[str, object]] = [
        (f"step {one['step']} {one['kind']}", one["persons"]) for one in answered.steps
    ]
    rows += [(f"year {one['index_year']}", one["persons"]) for one in answered.index_years]
    rows += [(f"follow-up {name}", one) for name, one in answered.follow_up.items()]
    return [
        {"told": name, "value": str(cell["value"] or NOTHING), "flag": str(cell["flag"])}
        for name, cell in rows
        if isinstance(cell, dict)
    ]


def test_a_release_of_the_people_gives_the_answer_of_the_example(cohort_home: Path) -> None:
    release = current(cohort_home / "releases")["S16"]
    question = CohortQuestion.model_validate_json(example().ask)
    counted = Counting(cohort_home / "releases").count(release, question)
    profile = merged_profiles(POLICIES, CATALOGUE.as_policy_data())["S16", example().scenario]
    rules = Rules.of(profile)
    answered = Answered.of(
        question, counted, tellable(counted, [], rules), rules, CONTRACT, sizes=Sizes.of(counted)
    )
    assert told(answered) == list(lines(example().answer))
    assert [len(one.members) for one in counted.steps] == [155, 125, 100, 100]


def test_the_question_of_the_contract_is_one_of_the_language() -> None:
    asked = {k: v for k, v in CONTRACT.example.items() if k != "purpose"}
    question = CohortQuestion.model_validate_json(orjson.dumps(asked))
    assert set(question.kinds) <= set(CONTRACT.kinds)
