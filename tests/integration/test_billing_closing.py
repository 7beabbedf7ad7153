"""Closing under hostile circumstances: two at once, killed in the middle, impossible results."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing as closed_after
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from gateway.billing import books
from gateway.billing.checklist import checklist
from gateway.billing.closing import close, commit, prepare
from gateway.billing.frame import Labels
from gateway.billing.months import truth_of
from gateway.billing.office import Office
from gateway.billing.replay import replay
from gateway.catalogue.tariff import Tariff
from gateway.db.billing_tables import BillingMonthRow, LedgerEntryRow, PaperRow
from gateway.db.engine import open_engine, reading, sqlite_url, writing
from gateway.errors import OperatorError
from metering.identities import differences
from metering.rating import LineKey
from tests.billing_factory import AFTER, MONTH, journal_of


def kept(office: Office) -> tuple[int, int, int]:
    """Closed months, ledger entries and papers."""
    with reading(office.engine) as session:
        tables = (BillingMonthRow, LedgerEntryRow, PaperRow)
        found = [session.scalar(sa.select(sa.func.count()).select_from(each)) for each in tables]
    return (found[0] or 0, found[1] or 0, found[2] or 0)


def test_of_two_who_close_a_month_at_once_one_does(office):
    """Each with a connection of its own, both past the checklist before either commits."""
    others = [
        replace(office, engine=open_engine(str(office.engine.url)), archive=office.archive / name)
        for name in ("a", "b")
    ]
    gate, outcomes = threading.Barrier(2), []

    def run(own: Office) -> None:
        prepared = prepare(own, MONTH, AFTER)
        gate.wait(120)
        try:
            with writing(own.engine) as session:
                outcomes.append(commit(session, own, prepared, "billing").month)
        except OperatorError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=run, args=(own,)) for own in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert sorted(outcomes) == [MONTH, "month_closed"]
    assert list(replay(office, MONTH)) == []


def test_papers_that_would_come_out_otherwise_by_now_are_not_issued(office):
    """They are not set anew while the database waits: somebody prepares the month again."""
    prepared = prepare(office, MONTH, AFTER)
    before = kept(office)
    renamed = replace(office, labels=lambda _session: Labels(tenants={"T-INS": "乙保险（虚构）"}))
    with pytest.raises(OperatorError) as refused, writing(office.engine) as session:
        commit(session, renamed, prepared, "billing")
    assert refused.value.code == "closing.state"
    assert kept(office) == before
    close(renamed, MONTH, AFTER, "billing")
    assert kept(office) > before


@contextmanager
def counted(office: Office) -> Iterator[list[int]]:
    """How many statements a block sends."""
    sent = [0]

    def count(*_: object) -> None:
        sent[0] += 1

    event.listen(office.engine, "before_cursor_execute", count)
    yield sent
    event.remove(office.engine, "before_cursor_execute", count)


ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from gateway.billing.closing import commit, prepare
from gateway.db.engine import writing
from tests.billing_factory import AFTER, MONTH, books_at
office = books_at(Path(sys.argv[1]))
prepared, left = prepare(office, MONTH, AFTER), [int(sys.argv[2])]
def count(*_):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
event.listen(office.engine, "before_cursor_execute", count)
with writing(office.engine) as session:
    commit(session, office, prepared, "billing")
"""


def test_a_kill_in_the_middle_of_a_closing_leaves_nothing_half(office, tmp_path):
    prepared = prepare(office, MONTH, AFTER)
    home = tmp_path / "killed"
    shutil.copytree(office.archive.parent, home, copy_function=shutil.copy)
    with counted(office) as sent, writing(office.engine) as session:
        commit(session, office, prepared, "billing")
    whole = kept(office)
    victim = replace(office, engine=open_engine(sqlite_url(home / "sluice.db")))
    for at in (sent[0] // 2, sent[0] - 1):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(home), str(at)],
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert kept(victim) == (0, 0, 0)
    close(victim, MONTH, AFTER, "billing")
    assert kept(victim) == whole
    assert list(replay(victim, MONTH)) == []


@pytest.mark.parametrize(
    ("bound", "name"),
    [
        ("largest_line_fen", "amount_over_bound: line"),
        ("largest_client_fen", "amount_over_bound: T-"),
    ],
)
def test_an_impossible_amount_parks_the_closing_and_books_nothing(office, bound, name):
    bounded = replace(office, terms=office.terms.model_copy(update={bound: 3999}))
    with pytest.raises(OperatorError) as refused:
        close(bounded, MONTH, AFTER, "billing")
    assert (refused.value.code, name in refused.value.message) == ("closing_parked", True)
    assert kept(office) == (0, 0, 0)


def test_months_are_closed_in_order_without_a_gap(office):
    assert f"{MONTH} is not closed yet" in list(
        checklist(office, "2025-08", AFTER.replace(month=9))
    )
    close(office, MONTH, AFTER, "billing")
    later = AFTER.replace(month=9)
    assert "2025-07 is not closed yet" in list(checklist(office, "2025-08", later))
    assert "2025-06 is closed already, which comes after 2025-05" in list(
        checklist(office, "2025-05", later)
    )


def test_what_keeps_a_store_from_being_whole_keeps_the_month_open(office):
    behind = replace(office, hindrances=lambda: ["journal-b.db has 3 unshipped events"])
    with pytest.raises(OperatorError, match="3 unshipped events"):
        close(behind, MONTH, AFTER, "billing")


def test_a_journal_that_a_closing_counted_must_be_there_as_it_was(office):
    close(office, MONTH, AFTER, "billing")
    later = AFTER.replace(month=8)
    assert not [line for line in checklist(office, "2025-07", later) if "journal" in line]
    with closed_after(sqlite3.connect(journal_of(office))) as db:
        db.execute("DROP TRIGGER audit_event_no_update")
        db.execute(
            "UPDATE audit_event SET hash = zeroblob(32)"
            " WHERE seq = (SELECT max(seq) FROM audit_event)"
        )
        db.commit()
    found = [line for line in checklist(office, "2025-07", later) if "has another event" in line]
    assert len(found) == 1


def committed(_session: object, month: str) -> dict[str, LineKey]:
    key = LineKey(
        month, "T-IDLE", "G-IDLE", "S02", "per_1000_cells", "act.cost-structure/2026", 40_000_000
    )
    return {key.line_id: key}


def with_minimum(office: Office) -> Office:
    price = {
        "ref": "act.cost-structure/2026",
        "valid_from": date(2024, 1, 1),
        "price_fen": 4000,
        "minimum_fen": 9000,
    }
    tariffs = {**office.tariffs, "S02": Tariff(unit="per_1000_cells", prices=(price,))}
    return replace(office, tariffs=tariffs, committed=committed)


def test_a_commitment_is_charged_in_a_month_without_any_use(office):
    bound = with_minimum(office)
    close(bound, MONTH, AFTER, "billing")
    closed = close(bound, "2025-07", AFTER.replace(month=8), "billing")
    assert (closed.lines, closed.fees_fen) == (1, 9000)
    with reading(office.engine) as session:
        found = books.balances(session)
        assert list(differences(books.sums(session))) == []
    assert found["receivable:T-IDLE"] == 18_000
    nobody = replace(bound, committed=lambda _session, _month: {})
    for month in (MONTH, "2025-07"):
        assert list(replay(nobody, month)) == []
    assert {line.amount_fen for line in truth_of(nobody, "2025-07").lines} == {9000}
    later = close(nobody, "2025-08", AFTER.replace(month=9), "billing")
    assert (later.lines, later.entries) == (0, 0)
