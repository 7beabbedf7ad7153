"""The life of an edition by the command line alone, as a policy officer lives it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli import assemble
from gateway.db.engine import open_engine, sqlite_url
from gateway.errors import OperatorError
from gateway.policy.contents import read_folder
from gateway.settings import Settings
from tests.directory_factory import add_tenant, empty_database
from tests.edition_factory import PEOPLE, reworded

Run = Callable[..., Result]


@pytest.fixture
def sluice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`sluice policy …` on a home of its own, with one tenant."""
    home = tmp_path / "home"
    engine = open_engine(sqlite_url(empty_database(home)))
    add_tenant(engine)
    engine.dispose()
    monkeypatch.setenv("SLUICE_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    program = assemble(("policy", "grant", "region"))

    def run(*words: str) -> Result:
        return CliRunner().invoke(program, ["policy", *words])

    return run


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output + str(result.exception)
    return json.loads(result.stdout)


def refusal(result: Result) -> str:
    assert isinstance(result.exception, OperatorError), result.output
    return result.exception.code


def test_from_a_folder_to_live_and_back(sluice: Run, tmp_path: Path) -> None:
    one, two = PEOPLE[:2]
    pushed = told(sluice("push", str(reworded(tmp_path / "p", "n")), "--actor", one, "--json"))
    name = pushed["edition"]
    assert (pushed["state"], pushed["findings"], pushed["lost_grants"]) == ("tested", [], {})
    assert "it may go on" not in sluice("approve", name, "--actor", one).stdout
    assert "it may go on" in sluice("approve", name, "--actor", two).stdout
    assert "shadows the live one" in sluice("shadow", name, "--actor", one).stdout
    assert sluice("differences", name).stdout.startswith("0 decisions compared")
    canary = told(sluice("canary", name, "--tenant", "T-INS", "--actor", one, "--json"))
    assert canary["tenants"] == ["T-INS"]
    first = read_folder(Settings().policies).name
    assert f"is live; before it was {first}" in sluice("promote", name, "--actor", two).stdout
    listed = told(sluice("editions", "--json"))
    states = {each["edition"]: (each["state"], each["author"]) for each in listed}
    assert states == {name: ("live", one), first: ("retired", "sluice")}
    table = sluice("editions").stdout
    assert name in table
    assert f"{one}, {two}" in table
    back = sluice("rollback", "--reason", "a complaint", "--actor", two)
    assert f"Edition {first} is live again." in back.stdout
    listed = {each["edition"]: each for each in told(sluice("editions", "--json"))}
    assert (listed[name]["state"], listed[name]["approvals"]) == ("withdrawn", [])
    assert refusal(sluice("promote", name, "--actor", two)) == "state.not_allowed"
    assert refusal(sluice("withdraw", first, "--reason", "no")) == "edition.state"


def test_a_red_folder_stays_a_draft_and_says_why(sluice: Run, tmp_path: Path) -> None:
    folder = reworded(tmp_path / "p", "red")
    rules = folder / "region_time" / "region_time.rego"
    rules.write_text(rules.read_text("utf-8") + "\nbroken := {\n", "utf-8")
    pushed = sluice("push", str(folder))
    assert pushed.exit_code == 1
    assert "region_time.rego" in pushed.stdout
    assert pushed.stdout.rstrip().endswith("is draft and stays a draft.")
    assert str(tmp_path) not in pushed.stdout
    (draft,) = told(sluice("editions", "--json"))
    assert refusal(sluice("promote", draft["edition"])) == "state.not_allowed"
    assert refusal(sluice("approve", draft["edition"], "--actor", PEOPLE[0])) == "edition.state"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("push", "no-such-folder"), "edition.folder"),
        (("approve", "0123456789ab", "--actor", "a"), "edition.unknown"),
        (("promote", "0123456789ab"), "edition.unknown"),
        (("differences", "0123456789ab"), "edition.unknown"),
        (("rollback", "--reason", "drill"), "edition.state"),
    ],
)
def test_what_cannot_be_done_is_said_by_a_code(
    sluice: Run, words: tuple[str, ...], code: str
) -> None:
    assert refusal(sluice(*words)) == code
