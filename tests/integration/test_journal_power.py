"""Power cuts at any point of a journal's life, also while it is made and while its log is moved
into the database: it starts again by itself, with every acknowledged entry and an unbroken chain.
"""

import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.audit.verify import verify
from gateway.errors import OperatorError
from gateway.journal.checkpoint import PUBLIC_KEY, path_of, public_key
from gateway.journal.schema import connect_reading
from gateway.journal.sqlite import SqliteJournal
from tests import power
from tests.journal_factory import answered, opened
from tests.journal_server import entry_for

FILES = ("journal.db", "journal.db-wal", "journal.db.checkpoints")


def life(home, sabotage="none", batches=120, begin=0):
    """The trace of one life."""
    command = [sys.executable, "-m", "tests.journal_life", str(home), "--sabotage", sabotage]
    subprocess.run([*command, "--batches", str(batches), "--begin", str(begin)], check=True)
    return list(power.events(home / "trace"))


def drawn(seed):
    return random.Random(seed)  # noqa: S311 - reproducible, not secret


def lost(home, events, points, seed, before=frozenset()):
    """Per cut, what it has cost: the acknowledged entries that are gone, or why nothing starts."""
    disk, chance, played, costs = power.Disk(), drawn(seed), 0, []
    for point in sorted(points):
        for event in events[played:point]:
            disk.play(event)
        played = point
        folder = home / "left"
        shutil.copytree(home / "keys", folder / "keys")
        for name in FILES:  # what an earlier life has left; the trace may not have come to it yet
            if before and (home / "found" / name).exists():
                shutil.copy(home / "found" / name, folder / name)
        disk.cut(folder, chance)
        costs.append(cost(folder, before | set(disk.notes)))
        shutil.rmtree(folder)
    return costs


def cost(folder: Path, acknowledged: set[str]) -> set[str]:
    now = datetime.now(UTC)
    try:
        with closing(SqliteJournal.open(folder / "journal.db", folder / "keys", now)) as journal:
            journal.record_now(entry_for(journal, "r-after"))
    except (OperatorError, sqlite3.Error) as error:
        return {str(error)}
    with closing(connect_reading(folder / "journal.db")) as db:
        stored = {row[0] for row in db.execute("SELECT request_id FROM usage_event")}
    found = verify(folder / "journal.db", public_key(folder / "keys" / PUBLIC_KEY)).findings
    return (acknowledged | {"r-after"}) - stored | {str(finding) for finding in found}


def test_a_second_cut_in_the_life_after_a_cut_takes_nothing_of_the_first(tmp_path):
    events = life(tmp_path, batches=12)
    starts = [n for n, event in enumerate(events) if event.what == power.NOTE]
    for seed, point in enumerate(starts[20:90:28]):
        first, disk = tmp_path / f"first-{seed}", power.Disk()
        shutil.copytree(tmp_path / "keys", first / "keys")
        for event in events[: point + 2 + 3 * seed]:
            disk.play(event)
        disk.cut(first, drawn(seed))
        found = shutil.copytree(first, first / "found", ignore=shutil.ignore_patterns("keys"))
        assert (found / "journal.db").exists()
        again = life(first, batches=2, begin=10_000)
        noted = [n for n, event in enumerate(again) if event.what == power.NOTE]
        for cost_of_cut in lost(first, again, range(0, noted[0], 2), seed, set(disk.notes)):
            assert not cost_of_cut


def rare(events):
    """Points around what happens seldom: files made, deleted, shortened, pages moved into the
    database, checkpoints signed."""
    seldom = {power.CREATE, power.DELETE, power.TRUNCATE}
    others = [number for number, event in enumerate(events) if event.name != "journal.db-wal"]
    moved = [n for n in others if events[n].what == power.WRITE]
    kept = [n for n in others if events[n].what in seldom | {power.SYNC}]
    return {n + step for n in kept for step in (0, 1)} | set(moved[::7])


def test_a_cut_at_any_point_of_a_life_loses_nothing(tmp_path):
    events = life(tmp_path)
    chance = drawn(7)
    points = {chance.randrange(len(events)) for _ in range(100)} | rare(events)
    assert {power.CREATE, power.DELETE, power.SYNC, power.WRITE} <= {e.what for e in events}
    assert not any(lost(tmp_path, events, points, seed=8))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_cut_at_every_point_of_a_life_loses_nothing(tmp_path):
    events = life(tmp_path, batches=40)
    assert not any(lost(tmp_path, events, range(len(events) + 1), seed=9))


@pytest.mark.parametrize("rubbish", [b"\0" * 300, b"\n\xff{}\n" * 40, b'{"seq":7'])
def test_rubbish_at_the_end_of_the_checkpoints_does_not_keep_the_journal_from_starting(
    tmp_path, rubbish
):
    with closing(opened(tmp_path)) as journal:
        journal.record_now(answered(1))
    with path_of(tmp_path / "journal.db").open("ab") as file:
        file.write(rubbish)
    with closing(opened(tmp_path)) as journal:
        journal.record_now(answered(2))
    key = public_key(tmp_path / "keys" / PUBLIC_KEY)
    verdict = verify(tmp_path / "journal.db", key)
    assert (verdict.checkpoints, verdict.unsigned, verdict.findings) == (2, 0, ())


def test_a_file_that_is_damaged_is_refused_with_a_sentence(tmp_path):
    with closing(opened(tmp_path)) as journal:
        journal.record_now(answered(1))
    path = tmp_path / "journal.db"
    path.write_bytes(path.read_bytes()[:4096] + bytes(path.stat().st_size - 4096))
    with pytest.raises(OperatorError, match="journal"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "sabotage",
    ["ack-before-commit", "no-fsync", "shared-sectors", "synchronous-off", "synchronous-normal"],
)
def test_a_planted_mistake_is_seen_by_thirty_cuts(tmp_path, sabotage):
    events = life(tmp_path, sabotage)
    chance = drawn(10)
    points = [chance.randrange(len(events) // 4, len(events)) for _ in range(30)]
    assert any(lost(tmp_path, events, points, seed=11))
