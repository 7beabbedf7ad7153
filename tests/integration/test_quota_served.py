"""Two real gateways on one home share a quota; what callers are told; what refuses to start."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import orjson
import pytest

from gateway.app import create_app
from gateway.errors import OperatorError
from gateway.quota.leases import PAUSE
from gateway.quota.opening import open_store
from gateway.quota.valkey import ValkeyStore
from gateway.settings import Settings
from sluice_client.proof import ProvenBy
from tests.gateway_factory import (
    COST,
    LARGE,
    TODAY,
    Gateway,
    copy_home,
    copy_policies,
    free_port,
    running,
    serving,
)
from tests.journal_store import Store

CALLS = 6
PATH = "/v1/services/S02/queries"


class Behind(httpx.HTTPTransport):
    """Sends everything to one port, as a load balancer would."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(port=self._port)
        return super().handle_request(request)


@contextmanager
def two_nodes(released: Path, folder: Path, url: str) -> Iterator[tuple[Gateway, httpx.Client]]:
    """A gateway, and another one on its home under another name; both sit behind one address."""
    (folder / "url").write_text(url)
    policies = copy_policies(folder / "policies", {**LARGE, "calls_day": CALLS})
    home = copy_home(released, folder / "home")
    shared = {"quota_store": "redis", "redis_url_file": folder / "url"}
    with serving(home, policies, **shared) as one:
        own = {"port": free_port(), "node": "b", "issuer": one.settings.base_url}
        other = Settings(home=home, policies=policies, **own, **shared)
        with running(create_app(other, one.clock), other):
            behind = Behind(other.port)
            with httpx.Client(base_url=one.settings.base_url, transport=behind) as line:
                yield one, line


def open_count(url: str) -> None:
    async def walk() -> None:
        count = ValkeyStore(url)
        await count.open({})
        await count.close()

    asyncio.run(walk())


def fields(header: str) -> dict[str, dict[str, int]]:
    """A RateLimit header by the names of its quotas."""
    found = {}
    for item in header.split(", "):
        name, *parameters = item.split(";")
        found[name.strip('"')] = {p.split("=")[0]: int(p.split("=")[1]) for p in parameters}
    return found


@pytest.mark.services
def test_two_gateways_serve_the_quota_once_and_say_what_is_left(
    released_home: Path, tmp_path: Path, valkey_url: str
) -> None:
    with two_nodes(released_home, tmp_path, valkey_url) as (one, line):
        unproven = one.ask()
        assert unproven.status_code == 503
        assert unproven.json()["code"] == "quota_unproven"
        assert int(unproven.headers["retry-after"]) >= 1
        assert one.get("/v1/usage").json()["usage"] == []
        open_count(valkey_url)
        time.sleep(2 * PAUSE)  # both nodes ask again
        statuses = []
        # Each node judges proofs by nonces of its own.
        there = ProvenBy(one.machines["ins-app"].key, one.clock, one.token())
        line.get("/v1/usage", auth=there)
        for number in range(CALLS + 2):
            node, auth = (line, there) if number % 2 else (one.http, one.auth())
            reply = node.post(PATH, json=COST, auth=auth)
            assert reply.status_code in {200, 429}, reply.text
            statuses.append(reply.status_code)
        assert sorted(statuses) == [200] * CALLS + [429] * 2
        assert reply.json()["deny"] == ["D802"]
        told, policy = fields(reply.headers["ratelimit"]), fields(reply.headers["ratelimit-policy"])
        assert told["calls_day"]["r"] == 0
        assert policy["calls_day"] == {"q": CALLS, "w": 86_400}
        assert policy["cells_month"]["w"] == 30 * 86_400
        assert set(told) == {"calls_day", "cells_day", "cells_month", "distinct_queries_day"}
        midnight = one.clock().replace(hour=16, minute=0, second=0, microsecond=0)
        left = (midnight - one.clock()).total_seconds()
        for seconds in (int(reply.headers["retry-after"]), told["calls_day"]["t"]):
            assert left - 5 <= seconds <= left + 60


