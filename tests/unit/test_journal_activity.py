"""Calls counted by following the journal: as a plain count would, once each, and gone in time."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.journal.activity import DAYS, Activity, day_of
from gateway.journal.sqlite import SqliteJournal

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
_ROW = "INSERT INTO audit_event (seq, request_id, body, prev_hash, hash) VALUES (?, ?, ?, x'', x'')"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    SqliteJournal.open(tmp_path / "journal.db", tmp_path / "keys", NOW).close()
    return tmp_path / "journal.db"


def write(path: Path, first: int, days_ago: list[int], kind: str = "read") -> None:
    """Events in the order given; every third is refused."""
    with sqlite3.connect(path) as db:
        for number, days in enumerate(days_ago, first):
            refused = number % 3 == 0
            body = {
                "kind": kind,
                "result": "refused" if refused else "answered",
                "deny_codes": ["D201"] if refused else [],
                "time": (NOW - timedelta(days=days)).isoformat(),
                "tenant": f"T-{number % 2}",
                "service": f"S0{number % 4}",
                **({} if refused else {"cells": 3, "cells_suppressed": 1}),
            }
            db.execute(_ROW, (number, f"r{number}", json.dumps(body)))
    db.close()


def test_each_call_counts_once_however_it_is_read(path: Path) -> None:
    write(path, 1, [5] * 40 + [1] * 20)
    write(path, 61, [0] * 5, kind="login")  # no call
    counts = Activity(lambda: [path])
    assert not counts.catch_up(NOW, 7), "a part at a time"
    while not counts.catch_up(NOW, 7):
        pass
    assert counts.catch_up(NOW)
    told = counts.counts
    assert told.answered + told.refused == Counter(
        {day_of(NOW - timedelta(days=5)): 40, day_of(NOW - timedelta(days=1)): 20}
    )
    assert told.codes == Counter({"D201": 20})
    assert told.tenants == Counter({"T-0": 30, "T-1": 30})
    assert told.pairs.total() == 60
    assert told.pairs["T-0", "S00", True] == 5
    assert (told.delivered.total(), told.suppressed.total()) == (40 * 3, 40)


def test_what_is_older_than_the_days_is_neither_read_nor_kept(path: Path) -> None:
    write(path, 1, [90] * 30 + [DAYS] * 9 + [DAYS - 1] * 9 + [0] * 9)
    counts = Activity(lambda: [path])
    assert counts.catch_up(NOW)
    assert counts.counts.pairs.total() == 18
    assert counts.catch_up(NOW + timedelta(days=1))
    assert counts.counts.pairs.total() == 9
    assert set(+counts.counts.answered) == {day_of(NOW)}
    assert set(counts.counts.delivered) == {day_of(NOW)}


def test_several_journals_are_counted_together_and_a_day_is_the_offices(
    path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    SqliteJournal.open(other, tmp_path / "keys", NOW).close()
    write(path, 1, [0] * 4)
    write(other, 1, [0] * 4)
    counts = Activity(lambda: [path, other])
    assert counts.catch_up(NOW)
    assert counts.counts.pairs.total() == 8
    assert day_of(datetime(2026, 11, 23, 16, tzinfo=UTC)) == "2026-11-24"
