"""`sluice consent` as an officer uses it."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from gateway.cli import assemble
from gateway.db.engine import open_engine, sqlite_url
from tests.consent_book import book, given

RUN = CliRunner()


@pytest.fixture
def consent(tmp_path, monkeypatch):
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    with book(tmp_path) as engine:
        yield given(engine, datetime.now(UTC))


@pytest.fixture(scope="module")
def program():
    return assemble(("consent",))


def ask(program, *words):
    return RUN.invoke(program, ["consent", *words])


def test_a_consent_is_halted_resumed_and_ended_with_a_reason(program, consent):
    for act, state in (("suspend", "SUSPENDED"), ("resume", "AUTHORISED"), ("revoke", "REVOKED")):
        done = ask(program, act, consent.id, "--reason", "测试", "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.output)["state"] == state
    told = ask(program, "show", consent.id, "--json")
    assert [each["act"] for each in json.loads(told.output)][-3:] == ["suspend", "resume", "revoke"]


def test_without_a_reason_nothing_is_done(program, consent):
    assert ask(program, "revoke", consent.id, "--reason", " ").exit_code != 0
    listed = json.loads(ask(program, "list", "--json").output)
    assert [each["state"] for each in listed] == ["AUTHORISED"]


def test_a_list_says_nothing_of_persons(program, consent):
    shown = ask(program, "list", "--tenant", "T-INS", "--state", "AUTHORISED", "--json").output
    assert consent.id in shown
    assert consent.subject_ref not in shown


def test_an_unknown_consent_and_an_unknown_state_are_explained(program, consent):
    assert ask(program, "show", "c-none").exit_code != 0
    assert ask(program, "list", "--state", "GONE").exit_code != 0


def test_verify_finds_an_edit(program, consent, tmp_path):
    assert ask(program, "verify").exit_code == 0
    engine = open_engine(sqlite_url(tmp_path / "sluice.db"))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE consent SET uses_max = 99")
    engine.dispose()
    done = ask(program, "verify")
    assert done.exit_code == 1
    assert "was altered" in done.output
