"""Masking keys over their life: made ahead, wrapped, rotated, destroyed with proof; never shown."""

from __future__ import annotations

import base64
import copy
import json
import logging
import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from gateway.cli import keys as verbs
from gateway.db.engine import reading
from gateway.errors import NotFound, OperatorError, Unavailable
from gateway.identity.desk import prepare_database
from gateway.identity.record import Act, broken_entries
from gateway.keystore.book import KeyBook, open_book
from gateway.keystore.files import Epoch
from gateway.keystore.vault import Vault
from gateway.masking.keyed import TokenMask
from gateway.masking.plan import apply, plan
from gateway.settings import Settings

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TODAY = NOW.date()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def engine(settings: Settings) -> Iterator[sa.Engine]:
    made = prepare_database(settings, NOW)
    yield made
    made.dispose()


def act(reason: str = "contract ended") -> Act:
    return Act("officer", NOW, reason)


def pseudonym(book: KeyBook, consumer: str = "T-1", day: date = TODAY) -> object:
    masks = plan({"a": "pseud"}, book.masking_keys(consumer, "SC02", day))
    return apply(masks, {"a": ["330000199001011234"]})["a"][0]


def test_a_pseudonym_is_stable_within_an_epoch_and_changes_with_it(
    engine: sa.Engine, settings: Settings
) -> None:
    book = open_book(engine, settings, NOW)
    first = pseudonym(book)
    assert pseudonym(open_book(engine, settings, NOW)) == first
    assert pseudonym(book, "T-2") != first
    assert pseudonym(book, day=date(2027, 1, 1)) != first
    assert book.rotate(act(), TODAY) == "2026.2"
    assert pseudonym(book) != first
    earlier = plan({"a": "pseud"}, book.keys_of("T-1", "SC02", "2026.1"))
    assert apply(earlier, {"a": ["330000199001011234"]})["a"] == [first]


def test_a_destroyed_key_is_gone_proved_and_refused_when_its_file_comes_back(
    engine: sa.Engine, settings: Settings
) -> None:
    book, other = open_book(engine, settings, NOW), open_book(engine, settings, NOW)
    file = settings.keys / "data" / "masking-2026.1.json"
    backup = file.read_bytes()
    pseudonym(other)
    with pytest.raises(OperatorError, match="in use"):
        book.destroy(act(), Epoch(2026, 1), TODAY)
    book.rotate(act(), TODAY)
    with pytest.raises(OperatorError, match="Say why"):
        book.destroy(act(""), Epoch(2026, 1), TODAY)
    other.keys_of("T-1", "SC02", "2026.1")
    proof = book.destroy(act(), Epoch(2026, 1), TODAY)
    assert json.loads(backup)["wrapped"] not in file.read_text()
    assert proof["commitment"] == json.loads(backup)["commitment"]
    for each in (book, other):  # also where the key was held open
        with pytest.raises(Unavailable, match=r"2026\.1"):
            each.keys_of("T-1", "SC02", "2026.1")
    with reading(engine) as session:
        assert broken_entries(session) == ()
        told = session.execute(
            sa.text("SELECT action, reason FROM directory_audit WHERE revision = :n"),
            {"n": proof["revision"]},
        ).one()
    assert tuple(told) == ("destroy", "contract ended")

    file.write_bytes(backup)
    with pytest.raises(Unavailable):
        book.keys_of("T-1", "SC02", "2026.1")
    with pytest.raises(OperatorError, match="destroyed by record"):
        open_book(engine, settings, NOW)
    book.destroy(act(), Epoch(2026, 1), TODAY)
    open_book(engine, settings, NOW)


