"""Packages written to carry a diagnosis out past the bounds, each by another way: refused, or it
tells nothing, or it is counted.

The ways: hiding one diagnosis behind codes that nobody has, that are never read or that are written
so that they match nothing; behind rows that never apply; by what is left over; by an operation
beside a wide list; by the order of reasons; by versions for single days; by amounts in fen; by two
insurers; by how long deciding takes; by what is pushed.
"""

from __future__ import annotations

import time
from itertools import permutations
from typing import Any

import pytest

from gateway.adjudication.capacity import faults, outcomes
from gateway.adjudication.deciding import adjudicate
from gateway.adjudication.model import RulePackage
from tests.adjudication_factory import TERMS, claim, document, line, package

PAY = {"then": {"decision": "pay", "layers": ["in-scope"]}}
WIDE = ["I20", "I21", "I22", "I23", "I24"]
"""Five categories that many have: as many as must be decided alike."""


def deny(*reasons: str, **when: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"then": {"decision": "deny", "reasons": list(reasons or ("R17",))}}
    return row | ({"when": when} if when else {})


def found(*rows: Any, **changes: Any) -> set[str]:
    built = package(rows=list(rows), exclusions=[], **changes)
    return {fault.code for fault in faults(built, TERMS)}


ALL_BUT_C50 = [*"ABDEFGHIJKLMNOPQRSTZ", *(f"C{n}" for n in range(10) if n != 5)]
ALL_BUT_C50 += [f"C5{n}" for n in range(1, 10)]

PROBES = {
    "codes that are not assigned": [deny(dx=["C50", "A10", "A11", "A12", "A13", "A14"]), PAY],
    "external causes": [deny(dx=["C50", "W01", "W02", "W03", "X01", "Y01"]), PAY],
    "codes that match nothing": [deny(dx=["C50", "i20", "i21", "i22", "i23", "i24"]), PAY],
    "narrow codes nobody has": [deny(dx=["C50", *(f"{one}.zz9" for one in WIDE)]), PAY],
    "sensitive ones, never read": [deny(dx=["C50", "I10", "I11", "F20", "F32", "A50"]), PAY],
    "a row that never applies": [
        deny(dx=["C50"]), deny(age={"from": 150, "to": 150}), PAY,
    ],
    "a last row that is never reached": [
        deny(dx=["C50"]), {**PAY, "when": {"age": {"from": 0, "to": 150}}}, deny(),
    ],
    "what an earlier row leaves": [deny(dx=WIDE), deny("R18", dx=[*WIDE, "C50"]), PAY],
    "earlier, by a fact the insurer knows": [
        deny(dx=WIDE, age={"from": 0, "to": 150}), deny("R18", dx=[*WIDE, "C50"]), PAY,
    ],
    "two halves under other conditions": [
        deny(dx=["C50", "C61"], age={"from": 0, "to": 60}),
        deny(dx=["I20", "I21", "I22"], age={"from": 61, "to": 150}), PAY,
    ],
    "all but one": [deny(dx=ALL_BUT_C50), PAY],
    "a part of a category": [deny(dx=["C50.1", *WIDE]), deny("R18", dx=["C50", *WIDE]), PAY],
    "an operation beside every diagnosis": [
        deny(dx=[chr(65 + n) for n in range(26)], operation=["36.07"]), PAY,
    ],
    "operations that do not exist": [deny(operation=["36.07", "A1", "B2", "C3", "D4", "E5"]), PAY],
    "any diagnosis beside a wide main one": [deny(dx=WIDE, dx_any=["C50"]), PAY],
    "narrow overlap of wide lists": [
        deny(dx=["C50", *WIDE]), deny("R18", dx=["C50", "J10", "J11", "J12", "J13", "J14"]), PAY,
    ],
    "the same by what is paid": [
        {"when": {"dx": ["C50", *WIDE[:3]]}, "then": {"decision": "pay", "layers": ["outside"]}},
        PAY,
    ],
    "the same by what is left to people": [
        {"when": {"dx": ["C50"]}, "then": {"decision": "manual"}}, PAY,
    ],
}  # fmt: skip


@pytest.mark.parametrize("rows", PROBES.values(), ids=PROBES.keys())
def test_nothing_hides_a_single_diagnosis(rows: list[Any]) -> None:
    assert found(*rows) & {"rules_single_out", "rules_sensitive"}


