"""Looking things up over all nodes gives what one node alone would have told, wherever it lies."""

import asyncio
from contextlib import closing
from dataclasses import replace

import orjson
import pytest

from gateway.journal.janitor import ship_files
from gateway.journal.looking import CentralStore, Journals, looking, one
from gateway.journal.neighbours import journals_in
from gateway.journal.port import JournalUnavailable
from gateway.journal.sqlite import SqliteJournal
from gateway.settings import Settings
from tests.journal_factory import NOON, answered, opened, refused

NOVEMBER = ("2026-11",)


def about(entry, person):
    return replace(entry, audit={**entry.audit, "subject": person})


ENTRIES = (
    answered(1),
    refused(2),
    about(answered(3), "token-a"),
    answered(4, tenant="t-pharma"),
    about(refused(5), "token-b"),
    about(answered(6), "token-a"),
)


def record(home, node, *entries):
    path = Settings(home=home, node=node).journal
    with closing(SqliteJournal.open(path, home / "keys", NOON)) as journal:
        for entry in entries:
            journal.record_now(entry)


@pytest.fixture
def alone(tmp_path):
    """What a single node tells."""
    with closing(opened(tmp_path / "alone")) as journal:
        for entry in ENTRIES:
            journal.record_now(entry)
    return one(tmp_path / "alone" / "journal.db")


@pytest.fixture
def home(tmp_path):
    """The same, recorded by three nodes."""
    for at, node in enumerate(("main", "two", "three")):
        record(tmp_path / "home", node, *ENTRIES[at::3])
    return tmp_path / "home"


def told(found):
    subjects = found.of_subjects(["token-a", "token-b"], 2)
    return (
        [row.as_dict() for row in found.usage("t-life", NOVEMBER)],
        [found.decision(name)[0] for name in ("d1", "r4", "d6")],
        [orjson.loads(body)["request_id"] for body in subjects],
        found.count_decisions(),
        [orjson.loads(body)["decision_id"] for body in found.last_decisions(4)],
    )


def test_three_nodes_tell_what_one_would(alone, home):
    assert told(looking(Settings(home=home))) == told(alone)
    assert told(alone)[2:] == (["r6", "r5"], 6, ["d3", "d4", "d5", "d6"])
    assert looking(Settings(home=home)).decision("d7") is None


@pytest.mark.services
def test_the_central_store_tells_the_same(alone, home, store, tmp_path):
    asyncio.run(ship_files(store.dsn, list(journals_in(home))))
    (tmp_path / "dsn").write_text(store.dsn)
    settings = Settings(home=home, postgres_dsn_file=tmp_path / "dsn")
    assert told(looking(settings)) == told(alone)
    assert looking(settings).decision("d7") is None


def test_a_store_that_is_away_tells_nothing_rather_than_a_part():
    with pytest.raises(JournalUnavailable) as caught:
        CentralStore("postgresql://app:word@127.0.0.1:1/none").usage("t-life", NOVEMBER)
    assert caught.value.code == "journal_down"


def test_a_home_without_journals_tells_nothing():
    assert told_of_nothing(Journals(tuple)) == ((), None, [], 0, [])


def told_of_nothing(found):
    return (
        found.usage("t-life", NOVEMBER),
        found.decision("d1"),
        found.of_subjects(["token-a"], 5),
        found.count_decisions(),
        list(found.last_decisions(5)),
    )


@pytest.mark.parametrize("node", ["", "Upper", "-dash", "a" * 41, "../up"])
def test_a_nodes_name_is_part_of_a_file_name_and_checked(node):
    with pytest.raises(ValueError, match="node"):
        Settings(node=node)
