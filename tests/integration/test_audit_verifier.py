"""The stand-alone verifier, run as an auditor runs it: Python and nobody's packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gateway.audit import standalone
from gateway.errors import NotFound
from gateway.journal.checkpoint import (
    PUBLIC_KEY,
    path_of,
    public_key,
)
from gateway.journal.neighbours import journal_id
from gateway.journal.sqlite import SqliteJournal
from gateway.tlog import notes
from tests.audit_tree_world import (
    EVENTS,
    EVERY,
    MORE,
    chain_anew,
    continued,
    fill,
    included,
    notes_in,
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
