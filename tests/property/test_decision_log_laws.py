"""What is masked decides nothing: a recorded question is answered as the one that was asked."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict, replace

import orjson
import pytest

from gateway.journal.entry import canonical
from gateway.policy.decision_log import LARGEST, NAMES_SOMEBODY, event, read_event
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.port import Decision, PolicyInput
from tests.policy_factory import Json
from tests.policy_questions import well_formed
from tests.policy_scenarios import embedded_world

SEED, NUMBER = 20261122, 400


@pytest.fixture(scope="module")
def policy() -> Iterator[EmbeddedPolicy]:
    policy = embedded_world()
    yield policy
    policy.close()


def asked() -> list[PolicyInput]:
    """Questions of all twelve scenarios, sound and faulty, many about persons."""
    questions = well_formed(random.Random(SEED), NUMBER)  # noqa: S311 - repeatable, no secret
    return [PolicyInput.model_validate_json(orjson.dumps(each)) for each in questions]


def names(question: Json) -> set[str]:
    """Whoever is named in a question."""
    found = set()
    for place in NAMES_SOMEBODY:
        holder = question
        for part in place[:-1]:
            holder = holder.get(part) or {}
        found.add(holder.get(place[-1]) or "")
    return found - {""}


def told(decision: Decision) -> Json:
    """All of an answer but who it is about, its id, and how long it holds."""
    plain = asdict(replace(decision, decision_id="", holds=None))
    for row in (plain["obligations"] or {}).get("rows", ()):
        row["value"] = None
    return plain


def test_a_recorded_question_is_answered_as_the_one_that_was_asked(policy: EmbeddedPolicy) -> None:
    whole = masked = allowed = 0
    for question in asked():
        decision = policy.decide(question)
        logged = read_event(canonical(event(question, decision)))
        if not logged.whole:
            continue
        assert told(policy.decide(logged.question())) == told(decision)
        whole += 1
        masked += bool(logged.masked)
        allowed += decision.allow
    assert whole > NUMBER * 3 // 4
    assert min(masked, allowed) > NUMBER // 20


def test_nobody_named_in_a_question_is_named_in_its_event(policy: EmbeddedPolicy) -> None:
    named = 0
    for question in asked():
        body = canonical(event(question, policy.decide(question)))
        somebody = names(orjson.loads(question.question()))
        named += bool(somebody)
        assert len(body) < LARGEST + 4096
        for name in somebody:
            assert orjson.dumps(name) not in body
    assert named > NUMBER // 10
