"""A question asked again is answered from what is kept of it, and recorded as if nothing were kept.

What changes underneath (release, grant, edition, day, quota) is seen by the next request.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.db.engine import writing
from gateway.identity.changes import lift_stop, raise_stop
from gateway.identity.entries import TenantUpdate
from gateway.identity.organisations import update_tenant
from gateway.releases.shelf import withdraw
from gateway.serving.again import Known
from gateway.serving.answer import Desk
from tests.factories_identity import act
from tests.gateway_factory import COST, Gateway, caught_up

EACH_AUDIT = {
    "seq", "event_id", "request_id", "decision_id", "time", "latency_ms", "output_hash",
    "watermark_tag", "decision_hash", "usage_hash", "bytes",
}  # fmt: skip
EACH_USAGE = {"seq", "event_id", "request_id", "decision_id", "time"}
EACH_META = {"watermark", "decision_id", "request_id", "trace_id", "time", "quota"}
COUNTERS = {"rps", "calls_day", "cells_day", "cells_month"}


def desk(gateway: Gateway) -> Desk:
    found: Desk = gateway.app.state.desk
    return found


def answered(reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def meta_of(reply: httpx.Response) -> dict[str, Any]:
    inside = reply.headers["content-type"].startswith("application/json")
    told = reply.json()["meta"] if inside else json.loads(reply.headers["sluice-meta"])
    return dict(told)


def recorded(gateway: Gateway, request_id: str) -> tuple[dict[str, Any], ...]:
    """Audit event, decision and usage of a request, without what is each answer's own."""
    with closing(sqlite3.connect(gateway.settings.journal)) as db:
        db.row_factory = sqlite3.Row

        def row(table: str) -> sqlite3.Row:
            sql = f"SELECT * FROM {table} WHERE request_id = ?"
            return db.execute(sql, (request_id,)).fetchone()  # type: ignore[no-any-return]  # a row

        audit, decision = (
            json.loads(row("audit_event")["body"]),
            json.loads(row("decision")["body"]),
        )
        usage = dict(row("usage_event"))
    assert decision["timestamp"] == decision["input"]["time"]
    assert decision["input"]["request_id"] == request_id
    for name in ("request_id", "time"):
        decision["input"].pop(name)
    for name in COUNTERS:
        decision["input"]["usage"].pop(name)
    for name in ("decision_id", "timestamp"):
        decision.pop(name)
    for name in ("token", "interaction_id", "trace_id"):
        assert audit["actor"].pop(name)
    return (
        {name: value for name, value in audit.items() if name not in EACH_AUDIT},
        decision,
        {name: value for name, value in usage.items() if name not in EACH_USAGE},
    )


@pytest.fixture
def kept(gateway: Gateway) -> Known:
    """What is kept by the common gateway: nothing yet."""
    known = desk(gateway).known
    known.clear()
    return known


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """By which way each question was answered."""
    gone: list[str] = []
    for name, way in (("_hand_over", "whole"), ("_hand_over_again", "kept")):
        real = getattr(Desk, name)

        async def noted(
            self: Desk, *args: Any, real: Any = real, way: str = way, **more: Any
        ) -> Any:
            gone.append(way)
            return await real(self, *args, **more)

        monkeypatch.setattr(Desk, name, noted)
    return gone


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
def test_what_is_kept_answers_and_records_as_the_whole_way_does(
    gateway: Gateway, kept: Known, ways: list[str], accept: str
) -> None:
    asked = {**COST, "page_size": 3}
    told = {"Accept": accept}
    gateway.ask(body=asked, headers=told)
    again = gateway.ask(body=asked, headers=told)
    kept.clear()
    anew = gateway.ask(body=asked, headers=told)
    assert ways == ["whole", "kept", "whole"]
    ids = [reply.headers["sluice-request-id"] for reply in (again, anew)]
    assert recorded(gateway, ids[0]) == recorded(gateway, ids[1])
    assert {*again.headers} == {*anew.headers}
    metas = [
        reply.json()["meta"]
        if accept.endswith("json")
        else json.loads(reply.headers["sluice-meta"])
        for reply in (again, anew)
    ]
    assert [*metas[0]] == [*metas[1]]
    for name in metas[0].keys() - EACH_META:
        assert metas[0][name] == metas[1][name], name
    for name in EACH_META - {"quota"}:
        assert metas[0][name] != metas[1][name], name
    if accept.endswith("json"):
        assert again.json()["data"] == anew.json()["data"]
    else:
        assert again.content == anew.content


def test_every_answer_counts_and_is_marked_and_none_is_kept_under_a_key(
    gateway: Gateway, kept: Known, ways: list[str]
) -> None:
    metas = [answered(gateway.ask())["meta"] for _ in range(4)]
    left = [meta["quota"]["calls_day"]["remaining"] for meta in metas]
    assert left == [left[0] - at for at in range(4)]
    assert len({meta["watermark"] for meta in metas}) == 4
    key = {"Idempotency-Key": "kept-or-not-1"}
    twice = [gateway.ask(headers=key) for _ in range(2)]
    assert "idempotent-replayed" in twice[1].headers
    assert ways == ["whole", "kept", "kept", "kept", "whole", "whole"]


@pytest.mark.parametrize(
    ("body", "client"),
    [(COST | {"geo": ["990100"], "page_size": 7}, "ins-app"), (COST, "ins2-app")],
)
def test_another_question_or_caller_goes_the_whole_way(
    gateway: Gateway, kept: Known, ways: list[str], body: dict[str, Any], client: str
) -> None:
    answered(gateway.ask())
    answered(gateway.ask(body=body, client=client))
    assert ways == ["whole", "whole"]


def test_the_next_request_sees_what_was_changed(own_gateway: Gateway, ways: list[str]) -> None:
    gateway, identity = own_gateway, own_gateway.app.state.identity
    for _ in range(2):
        first = answered(gateway.ask())
    assert ways == ["whole", "kept"]

    # Another day: other grants may be active, other prices hold.
    gateway.clock.shift += timedelta(days=1)
    answered(gateway.ask())
    answered(gateway.ask())
    assert ways == ["whole", "kept", "whole", "kept"]

    # What the organisation may owe is data of the rules: a decision of before does not hold.
    with writing(identity.engine) as session:
        update_tenant(session, act(), "T-INS", TenantUpdate(credit_limit_fen=10**9))
    identity.directory.refresh()
    caught_up(gateway.app)
    answered(gateway.ask())
    answered(gateway.ask())
    assert ways[4:] == ["whole", "kept"]

    # Whom the office stops is stopped with the next question, however often it was answered.
    with writing(identity.engine) as session:
        raise_stop(session, act(reason="a test"), "tenant", "T-INS")
    identity.directory.refresh()
    caught_up(gateway.app)
    assert gateway.ask().status_code == 403
    with writing(identity.engine) as session:
        lift_stop(session, act(), "tenant", "T-INS")
    identity.directory.refresh()
    caught_up(gateway.app)
    answered(gateway.ask())
    assert ways.pop() in {"whole", "kept"}

    # The release is taken out of service; nothing is left to be answered from.
    withdraw(gateway.settings.releases, first["meta"]["release"], "a test", gateway.clock())
    desk(gateway).releases.refresh()
    assert gateway.ask().status_code != 200
    assert ways[6:] == []


def test_a_quota_refuses_what_is_kept(own_gateway_with: Any, ways: list[str]) -> None:
    gateway = own_gateway_with(calls_day=3)
    told = [gateway.ask().status_code for _ in range(5)]
    assert told == [200, 200, 200, 429, 429]
    assert len(ways) == 3
