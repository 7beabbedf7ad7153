"""The tree over a journal: signed notes, tiles, the anchor, and what tampering with them shows."""

from __future__ import annotations

import base64
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from gateway.audit import proofs, standalone
from gateway.audit.outside import abroad
from gateway.audit.verify import NOTHING_OUTSIDE, Outside, verify
from gateway.cli.audit import app as audit
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
from gateway.journal.proving import logs
from gateway.journal.schema import LASTING
from gateway.journal.seal import link
from gateway.journal.sqlite import Checkpointing, SqliteJournal
from gateway.settings import Settings
from gateway.tlog import merkle, notes
from tests.journal_factory import NOON, answered, refused

EVENTS, MORE = 300, 40
EVERY = Checkpointing(events=100)


def fill(home: Path, first: int, last: int, anchor: Path | None = None) -> None:
    """Record calls `first` to `last`; signed after 1, 101, …, and at the end."""
    every = EVERY if anchor is None else replace(EVERY, anchor=FolderAnchor(anchor))
    opened = SqliteJournal.open(home / "journal.db", home / "keys", NOON, every=every)
    with closing(opened) as journal:
        journal.record_now(answered(first))
        for waiter in [
            journal._group.submit(answered(n) if n % 4 else refused(n))
            for n in range(first + 1, last + 1)
        ]:
            waiter.result()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("log")
    (home / "anchor").mkdir()
    fill(home, 1, EVENTS, home / "anchor")
    return home


@pytest.fixture
def home(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "home"))


def outside(home: Path) -> Outside:
    return abroad(home / "anchor", ()).of(journal_id(home / "journal.db"))


def found(home: Path, known: Outside = NOTHING_OUTSIDE) -> set[tuple[str, int, int]]:
    verdict = verify(home / "journal.db", public_key(home / "keys" / PUBLIC_KEY), known)
    return {(one.code, one.first, one.last) for one in verdict.findings}


def tamper(home: Path, *statements: str) -> None:
    with closing(sqlite3.connect(home / "journal.db")) as db:
        for table in (*LASTING, "tile", "note"):
            for act in ("update", "delete"):
                db.execute(f"DROP TRIGGER IF EXISTS {table}_no_{act}")
        for statement in statements:
            db.execute(statement)
        db.commit()


def notes_in(home: Path) -> dict[int, str]:
    with closing(sqlite3.connect(home / "journal.db")) as db:
        return dict(db.execute("SELECT size, text FROM note ORDER BY size").fetchall())


def chain_anew(home: Path, seq: int, change: Callable[[str], str]) -> None:
    """Change an event and compute every later hash again."""
    with closing(sqlite3.connect(home / "journal.db")) as db:
        rows = db.execute("SELECT seq, body, prev_hash FROM audit_event WHERE seq >= ?", (seq,))
        prev = None
        for number, body, before in rows.fetchall():
            new, prev = change(body) if number == seq else body, prev or before
            row = (new, prev, prev := link(prev, new.encode()), number)
            db.execute("UPDATE audit_event SET body=?, prev_hash=?, hash=? WHERE seq=?", row)
        db.commit()


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


def run(home: Path, *words: str) -> Result:
    """`sluice audit …` in this home."""
    environment = {"SLUICE_HOME": str(home)}
    return CliRunner(env=environment).invoke(audit, words)


def settings(home: Path) -> Settings:
    return Settings(home=home)


def included(home: Path, *asked: Any) -> dict[str, Any]:
    with closing(logs(settings(home))) as each:
        return dict(proofs.inclusion(each, *asked))


def continued(home: Path, *asked: Any) -> dict[str, Any]:
    with closing(logs(settings(home))) as each:
        return dict(proofs.consistency(each, *asked))


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


# --- the stand-alone verifier ---------------------------------------------------------------------


