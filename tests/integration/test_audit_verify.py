"""Whoever edits, removes, inserts or reorders what was recorded is found, and the place named."""

import base64
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.verify import verify
from gateway.errors import OperatorError
from gateway.journal.checkpoint import PUBLIC_KEY, path_of, public_key, signing_key
from gateway.journal.reader import identity
from gateway.journal.schema import LASTING, connect_reading
from gateway.journal.seal import genesis, link
from gateway.journal.sqlite import Checkpointing, SqliteJournal
from tests.journal_factory import NOON, answered, opened, refused

EVENTS, SIGNED_EVERY = 30, 10


@pytest.fixture
def home(tmp_path):
    """Thirty events; checkpoints after 1, 11, 21 and, at closing, 30."""
    journal = SqliteJournal.open(
        tmp_path / "journal.db",
        tmp_path / "keys",
        NOON,
        every=Checkpointing(SIGNED_EVERY, timedelta(days=1)),
    )
    for number in range(1, EVENTS + 1):
        journal.record_now(answered(number) if number % 3 else refused(number))
    journal.close()
    return tmp_path


def checked(home):
    return verify(home / "journal.db", public_key(home / "keys" / PUBLIC_KEY))


def found(home):
    return {(f.code, f.first, f.last) for f in checked(home).findings}


def tamper(home, *statements):
    """What somebody does who can write the file: the triggers do not stop him."""
    with closing(sqlite3.connect(home / "journal.db")) as db:
        for table in LASTING:
            for act in ("update", "delete"):
                db.execute(f"DROP TRIGGER IF EXISTS {table}_no_{act}")
        for statement in statements:
            db.execute(*statement) if isinstance(statement, tuple) else db.execute(statement)
        db.commit()


def test_an_untouched_journal_is_whole(home):
    verdict = checked(home)
    assert not verdict.findings
    assert (verdict.events, verdict.checkpoints, verdict.unsigned) == (30, 4, 0)


@pytest.mark.parametrize("seq", [1, 2, 15, 29, 30])
def test_an_edited_event_is_named(home, seq):
    tamper(home, f"UPDATE audit_event SET body = replace(body, 'g-life', 'g-lief') WHERE seq={seq}")
    assert found(home) == {("edited", seq, seq)}


@pytest.mark.parametrize("seq", [1, 16, 30])
def test_a_removed_event_is_named(home, seq):
    tamper(
        home,
        f"DELETE FROM audit_event WHERE seq = {seq}",
        f"DELETE FROM decision WHERE seq = {seq}",
        f"DELETE FROM usage_event WHERE seq = {seq}",
        f"DELETE FROM charged_cell WHERE seq = {seq}",
    )
    expected = ("truncated" if seq == EVENTS else "gap", seq, seq)
    assert found(home) == {expected}


def test_a_removed_event_whose_successors_were_renumbered_is_named(home):
    tamper(
        home,
        "DELETE FROM audit_event WHERE seq = 12",
        *(f"UPDATE audit_event SET seq = {n - 1} WHERE seq = {n}" for n in range(13, 31)),
    )
    codes = found(home)
    assert ("broken_link", 11, 12) in codes
    assert ("reordered", 12, 12) in codes


def test_two_events_changing_places_are_named(home):
    tamper(
        home,
        "UPDATE audit_event SET seq = 99 WHERE seq = 7",
        "UPDATE audit_event SET seq = 7 WHERE seq = 8",
        "UPDATE audit_event SET seq = 8 WHERE seq = 99",
    )
    assert {("reordered", 7, 7), ("reordered", 8, 8), ("broken_link", 6, 7)} <= found(home)


def test_a_changed_decision_is_named(home):
    tamper(home, """UPDATE decision SET body = replace(body, '"1"', '"2"') WHERE seq = 5""")
    assert found(home) == {("decision_changed", 5, 5)}


@pytest.mark.parametrize(
    "change", ["qty = qty + 1", "price_micro = 1", "billable_qty = 0", "grant_id = 'x'"]
)
def test_a_changed_usage_event_is_named(home, change):
    tamper(home, f"UPDATE usage_event SET {change} WHERE seq = 4")
    assert found(home) == {("usage_changed", 4, 4)}


def test_a_removed_or_added_usage_event_is_named(home):
    tamper(
        home,
        "DELETE FROM usage_event WHERE seq = 4",
        "UPDATE usage_event SET seq = 6 WHERE seq = 5",
    )
    assert found(home) == {("usage_changed", n, n) for n in (4, 5, 6)}


def test_usage_without_an_audit_event_is_named(home):
    tamper(home, "UPDATE usage_event SET seq = 77 WHERE seq = 4")
    assert {("usage_changed", 4, 4), ("orphan", 77, 77)} == found(home)


@pytest.mark.parametrize(
    "change", ["UPDATE charged_cell SET cells = x'01'", "DELETE FROM charged_cell"]
)
def test_changed_cells_of_a_charge_are_named(home, change):
    tamper(home, f"{change} WHERE seq = 4")
    assert found(home) == {("charge_changed", 4, 4)}


def rehash(home, first, change):
    """The clever forger: edits an event and computes all later hashes anew."""
    with closing(sqlite3.connect(home / "journal.db")) as db:
        rows = db.execute("SELECT seq, body, hash FROM audit_event ORDER BY seq").fetchall()
        prev = genesis(*identity(db))
    statements = []
    for seq, body, digest in rows:
        forged = change(body) if seq == first else body
        after = link(prev, forged.encode()) if seq >= first else digest
        update = "UPDATE audit_event SET body = ?, prev_hash = ?, hash = ? WHERE seq = ?"
        statements.append((update, (forged, prev, after, seq)))
        prev = after
    tamper(home, *statements)


