"""The tree over a journal: signed notes, tiles, the anchor, and what tampering with them shows."""

from __future__ import annotations

import base64
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gateway.audit import standalone
from gateway.audit.verify import Outside
from gateway.errors import NotFound, OperatorError, Unavailable
from gateway.journal.anchor import Anchored, FolderAnchor
from gateway.journal.checkpoint import (
    PUBLIC_KEY,
    Checkpoint,
    path_of,
    public_key,
    signing_key,
)
from gateway.journal.neighbours import journal_id
from gateway.journal.sqlite import SqliteJournal
from gateway.tlog import merkle, notes
from tests.audit_tree_world import (
    EVENTS,
    EVERY,
    MORE,
    chain_anew,
    fill,
    found,
    included,
    notes_in,
    outside,
    run,
    tamper,
    written_log,
)
from tests.journal_factory import NOON, answered


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_log(tmp_path_factory.mktemp("log"))


@pytest.fixture
def home(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "home"))


def test_a_log_is_signed_tiled_anchored_and_whole(home: Path) -> None:
    assert {1, EVENTS} <= set(notes_in(home))
    with closing(sqlite3.connect(home / "journal.db")) as db:
        assert db.execute("SELECT level, number, size FROM tile").fetchall() == [(0, 0, 256)]
    held = (home / "anchor" / f"{journal_id(home / 'journal.db')}.checkpoints").read_bytes()
    assert held == path_of(home / "journal.db").read_bytes()
    assert found(home, outside(home)) == set()


