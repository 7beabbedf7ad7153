"""Where the quick pass vouches for a journal, the walk from event to event has nothing to find."""

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.audit.verify import verify, verify_chain
from gateway.journal import checkpoint
from gateway.journal.checkpoint import PUBLIC_KEY, path_of, public_key
from gateway.journal.reader import identity, recorded
from gateway.journal.schema import LASTING, connect_reading
from gateway.journal.sqlite import Checkpointing, SqliteJournal
from gateway.journal.tree import kept_in
from tests.journal_factory import NOON, answered, refused

SEQ = st.integers(1, 12)
ANY = st.sampled_from(["", "x", "r3", "d2", 0, 1, 500, None, b"\1", b""])
COLUMNS = {
    "audit_event": ["request_id", "body", "prev_hash", "hash", "seq"],
    "decision": ["request_id", "body", "seq"],
    "usage_event": ["qty", "billable_qty", "tenant", "release", "page", "time", "repeat_of", "seq"],
    "charged_cell": ["cells", "place", "seq"],
}
CHANGE = st.sampled_from(sorted(COLUMNS)).flatmap(
    lambda table: st.tuples(st.just(table), st.sampled_from([*COLUMNS[table], "gone"]), SEQ, ANY)
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Twelve events; checkpoints after 1, 6, 11 and, at closing, 12."""
    home = tmp_path_factory.mktemp("whole")
    every = Checkpointing(5, timedelta(days=1))
    with closing(
        SqliteJournal.open(home / "journal.db", home / "keys", NOON, every=every)
    ) as journal:
        for number in range(1, 13):
            journal.record_now(answered(number) if number % 4 else refused(number))
    with closing(sqlite3.connect(home / "journal.db")) as db:
        for table in LASTING:
            for act in ("update", "delete"):
                db.execute(f"DROP TRIGGER {table}_no_{act}")
        db.commit()
    return home


def change(path, table, column, seq, value):
    with closing(sqlite3.connect(path)) as db:
        statement = f"UPDATE OR IGNORE {table} SET {column} = ? WHERE seq = ?"
        try:
            if column == "gone":
                db.execute(f"DELETE FROM {table} WHERE seq = ?", (seq,))
            else:
                db.execute(statement, (value, seq))
            db.commit()
        except (sqlite3.IntegrityError, sqlite3.OperationalError):  # the table refuses it
            db.rollback()


def by_both(home):
    path, key = home / "journal.db", public_key(home / "keys" / PUBLIC_KEY)
    verdict = verify(path, key)
    with closing(connect_reading(path)) as db:
        walked = verify_chain(
            *identity(db), recorded(db), checkpoint.read(path), key, kept=kept_in(db)
        )
    plain = tuple(one for one in verdict.findings if one.code != "orphan")
    return verdict, plain, walked


def test_a_whole_journal_gets_the_same_verdict_by_both(whole):
    verdict, _, walked = by_both(whole)
    assert verdict == walked
    assert (verdict.events, verdict.checkpoints, verdict.findings) == (12, 4, ())


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(CHANGE, min_size=1, max_size=3), st.booleans())
def test_the_quick_pass_overlooks_nothing_the_walk_finds(whole, tmp_path_factory, changes, unsign):
    home = tmp_path_factory.mktemp("changed")
    shutil.copytree(whole, home, dirs_exist_ok=True)
    for one in changes:
        change(home / "journal.db", *one)
    if unsign:
        line = path_of(home / "journal.db")
        line.write_bytes(b"".join(line.read_bytes().splitlines(keepends=True)[:-2]))
    try:
        _, plain, walked = by_both(home)
    except (TypeError, AttributeError, ValueError):  # a body that is no object stops the walk
        return
    assert plain == walked.findings
