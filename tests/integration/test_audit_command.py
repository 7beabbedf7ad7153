"""`sluice audit` over a home: journals, their archives and the office's chains as one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner, Result

from gateway.audit.shelf import ShelfNotes
from gateway.cli import assemble
from gateway.db.engine import reading
from gateway.db.office_journal import Sought, read_events
from tests.directory_factory import add_tenant, empty_directory
from tests.journal_factory import NOON, answered, opened

RUN = CliRunner()


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    journal = opened(tmp_path)
    for number in (1, 2, 3):
        journal.record_now(answered(number))
    journal.close()
    with empty_directory(tmp_path) as made:
        add_tenant(made)
        yield made


@pytest.fixture(scope="module")
def program() -> typer.Typer:
    return assemble(("audit",))


def ask(program: typer.Typer, *words: str) -> Result:
    return RUN.invoke(program, ["audit", *words])


def events(engine: sa.Engine, **asked: str) -> list[dict[str, Any]]:
    with reading(engine) as session:
        return [json.loads(one.body) for one in read_events(session, Sought(**asked), 50)]


def test_the_offices_chain_is_verified_with_the_journals(
    program: typer.Typer, engine: sa.Engine
) -> None:
    whole = ask(program, "verify", "--json")
    assert whole.exit_code == 0, whole.output
    journals = {each["journal"]: each for each in json.loads(whole.output)}
    assert journals["office"]["events"] == 1
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER office_event_no_update")
        connection.exec_driver_sql("UPDATE office_event SET tenant = 'T-ELSE'")
    broken = ask(program, "verify")
    assert broken.exit_code == 1
    assert "FOUND  edited  events 1–1: office event 1: tenant was altered" in broken.output


def test_an_entry_of_the_directory_that_was_exchanged_is_found(
    program: typer.Typer, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER directory_audit_no_update")
        connection.exec_driver_sql("UPDATE directory_audit SET actor = 'nobody', hash = 'x'")
    broken = ask(program, "verify", "--json")
    found = {each["journal"]: each["findings"] for each in json.loads(broken.output)}
    assert (broken.exit_code, found["office"][0]["code"]) == (1, "entry_changed")
    assert "was altered" in found["directory"][0]["message"]


def test_archiving_leaves_what_is_hot_and_is_recorded_when_it_does_something(
    program: typer.Typer, engine: sa.Engine
) -> None:
    (told,) = json.loads(ask(program, "archive", "--expire", "--json").output)
    assert (told["archived"], told["removed"]) == ([], [])
    assert [one["action"] for one in events(engine)] == ["register"]


def test_a_central_store_is_archived_by_its_owner_alone(
    program: typer.Typer,
    engine: sa.Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del engine
    dsn = tmp_path / "dsn"
    dsn.write_text("postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("SLUICE_POSTGRES_DSN_FILE", str(dsn))
    refused = ask(program, "archive")
    assert refused.exit_code != 0
    assert getattr(refused.exception, "code", "") == "archive.owner"


def test_a_release_that_comes_into_force_or_goes_is_recorded_once_by_whoever_serves(
    engine: sa.Engine,
) -> None:
    one, another = (ShelfNotes(engine, lambda: datetime.now(UTC)) for _ in range(2))
    for notes in (one, another, one):
        notes.note({"S02": "S02-1"}, {})
    another.note({"S02": "S02-2"}, {"S02-1": {"time": str(NOON), "reason": "a mistake"}})
    published = [event["release"] for event in events(engine, kind="release-publish")]
    assert published == ["S02-2", "S02-1"]
    (gone,) = events(engine, kind="release-withdraw")
    assert (gone["release"], gone["service"], gone["reason"]) == ("S02-1", "S02", "a mistake")
