"""A shadow never holds anybody up, and what it keeps is bounded and names nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.db.engine import reading, writing
from gateway.editions.differences import add_findings, read_differences
from gateway.editions.running import prepare
from gateway.editions.shadow import (
    LONGEST_QUEUE,
    MORE,
    MOST_KINDS,
    SKIPPED,
    Finding,
    Shadow,
    Tally,
    difference,
    kind_of,
)
from gateway.editions.wording import Words, words_of
from gateway.policy.bundle import edition_of
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.port import Decision, PolicyInput, PolicyUnavailable
from tests.directory_factory import empty_directory
from tests.opa_server import until
from tests.policy_factory import POLICIES, PRICING, ask, embedded

NOW = datetime(2025, 6, 2, 4, tzinfo=UTC)
QUESTION = ask(PRICING)


@pytest.fixture(scope="module")
def policy() -> Iterator[EmbeddedPolicy]:
    made = embedded()
    yield made
    made.close()


@pytest.fixture(scope="module")
def words() -> Words:
    edition = prepare(POLICIES).edition
    return words_of(edition, edition)


def refused(*codes: str) -> Decision:
    return Decision(False, codes, None, "v", "id")


class Waiting:
    """A policy that answers when it is told to."""

    def __init__(self, answer: Decision | None) -> None:
        self.answer, self.go_on = answer, threading.Event()

    def decide(self, _question: PolicyInput) -> Decision:
        self.go_on.wait(20)
        if self.answer is None:
            raise PolicyUnavailable("test")
        return self.answer


class Kept:
    """Findings as they were handed over."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}

    def __call__(self, _edition: str, found: Mapping[str, Finding]) -> None:
        for kind, finding in found.items():
            self.found[kind] = self.found.get(kind, 0) + finding.times


def test_what_does_not_fit_is_counted_and_nobody_waits_for_it() -> None:
    slow, kept = Waiting(refused("D301")), Kept()
    shadow = Shadow("e", slow, kept, Words())
    for _ in range(LONGEST_QUEUE + 50):
        shadow.offer(QUESTION, refused("D301"))  # returns although nothing is answered
    slow.go_on.set()
    shadow.close()
    assert 45 <= kept.found[SKIPPED] <= 50


def test_a_shadow_that_fails_is_a_finding() -> None:
    broken, kept = Waiting(None), Kept()
    broken.go_on.set()
    shadow = Shadow("e", broken, kept, Words())
    shadow.offer(QUESTION, refused("D301"))
    until(lambda: kept.found == {"failed": 1})
    shadow.close()


def test_findings_that_cannot_be_kept_now_are_kept_later() -> None:
    kept, times = Kept(), iter([True, False, False, False, False, False])

    def keep(edition: str, found: Mapping[str, Finding]) -> None:
        if next(times):
            raise OSError("full")
        kept(edition, found)

    ready = Waiting(refused("D301"))
    ready.go_on.set()
    shadow = Shadow("e", ready, keep, Words())
    shadow.offer(QUESTION, refused("D302"))
    until(lambda: bool(kept.found))
    shadow.close()
    assert list(kept.found.values()) == [1]


def test_the_order_of_codes_is_no_difference(words: Words) -> None:
    assert difference(QUESTION, refused("D301", "D302"), refused("D302", "D301"), Words()) == {}
    assert difference(QUESTION, refused("D301"), refused("D302"), words) != {}


def test_obligations_are_compared_one_by_one_but_for_what_depends_on_the_question(
    policy: EmbeddedPolicy, words: Words
) -> None:
    decision = policy.decide(QUESTION)
    told = decision.obligations
    assert told is not None
    other = replace(
        told,
        profile={**told.profile, "k_person": 99},
        columns=(replace(told.columns[0], mask="suppress"), *told.columns[1:]),
        tariff=replace(told.tariff, qty_estimate=1),
        ttl=1,
    )
    found = difference(QUESTION, decision, replace(decision, obligations=other), words)
    first = told.columns[0]
    assert found["changes"] == [
        f"columns.{first.field}: {first.level} {first.mask} → {first.level} suppress",
        f"profile.k_person: {told.profile['k_person']} → 99",
    ]
    text = str(found)
    assert QUESTION.tenant.id not in text
    assert QUESTION.grant_id not in text
    assert QUESTION.user.id not in text


def test_a_tally_is_bounded() -> None:
    tally = Tally()
    for number in range(MOST_KINDS + 30):
        tally.add(kind_of({"n": number}), {"n": number})
    assert len(tally.found) == MOST_KINDS + 1
    assert tally.found[MORE].times == 30


def test_what_several_processes_found_is_added_up_and_bounded(tmp_path: Path) -> None:
    with empty_directory(tmp_path) as engine:
        for process in range(3):
            found = {f"{process}-{n}": Finding({"service": "S02"}, 2) for n in range(150)}
            found["same"] = Finding({}, 10)
            with writing(engine) as session:
                add_findings(session, "e", found, NOW)
        report = read(engine)
    assert (report["same"], report["compared"]) == (30, 30 + 3 * 150 * 2)
    assert len(report["differences"]) <= MOST_KINDS  # type: ignore[arg-type]  # a list
    assert report["beyond_bound"] == report["different"] - 2 * len(report["differences"])  # type: ignore[arg-type, operator]  # as above


def read(engine: sa.Engine) -> dict[str, object]:
    with reading(engine) as session:
        return read_differences(session, "e")


@pytest.mark.parametrize(
    ("revision", "edition"),
    [
        ("2026.1-0123456789ab+0123456789abcdef", "0123456789ab"),
        ("a-b+c-0123456789ab+00", "0123456789ab"),
        ("2026.1+0123456789abcdef", ""),
        ("2026.1-0123456789+0123456789abcdef", ""),
        ("", ""),
    ],
)
def test_a_revision_names_its_edition(revision: str, edition: str) -> None:
    assert edition_of(revision) == edition


def test_a_decision_names_the_edition_that_made_it(policy: EmbeddedPolicy) -> None:
    named = edition_of(policy.decide(QUESTION).policy_version)
    assert named == policy.bundle.version.partition("-")[2].partition("+")[0]
    assert len(named) == 12