def test_nothing_is_masked_without_the_recorded_key(engine: sa.Engine, settings: Settings) -> None:
    book = open_book(engine, settings, NOW)
    file = settings.keys / "data" / "masking-2026.1.json"
    whole = json.loads(file.read_text())
    pseudonym(book)

    def damaged(**fields: str) -> None:
        file.write_text(json.dumps({**whole, **fields}))
        os.utime(file, ns=(1, len(fields) + 1))
        with pytest.raises(Unavailable, match="no masking key"):
            pseudonym(book)
        with pytest.raises(OperatorError):
            open_book(engine, settings, NOW)

    wrapped = bytearray(base64.b64decode(whole["wrapped"]))
    wrapped[20] ^= 1
    damaged(wrapped=base64.b64encode(bytes(wrapped)).decode())
    damaged(epoch="2027.1", suite="gm")
    damaged(commitment="0" * 32)
    file.unlink()
    with pytest.raises(Unavailable, match="2026"):
        pseudonym(book)
    with pytest.raises(OperatorError, match=r"masking-2026\.1"):
        open_book(engine, settings, NOW)
    forged = settings.keys / "data" / "masking-2026.7.json"
    forged.write_text(json.dumps({**whole, "epoch": "2026.7"}))
    forged.chmod(0o600)
    with pytest.raises(Unavailable):
        pseudonym(book)


