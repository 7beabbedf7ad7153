"""The sums beside the events are what the events themselves come to, wherever they were folded."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal import schema, standing
from gateway.journal.reader import billable_since, queries_since, totals
from gateway.journal.spool import Spool
from gateway.journal.standing import NOTHING_DIRECT, Folding, Standing
from metering.calendar import day_begins, month_begins
from metering.usage import time_text
from tests.journal_factory import NOON, answered, usage

HOURS = st.integers(0, 24 * 45)
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 90), st.sampled_from("abc"), st.sampled_from("qrs"), st.integers(0, 40)
    ),
    max_size=25,
)


def timed(events):
    """Entries in order of time: each some hours after the one before."""
    moment = NOON - timedelta(days=40)
    for number, (hours, grant, query, cells) in enumerate(events, start=1):
        moment += timedelta(hours=hours)
        yield answered(
            number, grant=f"g-{grant}", query_hash=query, qty=cells, billable_qty=cells, time=moment
        )


def told(known):
    return (
        sorted(known.totals()),
        Counter(dict(known.billable())),
        set(known.queries()),
    )


def counted(db: sqlite3.Connection, now):
    month, day = month_begins(now), day_begins(now)
    return (
        sorted(totals(db, month, day)),
        Counter(dict(billable_since(db, month))),
        set(queries_since(db, day)),
    )


@settings(max_examples=60, deadline=None)
@given(events=EVENTS, folds=st.sets(st.integers(1, 25)), after=HOURS)
def test_sums_agree_with_a_look_at_every_event(tmp_path_factory, events, folds, after):
    path = tmp_path_factory.mktemp("standing") / "journal.db"
    last = NOON - timedelta(days=40)
    with closing(Spool(path, "j", time_text(last))) as spool:
        for number, entry in enumerate(timed(events), start=1):
            spool.append([entry])
            last = entry.time
            if number in folds:
                spool.fold()
        now = last + timedelta(hours=after)
        with closing(schema.connect_reading(path)) as db:
            assert told(Standing(db, spool.head.seq, now)) == counted(db, now)


def test_events_recorded_past_the_spool_count_like_its_own(tmp_path):
    with closing(Spool(tmp_path / "journal.db", "j", time_text(NOON))) as spool:
        spool.append([answered(1)])
        spool.fold(Folding(7, time_text(NOON), (usage(2), usage(3))), complete=True)
        with closing(schema.connect_reading(tmp_path / "journal.db")) as db:
            (total,) = Standing(db, 1, NOON).totals()
            assert total == ("g-life", 1500, 3, 1500)
            assert standing.direct_folded(db) == (7, True)
        spool.fold(NOTHING_DIRECT)
        with closing(schema.connect_reading(tmp_path / "journal.db")) as db:
            assert standing.direct_folded(db) == (7, False)


def test_a_start_reads_the_tail_alone(tmp_path):
    """What the sums cover is found by number, so a start costs the tail and not the month."""
    with closing(Spool(tmp_path / "journal.db", "j", time_text(NOON))):
        pass
    with closing(schema.connect_reading(tmp_path / "journal.db")) as db:
        asked = {"after": 1, "upto": 2, "month": "2026-11-01", "day": "2026-11-22"}
        for query in (standing._TOTALS, standing._BILLABLE, standing._QUERIES):
            plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", asked))
            assert "SEARCH usage_event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in plan
            assert "SCAN usage_event" not in plan
