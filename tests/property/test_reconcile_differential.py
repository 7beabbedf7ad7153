"""Whatever is done to journals, the engine names the same differences as judging event by event."""

import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.audit.reconcile import reconcile
from gateway.journal.events import home_journals
from gateway.journal.sqlite import SqliteJournal
from tests.journal_factory import NOON, answered, event_id, refused
from tests.reconcile_oracle import judged

OF_SINGLE_EVENTS = {"usage_invalid", "charged_twice", "bill_differs", "amount_differs"}
FILES = ("journal.db", "journal-b.db")
SEQ = st.integers(1, 12)
TIMES = st.sampled_from(
    [
        "2026-11-22T04:00:00.000000Z",
        "2026-11-30T15:59:59.999999Z",
        "2026-11-30T16:00:00.000000Z",
        "2026-12-22T03:59:59.000000Z",
        "2026-12-23T04:00:00.000000Z",
        "2026-11-22T12:00:00+08:00",
        "2026-11-22T04:00:00Z",
        "2026-11-22T04:00:00.000000",
        "2026-02-30T04:00:00.000000Z",
        "2026-11-22T24:00:00.000000Z",
        "2026-11-22T04:00:60.000000Z",
        "0000-11-22T04:00:00.000000Z",
        "noon",
        "",
    ]
)
USAGE = st.one_of(
    st.tuples(st.just("time"), TIMES),
    st.tuples(
        st.sampled_from(["tenant", "grant_id", "service", "version", "request_id", "decision_id"]),
        st.sampled_from(["", "x", "t-life"]),
    ),
    st.tuples(st.just("release"), st.sampled_from(["", "S02-r1", "S02-r2"])),
    st.tuples(
        st.just("event_id"),
        st.sampled_from([event_id(1), event_id(1).upper(), event_id(3), "x", event_id(77) + "\n"]),
    ),
    st.tuples(st.just("unit"), st.sampled_from(["free", "per_call", "per_1000_cells", "moon"])),
    st.tuples(
        st.sampled_from(["qty", "billable_qty", "price_micro"]),
        st.sampled_from([-1, 0, 1, 499, 500, 501, 40_000_000]),
    ),
    st.tuples(st.just("repeat_of"), st.sampled_from([None, event_id(1), event_id(5), "x"])),
    st.tuples(st.just("price_ref"), st.sampled_from(["", "2026-2"])),
)
CHARGED = st.one_of(
    st.tuples(st.just("place"), st.integers(1, 12)),
    st.tuples(st.just("tenant"), st.sampled_from(["x", "t-life"])),
    st.tuples(st.just("release"), st.sampled_from(["S02-r1", "S02-r2"])),
    st.tuples(st.just("time"), TIMES),
    st.tuples(st.just("event_id"), st.sampled_from(["", "x", event_id(1), event_id(3)])),
    st.tuples(st.just("seq"), SEQ),
    st.tuples(
        st.just("cells"),
        st.sampled_from(
            [b"", b"\0", b"\1", b"\xff" * 62 + b"\x0f", b"\0" * 9 + b"\1", b"\x0f\xff"]
        ),
    ),
)
DAMAGE = st.one_of(
    st.tuples(st.just("usage_event"), SEQ, USAGE),
    st.tuples(st.just("charged_cell"), SEQ, CHARGED),
    st.tuples(st.sampled_from(["usage_event", "charged_cell"]), SEQ, st.just("doubled")),
    st.tuples(st.sampled_from(["usage_event", "charged_cell"]), SEQ, st.just("removed")),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Two nodes: charges of the same cells, of parts of a place, and again after thirty days; an
    event in both; free repeats; without keys and checks, as who forges a journal would have it."""
    home = tmp_path_factory.mktemp("whole")
    low, high = (1 << 250) - 1, ((1 << 250) - 1) << 250
    entries = [
        *(answered(n) for n in (1, 2, 3)),
        answered(4, charged={20: low}, billable_qty=250),
        answered(5, charged={20: high}, billable_qty=250),
        refused(6),
        answered(7, query_hash="q1", billable_qty=0, repeat_of=event_id(1)),
        answered(8, charged={20: low}, billable_qty=250, time=NOON + timedelta(days=31)),
        answered(9, charged={20: high, 21: low}, time=NOON + timedelta(days=31)),
    ]
    others = [entries[2], answered(10, charged={20: low, 1: low})]
    for name, own in zip(FILES, (entries, others), strict=True):
        with closing(SqliteJournal.open(home / name, home / "keys", NOON)) as journal:
            for entry in own:
                journal.record_now(entry)
        with closing(sqlite3.connect(home / name)) as db:
            for table in ("usage_event", "charged_cell"):
                db.execute(f"CREATE TABLE copy AS SELECT * FROM {table}")
                db.execute(f"DROP TABLE {table}")
                db.execute(f"ALTER TABLE copy RENAME TO {table}")
            db.commit()
    return home


def damage(path, table, seq, what):
    with closing(sqlite3.connect(path)) as db:
        if what == "doubled":
            db.execute(f"INSERT INTO {table} SELECT * FROM {table} WHERE seq = ?", (seq,))
        elif what == "removed":
            db.execute(f"DELETE FROM {table} WHERE seq = ?", (seq,))
        else:
            db.execute(f"UPDATE {table} SET {what[0]} = ? WHERE seq = ?", (what[1], seq))
        db.commit()


def agree(home):
    events = home_journals(home)
    result = reconcile(events)
    named = [one for one in result.differences if one.code in OF_SINGLE_EVENTS]
    expected, lines = judged(events)
    assert Counter(named) == Counter(expected)
    assert result.lines == lines
    return Counter(one.code for one in named)


def test_an_undamaged_home_has_no_difference(whole):
    assert not agree(whole)


def agree_when_damaged(whole, home, damages):
    for name in FILES:
        shutil.copy(whole / name, home / name)
    for name, one in damages:
        damage(home / name, *one)
    agree(home)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(FILES), DAMAGE), min_size=1, max_size=4))
def test_a_damaged_home_is_judged_as_event_by_event(whole, tmp_path_factory, damages):
    agree_when_damaged(whole, tmp_path_factory.mktemp("damaged"), damages)


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(FILES), DAMAGE), min_size=1, max_size=6))
def test_any_damage_is_judged_as_event_by_event(whole, tmp_path_factory, damages):
    agree_when_damaged(whole, tmp_path_factory.mktemp("damaged"), damages)
