"""The shipped lists: all fifteen standards, nothing withheld in them, true to the simulator."""

from __future__ import annotations

import csv
from decimal import Decimal

import pytest

from gateway.codes.romanising import spelt
from gateway.codes.sources import SHIPPED, read_source
from synthetic.bureau.catalogue import generics, product_code
from synthetic.warehouse.codes import code_list

SOURCE = read_source(SHIPPED)
CODES = {
    one.system: (one, codes)
    for one, codes in zip(SOURCE.declaration.lists, SOURCE.concepts, strict=True)
}


def rows(name: str) -> list[dict[str, str]]:
    with (SHIPPED / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_all_fifteen_standards_are_named() -> None:
    named = {one.standard for one, _ in CODES.values()} - {None}
    assert named == set(range(1, 16))


def test_what_may_not_be_republished_has_a_reason_and_no_code() -> None:
    withheld = [(one, codes) for one, codes in CODES.values() if not one.republish]
    assert {one.standard for one, _ in withheld} >= {5, 6, 7, 8, 9, 11}
    assert all(one.withheld and not codes for one, codes in withheld)


def test_what_was_invented_says_so_in_its_title_and_source() -> None:
    for one, _ in CODES.values():
        assert ("虚构" in one.title.zh) == one.invented
        assert ("虚构" in one.source) == one.invented


def test_products_are_those_the_simulator_dispenses_with_their_ddd() -> None:
    listed = {row["code"] for row in rows("drug.csv")}
    ddd = {row["source"]: row for row in rows("map_drug_atc.csv")}
    made = [
        (product_code(number, serial), row)
        for number, row in enumerate(generics())
        for serial in range(1, int(row["makers"]) + 1)
    ]
    assert listed == {code for code, _ in made}
    for code, row in made:
        if row["atc"].startswith("Z"):
            assert code not in ddd
            continue
        told = ddd[code]
        assert (told["target"], told["ddd_unit"]) == (row["atc"], row["unit"])
        exact = Decimal(row["strength"]) * Decimal(row["pac_cnt"]) / Decimal(row["ddd"])
        assert abs(Decimal(told["ddd_per_pack"]) - exact) <= Decimal("0.0000005")


@pytest.mark.parametrize(
    ("system", "name"), [("dx", "dx"), ("drg", "drg"), ("dip", "dip"), ("hosp_lv", "hosp_lv")]
)
def test_lists_of_the_simulator_are_its_own(system: str, name: str) -> None:
    assert {one.code for one in CODES[system][1]} == {one.code for one in code_list(name)}


@pytest.mark.parametrize(
    ("title", "pinyin", "initials"),
    [
        ("重症肌无力", "zhongzhengjiwuli", "zzjwl"),
        ("便秘", "bianmi", "bm"),
        ("绿脓杆菌", "lvnongganjun", "lngj"),
        ("人参", "renshen", "rs"),
        ("2型糖尿病 伴Ａ", "2xingtangniaobingbana", "2xtnbba"),
    ],
)
def test_a_title_is_spelt_as_its_words_are_read(title: str, pinyin: str, initials: str) -> None:
    assert spelt(title) == (pinyin, initials)
