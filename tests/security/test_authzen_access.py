"""Who may ask for decisions about others: systems of the bureau, in good standing, and no one else;
and what a decision point that cannot decide or record answers: nothing."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.api.authzen_point import COUNTED, Pace, against
from gateway.db.engine import writing
from gateway.errors import TooMany
from gateway.identity.caller import Caller
from gateway.identity.changes import disable_client, lift_stop, raise_stop
from gateway.identity.store import Contents
from gateway.journal.counters import Counters
from gateway.policy.decision_log import event
from gateway.policy.port import Decision, PolicyUnavailable, RowRule, Usage
from gateway.serving.asking import used
from tests.authzen_factory import (
    ALLOWED,
    BUREAU,
    changed,
    enter_bureau,
    evaluate,
    recorded,
)
from tests.factories_identity import act, suspend
from tests.gateway_factory import Gateway
from tests.policy_factory import GOLDEN, ask, embedded

QUOTAS = (
    "rps", "calls_day", "cells_day", "cells_month", "distinct_queries_day", "persons_day",
    "calls_per_person_day", "queries_per_study", "queries_month", "reports_month",
    "downloads_month", "datasets_month",
)  # fmt: skip
ADDRESS = "/access/v1/evaluation"
NOON = datetime(2025, 6, 2, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def point(gateway: Gateway) -> Gateway:
    if BUREAU not in gateway.machines:
        enter_bureau(gateway)
    return gateway


def test_without_a_token_or_with_a_stolen_one_nobody_is_answered(point: Gateway) -> None:
    stolen = {"Authorization": f"DPoP {point.token(BUREAU)}"}
    bearer = {"Authorization": f"Bearer {point.token(BUREAU)}"}
    for headers in ({}, stolen, bearer, {"Authorization": "DPoP x.y.z"}):
        reply = point.http.post(ADDRESS, json=ALLOWED, headers=headers)
        assert reply.status_code == 401
        assert "decision" not in reply.json()


@pytest.mark.parametrize("client", ["ins-app", "pha-app"])
@pytest.mark.parametrize("path", ["evaluation", "evaluations"])
def test_another_kind_of_organisation_is_refused_and_its_attempt_on_record(
    point: Gateway, client: str, path: str
) -> None:
    for body in (ALLOWED, {"anything": "else"}, {**ALLOWED, "evaluations": [{}, {}]}):
        reply = evaluate(point, body, client=client, path=path)
        assert reply.status_code == 403
        assert reply.json()["code"] == "D302"
    last = recorded(point)[-1]
    assert last["audit"]["actor"]["client"] == client
    assert last["audit"]["result"] == "refused"
    assert last["audit"]["deny_codes"] == ["D302"]


def test_nobody_may_ask_about_itself_either(point: Gateway) -> None:
    """An insurer learns its own decisions at the services, where they cost and count."""
    subject = {"type": "tenant", "id": "T-INS", "properties": {"ip": "127.0.0.1"}}
    assert evaluate(point, {**ALLOWED, "subject": subject}, client="ins-app").status_code == 403


def test_a_suspended_bureau_system_is_not_heard(point: Gateway) -> None:
    client, identity = enter_bureau(point, "bureau-suspended"), point.app.state.identity
    assert evaluate(point, ALLOWED, client).status_code == 200
    suspend(identity, f"T-{client}")
    identity.directory.refresh()
    reply = evaluate(point, ALLOWED, client)
    assert (reply.status_code, reply.json()["code"]) == (401, "token_revoked")


def test_a_disabled_client_is_not_heard(point: Gateway) -> None:
    client, identity = enter_bureau(point, "bureau-disabled"), point.app.state.identity
    assert evaluate(point, ALLOWED, client).status_code == 200
    with writing(identity.engine) as session:
        disable_client(session, act(), client)
    identity.directory.refresh()
    assert evaluate(point, ALLOWED, client).status_code == 401


def test_an_emergency_stop_holds_for_the_bureaus_own_systems_too(point: Gateway) -> None:
    client, identity = enter_bureau(point, "bureau-stopped"), point.app.state.identity
    with writing(identity.engine) as session:
        raise_stop(session, act(), "tenant", f"T-{client}")
    identity.directory.refresh()
    reply = evaluate(point, ALLOWED, client)
    assert (reply.status_code, reply.json()["code"]) == (403, "D102")


def test_a_stop_on_whom_it_is_about_makes_the_answer_no(point: Gateway) -> None:
    identity = point.app.state.identity
    try:
        with writing(identity.engine) as session:
            raise_stop(session, act(), "tenant", "T-INS")
        point.app.state.desk.editions.live.follow(_contents(point))
        answer = evaluate(point, ALLOWED).json()
    finally:
        with writing(identity.engine) as session:
            lift_stop(session, act(), "tenant", "T-INS")
        point.app.state.desk.editions.live.follow(_contents(point))
    assert answer["decision"] is False
    assert answer["context"]["deny"] == ["D102"]


def _contents(point: Gateway) -> Contents:
    """The directory as it is now."""
    directory = point.app.state.identity.directory
    directory.refresh()
    found: Contents = directory.snapshot.contents
    return found


def test_a_token_that_acts_for_a_person_asks_about_nobody_else(point: Gateway) -> None:
    directory = point.app.state.identity.directory
    own = Caller(f"T-{BUREAU}", "bureau", BUREAU, "prod", "127.0.0.1", "t-1")
    details = ({"services": ["S21"]},)
    for_somebody = replace(own, subject="s", gid="g", authorization_details=details)
    bounds = point.app.state.decision_point.bounds()
    assert against(own, bounds, directory.snapshot) is None
    assert against(for_somebody, bounds, directory.snapshot) == "D103"


def test_without_policy_or_journal_there_is_no_decision(own_gateway: Gateway) -> None:
    enter_bureau(own_gateway)
    own_gateway.app.state.desk.policy.close()
    batch = {**ALLOWED, "evaluations": [{}, {}]}
    for path, body in (("evaluation", ALLOWED), ("evaluations", batch)):
        reply = evaluate(own_gateway, body, path=path)
        assert (reply.status_code, reply.json()["code"]) == (503, "policy_unavailable")
        assert "decision" not in reply.json()
        assert reply.headers["retry-after"]
    told = [each["audit"]["deny_codes"] for each in recorded(own_gateway)]
    assert told == [["D000"], ["D000"]]

    own_gateway.app.state.desk.journal.close()
    for body in (ALLOWED, changed(context={"purpose": "curiosity"}), changed(context={"mood": 1})):
        reply = evaluate(own_gateway, body)
        assert reply.status_code == 503
        assert "decision" not in reply.json()


def test_a_policy_that_fails_in_the_middle_of_a_batch_takes_the_batch_with_it(
    point: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(recorded(point))
    policy = point.app.state.desk.policy
    decide, asked = policy.decide_soon, []

    async def fails_later(question: object) -> object:
        asked.append(question)
        if len(asked) == 2:
            raise PolicyUnavailable("timeout")
        return await decide(question)

    monkeypatch.setattr(policy, "decide_soon", fails_later)
    reply = evaluate(point, {**ALLOWED, "evaluations": [{}, {}, {}]}, path="evaluations")
    assert reply.status_code == 503
    assert "evaluations" not in reply.json()
    assert [each["audit"]["result"] for each in recorded(point)[before:]] == ["answered", "refused"]


def test_no_person_is_named_in_logs_journal_or_answer(
    point: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    who = {"subject_ref": "ref-of-a-person", "consent_id": "c-of-a-person"}
    with caplog.at_level(logging.DEBUG):
        first = evaluate(point, changed(context=who))
        second = evaluate(point, changed(context=who | {"cells": "many"}))
    written = point.settings.journal.read_bytes()
    wal = point.settings.journal.with_name(point.settings.journal.name + "-wal")
    written += wal.read_bytes() if wal.exists() else b""
    assert first.status_code == second.status_code == 200
    assert "ref-of-a-person" not in first.text + second.text + caplog.text
    assert b"ref-of-a-person" not in written


def test_the_pace_is_of_evaluations_not_of_calls_and_each_clients_own() -> None:
    pace = Pace()
    pace.take("a", 6, 10, NOON)
    pace.take("b", 10, 10, NOON)
    with pytest.raises(TooMany) as refused:
        pace.take("a", 5, 10, NOON)
    assert refused.value.code == "D801"
    pace.take("a", 4, 10, NOON)
    pace.take("a", 10, 10, NOON + timedelta(seconds=1))


def test_who_asks_too_fast_is_told_to_wait(point: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    said = point.app.state.desk.editions.live.prepared.edition.documents["authzen"]
    monkeypatch.setitem(said, "evaluations_second", 1)
    reply = evaluate(point, {**ALLOWED, "evaluations": [{}, {}]}, path="evaluations")
    assert (reply.status_code, reply.json()["code"]) == (429, "D801")
    assert reply.headers["retry-after"] == "1"


def test_strangers_cannot_fill_the_journal_with_their_attempts(
    point: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = point.app.state.desk.editions.live.prepared.edition.documents["authzen"]
    monkeypatch.setitem(said, "evaluations_second", 0)
    before = len(recorded(point))
    assert evaluate(point, ALLOWED, client="ins-app").status_code == 429
    assert len(recorded(point)) == before


def test_what_is_counted_is_what_the_counters_tell() -> None:
    counters = Counters()
    for query in ("a", "b"):
        counters.reserve("g", query, 5, NOON, tenant="t", estimate_fen=7)
    told = used(counters.reserve("g", "c", 5, NOON, tenant="t", estimate_fen=7))
    filled = {name for name in Usage.model_fields if getattr(told, name)}
    assert filled & set(QUOTAS) == COUNTED


def test_a_settlement_named_in_a_condition_is_masked_in_the_journal() -> None:
    question = ask(GOLDEN["SC01"], params={"setl_id": "S-110101", "invono": "I-110101"})
    rules = (RowRule("setl_d.setl_id", "in", ("S-110101",)),)
    policy = embedded()
    decision = policy.decide(ask(GOLDEN["SC01"]))
    policy.close()
    assert decision.obligations is not None
    allowed = replace(decision, obligations=replace(decision.obligations, rows=rules))
    assert "110101" not in str(event(question, allowed)["result"])
    assert "110101" not in str(event(question, allowed)["input"]["params"])


@pytest.mark.parametrize("word", ["张三 110101", "sold to somebody", "x" * 65])
def test_a_declared_use_that_is_no_word_is_not_kept(word: str) -> None:
    question = ask(GOLDEN["SC01"], params={"declared_use": word})
    logged = event(question, Decision(False, ("D303",), None, "v", "d"))
    assert word not in str(logged)
    assert logged["erased"] == ["/input/params/declared_use"]