def alone(*words: str | Path) -> tuple[int, str]:
    """The verifier as an auditor runs it: Python without anybody's packages."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", standalone.__file__, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def exported(home: Path) -> Path:
    out = home / "export.jsonl"
    run(home, "export", "--out", str(out))
    return out


def by_export(home: Path, *more: str | Path) -> tuple[int, str]:
    key, lines = home / "keys" / PUBLIC_KEY, path_of(home / "journal.db")
    words = ("--key", key, "--checkpoints", lines, *more)
    return alone("export", exported(home), *words)


def test_the_verifier_alone_replays_an_export(home: Path) -> None:
    code, said = by_export(home)
    assert (code, said) == (
        0,
        f"proven  {journal_id(home / 'journal.db')}: {EVENTS} events, 0 not yet signed\n",
    )


ONE = 'UPDATE audit_event SET body = replace(body, "t-life", "t-lief") WHERE seq = 7'.replace(
    '"', "'"
)


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ([ONE], "event 7 was edited"),
        (["DELETE FROM audit_event WHERE seq BETWEEN 8 AND 9"], "events 8 to 9 are missing"),
        (["DELETE FROM audit_event WHERE seq > 250"], f"a signed note has {EVENTS}"),
        (["UPDATE decision SET body = '{}' WHERE seq = 5"], "event 5: its decision was changed"),
        (["UPDATE usage_event SET qty = 501 WHERE seq = 6"], "event 6: its usage was changed"),
        (["DELETE FROM charged_cell WHERE seq = 6"], "event 6: what it charged was changed"),
    ],
)
def test_the_verifier_alone_names_what_was_changed(
    home: Path, statements: list[str], said: str
) -> None:
    tamper(home, *statements)
    code, told = by_export(home)
    assert code == 1
    assert said in told


def test_the_verifier_alone_reads_every_number_and_text_as_we_write_it(home: Path) -> None:
    told = {"query_shape": {"epsilon": [1e-7, 0.1, 1e16, -2.5e-300], "名": '甲\u2028\x7f\n"\\é😀'}}
    entry = answered(EVENTS + 1)
    changed = replace(entry, audit={**entry.audit, **told})
    opened = SqliteJournal.open(home / "journal.db", home / "keys", NOON, every=EVERY)
    with closing(opened) as journal:
        journal.record_now(changed)
    assert by_export(home)[0] == 0


def by_lines(home: Path, lines: list[bytes]) -> tuple[int, str]:
    path = home / "changed.jsonl"
    path.write_bytes(b"".join(lines))
    key, signed = home / "keys" / PUBLIC_KEY, path_of(home / "journal.db")
    return alone("export", path, "--key", key, "--checkpoints", signed)


def test_the_verifier_alone_names_what_was_put_in_or_out_of_order(
    home: Path, tmp_path: Path
) -> None:
    whole = exported(home).read_bytes().splitlines(keepends=True)
    fill(tmp_path / "other", 1, 5)
    other = exported(tmp_path / "other").read_bytes().splitlines(keepends=True)
    forged = [whole[0], *other[1:]]
    for lines, said in (
        ([*whole[:10], whole[11], whole[10], *whole[12:]], "event 10 comes again, or out of order"),
        ([*whole[:20], whole[15], *whole[20:]], "event 15 comes again, or out of order"),
        ([*whole[:20], other[3], *whole[20:]], "event 3 comes again, or out of order"),
        ([*whole, *whole], "it comes twice"),
        ([*whole, *forged], "it comes twice"),
        ([*whole, *other], "no signed note is of it"),
        (whole[1:], "a signed note is of it, the export is not"),
    ):
        code, told = by_lines(home, lines)
        assert code == 1, said
        assert said in told


def test_the_verifier_alone_says_how_much_is_not_signed(home: Path) -> None:
    signed = path_of(home / "journal.db").read_bytes()
    fill(home, EVENTS + 1, EVENTS + 7)
    path_of(home / "journal.db").write_bytes(signed)
    code, told = by_lines(home, exported(home).read_bytes().splitlines(keepends=True))
    assert (code, f"{EVENTS + 7} events, 7 not yet signed" in told) == (0, True)


def test_the_verifier_alone_finds_a_past_written_anew(home: Path) -> None:
    kept = home / "kept.note"
    kept.write_text(notes_in(home)[EVENTS], encoding="utf-8")
    tamper(home, "DELETE FROM note", "DELETE FROM tile")
    chain_anew(home, 150, lambda body: body.replace("t-life", "t-fire"))
    path_of(home / "journal.db").unlink()
    fill(home, EVENTS + 1, EVENTS + 1)
    code, told = by_export(home, "--note", kept)
    assert code == 1
    assert f"events up to {EVENTS} are not those of their signed note" in told


def test_the_verifier_alone_checks_proofs_and_refuses_forged_ones(home: Path) -> None:
    path, pem = home / "proof.json", home / "keys" / PUBLIC_KEY
    key = public_key(pem)
    told = included(home, "r77", key, bool, bool)
    path.write_bytes(orjson.dumps(told))
    assert alone("inclusion", path, "--key", pem, "--request", "r77")[0] == 0
    assert alone("inclusion", path, "--key", pem, "--request", "r5")[0] == 1
    path.write_bytes(orjson.dumps(told | {"event": None}))
    assert alone("inclusion", path, "--key", pem)[0] == 0
    assert alone("inclusion", path, "--key", pem, "--request", "r77")[0] == 1
    for change in (
        {"leaf_index": 77},
        {"hash": told["prev_hash"]},
        {"inclusion": told["inclusion"][:-1]},
        {"event": told["event"] | {"tenant": "t-fire"}},
        {"note": told["note"].replace(f"\n{told['tree_size']}\n", "\n299\n")},
    ):
        path.write_bytes(orjson.dumps(told | change))
        assert alone("inclusion", path, "--key", pem)[0] in {1, 2}
    fill(home, EVENTS + 1, EVENTS + MORE)
    origin, kept = notes.origin_of(journal_id(home / "journal.db")), home / "kept.note"
    kept.write_text(notes_in(home)[EVENTS], encoding="utf-8")
    grown = continued(home, origin, EVENTS, 0, key)
    path.write_bytes(orjson.dumps(grown))
    assert alone("consistency", path, "--key", pem, "--note", kept)[0] == 0
    path.write_bytes(orjson.dumps(grown | {"consistency": grown["consistency"][::-1]}))
    assert alone("consistency", path, "--key", pem)[0] == 1
    kept.write_text(notes_in(home)[1], encoding="utf-8")
    path.write_bytes(orjson.dumps(grown))
    assert alone("consistency", path, "--key", pem, "--note", kept)[0] == 1
    for first, second in ((EVENTS + 1, 0), (EVENTS, 7), (EVENTS + MORE, EVENTS)):
        with pytest.raises(NotFound):
            continued(home, origin, first, second, key)


def test_the_verifier_alone_knows_ed25519(home: Path) -> None:
    """RFC 8032 §7.1, tests 1 to 3, and what must not pass."""
    vectors = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ]
    for public, message, signature in vectors:
        key, text, seal = (bytes.fromhex(part) for part in (public, message, signature))
        assert standalone.ed25519(key, text, seal)
        assert not standalone.ed25519(key, text + b"x", seal)
        assert not standalone.ed25519(key, text, seal[:32] + bytes(32))
        assert not standalone.ed25519(key, text, seal[:-1])
        # The same signature with its scalar above the group's order is another text for one seal.
        high = int.from_bytes(seal[32:], "little") + standalone.L
        assert not standalone.ed25519(key, text, seal[:32] + high.to_bytes(32, "little"))


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
