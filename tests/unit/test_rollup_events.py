"""Events from several places: each once, as far as each place has them."""

from contextlib import closing

import pytest

from gateway.journal.events import (
    AUDITED,
    CHARGED,
    USAGE,
    Together,
    home_journals,
    one_journal,
    within,
)
from tests.journal_factory import NOON, answered, opened
from tests.rollup_world import Answer, Journals


def seqs(source, what=USAGE, after=None, until=None):
    batches = source.rows(what, after or {}, source.heads() if until is None else until)
    return [(row["journal"], row["seq"]) for batch in batches for row in batch.to_pylist()]


@pytest.fixture
def answers():
    entries = [answered(number) for number in range(1, 6)]
    return [Answer(entry.usage, dict(entry.charged)) for entry in entries]


@pytest.mark.parametrize("shipped", range(6))
@pytest.mark.parametrize("what", [USAGE, CHARGED])
def test_a_spool_that_was_shipped_in_part_is_read_once(answers, shipped, what):
    store, spool = Journals(), Journals()
    store.answers |= {"spool": answers[:shipped], "spool.direct": answers[:1]}
    spool.answers["spool"] = answers
    both = Together((store, spool))
    assert sorted(seqs(both, what)) == [
        *(("spool", seq) for seq in range(1, 6)),
        ("spool.direct", 1),
    ]
    assert seqs(both, what, after={"spool": 2, "spool.direct": 1}, until={"spool": 4}) == [
        ("spool", 3),
        ("spool", 4),
    ]
    assert both.heads() == {"spool": 5, "spool.direct": 1}
    assert both.link_at("spool", 5) == spool.link_at("spool", 5)
    assert both.numbered(NOON, NOON)["spool"] == (1, 5)


def test_a_journal_is_as_complete_as_the_place_that_knows_it_best(answers):
    late, early = Journals(), Journals()
    late.answers["a"] = early.answers["a"] = answers
    early.marks = lambda now: {"a": now.replace(year=2020)}
    assert Together((early, late)).marks(NOON) == late.marks(NOON)


def test_journals_of_a_home_are_found_by_name_and_read_from_any_event_on(tmp_path):
    with closing(opened(tmp_path)) as journal:
        for number in range(1, 6):
            journal.record_now(answered(number))
    (tmp_path / "journal.db.lock").touch()
    source = home_journals(tmp_path)
    assert source.files() == one_journal(tmp_path / "journal.db").files()
    [(journal, head)] = source.heads().items()
    assert head == 5
    assert seqs(source, AUDITED, after={journal: 3}) == [(journal, 4), (journal, 5)]
    assert seqs(source, until={}) == []
    assert source.link_at(journal, 6) is None
    assert source.link_at("another", 1) is None


def test_nothing_beyond_a_limit_counts():
    assert within({"a": 5, "b": 2}, None) == {"a": 5, "b": 2}
    assert within({"a": 5, "b": 2}, {"a": 3}) == {"a": 3, "b": 0}
