"""The office's view of decisions: why one was made, and what a stored edition would change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from typer.testing import CliRunner

from gateway.api.admin import decisions as admin_decisions
from gateway.api.admin.document import admin_openapi
from gateway.api.admin.router import ENDPOINTS
from gateway.cli import policy as cli
from gateway.db.engine import writing
from gateway.editions.trial import Trial
from gateway.policy.contents import gather
from gateway.settings import Settings
from tests.decision_factory import OF_INSURER, bureau_of
from tests.factories_identity import act
from tests.policy_factory import POLICIES, ask
from tests.staff_factory import Browser, Place, open_place


@dataclass(frozen=True)
class Scene:
    """An office, its auditor and its policy officer, two decisions and a stored edition."""

    place: Place
    auditor: Browser
    officer: Browser
    allowed: str
    refused: str
    edition: str


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    home = tmp_path_factory.mktemp("office") / "home"
    with open_place(home) as place:
        bureau = bureau_of(Settings(home=home), place.identity)
        allowed, refused = bureau.record([ask(OF_INSURER), ask(OF_INSURER, geo=["990101"])])
        edition = store(place, tmp_path_factory.mktemp("draft") / "policies")
        yield Scene(
            place,
            place.signed_in("auditor"),
            place.signed_in("policy_officer"),
            allowed,
            refused,
            edition,
        )


def store(place: Place, folder: Path) -> str:
    """An edition with a smaller quota; its trial is taken to be green."""
    shutil.copytree(POLICIES, folder)
    limits = folder / "data" / "scenarios" / "SC01.yaml"
    text = limits.read_text("utf-8")
    limits.write_text(text.replace("cells_day: 200000", "cells_day: 10"), "utf-8")
    files, trial, editions = gather(folder), Trial("2026.1", ()), place.office.editions
    seen = editions.foresee(place.office.engine, files, trial)
    with writing(place.office.engine) as session:
        told = editions.push(session, act(), files, trial, seen)
    return str(told["edition"])


def test_an_auditor_reads_why_a_question_was_refused(scene: Scene) -> None:
    answer = scene.auditor.get(f"/decisions/{scene.refused}")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["reasons"][0]["rule"]["at"].startswith("region_time/region_time.rego:")
    assert told["reasons"][0]["zh"]
    assert told["grant"]["id"] == "G-T-INS"
    assert told["policy_version"]


def test_whose_decision_was_read_is_on_the_record(scene: Scene) -> None:
    scene.auditor.get(f"/decisions/{scene.allowed}")
    entries = scene.auditor.get("/audit/staff?limit=500").json()["entries"]
    read = [each for each in entries if each["entity_id"] == scene.allowed]
    assert [each["action"] for each in read] == ["explain"]


def test_a_decision_nobody_made_is_not_found_and_a_made_up_id_refused(scene: Scene) -> None:
    assert scene.auditor.get(f"/decisions/{uuid4()}").status_code == 404
    for made_up in ("x", "..%2f..%2fetc", "0" * 36):
        assert scene.auditor.get(f"/decisions/{made_up}").status_code in {400, 404}


def test_an_officer_sees_what_a_stored_edition_would_change(scene: Scene) -> None:
    answer = scene.officer.post(f"/policies/{scene.edition}/what-if", last=100)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["decisions"], told["changed"], told["cut_off"]) == (2, 1, False)
    (group,) = told["groups"]
    assert (group["was"], group["becomes"]) == (["allowed"], ["D803"])
    assert group["examples"] == [scene.allowed]


@pytest.mark.parametrize("name", [".", "policies", "%2e%2e", "0" * 12])
def test_no_folder_of_the_machine_can_be_tried_by_name(scene: Scene, name: str) -> None:
    answer = scene.officer.post(f"/policies/{name}/what-if", last=1)
    assert answer.status_code in {400, 404, 405}


def test_a_replay_is_bounded_and_one_at_a_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/policies/{scene.edition}/what-if"
    assert scene.officer.post(path, last=admin_decisions.MOST + 1).status_code == 400
    with admin_decisions._one_at_a_time:
        assert scene.officer.post(path, last=1).status_code == 409
    monkeypatch.setattr(admin_decisions, "SECONDS", -1.0)
    assert scene.officer.post(path, last=2).json()["cut_off"] is True


def test_a_stored_edition_is_named_at_the_command_line_as_a_folder_is(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(scene.place.office.keys.parent))
    told = CliRunner().invoke(cli.app, ["diff", scene.edition])
    assert (told.exit_code, told.stdout) == (1, "changed SC01 quota.cells_day: 10 → 200000\n")
    asked = CliRunner().invoke(cli.app, ["what-if", scene.edition])
    assert asked.exit_code == 1
    assert "allowed → D803" in asked.stdout


def test_an_edition_whose_tests_are_red_is_not_run(scene: Scene, tmp_path: Path) -> None:
    shutil.copytree(POLICIES, tmp_path / "red")
    limits = tmp_path / "red" / "data" / "limits.yaml"
    limits.write_text(limits.read_text("utf-8") + "# red\n", "utf-8")
    with writing(scene.place.office.engine) as session:
        told = scene.place.office.editions.push(
            session, act(), gather(tmp_path / "red"), Trial("2026.1", ("a test failed",)), None
        )
    answer = scene.officer.post(f"/policies/{told['edition']}/what-if", last=1)
    assert (answer.status_code, answer.json()["code"]) == (409, "edition.state")


def test_both_operations_are_described_in_chinese_and_english() -> None:
    paths = admin_openapi(ENDPOINTS)["paths"]
    for operation in (
        paths["/decisions/{decision}"]["get"],
        paths["/policies/{edition}/what-if"]["post"],
    ):
        assert "判定" in operation["summary"]
        assert "decision" in operation["summary"].lower()
    assert orjson.dumps(paths)
