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

from gateway.journal.counters import Counters, UsageCounters, Used
from tests.journal_factory import NOON, answered, event_id, opened

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


@settings(max_examples=60, deadline=None)
@given(steps)
def test_counters_rebuilt_from_the_records_are_the_same(steps):
    live, records, now = Counters(), [], NOON
    for number, (pause, query, cells, _) in enumerate(steps, start=1):
        now += timedelta(seconds=pause)
        with live.reserve("g", query, 900, now) as hold:
            repeat_of = hold.charge("rel", "", event_id(number))
            hold.settle(cells)
        records.append(Used("g", "rel", query, "", event_id(number), repeat_of, cells, now))
    later = now + timedelta(seconds=2)
    rebuilt = Counters()
    rebuilt.rebuild(records, later)
    assert rebuilt.usage("g", later) == live.usage("g", later)
    for query in "abc":
        asked = ("g", "rel", query, "", later)
        assert rebuilt.charged_event(*asked) == live.charged_event(*asked)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 40, allow_nan=False)), max_size=30))
def test_the_same_answer_is_charged_once_in_thirty_days(asked):
    counters, now, charged = Counters(), NOON, {}
    for number, (query, days) in enumerate(asked, start=1):
        now += timedelta(days=days)
        with counters.reserve("g", query, 1, now) as hold:
            repeat_of = hold.charge("rel", "", event_id(number))
            hold.settle(1)
        first = charged.get(query)
        if first is not None and now - first[0] < timedelta(days=30):
            assert repeat_of == first[1]
        else:
            assert repeat_of is None
            charged[query] = (now, event_id(number))


def test_a_failed_answer_gives_its_charge_back():
    counters = Counters()
    with counters.reserve("g", "q", 1, NOON) as failed:
        assert failed.charge("rel", "", event_id(1)) is None
    with counters.reserve("g", "q", 1, NOON) as retried:
        assert retried.charge("rel", "", event_id(2)) is None


def test_other_releases_pages_and_grants_are_charged_for_themselves():
    counters = Counters()
    for number, (grant, release, page) in enumerate(
        [("g", "r1", ""), ("g", "r2", ""), ("g", "r1", "100"), ("h", "r1", "")]
    ):
        with counters.reserve(grant, "q", 1, NOON) as hold:
            assert hold.charge(release, page, event_id(number)) is None
            hold.settle(1)


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
        assert journal.seen_within_30_days("g-life", "S02-r1", "q1", NOON, "0+100")
        assert not journal.seen_within_30_days(
            "g-life", "S02-r1", "q1", NOON + timedelta(days=31), "0+100"
        )
