"""Charges against a naive oracle that remembers every cell by itself: whatever pages, failures,
restarts and forgetting come between, a cell is charged exactly once in thirty days."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit.reconcile import reconcile
from gateway.journal.charges import Charged, Charges, count
from gateway.journal.port import JournalUnavailable
from gateway.journal.reader import CHARGED
from metering.overlap import REPEAT_WINDOW
from tests.journal_factory import NOON, answered, event_id, opened

TENANTS, RELEASES = ("t-life", "t-pharma"), ("S02-r1", "S02-r2")


class Record:
    """What the journal's table would hold."""

    def __init__(self):
        self.rows = []

    def add(self, claim):
        for place, bits in claim.cells.items():
            row = (place, Charged(claim.time, claim.event_id, bits))
            self.rows.append((claim.tenant, claim.release, row))

    def read(self, tenant, release, places, after):
        for whose, what, (place, charged) in self.rows:
            if (whose, what) == (tenant, release) and place in places and charged.time > after:
                yield place, charged


pages = st.dictionaries(st.integers(0, 4), st.integers(0, 255), max_size=4)
steps = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 9, 20, 31]),  # days passed
        st.sampled_from(TENANTS),
        st.sampled_from(RELEASES),
        pages,
        st.sampled_from(["stored", "stored", "failed", "waits", "restart"]),
    ),
    max_size=30,
)


def one_by_one(cells):
    return {(place, bit) for place, bits in cells.items() for bit in range(8) if bits >> bit & 1}


@settings(max_examples=300, deadline=None)
@given(steps, st.integers(1, 6))
def test_each_cell_is_charged_once_in_thirty_days(steps, at_hand):
    record, now, oracle, waiting = Record(), NOON, {}, []
    charges = Charges(record.read, at_hand)
    for number, (days, tenant, release, page, fate) in enumerate(steps, start=1):
        now += timedelta(days=days)
        claim = charges.claim(tenant, release, page, event_id(number), now)
        owed = {
            cell
            for cell in one_by_one(page)
            if now - oracle.get((tenant, release, cell), NOON - REPEAT_WINDOW) >= REPEAT_WINDOW
        }
        assert one_by_one(claim.cells) == owed
        assert claim.count == len(owed)
        assert (claim.repeat_of is None) == (bool(owed) or not one_by_one(page))
        if fate == "failed":
            charges.end(claim, stored=False)
            continue
        oracle.update({(tenant, release, cell): now for cell in owed})
        if fate == "waits":
            waiting.append(claim)
            continue
        record.add(claim)
        charges.end(claim, stored=True)
        if fate == "restart":  # what waits is written before the journal closes
            for other in waiting:
                record.add(other)
            waiting, charges = [], Charges(record.read, at_hand)


@settings(max_examples=100, deadline=None)
@given(pages)
def test_a_failed_answer_gives_its_cells_back(page):
    charges = Charges()
    charges.end(charges.claim("t", "r", page, event_id(1), NOON), stored=False)
    assert charges.claim("t", "r", page, event_id(2), NOON).count == count(page)


def test_the_event_named_by_a_repeat_is_the_first_that_was_charged_for_it():
    charges = Charges()
    for number, cells in ((1, {1: 0b0011}), (2, {1: 0b0111}), (3, {1: 0b0110})):
        claim = charges.claim("t", "r", cells, event_id(number), NOON + timedelta(number))
    assert claim.repeat_of == event_id(1)
    assert charges.claim("t", "r", {1: 0b0100}, event_id(4), NOON).repeat_of == event_id(2)


def test_what_is_kept_at_hand_does_not_grow_with_what_was_charged():
    record = Record()
    charges = Charges(record.read, at_hand=10)
    for number in range(100):
        claim = charges.claim("t", "r", {number: 1}, event_id(number + 1), NOON)
        record.add(claim)
        charges.end(claim, stored=True)
    assert len(charges._recorded) == 10
    assert not charges._claimed
    assert not charges.claim("t", "r", dict.fromkeys(range(100), 1), event_id(200), NOON).count


def ask(journal, number, cells, moment=NOON):
    """An answer of these cells, recorded; how many were charged."""

    async def record():
        with journal.counters.reserve("g-life", "q", 500, moment) as hold:
            claim = hold.charge("t-life", "S02-r1", cells, event_id(number))
            entry = answered(
                number,
                qty=count(cells),
                billable_qty=claim.count,
                repeat_of=claim.repeat_of,
                time=moment,
                charged=claim.cells,
            )
            await journal.record(entry, hold)
        return claim.count

    return asyncio.run(record())


