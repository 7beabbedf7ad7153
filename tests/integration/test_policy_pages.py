"""The generated reference pages say what the data and the rules say, in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from gateway.catalogue.load import load_catalogue
from gateway.policy.documents import read_documents, read_rego
from gateway.policy.explain import sources
from gateway.policy.scenario_page import scenarios_page
from gateway.policy.words import both, chinese
from gateway.serving.deny_codes import deny_codes
from gateway.serving.deny_page import deny_codes_page
from gateway.serving.reasons import reasons
from tests.policy_factory import POLICIES, scenarios
from tests.policy_scenarios import PLANS

FREE = {"formats", "fields", "fields_by_scope", "indicators", "dims_deny", "scopes", "name_zh"}
"""Lists of names that are the same in every language."""


@cache
def page() -> str:
    return scenarios_page(POLICIES, load_catalogue(POLICIES))


def section(name: str) -> str:
    return page().split(f"## {name} ", 1)[1].split("\n## ", 1)[0]


def words(value: Any) -> Iterator[str]:
    """Every word of a piece of policy data that people have to read."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in FREE:
                yield from words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from words(inner)
    elif isinstance(value, str):
        yield value


def test_every_word_of_a_scenario_has_a_chinese_one() -> None:
    told = {
        part: [word for word in words(scenario[part]) if not chinese(word)]
        for scenario in scenarios().values()
        for part in ("consumers", "qualification", "purpose", "legal_basis", "prohibited",
                     "obligations", "status", "sensitive_dx", "regions", "consent")
        if part in scenario
    }  # fmt: skip
    assert {part: missing for part, missing in told.items() if missing} == {}
    keys = {name for scenario in scenarios().values() for name in scenario["quota"]}
    keys |= {name for each in read_documents(POLICIES)["sdc_profiles"].values() for name in each}
    keys |= {
        name
        for scenario in scenarios().values()
        for entry in scenario["services"].values()
        for name in entry
    }
    assert sorted(name for name in keys - {"name"} if not chinese(name)) == []


@pytest.mark.parametrize("name", sorted(PLANS))
def test_every_scenario_is_told_whole(name: str) -> None:
    told, scenario = section(name), scenarios()[name]
    assert told.startswith(scenario["name_zh"])
    assert scenario["name_en"] in told
    for word in (*scenario["consumers"], *scenario["prohibited"], scenario["purpose"]):
        assert both(word) in told
    for quota, limit in scenario["quota"].items():
        assert f"{both(quota)} {limit:,}" in told
    for service in scenario["services"]:
        assert f"| {service} |" in told
    assert f"{scenario['validity_days']} 天" in told
    assert f"回溯 look-back {scenario['time']['lookback_months']} " in told


def test_a_column_is_shown_with_item_level_and_mask() -> None:
    told = section("SC05").split("### SC05 · S09", 1)[1]
    assert "| `age10` | 年龄（10岁组）" in told
    row = next(line for line in told.splitlines() if line.startswith("| `age10` |"))
    assert row.endswith("| C01-09 出生日期 | L2 | gen_age(10) |")
    assert "min institutions 5" in told


def test_a_dimension_the_scenario_denies_is_in_no_table_of_columns() -> None:
    told = section("SC05").split("### SC05 · S06", 1)[1].split("\n###", 1)[0]
    assert "| `drg` |" not in told
    assert "| `adrg` |" in told


def test_a_merged_profile_is_the_strictest_of_both() -> None:
    told = section("SC06")
    assert "最少人数 k person 20" in told


def test_every_code_is_told_with_its_rule_and_what_helps() -> None:
    told, rules = deny_codes_page(POLICIES), sources(read_rego(POLICIES))
    for code, rule in rules.items():
        (row,) = [line for line in told.splitlines() if line.startswith(f"| {code} |")]
        assert rule.path in row
        assert (POLICIES / rule.path).is_file()
        for text in (
            reasons()[code].zh,
            reasons()[code].en,
            deny_codes()[code].zh,
            deny_codes()[code].en,
        ):
            assert text in row