def test_key_files_are_the_owners_alone(engine: sa.Engine, settings: Settings) -> None:
    open_book(engine, settings, NOW)
    files = list((settings.keys / "data").iterdir())
    assert {path.name for path in files} == {
        "root.secret",
        "masking-2026.1.json",
        "masking-2027.1.json",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    for name in ("root.secret", "masking-2026.1.json"):
        (settings.keys / "data" / name).chmod(0o640)
        with pytest.raises(OperatorError, match="read by others"):
            open_book(engine, settings, NOW)
        (settings.keys / "data" / name).chmod(0o600)


def test_a_root_key_of_the_environment_or_of_a_program_wraps_as_well(
    engine: sa.Engine, settings: Settings, tmp_path: Path
) -> None:
    text = base64.b64encode(bytes(range(32))).decode()
    named = Settings(home=settings.home, root_key=text, crypto_suite="international")  # type: ignore[arg-type]  # a SecretStr is made of it
    assert text not in repr(named)
    told = pseudonym(open_book(engine, named, NOW))
    assert not (settings.keys / "data" / "root.secret").exists()
    with pytest.raises(OperatorError, match="does not open"):
        open_book(engine, settings, NOW)
    assert pseudonym(open_book(engine, named, NOW)) == told
    with pytest.raises(OperatorError, match="base64") as wrong:
        open_book(engine, Settings(home=settings.home, root_key="c2hvcnQ="), NOW)  # type: ignore[arg-type]  # as above
    assert "c2hvcnQ" not in wrong.value.message

    program = tmp_path / "hsm"
    program.write_text(  # stands for a vendor's tool: adds and checks its own header
        f"#!{sys.executable}\nimport sys\ndata = sys.stdin.buffer.read()\n"
        "head = b'HSM' + sys.argv[3].encode()\n"
        "if sys.argv[1] == 'wrap': out = head + bytes(b ^ 7 for b in data)\n"
        "elif not data.startswith(head): sys.exit(1)\n"
        "else: out = bytes(b ^ 7 for b in data[len(head):])\n"
        "sys.stdout.buffer.write(out)\n"
    )
    program.chmod(0o700)
    outside = Settings(home=tmp_path / "second", key_program=program)
    database = prepare_database(outside, NOW)
    first = pseudonym(open_book(database, outside, NOW))
    assert pseudonym(open_book(database, outside, NOW)) == first
    file = outside.keys / "data" / "masking-2026.1.json"
    other = outside.keys / "data" / "masking-2027.1.json"
    swapped = {**json.loads(file.read_text()), "wrapped": json.loads(other.read_text())["wrapped"]}
    file.write_text(json.dumps(swapped))
    with pytest.raises(OperatorError, match="did not unwrap"):
        open_book(database, outside, NOW)
    database.dispose()


def test_no_key_is_printed_pickled_copied_or_logged(
    engine: sa.Engine, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    keys = open_book(engine, settings, NOW).masking_keys("T-1", "SC02", TODAY)
    made = [keys.root, keys.key("pseud")]
    secrets = [each.expose().hex() for each in made] + [repr(each.expose()) for each in made]
    masks = plan({"a": "pseud", "b": "fpe", "c": "dateshift(a)", "d": "token"}, keys)
    said = f"{keys!r} {masks!r} {settings!r} {caplog.text} {made[0]!s} {vars(settings)}"
    assert not any(secret in said for secret in secrets)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never"):
            attempt(made[0])


def test_a_process_that_holds_keys_leaves_no_core_dump(settings: Settings) -> None:
    code = (
        "import resource, sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "from gateway.identity.desk import prepare_database\n"
        "from gateway.keystore.book import open_book; from gateway.settings import Settings\n"
        "now = datetime.now(UTC); told = Settings(home=Path(sys.argv[1]))\n"
        "open_book(prepare_database(told, now), told, now)\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(settings.home)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(0, 0)"


def test_the_officers_commands(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(settings.home))

    def run(*words: str) -> str:
        done = CliRunner().invoke(verbs.app, list(words))
        assert done.exit_code == 0, (words, done.output, done.exception)
        return done.stdout

    listed = json.loads(run("list", "--kind", "masking", "--json"))
    year = datetime.now(UTC).year
    assert [row["epoch"] for row in listed] == [f"{year}.1", f"{year + 1}.1"]
    assert all("wrapped" not in row for row in listed)
    assert f"{year}.2" in run("rotate", "--kind", "masking", "--reason", "staff left")
    proof = json.loads(run("destroy", f"{year}.1", "--reason", "staff left", "--json"))
    assert proof["destroyed_at"]
    after = json.loads(run("list", "--kind", "masking", "--json"))
    assert [row["status"] for row in after] == ["destroyed", "live", "live"]
    refused = CliRunner().invoke(verbs.app, ["destroy", f"{year + 1}.1", "--reason", "x"])
    assert isinstance(refused.exception, OperatorError)
    assert refused.exception.code == "keys.in_use"


def test_tokens_are_opened_from_the_vault_for_a_reason_on_record(
    engine: sa.Engine, settings: Settings
) -> None:
    book = open_book(engine, settings, NOW)
    vault = Vault(settings.home / "vault", book)
    mask = plan({"a": "token"}, book.masking_keys("T-1", "SC08", TODAY))["a"]
    assert isinstance(mask, TokenMask)
    told, again = str(mask("M-4711")), mask("M-4711")
    assert told == again
    assert "4711" not in told
    assert plan({"a": "token"}, book.masking_keys("T-1", "SC08", TODAY))["a"] is not mask
    vault.keep("answer-1", mask.issued, TODAY)
    kept = settings.home / "vault" / "answer-1.json"
    assert "4711" not in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert vault.open("answer-1", told, act("court order")) == "M-4711"
    with reading(engine) as session:
        last = session.execute(
            sa.text("SELECT actor, action, reason FROM directory_audit ORDER BY revision DESC")
        ).first()
    assert tuple(last or ()) == ("officer", "open", "court order")
    for refused in (("answer-1", "0" * 32), ("answer-2", told)):
        with pytest.raises(NotFound):
            vault.open(*refused, act())
    for refused in (("../root", told), ("answer-1", told)):
        with pytest.raises(OperatorError):
            vault.open(*refused, act("" if refused[0] == "answer-1" else "why"))
    kept.rename(kept.with_name("answer-2.json"))
    with pytest.raises(OperatorError, match="does not open"):  # sealed for its own set alone
        vault.open("answer-2", told, act())
    book.rotate(act(), TODAY)
    book.destroy(act(), Epoch(2026, 1), TODAY)
    with pytest.raises(Unavailable):
        vault.open("answer-2", told, act())