def test_a_restarted_journal_knows_what_was_charged(tmp_path):
    with closing(opened(tmp_path)) as journal:
        assert ask(journal, 1, {7: 0b1111}) == 4
        assert ask(journal, 2, {7: 0b111100, 8: 1}) == 3
    with closing(opened(tmp_path)) as journal:
        assert ask(journal, 3, {7: 0b1111111, 8: 0b11}) == 2
        assert ask(journal, 4, {7: 0b1111, 8: 1}) == 0
        assert ask(journal, 5, {7: 0b1111}, NOON + timedelta(days=30)) == 4
    assert not reconcile(tmp_path / "journal.db").differences


def claimed(journal, number, cells, hold):
    """An entry and the claim it was made by."""
    claim = hold.charge("t-life", "S02-r1", cells, event_id(number))
    return answered(
        number,
        qty=count(cells),
        billable_qty=claim.count,
        repeat_of=claim.repeat_of,
        charged=claim.cells,
        rests_on=claim.rests_on,
    )


def test_nothing_is_free_because_of_an_answer_that_was_not_recorded(tmp_path):
    async def play(journal):
        reserve = journal.counters.reserve
        with reserve("g-life", "q", 500, NOON) as first, reserve("g-life", "q", 500, NOON) as other:
            failing = claimed(journal, 2, {7: 0b11}, first)
            resting = claimed(journal, 3, {7: 0b10}, other)
            assert resting.rests_on == ((7, event_id(2)),)
            # The first never reaches the store; the other is recorded nevertheless.
            with pytest.raises(JournalUnavailable, match="repeats was not recorded"):
                await journal.record(resting, other)
        with reserve("g-life", "q", 500, NOON) as again:
            entry = claimed(journal, 4, {7: 0b10}, again)
            assert (entry.usage.billable_qty, entry.rests_on) == (1, ())
            await journal.record(entry, again)
        return failing

    with closing(opened(tmp_path)) as journal:
        assert ask(journal, 1, {6: 1}) == 1
        asyncio.run(play(journal))
    assert not reconcile(tmp_path / "journal.db").differences


def test_an_answer_and_one_that_rests_on_it_can_be_stored_together(tmp_path):
    async def play(journal):
        reserve = journal.counters.reserve
        with reserve("g-life", "q", 500, NOON) as first, reserve("g-life", "q", 500, NOON) as other:
            entries = [
                claimed(journal, 1, {7: 0b011}, first),
                claimed(journal, 2, {7: 0b110}, other),
            ]
            pairs = zip(entries, (first, other), strict=True)
            await asyncio.gather(*(journal.record(*pair) for pair in pairs))
        return [entry.usage.billable_qty for entry in entries]

    with closing(opened(tmp_path)) as journal:
        assert asyncio.run(play(journal)) == [2, 1]
    assert not reconcile(tmp_path / "journal.db").differences


def test_an_answer_is_refused_when_it_cannot_be_told_what_was_charged(tmp_path):
    with closing(opened(tmp_path)) as journal:
        journal._looking.close()
        with pytest.raises(JournalUnavailable):
            ask(journal, 1, {7: 1})


def test_charges_are_found_by_key_and_not_by_looking_at_every_one(tmp_path):
    with closing(opened(tmp_path)), closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        plan = db.execute(f"EXPLAIN QUERY PLAN {CHARGED}", ("t", "r", "[1]", "")).fetchall()
        steps = [row[3] for row in plan]
        key = "SEARCH charged_cell USING PRIMARY KEY (tenant=? AND release=? AND place=?)"
        assert key in steps, steps


def test_what_is_charged_here_while_others_are_asked_is_not_missed():
    charges = Charges()
    asked = ("t", "r", [1, 2], NOON - REPEAT_WINDOW)
    assert charges.unlearnt(*asked) == [1, 2]
    meanwhile = charges.claim("t", "r", {1: 0b01}, event_id(1), NOON)
    charges.end(meanwhile, stored=True)
    charges.learn("t", "r", [1, 2], [(1, Charged(NOON, event_id(2), 0b10))])
    assert charges.claim("t", "r", {1: 0b111}, event_id(3), NOON).cells == {1: 0b100}
    assert charges.unlearnt(*asked) == []


def test_nothing_learnt_is_kept_of_places_that_are_not_at_hand():
    charges = Charges(at_hand=2)
    for place in range(5):
        missing = charges.unlearnt("t", "r", [place], NOON - REPEAT_WINDOW)
        charges.learn("t", "r", missing, [(place, Charged(NOON, event_id(1), 1))])
    assert (len(charges._recorded), len(charges._learnt)) == (2, 2)
    assert charges.unlearnt("t", "r", [0], NOON - REPEAT_WINDOW) == [0]
