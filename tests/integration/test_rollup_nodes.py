"""Several processes that serve the same tenants: counted once, charged once, whoever answered."""

import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from datetime import timedelta

import orjson
import pytest

from gateway.audit.reconcile import reconcile
from gateway.billing.rollup import rollups
from gateway.billing.rollup_month import MonthSums
from gateway.journal.events import CHARGED, USAGE, Together, home_journals
from gateway.journal.events_postgres import CentralEvents
from gateway.journal.sqlite import SqliteJournal
from metering.rating import charge
from tests.journal_factory import NOON, answered, event_id, refused

MONTH = "2026-11"


def node(home, name, now=NOON):
    return SqliteJournal.open(home / name, home / "keys", now)


@pytest.fixture
def home(tmp_path):
    """Two nodes: both charge the same 500 cells in the same minute, and 500 of their own."""
    with ExitStack() as both:
        one = both.enter_context(closing(node(tmp_path, "journal.db")))
        two = both.enter_context(closing(node(tmp_path, "journal-b.db")))
        same = {7: (1 << 500) - 1}
        one.record_now(answered(1, charged=same))
        two.record_now(answered(2, charged=same))
        one.record_now(answered(3))
        two.record_now(answered(4))
        two.record_now(refused(5))
    return tmp_path


def lines_of(home, events):
    with rollups(home / "archive") as rolled:
        rolled.refresh(events, NOON + timedelta(days=1))
        return charge(MonthSums(rolled, events, MONTH, events.heads()).accruals())


def test_what_two_nodes_charged_both_is_charged_once(home):
    events = home_journals(home)
    found = reconcile(events)
    assert not found.differences
    assert (found.answers, found.usage_events, found.refusals) == (4, 4, 1)
    [line] = found.lines
    assert (line.used.answers, line.used.qty) == (4, 2000)
    assert (line.used.billable, line.used.repeated, line.amount_fen) == (1500, 500, 8000)
    assert lines_of(home, events) == found.lines


def test_an_event_in_two_journals_counts_once(home):
    with closing(node(home, "journal-c.db")) as spool:
        spool.record_now(answered(3))
    events = home_journals(home)
    found = reconcile(events)
    assert not found.differences
    assert (found.answers, found.usage_events) == (4, 4)
    assert [line.used.billable for line in found.lines] == [1500]
    assert lines_of(home, events) == found.lines


def test_an_event_with_another_content_in_another_journal_is_a_difference(home):
    with closing(node(home, "journal-c.db")) as spool:
        spool.record_now(answered(3, price_micro=41_000_000))
    codes = {one.code for one in reconcile(home_journals(home)).differences}
    assert "event_conflict" in codes


def test_an_edited_event_id_is_no_reason_to_fail(home):
    with closing(sqlite3.connect(home / "journal-b.db")) as db:
        db.execute("DROP TRIGGER usage_event_no_update")
        db.execute("UPDATE usage_event SET event_id = ? WHERE seq = 1", (event_id(99),))
        db.commit()
    [line] = reconcile(home_journals(home)).lines
    assert line.used.answers == 4


def rollup(home, *options):
    command = [sys.executable, "-c", "from gateway.cli import main; main()", "meter", "rollup"]
    told = subprocess.run(
        [*command, *options],
        env={"SLUICE_HOME": str(home), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not told.stderr, told.stderr
    return told


def test_the_command_brings_the_hours_up_to_date_and_proves_them(home):
    first = rollup(home, "--check")
    assert first.returncode == 0
    assert "4 events taken over, 0 of them late" in first.stdout
    assert "ok: the archive holds the journals' events" in first.stdout
    again = orjson.loads(rollup(home, "--json").stdout)
    assert (again["caught"]["events"], again["hours"], again["state"]["events"]) == (0, 0, 4)


@pytest.mark.services
def test_the_central_store_tells_the_same_events_as_the_files(tmp_path, store):
    with closing(store.open(tmp_path)) as one, closing(store.open(tmp_path, "b")) as two:
        same = {7: (1 << 500) - 1}
        one.record_now(answered(1, charged=same))
        two.record_now(answered(2, charged=same))
        two.record_now(refused(3))
    central = CentralEvents(store.dsn)
    both = Together((central, home_journals(tmp_path)))
    seen = [
        row["event_id"]
        for what in (USAGE, CHARGED)
        for batch in both.rows(what, {}, both.heads())
        for row in batch.to_pylist()
    ]
    assert len(seen) >= 4
    found = reconcile(both)
    assert not found.differences
    assert (found.answers, found.usage_events, found.refusals) == (2, 2, 1)
    assert [line.used.billable for line in found.lines] == [500]
    assert lines_of(tmp_path, both) == found.lines
    assert all(both.link_at(journal, seq) for journal, seq in both.heads().items() if seq)
    begins, ends = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
    assert both.numbered(begins, ends).keys() >= {j for j, seq in both.heads().items() if seq}
