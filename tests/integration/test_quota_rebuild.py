"""`sluice quota rebuild` opens the count with what the journals of a home show, and no less."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from gateway.cli.quota import rebuild
from gateway.errors import OperatorError
from gateway.identity.desk import open_identity
from gateway.journal.sqlite import SqliteJournal
from gateway.quota.port import Begun, Key, QuotaUnproven
from gateway.quota.valkey import ValkeyStore, _asking
from gateway.settings import Settings
from metering.calendar import day_of, month_of
from tests.crash_harness import free_port
from tests.journal_factory import answered

pytestmark = pytest.mark.services


def home_of_two(home: Path, now: datetime) -> list[str]:
    """Two stopped nodes of a home: one answered twice, the other once; their journals' ids."""
    open_identity(Settings(home=home)).close()
    ids = []
    for name, numbers in (("journal.db", (1, 2)), ("journal-b.db", (3,))):
        with closing(SqliteJournal.open(home / name, home / "keys", now)) as journal:
            for number in numbers:
                journal.record_now(answered(number, time=now))
            ids.append(journal.journal_id)
    return ids


async def begun(url: str, holder: str) -> Begun:
    store = ValkeyStore(url)
    try:
        return await store.begin(holder)
    finally:
        await store.close()


def test_a_rebuilt_count_has_what_each_node_used(
    tmp_path: Path, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    first, second = home_of_two(tmp_path, now)
    (tmp_path / "url").write_text(valkey_url)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_QUOTA_STORE", "redis")
    monkeypatch.setenv("SLUICE_REDIS_URL_FILE", str(tmp_path / "url"))
    rebuild(None, None, None, all_stopped=True)
    day, month = day_of(now), month_of(now)
    for holder, calls, fen in ((first, 2, 4000), (second, 1, 4000)):
        held = {
            key: lease.held for key, lease in asyncio.run(begun(valkey_url, holder)).held.items()
        }
        assert held == {
            Key("grant", "g-life", "calls_day", day): calls,
            Key("grant", "g-life", "cells_day", day): 500 * calls,
            Key("grant", "g-life", "distinct_queries_day", day): calls,
            Key("grant", "g-life", "cells_month", month): 500 * calls,
            Key("grant", "g-life", "spent_month_fen", month): fen,
            Key("tenant", "t-life", "tenant_spent_month_fen", month): fen,
        }


def test_it_says_so_when_the_store_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "url").write_text(f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_QUOTA_STORE", "redis")
    monkeypatch.setenv("SLUICE_REDIS_URL_FILE", str(tmp_path / "url"))
    with pytest.raises(OperatorError, match="cannot be reached"):
        rebuild(None, None, None, all_stopped=True)


def test_on_a_schedule_it_opens_a_lost_count_and_leaves_an_open_one_alone(
    tmp_path: Path, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home_of_two(tmp_path, datetime.now(UTC))
    (tmp_path / "url").write_text(valkey_url)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_QUOTA_STORE", "redis")
    monkeypatch.setenv("SLUICE_REDIS_URL_FILE", str(tmp_path / "url"))
    epochs = []
    for _ in range(2):
        rebuild(None, None, None, all_stopped=True, unless_open=True)
        epochs.append(asyncio.run(begun(valkey_url, "somebody")).epoch)
    assert epochs[0] == epochs[1]
    with redis.Redis.from_url(valkey_url) as server:
        server.flushdb()  # as after a restart
    rebuild(None, None, None, all_stopped=True, unless_open=True)
    assert asyncio.run(begun(valkey_url, "somebody")).epoch != epochs[0]


def test_a_connection_that_closed_while_written_to_is_a_count_that_cannot_be_asked() -> None:
    async def ask() -> None:
        async with _asking():
            raise RuntimeError("unable to perform operation; the handler is closed")

    with pytest.raises(QuotaUnproven):
        asyncio.run(ask())


@pytest.mark.parametrize("journals", [True, False])
def test_it_waits_for_gateways_that_cannot_be_seen_from_here(
    journals: bool,
    tmp_path: Path,
    valkey_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if journals:
        home_of_two(tmp_path, datetime.now(UTC))
    else:
        open_identity(Settings(home=tmp_path)).close()
    (tmp_path / "url").write_text(valkey_url)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_QUOTA_STORE", "redis")
    monkeypatch.setenv("SLUICE_REDIS_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setattr("gateway.cli.quota.TTL", 0.2)
    monkeypatch.setattr("gateway.cli.quota.GRACE", 0.8)
    rebuild(None, None, None)
    assert "Waiting 1 s for what gateways may still hold" in capsys.readouterr().err
