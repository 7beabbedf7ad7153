"""The audit trail in the central store: listed by key as files are."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gateway.audit.archive_store import archive_store
from gateway.audit.central import verify_store
from gateway.db.event_ids import tick_of, uuid7
from gateway.db.office_journal import Sought
from gateway.journal import listing
from gateway.journal.checkpoint import PUBLIC_KEY, public_key, signing_key
from gateway.journal.looking import CentralStore
from tests.journal_factory import NOON, answered, event_id, refused
from tests.journal_store import record_all

pytestmark = pytest.mark.services
CALLS = 30


@pytest.fixture
def looking(store: Any, tmp_path: Path) -> CentralStore:
    entries = [answered(n) if n % 3 else refused(n) for n in range(1, CALLS + 1)]
    with closing(store.open(tmp_path)) as journal:
        assert record_all(journal, entries) == [None] * CALLS
    return CentralStore(store.dsn)


def test_events_are_listed_by_key_newest_first(looking: CentralStore) -> None:
    whole = looking.events(Sought(), 500)
    assert [one.event_id for one in whole] == [event_id(n) for n in range(CALLS, 0, -1)]
    first = looking.events(Sought(), 7)
    second = looking.events(Sought(before=first[-1].event_id), 7)
    assert [*first, *second] == whole[:14]
    assert len(looking.events(Sought(result="refused", tenant="t-life"), 500)) == CALLS // 3
    assert [one.event_id for one in looking.events(Sought(request="r4"), 5)] == [event_id(4)]
    assert looking.events(Sought(kind="alarm"), 5) == []
    assert all(one.decision for one in whole)


def test_the_index_is_what_lists_them(store: Any, looking: CentralStore) -> None:
    statement, values = listing.stored(Sought(kind="alarm"), 50)
    store.ask(f"ALTER ROLE {store.role} SET enable_seqscan = off")
    store.ask(f"ALTER ROLE {store.role} SET enable_sort = off")
    told = "\n".join(
        str(row[0]) for row in store.ask(f"EXPLAIN {statement}", *values, dsn=looking.dsn)
    )
    assert "Index Scan Backward using audit_listing" in told


EVENTS, DAYS = 24, 100


def at(number: int) -> datetime:
    return NOON + timedelta(days=DAYS * number)


@pytest.fixture
def years(store: Any, tmp_path: Path) -> Path:
    """Six and a half years of calls in the store."""
    entries = []
    for number in range(EVENTS):
        name = uuid7(tick_of(at(number)), number)
        entry = answered(number + 1)
        used = entry.usage and replace(entry.usage, event_id=name, time=at(number))
        entries.append(replace(entry, event_id=name, time=at(number), usage=used))
    with closing(store.open(tmp_path)) as journal:
        assert record_all(journal, entries) == [None] * EVENTS
    return tmp_path


def verdict(store: Any, home: Path) -> Any:
    """Of the chain that has the calls."""
    found = verify_store(store.dsn, home, public_key(home / "keys" / PUBLIC_KEY))
    return next(each for _, each in found if each.events)


def test_the_owner_archives_what_is_old_and_the_chain_goes_on(store: Any, years: Path) -> None:
    looking, key = CentralStore(store.dsn), signing_key(years / "keys")
    listed = looking.events(Sought(), 500)
    assert verdict(store, years).findings == ()
    made, gone = archive_store(store.owner, years, key, at(EVENTS), expire=True)
    (manifest,) = made
    last = EVENTS - 2  # of 100 days apart, the two newest are within 180
    assert (manifest.first, manifest.last, gone) == (1, last, [])
    stubs = store.ask("SELECT count(*) FROM audit_event WHERE body LIKE '{\"archived\"%'")
    assert stubs == [(last,)]
    told = verdict(store, years)
    assert (told.events, told.findings) == (EVENTS, ())
    assert [one.event_id for one in looking.events(Sought(), 500)] == [
        one.event_id for one in listed
    ]
    assert archive_store(store.owner, years, key, at(EVENTS)) == ([], [])
    next((years / f"{manifest.journal}.archive").glob("*.gz")).unlink()
    assert {each.code for each in verdict(store, years).findings} == {"archive", "archive_missing"}


@pytest.mark.parametrize("who", ["dsn", "owner"])
def test_nobody_takes_a_body_out_of_the_store_otherwise(store: Any, years: Path, who: str) -> None:
    del years
    with pytest.raises(asyncpg.PostgresError):
        store.ask("UPDATE audit_event SET body = '{}'", dsn=getattr(store, who))


def test_the_gateways_role_cannot_archive(store: Any, years: Path) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        archive_store(store.dsn, years, signing_key(years / "keys"), at(EVENTS))


def test_after_five_years_the_files_go(
    store: Any,
    years: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.audit.archive_store.SEGMENT", 4)
    key = signing_key(years / "keys")
    _, gone = archive_store(store.owner, years, key, at(EVENTS), expire=True)
    assert gone == ["000000000001-000000000004"]
    told = verdict(store, years)
    assert (told.events, told.findings) == (EVENTS, ())
    (folder,) = years.glob("*.archive")
    assert not (folder / f"{gone[0]}.jsonl.gz").exists()
    assert (folder / f"{gone[0]}.json").exists()
