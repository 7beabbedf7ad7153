"""A package that would carry facts out by its answers is refused, and rubbish is named as such."""

from __future__ import annotations

import json
from itertools import combinations

import pytest
from typer.testing import CliRunner

from gateway.adjudication.capacity import bits, faults
from gateway.adjudication.deciding import adjudicate
from gateway.adjudication.likeness import likeness
from gateway.adjudication.model import RulePackage
from gateway.adjudication.reading import RulesUnreadable, read_claims, read_package
from gateway.cli import assemble
from tests.adjudication_factory import CLAIMS, EXAMPLE, TERMS, claim, document, package

LAYER = document()["layers"][0]
PAY = {"then": {"decision": "pay", "layers": ["in-scope"]}}
GIVEN = [code for code, one in TERMS.reasons.items() if one.given_by == "rules"]
DENIALS = [list(chosen) for n in (1, 2) for chosen in combinations(GIVEN, n)]
runner = CliRunner()


def codes_of(built: RulePackage) -> set[str]:
    return {fault.code for fault in faults(built, TERMS)}


def telling(number: int) -> RulePackage:
    """One row per diagnosis, each with a denial of its own."""
    rows = [
        {"when": {"dx": [f"{chr(65 + n // 100)}{n % 100:02}"]},
         "then": {"decision": "deny", "reasons": DENIALS[n]}}
        for n in range(number)
    ]  # fmt: skip
    return package(rows=[*rows, PAY])


def test_the_example_may_be_reviewed():
    assert faults(package(), TERMS) == []
    assert 0 < bits(package(), 4) < 16


def test_a_reason_per_diagnosis_would_tell_the_diagnosis():
    """It does tell it, to whoever runs it: that is why it is refused."""
    built = telling(150)
    told = {adjudicate(built, claim(main_diagnosis=f"A{n:02}"), {}, 4).reasons for n in range(50)}
    assert len(told) == 50
    assert "rules_single_out" in codes_of(built)


def test_layers_and_decisions_tell_as_reasons_do():
    layers = [{**LAYER, "name": f"l{n}", "bands": [{"pay": n / 10}]} for n in range(6)]
    rows = [
        {"when": {"dx": [f"C{n:02}"]}, "then": {"decision": "pay", "layers": [f"l{n}"]}}
        for n in range(5)
    ]
    last = {"then": {"decision": "pay", "layers": ["l5"]}}
    assert "rules_single_out" in codes_of(package(layers=layers, rows=[*rows, last]))


def test_two_rows_cannot_narrow_down_what_one_may_not():
    rows = [
        {"when": {"dx": ["C34"]}, "then": {"decision": "deny", "reasons": ["R17"]}},
        {"when": {"dx": ["C50", "C61"]}, "then": {"decision": "deny", "reasons": ["R17"]}},
    ]
    assert "rules_single_out" in codes_of(package(rows=[*rows, PAY]))
    both = {"dx": ["A", "B20"], "dx_any": ["B20"]}
    narrow = {"when": both, "then": {"decision": "deny", "reasons": ["R17"]}}
    assert "rules_single_out" in codes_of(package(rows=[narrow, PAY]))


def test_a_single_operation_or_drug_is_not_told_either():
    row = {"when": {"operation": ["37"]}, "then": {"decision": "deny", "reasons": ["R16"]}}
    assert "rules_single_out" in codes_of(package(rows=[row, PAY]))
    one = [{"codes": ["XL01XC03"], "reason": "R12"}]
    assert "rules_single_out" in codes_of(package(exclusions=one))
    hiv = [{"codes": [f"XJ05AR{n:02}" for n in range(8)], "reason": "R12"}]
    assert "rules_sensitive" in codes_of(package(exclusions=hiv))
    assert not faults(package(exclusions=[{"codes": ["XJ05"], "reason": "R12"}]), TERMS)


def test_sensitive_diagnoses_do_not_stand_among_themselves():
    sensitive = ["B20", "B21", "B22", "F20", "F32", "A50"]
    row = {"when": {"dx": sensitive}, "then": {"decision": "deny", "reasons": ["R17"]}}
    assert "rules_sensitive" in codes_of(package(rows=[row, PAY]))
    mixed = {**row, "when": {"dx": [*sensitive, "K02", "K03", "K05", "L81", "Z41", "Z42"]}}
    assert not faults(package(rows=[mixed, PAY]), TERMS)


def test_reasons_of_many_exclusions_add_up():
    many = [{"codes": [f"{chr(65 + n)}0"], "reason": code} for n, code in enumerate(GIVEN[:24])]
    assert "rules_too_telling" in codes_of(package(exclusions=many))


