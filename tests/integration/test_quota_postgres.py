"""PostgreSQL under the quotas: a server that does not sync is no store, and what nodes recorded
straight into it counts when the count is opened anew."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.cli.quota import rebuild
from gateway.identity.desk import open_identity
from gateway.quota.port import Begun, Key, QuotaUnproven
from gateway.quota.postgres import PostgresStore
from gateway.quota.valkey import ValkeyStore
from gateway.settings import Settings
from metering.calendar import day_of, month_of
from tests.journal_factory import answered
from tests.journal_store import Store
from tests.postgres_server import postgres_server

pytestmark = pytest.mark.services


def test_a_server_that_does_not_sync_gives_no_leases() -> None:
    async def ask(dsn: str) -> None:
        count = PostgresStore(dsn)
        try:
            await count.begin("node")
        finally:
            await count.close()

    with postgres_server(fsync="off") as server, pytest.raises(QuotaUnproven) as refused:
        asyncio.run(ask(server.dsn()))
    assert refused.value.reason == "fsync is off"


async def begun(url: str, holder: str) -> Begun:
    count = ValkeyStore(url)
    try:
        return await count.begin(holder)
    finally:
        await count.close()


def test_a_rebuilt_count_has_what_nodes_recorded_straight_into_postgresql(
    tmp_path: Path,
    valkey_url: str,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = datetime.now(UTC)
    open_identity(Settings(home=tmp_path)).close()
    ids = []
    for node, numbers in (("main", (1, 2)), ("b", (3,))):
        with closing(store.open(tmp_path, node, now=now)) as journal:
            for number in numbers:
                journal.record_now(answered(number, time=now))
            assert journal._spool.head.seq == 0
            ids.append(journal.journal_id)
    (tmp_path / "url").write_text(valkey_url)
    (tmp_path / "dsn").write_text(store.dsn)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_QUOTA_STORE", "redis")
    monkeypatch.setenv("SLUICE_REDIS_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("SLUICE_POSTGRES_DSN_FILE", str(tmp_path / "dsn"))
    rebuild(None, None, None, all_stopped=True)
    for holder, calls in zip(ids, (2, 1), strict=True):
        held = asyncio.run(begun(valkey_url, holder)).held
        assert held[Key("grant", "g-life", "calls_day", day_of(now))].held == calls
        assert held[Key("grant", "g-life", "cells_month", month_of(now))].held == 500 * calls
        assert held[Key("tenant", "t-life", "tenant_spent_month_fen", month_of(now))].held == 4000
