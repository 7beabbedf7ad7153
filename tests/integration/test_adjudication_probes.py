"""Asking S20 again and otherwise, to learn more of one settlement than one answer tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.adjudication.capacity import bits
from gateway.adjudication.model import RulePackage
from gateway.claims import adjudicating, refunds
from gateway.db.claim_tables import ClaimDecisionRow
from gateway.db.engine import reading
from tests.adjudication_factory import TERMS
from tests.adjudication_world import RuledWorld, huimin, plus, ruled_world


@pytest.fixture(scope="module")
def world(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RuledWorld]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(refunds, "LOOK_SECONDS", 1e6)
        with ruled_world(released_home, tmp_path_factory.mktemp("probed")) as found:
            yield found


def decided(world: RuledWorld, body: Any, client: str = "claims-app") -> Any:
    reply = world.verify(body, "S20", client=client)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


def kept(world: RuledWorld) -> dict[tuple[str, str], ClaimDecisionRow]:
    with reading(world.consents.engine) as session:
        rows = session.scalars(sa.select(ClaimDecisionRow)).all()
        return {(row.tenant_id, row.product): row for row in rows}


def test_a_settlement_is_decided_once_however_it_is_asked_about(
    world: RuledWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other claim numbers, terms, windows, consents, sizes of the question: one decision, so that
    neither amounts nor times can be gathered. What is pushed and billed does not differ either."""
    run: list[object] = []
    decide = adjudicating.adjudicate

    def counted(*given: Any) -> Any:
        run.append(given)
        return decide(*given)

    monkeypatch.setattr(adjudicating, "adjudicate", counted)
    consent = world.ruled()
    ways: list[dict[str, Any]] = [
        {},
        {"claim_ref": "CLM-" + "9" * 40},
        {"policy": {"from": "2025-04-05", "to": "2025-12-31"}},
        {"window": {"from": "2025-04-01", "to": "2025-04-30"}},
        {"policy": {"from": "2025-01-01", "to": "2025-04-02"}},
    ]
    told = [decided(world, world.claim(consent, **way)) for way in ways]
    told.append(decided(world, world.claim(world.ruled(policy_ref="POL-9"), policy_ref="POL-9")))
    assert len(run) == 1
    assert {json.dumps(one) for one in told} == {json.dumps(told[0])}


def test_which_version_decided_is_counted_in_bits(world: RuledWorld) -> None:
    """A version for each day would tell the day of the settlement: two versions are one bit."""
    decided(world, world.claim(world.ruled("patient"), "patient"))
    built = RulePackage.model_validate(json.loads(json.dumps(huimin())))
    least = bits(built, TERMS.bounds.reasons_max) + 1
    row = max(kept(world).values(), key=lambda one: one.decided_at)
    assert (row.product, row.bits_milli) == ("huimin", ceil(least * 1000))


def test_versions_for_many_days_use_the_bits_up(world: RuledWorld) -> None:
    """A product that tells nearly sixteen bits by itself tells more with a second version."""
    given = [code for code, one in TERMS.reasons.items() if one.given_by == "rules"][:20]
    struck = [{"codes": [f"T{n:02}"], "reason": code} for n, code in enumerate(given)]
    rules = json.loads(json.dumps({**plus(), "product": "daily", "exclusions": struck}))
    own = bits(RulePackage.model_validate(rules), TERMS.bounds.reasons_max)
    assert own <= TERMS.bounds.bits < own + 1
    consent = world.ruled("child", guardian="mother", policy_ref="POL-W")
    asked = {"product": "daily", "policy_ref": "POL-W"}
    later = {"from": "2025-12-01", "to": "2026-01-01"}
    world.approve(rules)
    world.approve({**rules, "version": "2", "effective": later})
    reply = world.verify(world.claim(consent, "child", **asked), "S20")
    assert (reply.status_code, reply.json()["code"]) == (409, "adjudication_bits_spent")


def test_two_insurers_get_what_each_gets_alone_and_no_word_of_each_other(world: RuledWorld) -> None:
    """They may compare what they were told; each was bounded, and needed the person's consent."""
    person = "elsewhere"
    mine = decided(world, world.claim(world.ruled(person), person))
    body = world.claim(world.ruled(person, client="rival-app"), person, product="rival")
    theirs = decided(world, body, client="rival-app")
    assert {**theirs, "claim_ref": ""} == {**mine, "claim_ref": ""}
    for row in kept(world).values():
        assert row.bits_milli <= TERMS.bounds.bits * 1000
    stolen = world.claim(world.ruled(person, client="rival-app"), person, product="rival")
    assert world.verify(stolen, "S20").status_code == 403  # a consent is one receiver's


def test_what_is_refused_for_probing_is_the_same_of_whoever(world: RuledWorld) -> None:
    """The code of an error depends on what the insurer did, never on what the person has."""
    with world.consents.engine.begin() as db:
        db.exec_driver_sql("DELETE FROM claim_decision")
    told = set()
    for person in ("adult", "patient"):
        consent = world.ruled(person, policy_ref="POL-P")
        world.verify(world.claim(consent, person, policy_ref="POL-P"), "S20")
        asked = world.claim(consent, person, policy_ref="POL-P", product="plus")
        reply = world.verify(asked, "S20")
        problem = reply.json()
        for own in ("request_id", "instance"):
            problem.pop(own, None)
        told.add((reply.status_code, json.dumps(problem), *sorted(reply.headers)))
    assert len(told) == 1
    assert "adjudication_other_product" in next(iter(told))[1]
