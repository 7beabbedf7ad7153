"""`sluice staff` and the directory's newer verbs: the first account, and what a machine can do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import pyotp
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli import assemble
from gateway.cli.catalogue import app as catalogue
from gateway.cli.staff import app as staff
from gateway.db.engine import open_engine, sqlite_url
from tests.directory_factory import empty_database, product_entry
from tests.factories_identity import tenant_entry

Run: TypeAlias = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    empty_database(tmp_path / "home")

    def invoke(*args: str, said: str = "") -> Result:
        return CliRunner().invoke(assemble(("tenant", "product", "staff")), args, input=said)

    return invoke


def test_the_first_account_is_made_on_the_machine(run: Run) -> None:
    made = run("staff", "add", "anna", "--role", "administrator", "--json")
    assert made.exit_code == 0, made.output
    invitation = json.loads(made.output)["invitation"]
    password = "a quiet river, invented"
    asked = CliRunner().invoke(
        staff,
        ["accept"],
        input=f"{invitation}\n{password}\n{password}\n000000\n",
    )
    assert asked.exit_code == 1  # that was not the code
    secret = re.search(r"secret=([A-Z2-7]+)", asked.output)
    assert secret is not None
    listed = json.loads(run("staff", "list", "--json").output)
    assert [(each["name"], each["state"]) for each in listed] == [("anna", "invited")]


def test_an_account_with_an_unknown_role_or_name_is_refused(run: Run) -> None:
    for args in (("anna", "--role", "emperor"), ("Anna!", "--role", "auditor")):
        answer = run("staff", "add", *args)
        assert answer.exit_code == 1
        assert not isinstance(answer.exception, SystemExit)


def test_accounts_are_changed_reset_and_ended(run: Run) -> None:
    run("staff", "add", "anna", "--role", "auditor")
    changed = run("staff", "roles", "anna", "--role", "policy_officer", "--reason", "moved")
    assert "policy_officer" in changed.output
    assert "invited" in run("staff", "reset", "anna", "--reason", "lost").output
    assert "disabled" in run("staff", "disable", "anna", "--reason", "left").output


def test_the_machine_gives_guarded_roles_at_once_and_vouches_for_nothing_that_is_not_asked(
    run: Run,
) -> None:
    made = run("staff", "add", "anna", "--role", "policy_officer", "--json")
    assert json.loads(made.output)["roles"] == ["policy_officer"]
    assert json.loads(made.output)["asked_roles"] == []
    vouched = run("staff", "vouch", "anna", "--reason", "met in person")
    assert "No role is asked" in str(vouched.exception)
    unlinked = run("staff", "unlink", "anna", "--reason", "left the house")
    assert "not linked" in str(unlinked.exception)


def test_an_altered_record_is_found(run: Run, tmp_path: Path) -> None:
    run("staff", "add", "anna", "--role", "auditor")
    assert "whole" in run("staff", "verify").output
    engine = open_engine(sqlite_url(tmp_path / "home" / "sluice.db"))
    with closing(engine.raw_connection()) as connection:
        connection.cursor().execute("DROP TRIGGER staff_audit_no_update")
        connection.cursor().execute("UPDATE staff_audit SET actor = 'somebody else'")
    engine.dispose()
    answer = run("staff", "verify")
    assert answer.exit_code == 1
    assert "entry 1 was altered" in str(answer.exception)


def test_a_tenant_is_limited_dated_and_revoked(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "tenant.yaml"
    file.write_text(yaml.safe_dump(tenant_entry().model_dump(mode="json"), allow_unicode=True))
    assert run("tenant", "add", str(file)).exit_code == 0
    limited = run(
        "tenant", "limit", "T-INS", "--until", "2026-03-31", "--reason", "leaves", "--json"
    )
    assert json.loads(limited.output)["cut_off_date"] == "2026-03-31"
    dated = run("tenant", "terminate", "T-INS", "--on", "2026-12-31", "--reason", "leaves")
    assert "ends on 2026-12-31" in dated.output
    change = tmp_path / "change.yaml"
    change.write_text("contact: office@app.example\n")
    assert run("tenant", "update", "T-INS", str(change)).exit_code == 0
    assert "revoked" in run("tenant", "revoke", "T-INS", "--reason", "over").output
    assert run("tenant", "resume", "T-INS").exit_code == 1


def test_a_product_is_registered_and_vouched_for(run: Run, tmp_path: Path) -> None:
    for name, entry in (("tenant", tenant_entry()), ("product", product_entry())):
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(entry.model_dump(mode="json"), allow_unicode=True))
        assert run(name, "add", str(file)).exit_code == 0
    statement = run("product", "statement", "P-1").output.strip()
    assert statement.count(".") == 2
    assert "suspended" in run("product", "suspend", "P-1", "--reason", "check").output
    assert run("product", "statement", "P-1").exit_code == 1
    assert "active" in run("product", "resume", "P-1").output
    listed = json.loads(run("product", "list", "--json").output)
    assert [each["id"] for each in listed] == ["P-1"]


def test_documents_that_come_from_tables_are_written_and_noticed_when_stale(
    tmp_path: Path,
) -> None:
    docs = tmp_path / "docs"
    runner = CliRunner()
    assert runner.invoke(catalogue, ["docs", "--folder", str(docs)]).exit_code == 0
    assert runner.invoke(catalogue, ["docs", "--folder", str(docs), "--check"]).exit_code == 0
    assert "review --> active" in (docs / "states.md").read_text()
    (docs / "states.md").write_text("older")
    assert runner.invoke(catalogue, ["docs", "--folder", str(docs), "--check"]).exit_code == 1


def test_an_authenticator_can_be_set_up_from_what_is_printed(run: Run) -> None:
    made = run("staff", "add", "anna", "--role", "auditor", "--json")
    invitation = json.loads(made.output)["invitation"]
    password = "a quiet river, invented"
    shown = CliRunner().invoke(
        staff, ["accept"], input=f"{invitation}\n{password}\n{password}\n1\n"
    )
    told = re.search(r"otpauth://\S+", shown.output)
    assert told is not None
    assert pyotp.parse_uri(told.group()).name == "anna"
