"""`sluice policy what-if`: recorded decisions put to a draft; every changed answer has a reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from gateway.cli import policy as cli
from gateway.policy.decision_log import event
from gateway.policy.port import Decision
from gateway.policy.what_if import EXAMPLES, MOST_KINDS, OTHER, Change, Kind, Tally, replay
from tests.decision_factory import OF_INSURER, OF_PHARMA, Bureau, open_bureau
from tests.policy_factory import POLICIES, ask


@pytest.fixture(scope="module")
def bureau(tmp_path_factory: pytest.TempPathFactory) -> Bureau:
    """Three allowances, a refusal, an attempt, and one whose question was partly erased."""
    bureau = open_bureau(tmp_path_factory.mktemp("home"))
    bureau.record(
        [
            ask(OF_INSURER, request_id="a"),
            ask(OF_INSURER, request_id="b", usage={"cells_day": 30_000}),
            ask(OF_PHARMA, request_id="c"),
            ask(OF_INSURER, request_id="d", geo=["990101"]),
            ask(OF_INSURER, request_id="e", where={"gend": "13900000000"}),
        ]
    )
    bureau.record_attempt()
    return bureau


@pytest.fixture
def draft(bureau: Bureau, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the policies, to be changed; commands speak about the bureau's home."""
    monkeypatch.setenv("SLUICE_HOME", str(bureau.settings.home))
    folder = tmp_path / "draft"
    shutil.copytree(POLICIES, folder)
    return folder


def replace(folder: Path, name: str, before: str, after: str) -> None:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def what_if(folder: Path, *options: str, changes: bool = True) -> dict[str, Any]:
    told = CliRunner().invoke(cli.app, ["what-if", str(folder), "--json", *options])
    assert told.exit_code == int(changes), told.output
    report: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return report


def test_a_draft_that_decides_alike_changes_nothing(draft: Path) -> None:
    replace(draft, "level/level.rego", "package level", "package level\n\n# a remark\n")
    told = what_if(draft, changes=False)
    assert (told["unchanged"], told["changed"], told["groups"]) == (4, 0, [])
    assert told["decisions"] == 6
    assert told["live"] != told["draft"]
    assert sum(told["not_replayable"].values()) == 2
    assert told["answered_otherwise_today"] == 0


def test_a_smaller_quota_shows_whom_it_would_refuse_and_by_which_rule(draft: Path) -> None:
    replace(draft, "data/scenarios/SC01.yaml", "cells_day: 200000", "cells_day: 20000")
    told = what_if(draft)
    refused = next(each for each in told["groups"] if each["becomes"] == ["D803"])
    assert (refused["scenario"], refused["service"], refused["was"]) == ("SC01", "S02", ["allowed"])
    assert refused["count"] == 1
    (reason,) = refused["reasons"]
    assert reason["by"] == "draft"
    assert reason["rule"]["at"].startswith("budget/budget.rego:")
    assert reason["zh"]
    still = next(each for each in told["groups"] if each["becomes"] == ["allowed"])
    assert still["differs"] == ["quota"]


def test_a_wider_draft_shows_which_live_rule_refused(draft: Path) -> None:
    replace(draft, "data/scenarios/SC01.yaml", "finest: city", "finest: county")
    told = what_if(draft)
    (group,) = told["groups"]
    assert group["was"] == ["D502"]
    assert group["becomes"] != ["D502"]
    assert group["reasons"][0]["by"] == "live"
    assert group["reasons"][0]["rule"]["at"].startswith("region_time/region_time.rego:")


def test_a_grant_wider_than_the_draft_is_seen_as_the_draft_would_see_it(draft: Path) -> None:
    (draft / "data/scenarios/SC05.yaml").write_text(
        (draft / "data/scenarios/SC05.yaml").read_text("utf-8").replace("    S09: {}\n", ""),
        "utf-8",
    )
    replace(draft, "catalogue/S09/service.yaml", "SC05, ", "")
    told = what_if(draft)
    assert {each["scenario"] for each in told["groups"]} >= {"SC05"}
    (pharma,) = [each for each in told["groups"] if each["scenario"] == "SC05"]
    assert pharma["was"] == ["allowed"]
    assert pharma["becomes"] == ["D201"]


def test_a_code_that_only_the_draft_knows_is_told_with_its_rule(draft: Path) -> None:
    replace(draft, "region_time/region_time.rego", 'deny contains "D502"', 'deny contains "D599"')
    told = what_if(draft)
    (group,) = told["groups"]
    assert (group["was"], group["becomes"]) == (["D502"], ["D599"])
    assert [each["by"] for each in group["reasons"]] == ["live", "draft"]
    assert group["reasons"][1]["rule"]["at"].startswith("region_time/")


def test_only_the_last_decisions_are_asked(draft: Path) -> None:
    told = what_if(draft, "--last", "3", changes=False)
    assert (told["decisions"], told["unchanged"]) == (3, 1)


def test_every_changed_answer_can_be_listed(draft: Path) -> None:
    replace(draft, "data/limits.yaml", "answer_ttl_seconds: 300", "answer_ttl_seconds: 60")
    told = CliRunner().invoke(cli.app, ["what-if", str(draft), "--each"])
    assert told.exit_code == 1
    lines = [line for line in told.stdout.splitlines() if "with other ttl" in line]
    assert len(lines) == 3 + 2  # each of three, and the two groups they form
    assert "ANSWERS CHANGE" in told.stdout


def test_a_draft_that_is_no_policy_is_refused_with_a_reason(draft: Path) -> None:
    replace(draft, "level/level.rego", "package level", "package level\n\nbroken :=\n")
    told = CliRunner().invoke(cli.app, ["what-if", str(draft)])
    assert told.exit_code == 1
    assert "level.rego" in str(told.exception)


class Always:
    """A judge with one answer."""

    def __init__(self, *deny: str) -> None:
        self._decision = Decision(not deny, deny, None, "r", "d")

    def decide(self, _question: object) -> Decision:
        return self._decision


def test_memory_is_bounded_by_the_kinds_of_change() -> None:
    tally = Tally()
    for number in range(2 * MOST_KINDS):
        tally.add(Change("d", "", Kind("SC01", f"S{number}", ("allowed",), ("D501",))))
        tally.add(Change("d", "", Kind("SC01", "S0", ("allowed",), ("D501",))))
    assert len(tally.groups) == MOST_KINDS + 1
    assert tally.changed == 4 * MOST_KINDS == sum(each.count for each in tally.groups.values())
    assert all(len(each.examples) <= EXAMPLES for each in tally.groups.values())
    assert tally.groups[OTHER].count == MOST_KINDS


def test_a_replay_is_one_pass_over_what_it_is_given() -> None:
    """Nothing is held: the next decision is read only when the last one has been compared."""
    body = orjson.dumps(event(ask(OF_INSURER), Decision(False, ("D501",), None, "r", "d"))).decode()
    read = 0

    def recorded() -> Any:
        nonlocal read
        while read < 3:
            read += 1
            yield body

    tally = Tally()
    for number, change in enumerate(
        replay(recorded(), Always(), Always("D501"), lambda _: "SC01", tally), start=1
    ):
        assert read == number
        assert change is not None
    assert (tally.changed, tally.drifted) == (3, 3)
