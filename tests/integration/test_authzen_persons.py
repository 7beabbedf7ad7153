"""Evaluations about one person: decided with the consent as it stands, told with the fewest words.

The catalogue offers no service about persons yet, so the rules here know an invented one
(`tests.policy_scenarios`); consents, stops, journal and decision point are the gateway's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from gateway.consent import changes
from gateway.consent.changes import Deed
from gateway.db.engine import writing
from gateway.identity.changes import lift_stop, raise_stop
from gateway.policy.embedded import EmbeddedPolicy
from tests.authzen_factory import BUREAU, Json, enter_bureau, evaluate, recorded
from tests.consent_book import MINUTE, PERSON, answer
from tests.consent_book import asked as ask_for
from tests.factories_identity import act
from tests.gateway_factory import Gateway
from tests.policy_factory import POLICIES
from tests.policy_scenarios import grant, services, tenant, world

INSURER = "claims-insurer"
RECEIVER = f"T-{INSURER}"
SOMEBODY = f"p{'a' * 40}"
"""A reference as the consent store makes them."""


@pytest.fixture(scope="module")
def claims(gateway: Gateway) -> Iterator[Gateway]:
    """The shared gateway with rules that know a service about persons, and a consent in force."""
    if BUREAU not in gateway.machines:
        enter_bureau(gateway)
    enter_bureau(gateway, INSURER, "insurer")
    policy = EmbeddedPolicy(POLICIES, services(), _world())
    live = gateway.app.state.desk.editions.live
    before, live.policy = live.policy, policy
    yield gateway
    live.policy = before
    policy.close()


def _world() -> Json:
    documents = world()
    documents["tenants"][RECEIVER] = documents["tenants"][tenant("SC03")]
    own = documents["grants"][tenant("SC03")][grant("SC03")]
    own |= {"tenant": RECEIVER, "valid_from": "2025-01-01"}
    documents["grants"][RECEIVER] = {grant("SC03"): own}
    return documents


@pytest.fixture
def consent(claims: Gateway) -> str:
    """A consent of its own for each test, in force."""
    now = claims.clock() - timedelta(hours=1)
    number = claims.app.state.desk.journal.stamp(now).event_id
    engine = claims.app.state.identity.engine
    awaited = ask_for(
        engine,
        now,
        id=f"c-{number}",
        tenant_id=RECEIVER,
        window_from=now.date() - timedelta(days=90),
        window_to=now.date(),
    )
    with writing(engine) as session:
        return changes.authorise(session, awaited.id, answer(SOMEBODY), now + MINUTE).id


def asked(consent: str, **context: object) -> Json:
    return {
        "subject": {"type": "client", "id": INSURER, "properties": {"ip": "192.0.2.10"}},
        "action": {"name": "cells"},
        "resource": {
            "type": "data-service",
            "id": "S19",
            "properties": {"version": "1.0", "params": {"claim_ref": "CLM-1"}},
        },
        "context": {
            "purpose": "claim_verification",
            "period": {"from": "2025-03", "to": "2025-04", "grain": "month"},
            "geo": ["990100"],
            "grant_id": grant("SC03"),
            "consent_id": consent,
            "subject_ref": SOMEBODY,
            **context,
        },
    }


def told(claims: Gateway, body: Json) -> Json:
    reply = evaluate(claims, body)
    assert reply.status_code == 200, reply.text
    answer: Json = reply.json()
    return answer


def words(answer: Json) -> Any:
    """An answer without what is new each time."""
    return {k: v for k, v in answer["context"].items() if k != "decision_id"} | {
        "decision": answer["decision"]
    }


def test_a_consent_in_force_opens_its_fields_and_rows_and_nobody_is_named(
    claims: Gateway, consent: str
) -> None:
    reply = evaluate(claims, asked(consent))
    answer = reply.json()
    assert answer["decision"] is True, answer
    obligations = answer["context"]["obligations"]
    assert {"setl_ref", "fund_pay_sumamt"} <= {rule["field"] for rule in obligations["columns"]}
    assert obligations["notify_person"] is True
    assert {"column": "setl_d.psn_no", "op": "is", "value": "subject"} in obligations["rows"]
    tables = {rule["column"].split(".")[0] for rule in obligations["rows"]}
    assert tables == {"setl_d", "fixmedins_b"}  # of the one scope that was given
    assert SOMEBODY not in reply.text
    logged = recorded(claims)[-1]["decision"]["input"]
    assert logged["consent"]["state"] == "AUTHORISED"
    assert logged["subject_ref"] not in (None, SOMEBODY)


def test_every_way_to_lack_a_consent_is_told_in_the_same_words(
    claims: Gateway, consent: str
) -> None:
    unknown = words(told(claims, asked("c-unknown")))
    assert unknown["deny"] == ["D6xx"]
    other_person = words(told(claims, asked(consent, subject_ref="p-other")))
    engine = claims.app.state.identity.engine
    with writing(engine) as session:
        changes.revoke(session, consent, Deed(PERSON, claims.clock()))
    revoked = words(told(claims, asked(consent)))
    nobody = words(told(claims, asked(consent, subject_ref=None)))
    assert unknown == other_person == revoked == nobody
    codes = {code for each in recorded(claims)[-4:] for code in each["audit"]["deny_codes"]}
    assert codes == {"D601", "D602", "D607"}


def test_a_stop_on_the_person_is_told_like_an_unknown_consent(
    claims: Gateway, consent: str
) -> None:
    identity = claims.app.state.identity
    unknown = words(told(claims, asked("c-unknown")))
    with writing(identity.engine) as session:
        raise_stop(session, act(), "person", SOMEBODY)
    _follow(claims)
    stopped = words(told(claims, asked(consent)))
    with writing(identity.engine) as session:
        lift_stop(session, act(), "person", SOMEBODY)
    _follow(claims)
    assert stopped == unknown
    assert told(claims, asked(consent))["decision"] is True


def _follow(claims: Gateway) -> None:
    """Hear of the stop; the directory's other documents are not these rules' world."""
    claims.app.state.identity.directory.refresh()
    claims.app.state.desk.editions.live.policy.load(_world())


def test_a_consent_given_to_somebody_else_is_as_unknown_as_none(
    claims: Gateway, consent: str
) -> None:
    body = asked(consent)
    body["subject"] = {"type": "tenant", "id": "T-INS", "properties": {"ip": "192.0.2.10"}}
    answer = told(claims, body)
    assert answer["decision"] is False
    assert recorded(claims)[-1]["decision"]["input"]["consent"] is None
