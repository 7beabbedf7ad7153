"""`sluice policy diff`: two editions compared in an officer's words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import policy as cli
from gateway.policy.diff import Change, changes
from tests.policy_factory import POLICIES


@pytest.fixture
def draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the policies, to be changed; the home has no database."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "draft"
    shutil.copytree(POLICIES, folder)
    return folder


def replace(folder: Path, name: str, before: str, after: str) -> None:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert text.count(before) >= 1
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def sentences(before: Path, after: Path) -> list[str]:
    return [f"{each.kind} {each.sentence()}" for each in changes(before, after)]


def test_a_limit_is_told_with_its_scenario_from_what_to_what(draft: Path) -> None:
    replace(draft, "data/scenarios/SC05.yaml", "cells_day: 100000", "cells_day: 20000")
    replace(draft, "data/limits.yaml", "answer_ttl_seconds: 300", "answer_ttl_seconds: 60")
    assert sentences(POLICIES, draft) == [
        "changed SC05 quota.cells_day: 100000 → 20000",
        "changed limits answer_ttl_seconds: 300 → 60",
    ]


def test_a_list_is_told_by_what_it_won_and_lost(draft: Path) -> None:
    replace(draft, "data/scenarios/SC05.yaml", "dims_deny: [drg]", "dims_deny: [mdc]")
    assert sentences(POLICIES, draft) == ["changed SC05 services.S06.dims_deny: + mdc; − drg"]


def test_a_profile_is_told_with_every_service_it_is_merged_into(draft: Path) -> None:
    replace(draft, "data/sdc_profiles.yaml", "min_manufacturers: 3", "min_manufacturers: 4")
    told = sentences(POLICIES, draft)
    assert told[0] == "changed profile DC2P min_manufacturers: 3 → 4"
    assert "changed S09 in SC05 min_manufacturers: 3 → 4" in told


def test_a_price_of_the_catalogue_is_told_with_its_service(draft: Path) -> None:
    replace(draft, "catalogue/S09/service.yaml", "price_fen: 4000", "price_fen: 5000")
    (told,) = sentences(POLICIES, draft)
    assert told.startswith("changed S09 tariff.prices.rx.regional-trend/2026.price_fen: 4000")
    assert told.endswith("→ 5000")


def test_a_figure_that_is_computed_otherwise_is_told_with_its_query(draft: Path) -> None:
    query = draft / "catalogue" / "S04" / "stay.sql"
    query.write_text(query.read_text("utf-8") + "\n-- a remark\nLIMIT 1\n", "utf-8")
    assert sentences(POLICIES, draft) == ["changed S04 sql.stay: + LIMIT 1"]


def test_a_rule_is_told_by_its_name_and_the_lines_that_differ(draft: Path) -> None:
    was, becomes = "scenario.cross_border == true", "scenario.cross_border == false"
    replace(draft, "level/level.rego", was, becomes)
    (told,) = sentences(POLICIES, draft)
    assert told.startswith("changed rules of level stays_inside: + ")
    assert becomes in told
    assert f"− stays_inside if data.facts.{was}" in told


def test_layout_and_comments_of_rules_are_no_difference(draft: Path) -> None:
    replace(draft, "level/level.rego", "package level", "package level\n\n# a remark\n")
    assert sentences(POLICIES, draft) == []


def test_a_code_that_goes_is_told_as_a_code_and_as_a_rule(draft: Path) -> None:
    replace(draft, "level/level.rego", 'deny contains "D704" if not stays_inside', "")
    told = sentences(POLICIES, draft)
    assert told[0].startswith("gone code D704: ")
    assert told[1].startswith("gone rules of level deny D704: ")


def test_the_command_says_by_its_exit_code_whether_anything_differs(
    draft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(draft, "data/limits.yaml", "answer_ttl_seconds: 300", "answer_ttl_seconds: 60")
    monkeypatch.setenv("SLUICE_POLICIES", str(draft))
    told = CliRunner().invoke(cli.app, ["diff", str(POLICIES)])
    assert (told.exit_code, told.stdout) == (1, "changed limits answer_ttl_seconds: 300 → 60\n")
    back = CliRunner().invoke(cli.app, ["diff", str(draft), str(POLICIES), "--json"])
    assert json.loads(back.stdout) == [
        {"subject": "limits", "path": "answer_ttl_seconds", "before": 60, "after": 300}
    ]
    same = CliRunner().invoke(cli.app, ["diff", str(draft)])
    assert (same.exit_code, same.stdout) == (0, "no difference in rules or policy data\n")


def test_a_name_that_is_nothing_is_said_to_be_nothing(draft: Path) -> None:
    told = CliRunner().invoke(cli.app, ["diff", "no-such-folder"])
    assert told.exit_code == 1
    assert "no folder and no edition" in str(told.exception)


def test_a_list_in_another_order_is_said_to_be_one() -> None:
    assert Change("SC01", "x", [1, 2], [2, 1]).sentence() == "SC01 x: the same in another order"
