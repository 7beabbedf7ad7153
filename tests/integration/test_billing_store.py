"""A month stays open while the central store has not, or could not, take over what was recorded."""

from pathlib import Path

import pytest

from gateway.billing.opening import store_hindrances
from gateway.journal.sqlite import SqliteJournal
from gateway.settings import Settings
from tests.integration.test_journal_ship import shipped, spooled
from tests.journal_factory import answered
from tests.journal_store import Store

pytestmark = pytest.mark.services


def hindrances(home: Path, store: Store) -> list[str]:
    file = home / "postgres.dsn"
    file.write_text(f"{store.dsn}\n")
    file.chmod(0o600)
    return store_hindrances(Settings(home=home, postgres_dsn_file=file))


def test_a_store_that_has_everything_stands_in_no_months_way(store, tmp_path):
    shipped(store, spooled(tmp_path, answered(1), answered(2)))
    assert hindrances(tmp_path, store) == []
    assert store_hindrances(Settings(home=tmp_path)) == []


def test_events_that_were_not_shipped_keep_a_month_open(store, tmp_path):
    shipped(store, spooled(tmp_path, answered(1)))
    spooled(tmp_path, answered(2), answered(3))
    assert hindrances(tmp_path, store) == ["journal.db has 2 unshipped events"]


def test_events_in_quarantine_keep_a_month_open(store, tmp_path):
    shipped(store, spooled(tmp_path / "one", answered(1)))
    shipped(store, spooled(tmp_path / "two", answered(1, qty=9, billable_qty=9)))
    found = hindrances(tmp_path / "one", store)
    assert found[0] == "1 events are in quarantine (payload_differs)"


def test_a_chain_that_was_edited_in_the_store_keeps_a_month_open(store, tmp_path):
    path = spooled(tmp_path, answered(1), answered(2), answered(3))
    shipped(store, path)
    store.ask("ALTER TABLE audit_event DISABLE TRIGGER ALL")
    store.ask("UPDATE audit_event SET body = replace(body, 'r2', 'r9') WHERE seq = 2")
    journal = store.ask("SELECT journal_id FROM journal WHERE kind = 'spool'")[0][0]
    assert hindrances(tmp_path, store) == [f"audit: edited at event 2 of {journal}"]


def test_what_was_recorded_directly_in_the_store_stands_in_no_months_way(store, tmp_path):
    journal: SqliteJournal = store.open(tmp_path)
    journal.record_now(answered(1))
    journal.close()
    assert store.count("usage_event") == 1
    assert hindrances(tmp_path, store) == []
