"""Counters against a naive oracle that looks through all calls; quotas are never passed."""

import asyncio
import random
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal.counters import Counters, UsageCounters
from tests.journal_factory import NOON, answered, opened

CHINA_IS_AHEAD = timedelta(hours=8)


@dataclass(frozen=True)
class Call:
    time: datetime
    query: str
    cells: int


def counted_one_by_one(calls: list[Call], now: datetime) -> UsageCounters:
    local = now + CHINA_IS_AHEAD
    today = [c for c in calls if (c.time + CHINA_IS_AHEAD).date() == local.date()]
    month = [c for c in calls if f"{c.time + CHINA_IS_AHEAD:%Y%m}" == f"{local:%Y%m}"]
    return UsageCounters(
        rps=sum(now - c.time < timedelta(seconds=1) for c in calls),
        calls_day=len(today),
        cells_day=sum(c.cells for c in today),
        cells_month=sum(c.cells for c in month),
        distinct_queries_day=len({c.query for c in today}),
    )


# From fractions of a second to weeks, so that seconds, days and months end between calls.
pauses = st.sampled_from([0.0, 0.3, 0.7, 3600.0, 40_000.0, 86_400.0, 600_000.0])
steps = st.lists(
    st.tuples(pauses, st.sampled_from("abc"), st.integers(0, 900), st.booleans()), max_size=25
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_counters_agree_with_looking_through_all_calls(steps):
    counters, calls, now = Counters(), [], NOON
    for pause, query, cells, stored in steps:
        now += timedelta(seconds=pause)
        with counters.reserve("g", query, 900, now) as hold:
            if stored:
                hold.settle(cells)
                calls.append(Call(now, query, cells))
        assert counters.usage("g", now) == counted_one_by_one(calls, now)


moves = st.lists(
    st.tuples(st.sampled_from(["ask", "answer", "fail"]), st.integers(0, 7), st.integers(0, 300)),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(moves)
def test_a_call_sees_what_others_have_used_or_reserved_and_the_quota_holds(moves):
    """Calls overlap as they like; decided as the policy does, never more than 1 000 cells leave."""
    counters, limit, open_calls, done = Counters(), 1000, [], []
    for move, pick, cells in moves:
        if move == "ask":
            query = f"q{pick}"
            hold = counters.reserve("g", query, cells, NOON)
            reserved = sum(other.cells for other in open_calls)
            others = {other.query_hash for other in open_calls} | {query for query, _ in done}
            assert hold.usage == UsageCounters(
                rps=len(open_calls) + len(done),
                calls_day=len(open_calls) + len(done),
                cells_day=reserved + sum(cells for _, cells in done),
                cells_month=reserved + sum(cells for _, cells in done),
                distinct_queries_day=len(others - {query}),
            )
            if hold.usage.cells_day + cells <= limit:
                open_calls.append(hold)
            else:
                hold.release()
        elif open_calls:
            hold = open_calls.pop(pick % len(open_calls))
            if move == "fail":
                hold.release()
                continue
            delivered = min(cells, hold.cells)
            hold.settle(delivered)
            done.append((hold.query_hash, delivered))
    assert sum(cells for _, cells in done) <= limit


def test_more_cells_than_reserved_cannot_be_settled():
    with (
        Counters().reserve("g", "q", 5, NOON) as hold,
        pytest.raises(ValueError, match="6 cells were delivered, 5 reserved"),
    ):
        hold.settle(6)


def test_racing_threads_never_pass_a_quota():
    """Decide as the policy does: what others used or reserved, plus this, within the limit."""
    counters, limit, served = Counters(), 1000, []

    def client(seed):
        choose = random.Random(seed)  # noqa: S311 - reproducible, not secret
        for _ in range(60):
            cells = choose.randrange(1, 40)
            with counters.reserve("g", f"q{cells}", cells, NOON) as hold:
                time.sleep(0)  # let the others decide meanwhile
                if hold.usage.cells_day + cells > limit:
                    continue
                if choose.random() < 0.2:
                    continue  # failed later: gives all back
                delivered = choose.randrange(cells + 1)
                served.append(delivered)
                hold.settle(delivered)

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Each of the eight may hold up to 40 in reserve while another is refused.
    assert limit - 8 * 40 < sum(served) <= limit
    assert counters.usage("g", NOON).cells_day == sum(served)


def test_a_restarted_journal_counts_on_where_it_stopped(tmp_path):
    async def use(journal, numbers):
        for number in numbers:
            entry = answered(number, query_hash=f"q{number % 3}")
            with journal.counters.reserve("g-life", f"q{number % 3}", 500, entry.time) as hold:
                await journal.record(entry, hold)

    with closing(opened(tmp_path)) as journal:
        asyncio.run(use(journal, range(1, 8)))
        before = journal.usage_counters("g-life", NOON + timedelta(minutes=1))
    with closing(opened(tmp_path)) as journal:
        after = journal.usage_counters("g-life", NOON + timedelta(minutes=1))
        assert after == before == UsageCounters(0, 7, 3500, 3500, 3)


@settings(max_examples=15, deadline=None)
@given(steps)
def test_counters_restored_from_the_journal_are_those_that_ran(tmp_path_factory, steps):
    home, now = tmp_path_factory.mktemp("journal"), NOON
    with closing(opened(home)) as journal:
        for number, (pause, query, cells, _) in enumerate(steps, start=1):
            now += timedelta(seconds=pause)
            with journal.counters.reserve("g-life", query, 900, now) as hold:
                entry = answered(number, query_hash=query, qty=cells, billable_qty=cells, time=now)
                journal.record_now(entry)
                hold.settle(cells)
        later = now + timedelta(seconds=2)
        before = journal.usage_counters("g-life", later)
    with closing(opened(home, later)) as journal:
        assert journal.usage_counters("g-life", later) == before
