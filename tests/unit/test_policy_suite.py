"""`sluice policy check` and `test`: the shipped rules are clean, and each kind of fault is seen."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.policy import app
from gateway.policy.consistency import disagreements
from gateway.policy.documents import Documents, PolicyDataError, read_documents
from gateway.policy.modules import parse_modules, style_findings
from gateway.policy.suite import run_suite
from gateway.serving.reasons import reason, status_of
from tests.policy_factory import POLICIES, catalogue

RULE = """# METADATA
# description: A package.
package door

# METADATA
# description: Whether it opens.
default open := false

open if input.key == "right"

_hidden := 1
"""
TEST = """package door_test

test_the_right_key_opens if data.door.open with input as {"key": "right"}
"""
GOOD = {"door/door.rego": RULE, "door/door_test.rego": TEST}


def style(rego: dict[str, str]) -> list[str]:
    return list(style_findings(parse_modules(rego)))


def test_the_shipped_rules_pass_their_tests_and_are_reached_in_full() -> None:
    told = CliRunner().invoke(app, ["test", "--json"])
    report = json.loads(told.stdout)
    assert told.exit_code == 0
    assert report["ok"]
    assert report["tests"] >= 140
    assert set(report["coverage"].values()) == {100.0}


def test_the_shipped_rules_and_data_have_no_findings() -> None:
    told = CliRunner().invoke(app, ["check"])
    assert (told.exit_code, told.stdout) == (0, "policy rules and data: nothing found\n")


def test_a_passing_suite_is_reported_with_its_coverage() -> None:
    report = run_suite(GOOD, {})
    assert report.ok
    (coverage,) = report.coverage
    assert coverage.unreached == (11,)
    assert 0 < coverage.percent < 100


def test_a_failing_test_is_named_with_file_and_line() -> None:
    report = run_suite(GOOD | {"door/door_test.rego": TEST.replace('"right"', '"wrong"')}, {})
    (failed,) = report.failed
    assert not report.ok
    assert (failed.path, failed.line, failed.name) == (
        "door/door_test.rego",
        3,
        "test_the_right_key_opens",
    )


def test_a_test_that_meets_an_error_has_failed() -> None:
    bad = GOOD | {"door/door_test.rego": "package door_test\n\ntest_x if to_number(`x`) == 1\n"}
    (failed,) = run_suite(bad, {}).failed
    assert "could not parse" in failed.reason


def test_a_test_that_is_not_exactly_true_has_failed() -> None:
    bad = GOOD | {"door/door_test.rego": 'package door_test\n\ntest_x := "<undefined>"\n'}
    assert not run_suite(bad, {}).ok


def test_a_package_without_tests_is_a_failure() -> None:
    assert run_suite({"door/door.rego": RULE}, {}).untested == ("door",)
    assert not run_suite({"door/door.rego": RULE}, {}).ok


def test_rules_in_style_have_no_findings() -> None:
    assert style(GOOD) == []


STYLE_FAULTS = [
    ({"door/door.rego": RULE.replace("# description: Whether it opens.\n", "")}, "no METADATA"),
    ({"door/door.rego": RULE.replace("package door", "package gate")}, "belongs in a folder"),
    ({"door/door.rego": RULE + "\nshut if not input.key in {1}\n"}, "`not` may only negate"),
    ({"door/door.rego": RULE + "\nshut if not data.x[input.key]\n"}, "`not` may only negate"),
]


@pytest.mark.parametrize(("change", "told"), STYLE_FAULTS)
def test_a_departure_from_style_is_named(change: dict[str, str], told: str) -> None:
    assert any(told in finding for finding in style(GOOD | change))


def test_negating_a_named_fact_is_in_style() -> None:
    shut = RULE + "\n# METADATA\n# description: Closed.\nshut if not open\n"
    assert style(GOOD | {"door/door.rego": shut}) == []


def test_a_rule_that_does_not_parse_is_named_with_its_line() -> None:
    with pytest.raises(PolicyDataError, match=r"door.rego:3"):
        parse_modules({"door/door.rego": "package door\nopen if {{{\n"})


@pytest.fixture
def documents() -> Documents:
    found = {**read_documents(POLICIES), "services": catalogue()}
    return copy.deepcopy(found)


def broken(documents: Documents, path: str, value: object) -> list[str]:
    """What is said after one value was replaced."""
    place = documents
    *steps, last = path.split("/")
    for step in steps:
        place = place[step]
    place[last] = value
    return list(disagreements(documents))


def test_the_shipped_documents_agree(documents: Documents) -> None:
    assert list(disagreements(documents)) == []


DISAGREEMENTS: list[tuple[str, object, str]] = [
    ("scenarios/SC01/sdc", {"profile": "DC99", "override": {}}, "no profile DC99"),
    ("scenarios/SC01/services", {"S02": {"dims_deny": ["moon"]}}, "no dim moon"),
    ("scenarios/SC03/services/S02", {}, "SC03 grants S02, which does not list SC03"),
    ("services/S02/scenarios", ["SC01", "SC05"], "S02 lists SC05, which does not grant it"),
    ("services/S02/sdc", "DC99", "no profile DC99"),
    ("services/S02/columns", {}, "no column for"),
    ("services/S02/columns/medfee/item", "C06-99", "no item C06-99"),
    ("classification/items/C01-01/class", "C99", "no class C99"),
    ("classification/items/C01-01/class", "C02", "C01-01 stands in class C02"),
    ("classification/classes", {}, "0 classes"),
    (
        "limits/revenue_caps_fen",
        {"standard-2026": 1},
        "standard-2026 is capped, and nothing counts",
    ),
    ("masks/common/geo/item", "C99-01", "no item C99-01"),
    ("masks/by_scenario", {"SC99": {}}, "no scenario SC99"),
    ("sensitive/families", {}, "no family"),
    ("sensitive/families/atc", ["moon"], "no family moon"),
    ("sensitive/prefix/mdc", [{"prefix": "T", "implies": "moon"}], "no set moon"),
    ("regions/990101/parent", "110000", "no parent 110000"),
    ("regions/990101/pilot", ["SC99"], "no scenario SC99"),
]


@pytest.mark.parametrize(("path", "value", "told"), DISAGREEMENTS)
def test_a_reference_that_leads_nowhere_is_named(
    documents: Documents, path: str, value: object, told: str
) -> None:
    assert any(told in finding for finding in broken(documents, path, value))


def test_a_missing_opa_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told = CliRunner().invoke(app, ["test", "--engine", "opa"])
    assert told.exit_code == 1
    assert "go install" in str(told.exception)


def test_a_rule_file_of_which_tests_reach_too_little_fails_the_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, text in GOOD.items():
        place = tmp_path / path
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, "utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "policy.yaml").write_text("policy: {version: '1'}", "utf-8")
    monkeypatch.setenv("SLUICE_POLICIES", str(tmp_path))
    told = CliRunner().invoke(app, ["test"])
    assert told.exit_code == 1
    assert "door/door.rego: tests must reach 95 % of it" in told.stdout
    assert "1 of 1 tests passed" in told.stdout


def test_a_code_nobody_has_words_for_is_found_and_shown_as_a_plain_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(POLICIES, folder)
    rule = folder / "level" / "level.rego"
    text = rule.read_text(encoding="utf-8")
    rule.write_text(text.replace('deny contains "D705"', 'deny contains "D799"'), "utf-8")
    monkeypatch.setenv("SLUICE_POLICIES", str(folder))
    told = CliRunner().invoke(app, ["check"])
    assert told.exit_code == 1
    assert "gateway/serving/reasons.yaml has no row for D799" in told.stdout
    assert "gateway/serving/deny_codes.yaml has no row for D799" in told.stdout
    assert status_of(["D799"]) == 403
    assert reason("no_such_code").status == 500
