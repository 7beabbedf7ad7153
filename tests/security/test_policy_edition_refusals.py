"""An edition that has lost a way of refusing is never tested green, whatever its own tests say."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.editions.checks import suite_findings
from gateway.editions.refusals import GROUPS, missing_refusals, unfounded_allowances
from gateway.editions.running import prepare
from gateway.policy.documents import read_rego
from gateway.policy.suite import data_for_tests, run_suite
from gateway.serving.deny_codes import deny_codes
from tests.edition_factory import POLICIES

Rego = dict[str, str]


def changed(package: str, swap: Callable[[str], str]) -> Rego:
    """The shipped rules with one file changed."""
    rego = dict(read_rego(POLICIES))
    (path,) = [path for path in rego if path.endswith(f"{package}/{package}.rego")]
    before = rego[path]
    rego[path] = swap(before)
    assert rego[path] != before
    return rego


def test_the_shipped_rules_have_every_group_and_code_the_program_explains() -> None:
    assert list(missing_refusals(read_rego(POLICIES))) == []
    assert {code for codes in GROUPS.values() for code in codes} == set(deny_codes())
    assert list(unfounded_allowances(prepare(POLICIES).edition)) == []


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_whose_package_is_missing_is_a_finding(group: str) -> None:
    rego = {
        path: text
        for path, text in read_rego(POLICIES).items()
        if not path.endswith(f"{group}/{group}.rego")
    }
    (found,) = missing_refusals(rego)
    assert found.startswith(f"package {group} ")


def test_a_group_that_lost_its_rule_or_a_code_is_a_finding() -> None:
    emptied = changed("level", lambda text: text.replace("deny contains", "denied contains"))
    assert list(missing_refusals(emptied)) == [
        "package level with its rule `deny` is missing: nothing would be refused by it"
    ]
    lost = changed("budget", lambda text: text.replace('deny contains "D805"', 'spent := "D805"'))
    assert list(missing_refusals(lost)) == ["package budget has no rule `deny contains` for D805"]


@pytest.mark.parametrize(
    ("honest", "bad", "named"),
    [
        (r"else := data\.level\.deny if count\(data\.level\.deny\) > 0", "", "package level"),
        (r"else := data\.budget\.deny", "", "package budget"),
        (r"allow if deny == set\(\)", "allow if true", "package intake"),
        ("data.identity.deny if count", "set() if count", "package identity"),
    ],
)
def test_a_decision_that_does_not_ask_a_group_is_a_finding(
    honest: str, bad: str, named: str
) -> None:
    rego = changed("decision", lambda text: re.sub(honest, bad, text, count=1))
    assert any(named in found for found in missing_refusals(rego))


def test_rules_that_ask_for_no_grant_are_a_finding(tmp_path: Path) -> None:
    folder = shutil.copytree(POLICIES, tmp_path / "p")
    for group in set(GROUPS) - {"intake"}:
        rule = folder / group / f"{group}.rego"
        text = re.sub(
            r'(deny contains "D\d{3}" if \{)', r"\1\n\tinput.bulk", rule.read_text("utf-8")
        )
        text = re.sub(
            r'(deny contains "D\d{3}" if) (?!\{)(.*)', r"\1 {\n\tinput.bulk\n\t\2\n}", text
        )
        rule.write_text(text, "utf-8")
    found = list(unfounded_allowances(prepare(folder).edition))
    assert "S02: a stranger who has no grant at all is not refused" in found


def test_a_package_whose_tests_were_emptied_is_a_finding() -> None:
    rego = dict(read_rego(POLICIES, tests=True))
    (path,) = [path for path in rego if path.endswith("level/level_test.rego")]
    rego[path] = "package level_test\n"
    report = run_suite(rego, data_for_tests(POLICIES))
    assert "package level has no test that runs" in list(suite_findings(report))
