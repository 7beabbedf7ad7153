"""Idempotency-Key over real HTTP: a repeat is the same answer, counted and charged once."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateway.audit.reconcile import reconcile
from gateway.journal.idempotency import KEPT
from gateway.serving.accept import ARROW, CSV
from tests.gateway_factory import COST, DRUGS, Gateway


@pytest.fixture
def key() -> str:
    """A key that nobody used."""
    return str(uuid4())


def rows(gateway: Gateway, query: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(gateway.settings.journal)) as db:
        return db.execute(query, values).fetchall()


def ask(gateway: Gateway, key: str, body: dict[str, Any] = COST, **how: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key, **how.pop("headers", {})}
    return gateway.ask("S02", body, headers=headers, **how)


def hashed(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def code(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]


def counted(gateway: Gateway) -> list[tuple[Any, ...]]:
    return rows(gateway, "SELECT count(*), sum(qty), sum(billable_qty) FROM usage_event")


def test_a_repeat_is_the_same_answer_and_counted_once(gateway: Gateway, key: str) -> None:
    first = ask(gateway, key)
    before = counted(gateway)
    again = ask(gateway, key)

    assert (first.status_code, again.status_code) == (200, 200)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["data"] == first.json()["data"]
    assert again.json()["meta"]["charge"] == first.json()["meta"]["charge"]
    assert counted(gateway) == before


def test_the_second_delivery_is_on_record_as_a_repeat_of_the_event(
    gateway: Gateway, key: str
) -> None:
    ask(gateway, key)
    again = ask(gateway, key)

    ((event, kept),) = rows(
        gateway,
        "SELECT json_extract(body, '$.event_id'), json_extract(body, '$.idempotency_key')"
        " FROM audit_event WHERE json_extract(body, '$.idempotency_key') = ?",
        hashed(key).hex(),
    )
    ((repeats, hash_of_what_left),) = rows(
        gateway,
        "SELECT json_extract(body, '$.repeats'), json_extract(body, '$.output_hash')"
        " FROM audit_event WHERE result = 'repeated' AND request_id = ?",
        again.headers["Sluice-Request-Id"],
    )
    assert repeats == event
    assert hashlib.sha256(again.content).hexdigest() == hash_of_what_left
    assert key not in kept
    assert not reconcile(gateway.settings.journal).differences


@pytest.mark.parametrize("media", [CSV, ARROW])
def test_every_format_is_repeated_alike(gateway: Gateway, key: str, media: str) -> None:
    first, again = (ask(gateway, key, headers={"Accept": media}) for _ in range(2))
    assert again.headers["Idempotent-Replayed"] == "true"
    if media == CSV:
        assert again.content == first.content
    assert code(ask(gateway, key)) == (409, "idempotency_key_reused")


def test_the_same_key_for_another_request_is_refused_and_leaves_no_trace_of_cells(
    gateway: Gateway,
    key: str,
) -> None:
    ask(gateway, key)
    before = counted(gateway)
    assert code(ask(gateway, key, {**COST, "dims": []})) == (409, "idempotency_key_reused")
    assert counted(gateway) == before


@pytest.mark.parametrize(
    "wrong", ["short", "", "has space in it", "x" * 129, '"half-quoted', "käse" * 3]
)
def test_a_key_of_another_form_is_refused(gateway: Gateway, wrong: str) -> None:
    reply = gateway.ask("S02", COST, headers={"Idempotency-Key": wrong.encode()})  # type: ignore[dict-item]  # bytes as sent
    assert code(reply) == (400, "idempotency_key_invalid")


def test_quotes_are_no_part_of_a_key(gateway: Gateway, key: str) -> None:
    ask(gateway, f'"{key}"')
    assert ask(gateway, key).headers["Idempotent-Replayed"] == "true"


def test_another_tenants_key_is_another_key(gateway: Gateway, key: str) -> None:
    ask(gateway, key)
    other = gateway.ask("S09", DRUGS, client="pha-app", headers={"Idempotency-Key": key})
    assert other.status_code == 200
    assert "Idempotent-Replayed" not in other.headers
    found = rows(
        gateway, "SELECT count(DISTINCT tenant) FROM idempotency WHERE key = ?", hashed(key)
    )
    assert found == [(2,)]


def test_a_refused_call_keeps_no_key(gateway: Gateway, key: str) -> None:
    refused = ask(gateway, key, {**COST, "purpose": "advertising"})
    assert refused.status_code in {400, 403}
    assert ask(gateway, key).status_code == 200


def test_a_repeat_passes_where_the_quota_was_used_up_by_the_first(
    own_gateway_with: Callable[..., Gateway], key: str
) -> None:
    gateway = own_gateway_with(calls_day=1)
    first = ask(gateway, key)
    assert gateway.ask().status_code == 429
    again = ask(gateway, key)
    assert (again.status_code, again.json()["data"]) == (200, first.json()["data"])


def test_calls_at_the_same_time_under_one_key_are_answered_once(gateway: Gateway, key: str) -> None:
    gateway.token()
    before = counted(gateway)[0][0]
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda _: ask(gateway, key), range(8)))
    for reply in replies:
        if reply.status_code != 200:
            assert code(reply) == (409, "idempotency_in_flight")
            assert reply.headers["Retry-After"] == "1"
    fresh = [r for r in replies if r.status_code == 200 and "Idempotent-Replayed" not in r.headers]
    assert len(fresh) == 1
    assert counted(gateway)[0][0] == before + 1


def test_an_expired_key_is_free_again(own_gateway: Gateway, key: str) -> None:
    ask(own_gateway, key)
    own_gateway.clock.started += KEPT + timedelta(seconds=1)
    own_gateway._tokens.clear()
    later = ask(own_gateway, key)
    assert later.status_code == 200, later.text
    assert "Idempotent-Replayed" not in later.headers
    found = rows(own_gateway, "SELECT count(*) FROM idempotency WHERE key = ?", hashed(key))
    assert found == [(1,)]


def test_a_key_cannot_be_changed_nor_removed_before_it_expires(gateway: Gateway, key: str) -> None:
    ask(gateway, key)
    with closing(sqlite3.connect(gateway.settings.journal)) as db:
        for statement in ("UPDATE idempotency SET qty = 0", "DELETE FROM idempotency"):
            with pytest.raises(sqlite3.IntegrityError, match="key"):
                db.execute(statement)