def test_a_rewritten_chain_betrays_itself_at_the_next_checkpoints(home):
    rehash(home, 14, lambda body: body.replace("g-life", "g-lief"))
    assert found(home) == {("checkpoint_mismatch", 12, 21), ("checkpoint_mismatch", 12, 30)}


def test_a_tail_cut_off_is_noticed_and_measured(home):
    tamper(home, *(f"DELETE FROM {t} WHERE seq > 23" for t in LASTING[1:]))
    assert found(home) == {("truncated", 24, 30)}


def test_a_journal_whose_tail_was_cut_off_does_not_serve(home):
    tamper(home, *(f"DELETE FROM {t} WHERE seq > 23" for t in LASTING[1:]))
    with pytest.raises(OperatorError, match="does not hold event 30"):
        opened(home)


def lines_of(home):
    return path_of(home / "journal.db").read_bytes().splitlines(keepends=True)


def write_lines(home, lines):
    path_of(home / "journal.db").write_bytes(b"".join(lines))


def test_a_removed_checkpoint_is_noticed(home):
    first, second, _, last = lines_of(home)
    write_lines(home, [first, second, last])
    assert found(home) == {("checkpoint_gap", 12, 12)}


def test_a_checkpoint_of_another_key_counts_for_nothing(home):
    rehash(home, 14, lambda body: body.replace("g-life", "g-lief"))
    first, *forged = [orjson.loads(line) for line in lines_of(home)]
    with closing(connect_reading(home / "journal.db")) as db:
        hashes = dict(db.execute("SELECT seq, hash FROM audit_event"))
    for one in forged:
        one["hash"] = hashes[one["seq"]].hex()
        one["signature"] = base64.b64encode(Ed25519PrivateKey.generate().sign(b"x")).decode()
    write_lines(home, [orjson.dumps(one) + b"\n" for one in (first, *forged)])
    assert {code for code, _, _ in found(home)} == {"checkpoint_forged", "tree"}


def test_a_checkpoint_of_another_journal_counts_for_nothing(home, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "keys").mkdir()
    for name in ("audit-ed25519.pem", PUBLIC_KEY):
        (other / "keys" / name).write_bytes((home / "keys" / name).read_bytes())
    with closing(opened(other)) as journal:
        journal.record_now(answered(1))
    write_lines(home, [*lines_of(home), *lines_of(other)])
    assert {code for code, _, _ in found(home)} == {"checkpoint_forged"}


def test_a_checkpoint_line_torn_by_a_crash_is_no_finding_and_is_mended(home):
    write_lines(home, [*lines_of(home), b'{"half'])
    assert not checked(home).findings
    with closing(opened(home)) as journal:
        journal.record_now(answered(31))
    assert not checked(home).findings
    assert checked(home).checkpoints == 5


def test_checkpoints_follow_the_time_of_events_too(tmp_path):
    every = Checkpointing(events=10**6, period=timedelta(milliseconds=10))
    journal = SqliteJournal.open(tmp_path / "journal.db", tmp_path / "keys", NOON, every=every)
    with closing(journal):
        for number in range(1, 26):
            journal.record_now(answered(number))
        journal.record_now(refused(26))
    assert [orjson.loads(line)["seq"] for line in lines_of(tmp_path)] == [1, 11, 21, 26]


@pytest.mark.parametrize(
    ("back", "codes"),
    [(timedelta(seconds=30), set()), (timedelta(minutes=2), {"clock"})],
)
def test_an_event_older_than_any_request_lasts_is_found(tmp_path, back, codes):
    with closing(opened(tmp_path)) as journal:
        journal.record_now(answered(1))
        journal.record_now(answered(2, time=NOON - back))
    assert {finding.code for finding in checked(tmp_path).findings} == codes


def test_events_after_the_last_checkpoint_are_reported_as_unsigned(tmp_path):
    with closing(opened(tmp_path)) as journal:
        for number in range(1, 5):
            journal.record_now(answered(number))
        verdict = checked(tmp_path)
        assert (verdict.events, verdict.unsigned, verdict.findings) == (4, 3, ())


def test_the_audit_key_is_readable_by_its_owner_alone(home):
    signing_key(home / "keys")
    assert (home / "keys" / "audit-ed25519.pem").stat().st_mode & 0o777 == 0o600


def sluice(home, *words):
    return subprocess.run(
        [sys.executable, "-c", "from gateway.cli import main; main()", *words],
        env={"SLUICE_HOME": str(home), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_names_what_it_found_and_exits_1(home):
    whole = sluice(home, "audit", "verify")
    assert (whole.returncode, "ok: the chain is whole" in whole.stdout) == (0, True)
    tamper(home, "UPDATE usage_event SET qty = qty + 1 WHERE seq = 4")
    damaged = sluice(home, "audit", "verify", "--json")
    assert damaged.returncode == 1
    assert orjson.loads(damaged.stdout)["findings"][0]["first"] == 4


def test_the_commands_work_while_the_journal_is_being_written(home):
    with closing(opened(home)) as journal:
        journal.record_now(answered(31))
        assert sluice(home, "audit", "verify").returncode == 0
        assert sluice(home, "meter", "verify").returncode == 0
        journal.record_now(answered(32))