def test_an_unproven_call_is_on_record_as_failed(
    released_home: Path, tmp_path: Path, unused_url: str
) -> None:
    with two_nodes(released_home, tmp_path, unused_url) as (one, _):
        assert one.ask().json()["code"] == "quota_unproven"
        with closing(sqlite3.connect(one.settings.journal)) as db:
            rows = db.execute("SELECT body FROM audit_event ORDER BY seq DESC LIMIT 1").fetchall()
        assert orjson.loads(rows[0][0])["result"] == "failed"


@pytest.fixture
def unused_url() -> str:
    return f"redis://127.0.0.1:{free_port()}/0"


def test_the_embedded_count_refuses_beside_another_node_that_answered_this_month(
    released_home: Path, tmp_path: Path
) -> None:
    home = copy_home(released_home, tmp_path / "home")
    policies = copy_policies(tmp_path / "policies")
    with serving(home, policies, node="b") as gateway:
        assert gateway.ask().status_code == 200
        settings = Settings(home=home, policies=policies, port=free_port())
        with pytest.raises(
            OperatorError, match=r"journal-b\.db lies beside journal\.db"
        ) as refused:
            create_app(settings, gateway.clock)
        assert refused.value.code == "quota_alone"
        later = gateway.clock() + timedelta(days=40)
    create_app(settings, lambda: later)  # what was used in another month is nobody's quota now


def test_a_gateway_that_counts_for_itself_and_one_that_shares_do_not_serve_one_home(
    released_home: Path, tmp_path: Path, unused_url: str
) -> None:
    home = copy_home(released_home, tmp_path / "home")
    policies = copy_policies(tmp_path / "policies")
    (tmp_path / "url").write_text(unused_url)
    shared = {"quota_store": "redis", "redis_url_file": tmp_path / "url"}
    with serving(home, policies) as gateway:
        other = Settings(home=home, policies=policies, node="b", port=free_port(), **shared)
        with pytest.raises(OperatorError, match="counts the quotas for itself") as refused:
            create_app(other, gateway.clock)
        assert refused.value.code == "quota_alone"
        clock = gateway.clock
    create_app(other, clock)  # nobody is left who would not know of it


@pytest.mark.services
def test_the_embedded_count_refuses_where_another_host_records_into_the_same_store(
    released_home: Path,
    tmp_path: Path,
    store: Store,
) -> None:
    store.open(tmp_path / "elsewhere", "far", now=TODAY, clock=lambda: TODAY).close()
    (tmp_path / "dsn").write_text(store.dsn)
    settings = Settings(
        home=copy_home(released_home, tmp_path / "home"),
        policies=copy_policies(tmp_path / "policies"),
        port=free_port(),
        postgres_dsn_file=tmp_path / "dsn",
    )
    with pytest.raises(OperatorError, match="Node far recorded into the same") as refused:
        create_app(settings, lambda: TODAY)
    assert refused.value.code == "quota_alone"
    create_app(settings, lambda: TODAY + timedelta(days=40)).state.desk.journal.close()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"quota_store": "redis"}, "needs redis_url_file"),
        ({"quota_store": "postgres"}, "needs postgres_dsn_file"),
        ({"quota_store": "redis", "redis_url_file": "nowhere"}, "cannot be read"),
        ({"quota_store": "redis", "redis_url_file": "empty"}, "is empty"),
        ({"quota_store": "redis", "redis_url_file": "wrong"}, "must hold redis://"),
    ],
)
def test_start_says_what_is_missing(tmp_path: Path, given: dict[str, str], sentence: str) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "wrong").write_text("ftp://nothing")
    paths = {name: tmp_path / value for name, value in given.items() if name.endswith("file")}
    settings = Settings(home=tmp_path, **{**given, **paths})  # type: ignore[arg-type]  # checked there
    with pytest.raises(OperatorError, match=sentence):
        open_store(settings)
