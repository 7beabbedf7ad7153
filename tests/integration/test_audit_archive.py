"""Five years of audit: half a year at hand, then in sealed files, and verified across both."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest

from gateway.audit import archive as archives
from gateway.audit import proofs
from gateway.audit.archive import archive, expire
from gateway.audit.segment import HOT, RETENTION, Manifest
from gateway.audit.verify import verify
from gateway.db.event_ids import tick_of, uuid7
from gateway.db.office_journal import Sought
from gateway.errors import OperatorError
from gateway.journal.archived import folder_of
from gateway.journal.checkpoint import PUBLIC_KEY, public_key, signing_key
from gateway.journal.entry import Entry
from gateway.journal.looking import one
from gateway.journal.proving import logs
from gateway.journal.reader import recorded
from gateway.journal.schema import connect_reading
from gateway.journal.sqlite import Checkpointing, SqliteJournal
from gateway.settings import Settings
from tests.journal_factory import NOON, answered, refused

EVENTS, DAYS = 60, 20
"""So many events, so many days between two: 1 180 days in all."""


def at(number: int) -> datetime:
    return NOON + timedelta(days=DAYS * (number - 1))


def stamped(number: int) -> Entry:
    entry, moment = answered(number) if number % 3 else refused(number), at(number)
    name = uuid7(tick_of(moment), number)
    used = entry.usage and replace(entry.usage, event_id=name, time=moment)
    return replace(entry, event_id=name, time=moment, usage=used)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a journal of over three years."""
    home = tmp_path_factory.mktemp("years")
    every = Checkpointing(events=7)
    journal = SqliteJournal.open(home / "journal.db", home / "keys", NOON, every=every)
    for number in range(1, EVENTS + 1):
        journal.record_now(stamped(number))
    journal.close()
    return home


@pytest.fixture
def home(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "home"))


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "SEGMENT", 20)
    monkeypatch.setattr(archives, "AT_ONCE", 6)


def journal_of(home: Path) -> Path:
    return home / "journal.db"


def packed(home: Path, now: datetime | None = None) -> list[Manifest]:
    return archive(journal_of(home), signing_key(home / "keys"), now or at(EVENTS))


def codes(home: Path) -> set[str]:
    found = verify(journal_of(home), public_key(home / "keys" / PUBLIC_KEY)).findings
    return {each.code for each in found}


def bodies(home: Path) -> list[tuple[str, str | None]]:
    with closing(connect_reading(journal_of(home))) as db:
        return [(event.body, event.decision) for event in recorded(db)]


def raw(home: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(journal_of(home), isolation_level=None)) as db:
        return db.execute(query).fetchall()


def test_the_old_is_in_files_and_everything_is_still_whole(home: Path) -> None:
    before, listed = bodies(home), one(journal_of(home)).events(Sought(), 500)
    made = packed(home)
    last = EVENTS - HOT.days // DAYS - 1
    assert [(each.first, each.last) for each in made] == [(1, 20), (21, 40), (41, last)]
    assert (made[0].last_hash, made[1].last_hash) == (made[1].prev_hash, made[2].prev_hash)
    stubs = "SELECT count(*) FROM audit_event WHERE body LIKE '{\"archived\"%'"
    assert raw(home, stubs) == [(last,)]
    assert bodies(home) == before
    assert codes(home) == set()
    assert packed(home) == []
    told = one(journal_of(home)).events(Sought(), 500)
    assert [each.event_id for each in told] == [each.event_id for each in listed]
    assert len(one(journal_of(home)).events(Sought(result="refused"), 500)) == EVENTS // 3


def test_an_archived_call_is_proven_with_what_it_says(home: Path) -> None:
    assert packed(home)
    key = public_key(home / "keys" / PUBLIC_KEY)

    def whole(event: object) -> bool:
        return isinstance(event, dict) and "decision_hash" in event  # no stub has it

    with closing(logs(Settings(home=home))) as each:
        told = proofs.inclusion(each, "r1", key, whole, whole)
    assert isinstance(told["event"], dict)
    assert told["event"]["request_id"] == "r1"