@pytest.mark.parametrize("table", ["tile", "note"])
@pytest.mark.parametrize("act", ["UPDATE {0} SET size = 1", "DELETE FROM {0}"])
def test_nobody_changes_the_tree(home: Path, table: str, act: str) -> None:
    with (
        closing(sqlite3.connect(home / "journal.db")) as db,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        db.execute(act.format(table))


def test_a_changed_or_lost_part_of_the_tree_is_named(home: Path) -> None:
    tamper(home, "UPDATE tile SET hashes = zeroblob(8192)")
    assert {code for code, _, _ in found(home)} == {"tree"}
    tamper(home, "DELETE FROM tile")
    assert {(code, last) for code, _, last in found(home)} == {("tree", 256)}


def test_a_note_of_another_log_or_key_is_named(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    fill(other, 1, 3)
    text = notes_in(other)[3]
    for note in (text, text.replace("\n3\n", "\n4\n"), "no note"):
        assert "tree" in {code for code, _, _ in found(home, Outside(notes=(note,)))}


def test_a_note_with_another_root_is_named_though_the_chain_agrees(home: Path) -> None:
    key = signing_key(home / "keys")
    true = notes.opened(notes_in(home)[EVENTS], key.public_key())
    lie = notes.signed(replace(true, root=bytes(32)), key)
    codes = found(home, Outside(notes=(lie,)))
    assert {(code, last) for code, _, last in codes} == {("tree", EVENTS)}


def test_a_checkpoint_whose_note_says_something_else_is_no_checkpoint(home: Path) -> None:
    key, path = signing_key(home / "keys"), path_of(home / "journal.db")
    *lines, last = path.read_bytes().splitlines(keepends=True)
    said = Checkpoint(**orjson.loads(last))
    for size, chain in ((EVENTS - 1, said.hash), (EVENTS, "ab" * 32)):
        true = notes.opened(said.note, key.public_key())
        draft = replace(said, note=notes.signed(replace(true, size=size, chain=chain), key))
        seal = base64.b64encode(key.sign(draft.signed())).decode()
        path.write_bytes(b"".join([*lines, replace(draft, signature=seal).line()]))
        assert "checkpoint_forged" in {code for code, _, _ in found(home)}


def test_a_past_written_anew_with_its_checkpoints_is_found_by_a_kept_note(home: Path) -> None:
    """Whoever holds the signing key writes everything anew: only what others keep shows it."""
    kept = notes_in(home)[EVENTS]
    tamper(home, "DELETE FROM note", "DELETE FROM tile")
    chain_anew(home, 150, lambda body: body.replace("t-life", "t-fire"))
    path_of(home / "journal.db").unlink()
    fill(home, EVENTS + 1, EVENTS + MORE)
    codes = {code for code, _, _ in found(home)}
    assert codes <= {"usage_changed"}  # the forger left the tree and the chain whole
    assert ("tree", 1, EVENTS) in found(home, Outside(notes=(kept,)))
    later = found(home, outside(home))
    assert {"rewritten"} & {code for code, _, _ in later}


def test_a_store_put_back_as_a_whole_is_found_by_the_anchor(written: Path, home: Path) -> None:
    fill(home, EVENTS + 1, EVENTS + MORE, home / "anchor")
    assert found(home, outside(home)) == set()
    for name in ("journal.db", "journal.db.checkpoints"):
        shutil.copyfile(written / name, home / name)
    for name in ("journal.db-wal", "journal.db-shm"):
        (home / name).unlink(missing_ok=True)
    assert found(home) == set()  # by itself it looks whole
    codes = found(home, outside(home))
    assert ("rolled_back", EVENTS + 1, EVENTS + MORE) in codes
    assert ("truncated", EVENTS + 1, EVENTS + MORE) in codes
    with pytest.raises(OperatorError, match="put back to an earlier"):
        fill(home, EVENTS + 1, EVENTS + 2, home / "anchor")


def test_an_anchor_that_was_away_gets_what_it_missed(home: Path) -> None:
    away = home / "anchor"
    held = {path.name: path.read_bytes() for path in away.iterdir()}
    shutil.rmtree(away)
    away.write_text("not a folder")
    anchor = FolderAnchor(away)
    every = replace(EVERY, anchor=anchor)
    with pytest.raises(OperatorError, match="anchor cannot be read"):
        SqliteJournal.open(home / "journal.db", home / "keys", NOON, every=every)
    away.unlink()
    away.mkdir()
    opened = SqliteJournal.open(home / "journal.db", home / "keys", NOON, every=every)
    with closing(opened) as journal:
        journal.record_now(answered(EVENTS + 1))
    assert all((away / name).read_bytes().startswith(lines) for name, lines in held.items())
    assert found(home, outside(home)) == set()


def test_an_anchor_that_took_part_of_a_line_is_given_the_rest(home: Path) -> None:
    """A full disk leaves half a line; a sync that fails, a whole one that nobody vouches for."""
    chain = journal_id(home / "journal.db")
    held = home / "anchor" / f"{chain}.checkpoints"
    whole = held.read_bytes()
    for left in (whole[:100], whole[: whole.index(b"\n") + 1], whole):
        held.write_bytes(left)
        anchored = Anchored(FolderAnchor(home / "anchor"), chain, path_of(home / "journal.db"))
        anchored.catch_up()
        assert held.read_bytes() == whole


class Failing(FolderAnchor):
    """Takes part of what it is given, or all of it, and then says that it could not."""

    def __init__(self, folder: Path, takes: int) -> None:
        super().__init__(folder)
        self.takes: int | None = takes

    def add(self, chain: str, lines: bytes) -> None:
        super().add(chain, lines[: self.takes])
        if self.takes is not None:
            self.takes = None
            raise OSError("full")


@pytest.mark.parametrize("takes", [0, 100, 10**6])
def test_an_anchor_that_failed_is_caught_up_with_to_the_byte(home: Path, takes: int) -> None:
    chain, file = journal_id(home / "journal.db"), path_of(home / "journal.db")
    (home / "anchor" / f"{chain}.checkpoints").unlink()
    anchored = Anchored(Failing(home / "anchor", takes), chain, file)
    with pytest.raises(OSError, match="full"):
        anchored.catch_up()
    anchored.catch_up()
    assert FolderAnchor(home / "anchor").held(chain) == file.read_bytes()


def test_a_journal_of_before_there_was_a_tree_gets_one(home: Path) -> None:
    tamper(home, "DROP TABLE tile", "DROP TABLE note")
    lines = path_of(home / "journal.db")
    lines.unlink()
    assert found(home) == set()
    fill(home, EVENTS + 1, EVENTS + 1)
    assert found(home) == set()
    assert set(notes_in(home)) == {EVENTS, EVENTS + 1}


def test_each_call_is_proven_to_its_owner_alone(home: Path) -> None:
    key = public_key(home / "keys" / PUBLIC_KEY)

    def mine(event: dict[str, object]) -> bool:
        return event["tenant"] == "t-life"

    for number in (1, 2, 255, 257, EVENTS):
        told = included(home, f"r{number}", key, mine, mine)
        note = notes.opened(told["note"], key)
        path = [base64.b64decode(step) for step in told["inclusion"]]
        leaf = merkle.leaf_hash(bytes.fromhex(told["hash"]))
        assert merkle.includes(number - 1, note.size, leaf, path, note.root)
        assert told["event"]["request_id"] == f"r{number}"
    hidden = included(home, "r1", key, mine, lambda _: False)
    assert hidden["event"] is None
    for request, own in (("r1", lambda _: False), ("r9999", mine)):
        with pytest.raises(NotFound):
            included(home, request, key, own, own)


def test_a_call_that_no_note_covers_yet_is_told_to_wait(home: Path) -> None:
    opened = SqliteJournal.open(home / "journal.db", home / "keys", NOON, every=EVERY)
    with closing(opened) as journal:
        journal.record_now(answered(EVENTS + 1))
        key, request = public_key(home / "keys" / PUBLIC_KEY), f"r{EVENTS + 1}"

        def proof() -> dict[str, object]:
            return included(home, request, key, bool, bool)

        with pytest.raises(Unavailable, match="no signed note"):
            proof()
        journal.sign_soon()
        journal.record_now(answered(EVENTS + 2))
        journal.record_now(answered(EVENTS + 3))
        assert proof()["leaf_index"] == EVENTS


def test_the_command_takes_the_anchor_and_kept_notes(home: Path) -> None:
    name = journal_id(home / "journal.db")
    assert run(home, "verify", "--anchor", str(home / "anchor")).exit_code == 0
    (home / "anchor" / "gone.checkpoints").write_bytes(path_of(home / "journal.db").read_bytes())
    told = run(home, "verify", "--anchor", str(home / "anchor"))
    assert (told.exit_code, "journal_missing" in told.output) == (1, True)
    kept = home / "kept.note"
    kept.write_text(notes_in(home)[EVENTS].replace(name, "another"), encoding="utf-8")
    told = run(home, "verify", "--note", str(kept))
    assert (told.exit_code, "journal_missing" in told.output) == (1, True)
    written = home / "verify.py"
    run(home, "verifier", "--out", str(written))
    assert written.read_bytes() == Path(standalone.__file__).read_bytes()
