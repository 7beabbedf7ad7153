"""What a person is shown: complete for every scenario, in both languages, vouched for by a hash."""

from dataclasses import replace
from datetime import date

import pytest
import yaml

from gateway.api.person.pages import words
from gateway.consent.notice import Receiver, fixed_scopes, notice, texts
from gateway.consent.people import age_on, masked
from gateway.consent.record import SENSITIVE
from gateway.consent.rules import load_rules
from gateway.consent.subjects import Subjects
from gateway.settings import Settings
from tests.consent_book import DRAFT

RULES = load_rules(Settings().policies)
NAMED = Receiver("测试保险（虚构）", "测试产品", "400-000-0000")
SIMULATED = Settings().policies / "person" / "simulated.yaml"
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def shown(language="zh", **facts):
    return notice(replace(DRAFT, **facts), RULES, NAMED, language)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("scenario", sorted(RULES.scenarios))
def test_every_scenario_that_needs_consent_can_be_put_before_a_person(scenario, language):
    rule = RULES.scenarios[scenario]
    told = shown(language, scenario=scenario, services=tuple(rule.fields), scopes_asked=rule.scopes)
    assert told.purpose
    assert all(block.title for block in told.blocks)


def test_every_field_of_a_scope_is_named_in_chinese():
    told = shown(scopes_asked=("SETL", "DX", "FEE", "HIST", SENSITIVE))
    settlement = next(each for each in told.blocks if each.scope == "SETL")
    assert len(settlement.fields) == 28
    assert "医疗费总额" in settlement.fields
    assert not any(field.isascii() for block in told.blocks for field in block.fields)


def test_the_sensitive_scope_is_not_among_the_blocks_of_the_first_screen():
    told = shown(scopes_asked=("SETL", SENSITIVE))
    assert SENSITIVE not in [each.scope for each in told.blocks]
    assert told.sensitive is not None


def test_the_sensitive_scope_is_never_part_of_a_plain_yes():
    for rule in RULES.scenarios.values():
        assert SENSITIVE not in fixed_scopes(rule.scopes, rule)
    only = RULES.scenarios["SC03"]
    assert fixed_scopes((SENSITIVE,), only) == ()


def test_whatever_changes_on_the_screen_changes_the_hash():
    first = shown().hash
    others = {
        shown("en").hash,
        shown(uses_max=4).hash,
        shown(valid_days=31).hash,
        shown(claim_ref="CLM-2").hash,
        notice(DRAFT, RULES, replace(NAMED, contact="other"), "zh").hash,
    }
    assert first not in others
    assert len(others) == 5
    assert shown().hash == first


def test_every_sentence_of_the_pages_exists_in_both_languages():
    incomplete = [key for key, told in words().items() if set(told) != {"zh", "en"}]
    assert incomplete == []
    assert all(each["zh"] and each["en"] for each in texts()["fields"].values())


def test_no_invented_certificate_number_could_be_real():
    people = yaml.safe_load(SIMULATED.read_text(encoding="utf-8"))["people"]
    for each in people:
        number = each["certno"]
        total = sum(int(d) * w for d, w in zip(number[:17], WEIGHTS, strict=True))
        assert number.startswith("9901")
        assert number[17] != "10X98765432"[total % 11]


def test_a_reference_says_nothing_of_the_number_and_depends_on_the_key():
    number = "990101198503129006"
    one, other = Subjects(b"a" * 32), Subjects(b"b" * 32)
    assert one.reference(number) == one.reference(" 990101 198503129006 ")
    assert one.reference(number) != other.reference(number)
    assert number not in one.reference(number)
    assert one.audit_token(one.reference(number)) != one.reference(number)


@pytest.mark.parametrize(
    ("name", "on_screen"),
    [("测试甲一", "测**一"), ("测试", "测*"), ("测试甲", "测*甲"), ("测", "*")],
)
def test_a_name_is_masked(name, on_screen):
    assert masked(name) == on_screen


def test_a_birthday_counts_from_its_own_day():
    born = date(2012, 3, 1)
    assert age_on(born, date(2026, 2, 28)) == 13
    assert age_on(born, date(2026, 3, 1)) == 14
    assert age_on(date(2012, 2, 29), date(2026, 2, 28)) == 13
