"""`sluice meter verify`: each kind of difference between answers, usage and audit is shown."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta

import orjson
import pytest

from gateway.audit.reconcile import reconcile
from gateway.journal.schema import LASTING
from tests.journal_factory import NOON, answered, event_id, opened, refused


@pytest.fixture
def home(tmp_path):
    with closing(opened(tmp_path)) as journal:
        for number in range(1, 6):
            journal.record_now(answered(number))
        journal.record_now(refused(6))
        journal.record_now(
            answered(7, query_hash="q5", billable_qty=0, repeat_of=event_id(5)),
        )
    return tmp_path


def forge(home, *statements):
    with closing(sqlite3.connect(home / "journal.db")) as db:
        for table in LASTING:
            for act in ("update", "delete"):
                db.execute(f"DROP TRIGGER {table}_no_{act}")
        for statement in statements:
            db.execute(statement)
        db.commit()


def differences(home):
    return {(d.code, d.subject) for d in reconcile(home / "journal.db").differences}


def test_an_honest_journal_has_no_difference_and_says_what_is_owed(home):
    result = reconcile(home / "journal.db")
    assert not result.differences
    assert (result.answers, result.decisions, result.usage_events, result.refusals) == (6, 6, 6, 1)
    assert (result.cells_audited, result.cells_metered) == (3000, 3000)
    assert [(line.units, line.amount_fen) for line in result.lines] == [(3, 12_000)]


@pytest.mark.parametrize(
    ("forgery", "expected"),
    [
        (
            "DELETE FROM usage_event WHERE seq = 2",
            {("answer_without_usage", "r2"), ("charge_without_usage", "event 2")},
        ),
        (
            "DELETE FROM audit_event WHERE seq = 2",
            {("usage_without_answer", "r2"), ("decision_without_audit", "r2")},
        ),
        ("DELETE FROM decision WHERE seq = 2", {("usage_without_permission", "r2")}),
        (
            "UPDATE decision SET body = json_set(body, '$.allow', json('false')) WHERE seq = 2",
            {("usage_without_permission", "r2"), ("refusal_answered", "r2")},
        ),
        (
            "UPDATE audit_event SET body = json_set(body, '$.cells', 7) WHERE seq = 2",
            {("cells_differ", "r2")},
        ),
        (
            "UPDATE usage_event SET tenant = 'x' WHERE seq = 2",
            {("parties_differ", "r2"), ("bill_differs", "r2")},
        ),
        (
            f"UPDATE usage_event SET event_id = '{event_id(1)}' WHERE seq = 2",
            {("event_twice", event_id(1)), ("bill_differs", "r2")},
        ),
        ("UPDATE usage_event SET unit = 'per_moon' WHERE seq = 2", {("usage_invalid", "r2")}),
        ("UPDATE charged_cell SET place = 1 WHERE seq = 2", {("charged_twice", "r2")}),
        ("UPDATE charged_cell SET cells = x'01' WHERE seq = 2", {("bill_differs", "r2")}),
        ("DELETE FROM charged_cell WHERE seq = 2", {("bill_differs", "r2")}),
        (
            f"UPDATE usage_event SET repeat_of = '{event_id(9)}' WHERE seq = 7",
            {("repeat_of_nothing", "r7")},
        ),
    ],
)
def test_each_kind_of_difference_is_named_with_its_request(home, forgery, expected):
    forge(home, forgery)
    assert differences(home) == expected


def test_a_row_doubled_in_a_journal_without_its_unique_key_is_named(home):
    with closing(sqlite3.connect(home / "journal.db")) as db:
        db.executescript(
            "CREATE TABLE copy AS SELECT * FROM usage_event; DROP TABLE usage_event;"
            "ALTER TABLE copy RENAME TO usage_event;"
            "INSERT INTO usage_event SELECT * FROM usage_event WHERE seq = 3;"
        )
    assert ("recorded_twice", "r3") in differences(home)


def test_a_repeat_after_thirty_days_is_owed_again(tmp_path):
    late = NOON + timedelta(days=31)
    with closing(opened(tmp_path)) as journal:
        journal.record_now(answered(1))
        journal.record_now(
            answered(2, query_hash="q1", billable_qty=0, repeat_of=event_id(1), time=late)
        )
    assert differences(tmp_path) == {("repeat_of_nothing", "r2")}


def test_the_command_prints_differences_and_exits_1(home):
    forge(home, "DELETE FROM usage_event WHERE seq = 2")
    command = [sys.executable, "-c", "from gateway.cli import main; main()", "meter", "verify"]
    environment = {"SLUICE_HOME": str(home), "PATH": ""}
    plain = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert plain.returncode == 1
    assert "answer_without_usage  r2" in plain.stdout
    machine = subprocess.run(
        [*command, "--json"], env=environment, capture_output=True, text=True, check=False
    )
    assert orjson.loads(machine.stdout)["differences"][0]["subject"] == "r2"