def test_the_journal_goes_on_and_later_segments_follow(home: Path) -> None:
    packed(home)
    journal = SqliteJournal.open(journal_of(home), home / "keys", at(EVENTS))
    for number in range(EVENTS + 1, EVENTS + 21):
        journal.record_now(stamped(number))
    journal.close()
    made = packed(home, at(EVENTS + 20))
    assert [each.first for each in made] == [EVENTS - HOT.days // DAYS]
    assert codes(home) == set()


def test_a_clock_that_is_ahead_does_not_archive_what_is_hot(home: Path) -> None:
    made = packed(home, at(EVENTS) + timedelta(days=10_000))
    assert made[-1].last == EVENTS - HOT.days // DAYS - 1
    with closing(sqlite3.connect(journal_of(home), isolation_level=None)) as db:
        row = (made[-1].last + 1, EVENTS, "x", "y")
        with pytest.raises(sqlite3.IntegrityError, match="hot part"):
            db.execute("INSERT INTO archive (first, last, name, sha256) VALUES (?, ?, ?, ?)", row)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_event SET body = '{}' WHERE seq = 3",
        "UPDATE audit_event SET hash = x'00' WHERE seq = 3",
        f'UPDATE audit_event SET body = \'{{"archived":"x"}}\' WHERE seq = {EVENTS}',
        "UPDATE decision SET body = '{}' WHERE seq = 3",
        f'UPDATE decision SET body = \'{{"archived":"x"}}\' WHERE seq = {EVENTS}',
        "DELETE FROM audit_event WHERE seq = 3",
        "DELETE FROM archive",
        "UPDATE archive SET last = 2 WHERE first = 1",
    ],
)
def test_an_archived_journal_is_append_only_as_before(home: Path, change: str) -> None:
    packed(home)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw(home, change)


def lose_file(home: Path) -> None:
    min(folder_of(journal_of(home)).glob("*.gz")).unlink()


def edit_file(home: Path) -> None:
    path = min(folder_of(journal_of(home)).glob("*.gz"))
    path.write_bytes(
        gzip.compress(
            gzip.decompress(path.read_bytes()).replace(b"policy_version", b"policy-version")
        )
    )


def lose_manifest(home: Path) -> None:
    min(folder_of(journal_of(home)).glob("*.json")).unlink()


def edit_file_and_manifest(home: Path) -> None:
    edit_file(home)
    path = min(folder_of(journal_of(home)).glob("*.json"))
    told = orjson.loads(path.read_bytes())
    told["last_time"] = "2000-01-01T00:00:00.000000Z"
    path.write_bytes(orjson.dumps(told))


def edit_stub(home: Path) -> None:
    drop = "DROP TRIGGER audit_event_no_update"
    raw(home, drop)
    raw(home, "UPDATE audit_event SET body = replace(body, 't-life', 't-else') WHERE seq = 3")


def hide_in_a_stub(home: Path) -> None:
    raw(home, "DROP TRIGGER audit_event_no_update")
    raw(home, f'UPDATE audit_event SET body = \'{{"archived":"x"}}\' WHERE seq = {EVENTS}')


def remove_before_its_time(home: Path) -> None:
    raw(home, "UPDATE archive SET expired = '2026-11-23T00:00:00.000000Z' WHERE first = 1")
    lose_file(home)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lose_file, {"archive", "archive_missing"}),
        (edit_file, {"archive", "decision_changed"}),
        (lose_manifest, {"archive"}),
        (edit_file_and_manifest, {"archive", "decision_changed"}),
        (edit_stub, {"archive_missing"}),
        (hide_in_a_stub, {"archive_missing"}),
        (remove_before_its_time, {"archive", "archive_missing"}),
    ],
)
def test_what_was_done_to_an_archive_is_found(home: Path, damage: object, found: set[str]) -> None:
    packed(home)
    assert callable(damage)
    damage(home)
    assert found <= codes(home)


@pytest.mark.parametrize(
    ("table", "text"), [("audit_event", "t-life"), ("decision", "policy_version")]
)
def test_what_was_edited_before_is_not_packed_away(home: Path, table: str, text: str) -> None:
    raw(home, f"DROP TRIGGER {table}_no_update")
    raw(home, f"UPDATE {table} SET body = replace(body, '{text}', 't-else') WHERE seq = 3")
    with pytest.raises(OperatorError, match="not as they were sealed"):
        packed(home)
    assert raw(home, "SELECT count(*) FROM archive") == [(0,)]


def test_killed_between_file_and_journal_it_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bodies(home)

    def killed(*_args: object) -> Iterator[object]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(archives, "_take_out", killed)
        with pytest.raises(KeyboardInterrupt):
            packed(home)
    assert codes(home) == set()
    packed(home)
    last = EVENTS - HOT.days // DAYS - 1
    assert raw(home, "SELECT count(*) FROM audit_event WHERE body LIKE '{\"archived\"%'") == [
        (last,)
    ]
    assert bodies(home) == before
    assert codes(home) == set()


def test_after_five_years_the_files_go_and_the_chain_stays(home: Path) -> None:
    packed(home)
    assert (
        expire(journal_of(home), at(EVENTS) + RETENTION) == []
    )  # the journal's time, not a clock's
    journal = SqliteJournal.open(journal_of(home), home / "keys", at(EVENTS))
    for number in range(EVENTS + 1, 120):
        journal.record_now(stamped(number))
    journal.close()
    gone = expire(journal_of(home), at(119))
    assert gone == ["000000000001-000000000020"]
    assert not (folder_of(journal_of(home)) / f"{gone[0]}.jsonl.gz").exists()
    assert codes(home) == set()
    told = json.loads(bodies(home)[0][0])
    assert (told["archived"], told["kind"], told["tenant"]) == (gone[0], "read", "t-life")