def test_rows_without_diagnoses_count_too():
    ages = [
        {"when": {"age": {"from": n, "to": n}}, "then": {"decision": "deny", "reasons": reasons}}
        for n, reasons in enumerate(DENIALS[:100])
    ]
    assert bits(package(rows=[*ages, PAY]), 4) > bits(package(rows=[PAY]), 4)
    assert "rules_too_large" in codes_of(package(rows=[*ages * 2, PAY]))


def test_reasons_are_of_the_list_and_the_engines_are_its_own():
    for reason, code in (("R99", "rules_reason_unknown"), ("R02", "rules_reason_reserved")):
        row = {"when": {"waiting": True}, "then": {"decision": "deny", "reasons": [reason]}}
        assert code in codes_of(package(rows=[row, PAY]))


def test_a_row_that_never_decides_is_named():
    row = {"when": {"waiting": True}, "then": {"decision": "manual"}}
    found = faults(package(rows=[row, row, PAY]), TERMS)
    assert [(one.code, one.where) for one in found] == [("rules_unreachable", "rows[1]")]


def test_packages_that_differ_in_one_condition_are_near_duplicates():
    changed = document(product="another", version="9")
    changed["rows"][1]["when"]["dx"][0] = "Z43"
    assert likeness(package(), RulePackage.model_validate(changed)) > TERMS.bounds.likeness_max
    other = package(rows=[PAY], layers=document()["layers"][:1], exclusions=[], waiting_days=0)
    assert likeness(package(), other) < TERMS.bounds.likeness_max
    assert likeness(package(), package()) == 1


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe", b"", b"[]", b"a: &a [*a]", b"x: &a [1]\ny: *a",
        b"!!python/object:os.system {}",
        b"{" * 5000, b"form: sluice-rules-1", b"\x00", b"a: b: c", b"x" * 1_000_001,
    ],
)  # fmt: skip
def test_rubbish_is_refused_in_a_sentence(text):
    with pytest.raises(RulesUnreadable) as told:
        read_package(text, "p.yaml")
    assert told.value.code == "rules_form"


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("layers.0.deductible", {"layers": [{**LAYER, "deductible": "1.001"}]}),
        ("layers.0.bands.0.pay", {"layers": [{**LAYER, "bands": [{"pay": 1.5}]}]}),
        ("rows.0.when", {"rows": [{"when": {}, **PAY}, PAY]}),
        ("rows.0.then", {"rows": [{"then": {"decision": "deny"}}]}),
        ("rows.0.when.free_text", {"rows": [{"when": {"free_text": "x"}, **PAY}, PAY]}),
        ("answer", {"answer": "{diagnosis}"}),
        ("effective", {"effective": {"from": "2026-01-01", "to": "2026-01-01"}}),
        ("document", {"rows": [{"then": {"decision": "pay", "layers": ["none"]}}]}),
        ("document", {"rows": [PAY, PAY]}),
    ],
)  # fmt: skip
def test_every_wrong_place_is_named(place, change):
    text = json.dumps(document(**change), default=str).encode()
    with pytest.raises(RulesUnreadable) as told:
        read_package(text, "p.yaml")
    assert f"  {place}: " in told.value.message


def test_wrong_claims_are_named_without_their_values(tmp_path):
    file = tmp_path / "claims.jsonl"
    file.write_text(CLAIMS.read_text().replace('"age": 57', '"age": "SECRET-57"', 1))
    with pytest.raises(RulesUnreadable) as told:
        list(read_claims(file))
    assert "line 1" in told.value.message
    assert "SECRET" not in told.value.message


def test_the_commands_say_what_they_find(tmp_path):
    program = assemble(("rules",))
    fine = runner.invoke(program, ["rules", "check", str(EXAMPLE)])
    assert (fine.exit_code, "of 16 bits" in fine.output) == (0, True)
    bad = tmp_path / "bad.yaml"
    bad.write_text(telling(6).model_dump_json(by_alias=True, exclude_none=True))
    made = runner.invoke(program, ["rules", "try", str(EXAMPLE), "--claims", str(CLAIMS), "--json"])
    answers = [json.loads(told) for told in made.output.splitlines()]
    assert [one["payable_amt"] for one in answers] == ["4900.00", "18200.00", "0.00", "0.00"]
    assert len({tuple(one) for one in answers}) == 1, "every answer has the same fields"
    twin = runner.invoke(program, ["rules", "check", str(EXAMPLE), "--beside", str(EXAMPLE)])
    assert (twin.exit_code, "rules_near_duplicate" in twin.output) == (1, True)
    assert len(runner.invoke(program, ["rules", "reasons"]).output.splitlines()) == 40
