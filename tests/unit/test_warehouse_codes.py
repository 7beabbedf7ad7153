"""The code lists: closed, nested, of the national forms, and only about invented places."""

from __future__ import annotations

import re

import pytest

from synthetic.warehouse.codes import code_list, rows

DX = re.compile(r"^[A-Z]\d{2}\.(x\d{2}|\d{3}|\dx\d)(x\d{3})?$")
DRG = re.compile(r"^([A-Z][A-Z][1-9][1359]|0000)$")
NESTED = (
    ("dx", "dx_cat3"), ("drg", "adrg"), ("adrg", "mdc"), ("atc4", "atc3"), ("atc3", "atc2"),
    ("atc2", "atc1"), ("generic", "atc4"), ("admdvs", "admdvs"), ("items", "fee_cat14"),
)  # fmt: skip


@pytest.mark.parametrize(("child", "parent"), NESTED)
def test_every_code_has_its_parent_in_the_list_above(child: str, parent: str) -> None:
    above = {code.code for code in code_list(parent)}
    assert {c.parent for c in code_list(child)} - {""} <= above


@pytest.mark.parametrize("name", sorted({n for pair in NESTED for n in pair}))
def test_codes_are_unique_and_titled(name: str) -> None:
    codes = code_list(name)
    assert len({c.code for c in codes}) == len(codes)
    assert all(c.title_zh and c.title_en for c in codes)


def test_codes_have_the_national_forms() -> None:
    assert all(DX.match(c.code) for c in code_list("dx"))
    assert all(DRG.match(c.code) for c in code_list("drg"))
    assert all(re.fullmatch(r"[A-Z][A-Z0-9]{6}", g["atc"]) for g in rows("generics"))


def test_closed_lists_hold_their_catch_all() -> None:
    assert "other" in {c.code for c in code_list("dx_cat3")}
    assert "0000" in {c.code for c in code_list("drg")}
    assert "000" in {c.code for c in code_list("adrg")}
    assert "0" in {c.code for c in code_list("mdc")}


def test_no_region_is_real() -> None:
    assert {c.code[:2] for c in code_list("admdvs")} == {"98", "99"}


def test_an_unknown_list_is_refused() -> None:
    with pytest.raises(KeyError, match="no code list"):
        code_list("nonsense")