def test_lists_that_are_wide_everywhere_may_still_stand() -> None:
    """The refusals above are not of everything: nested lists with five in each part pass."""
    assert not found(
        deny(dx=WIDE, waiting=True),
        deny("R18", dx=["I"]),
        deny("R16", operation=["36", "37", "38", "39", "35"]),
        PAY,
    )
    halves = [deny(dx=["C50", "C61"]), deny(dx=["I20", "I21", "I22"])]
    assert not found(*halves, PAY)  # neighbours with one answer are one list


def test_reasons_are_told_in_one_order_whatever_order_they_were_written_in() -> None:
    """Twenty-four orders of four reasons would be four bits that nobody counted."""
    four = ("R17", "R12", "R16", "R13")
    told = set()
    for order in permutations(four):
        built = package(rows=[deny(*order)], exclusions=[])
        told.add(adjudicate(built, claim(), {}, 4).reasons)
        assert outcomes(built, 4) == outcomes(package(rows=[deny(*four)], exclusions=[]), 4)
    assert told == {tuple(sorted(four))}


def test_the_order_of_exclusions_and_layers_changes_no_answer() -> None:
    struck = [{"codes": [code], "reason": r} for code, r in (("T01", "R14"), ("T02", "R12"))]
    layers = document()["layers"]
    both = {"then": {"decision": "pay", "layers": ["outside", "in-scope"]}}
    asked = claim(lines=(line("T01A", inscp_amt=100), line("T02A", inscp_amt=100)))
    told = {
        adjudicate(
            package(exclusions=list(exclusions), layers=layers, rows=[both]), asked, {}, 4
        ).reasons
        for exclusions in permutations(struck)
    }
    assert told == {("R12", "R14")}


def test_an_amount_is_whole_fen_and_a_formula_by_diagnosis_is_an_outcome() -> None:
    """Ratios that differ in the fourth place would number the diagnoses in the last fen: each is a
    formula of its own, and stands behind as few diagnoses as a reason would."""
    layers = [
        {
            **document()["layers"][0],
            "name": f"l{n}",
            "deductible": 0,
            "bands": [{"pay": f"0.700{n}"}],
        }
        for n in range(6)
    ]
    rows: list[Any] = [
        {"when": {"dx": [one]}, "then": {"decision": "pay", "layers": [f"l{n}"]}}
        for n, one in enumerate(WIDE)
    ]
    last = {"then": {"decision": "pay", "layers": ["l5"]}}
    built = package(layers=layers, rows=[*rows, last], exclusions=[])
    paid = {adjudicate(built, claim(main_diagnosis=one), {}, 4).payable for one in WIDE}
    assert len(paid) == len(WIDE)  # it would tell them
    assert found(*rows, last, layers=layers) == {"rules_single_out"}
    assert outcomes(built, 4) > len(WIDE)
    for places in ("0.12345", "1e-5"):
        with pytest.raises(ValueError, match="at most 4 decimal places"):
            package(layers=[{**layers[0], "bands": [{"pay": places}]}], rows=[last])


def test_texts_of_a_package_cannot_hold_a_message() -> None:
    """What an answer repeats of a package is the same for everybody, and short."""
    for field in ("version", "product"):
        for text in ("x" * 41, "确诊", "a b", "<b>", "a\nb", ""):
            with pytest.raises(ValueError, match=r"String should match|at least"):
                package(**{field: text})
    built = package()
    told = {adjudicate(built, claim(main_diagnosis=one), {}, 4).version for one in (*WIDE, "C50")}
    assert told == {built.version}


@pytest.fixture(scope="module")
def slowest() -> RulePackage:
    """As much as may be reviewed, laid out so that one diagnosis is found at the very end."""
    bounds = TERMS.bounds
    rows = [
        deny("R17", dx=[f"Q{n:03}{m:02}" for m in range(24)]) for n in range(bounds.rows_max - 1)
    ]
    return package(rows=[*rows, PAY], exclusions=[])


def test_the_time_of_deciding_tells_little_and_is_told_once(slowest: RulePackage) -> None:
    """A decision of the largest package costs less than a hundredth of a call, whichever row it is
    that decides; and it is made once for a settlement, so nobody can take a mean."""
    spent = []
    for one in ("Q00000", "I21.0"):
        asked = claim(main_diagnosis=one, diagnoses=tuple(f"K{n:02}" for n in range(20)))
        began = time.process_time_ns()
        for _ in range(50):
            adjudicate(slowest, asked, {}, 4)
        spent.append((time.process_time_ns() - began) / 50)
    assert max(spent) < 2_000_000  # ns of CPU: a call of S20 takes tens of milliseconds
