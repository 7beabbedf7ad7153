"""`sluice policy explain` and `diff`: what an officer reads when somebody asks why."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import policy as cli
from gateway.errors import NotFound
from gateway.journal.entry import Entry
from gateway.journal.sqlite import SqliteJournal
from gateway.policy.documents import read_rego
from gateway.policy.explain import sources
from tests.policy_factory import POLICIES

NOW = datetime(2026, 3, 10, 4, tzinfo=UTC)
COLUMN = {"field": "medfee", "item": "C06-02", "level": "L2", "mask": "none"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose journal holds one allowance, one refusal and one by a rule that is gone."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    journal = SqliteJournal.open(tmp_path / "journal.db", tmp_path / "keys", NOW)
    for number, (deny, more) in enumerate(
        [([], {"columns": [COLUMN]}), (["D501", "D506"], {}), (["D999"], {})]
    ):
        decision: dict[str, object] = {
            "decision_id": f"d-{number}",
            "allow": not deny,
            "deny": deny,
            "policy_version": "2026.1+0123456789abcdef",
        }
        audit: dict[str, object] = {
            "kind": "read",
            "result": "refused",
            "tenant": "T-1",
            "grant": "G-1",
            "service": "S02",
            "query_shape": {"dims": ["gend"]},
            **more,
        }
        stamp = journal.stamp(NOW)
        journal.record_now(Entry(f"r-{number}", stamp.event_id, stamp.time, decision, audit, None))
    journal.close()
    return tmp_path


def explain(*arguments: str) -> str:
    told = CliRunner().invoke(cli.app, ["explain", *arguments])
    if told.exception is not None:
        raise told.exception
    return told.stdout


def test_a_refusal_names_its_rules_and_its_revision(home: Path) -> None:
    page = explain("d-1")
    assert "d-1 refused at 2026-03-10T04:00:00" in page
    assert "by revision 2026.1+0123456789abcdef" in page
    assert "T-1" in page
    assert "S02" in page
    for code, words in (("D501", "a region is not in the grant"), ("D506", "closed one of")):
        assert code in page
        assert words in page
    assert "region_time/region_time.rego:" in page


def test_an_allowance_names_each_column_and_its_mask(home: Path) -> None:
    told = json.loads(explain("d-0", "--json"))
    assert told["allow"] is True
    assert told["columns"] == [COLUMN]
    assert told["reasons"] == []
    assert "mask none" in explain("d-0")


def test_a_code_no_rule_gives_any_more_is_said_to_be_one(home: Path) -> None:
    assert "no rule of today's files" in explain("d-2")


def test_a_decision_that_was_never_made_is_not_explained(home: Path) -> None:
    with pytest.raises(NotFound):
        explain("d-9")


def test_every_rule_that_refuses_says_why() -> None:
    found = sources(read_rego(POLICIES))
    assert len(found) >= 45
    for code, source in found.items():
        line = (POLICIES / source.path).read_text(encoding="utf-8").splitlines()[source.line - 1]
        assert f'"{code}"' in line
        assert source.description, code


def test_the_difference_of_two_editions_is_told_value_by_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(POLICIES, folder)
    limits = folder / "data" / "limits.yaml"
    text = limits.read_text(encoding="utf-8")
    limits.write_text(text.replace("answer_ttl_seconds: 300", "answer_ttl_seconds: 60"), "utf-8")
    (folder / "budget" / "budget.rego").unlink()
    monkeypatch.setenv("SLUICE_POLICIES", str(folder))
    told = CliRunner().invoke(cli.app, ["diff", str(POLICIES)])
    assert told.exit_code == 1
    lines = told.stdout.splitlines()
    assert lines[0].startswith("gone    rule budget/budget.rego")
    assert lines[1:] == ["changed data.limits.answer_ttl_seconds: 300 → 60"]
    same = CliRunner().invoke(cli.app, ["diff", str(folder)])
    assert (same.exit_code, same.stdout) == (0, "no difference in rules or policy data\n")
