"""The dimension dictionary by worked examples: national codes in, dim values out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

POLICIES = Path(__file__).resolve().parents[2] / "policies"


@pytest.fixture(scope="module")
def macros() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the macros; the views on them are tested with whole warehouses."""
    connection = duckdb.connect()
    text = (POLICIES / "catalogue" / "views_00_dims.sql").read_text(encoding="utf-8")
    for statement in duckdb.extract_statements(text):
        if "CREATE OR REPLACE MACRO" in statement.query:
            connection.execute(statement)
    yield connection
    connection.close()


def value(macros: duckdb.DuckDBPyConnection, expression: str) -> object:
    row = macros.execute(f"SELECT {expression}").fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("code", "scheme"),
    [("310", "employee"), ("340", "employee"), ("390", "resident"), ("392", "resident")],
)
def test_schemes_roll_up_to_employee_and_resident(
    macros: duckdb.DuckDBPyConnection, code: str, scheme: str
) -> None:
    assert value(macros, f"insutype2('{code}')") == scheme


def test_a_scheme_that_is_neither_has_no_roll_up(macros: duckdb.DuckDBPyConnection) -> None:
    assert value(macros, "insutype2('410')") is None


@pytest.mark.parametrize(
    ("insutype", "psn_type", "age", "group"),
    [
        ("310", "11", 40, "active"),
        ("310", "1101", 40, "active"),
        ("310", "12", 66, "retired"),
        ("340", "13", 90, "retired"),
        ("390", "1401", 0, "child"),
        ("390", "1402", 4, "child"),
        ("390", "1403", 9, "student"),
        ("390", "1404", 20, "student"),
        ("390", "14", 5, "child"),
        ("390", "14", 6, "student"),
        ("390", "15", 40, "adult_resident"),
        ("390", "16", 70, "elder_resident"),
        ("310", "15", 40, None),
        ("390", "11", 40, None),
    ],
)
def test_person_types_roll_up_to_six_groups_within_their_scheme(
    macros: duckdb.DuckDBPyConnection, insutype: str, psn_type: str, age: int, group: str | None
) -> None:
    assert value(macros, f"psn_group6('{insutype}', '{psn_type}', {age})") == group


@pytest.mark.parametrize(
    ("med_type", "benefit"),
    [
        ("11", "OP"), ("12", "OP"), ("13", "OP"), ("16", "OP"), ("81", "OP"), ("9102", "OP"),
        ("14", "OPSP"), ("140104", "OPSP"), ("140201", "OPSP"), ("1403", "OPSP"), ("15", "OPSP"),
        ("21", "IP"), ("210104", "IP"), ("2101", "IP"), ("2105", "IP"), ("22", "IP"), ("28", "IP"),
        ("41", "RX"), ("4101", "RX"),
        ("51", "MAT"), ("52", "MAT"), ("2106", "MAT"), ("2107", "MAT"),
        ("61", None), ("71", None),
    ],
)  # fmt: skip
def test_medical_types_roll_up_to_five_benefits(
    macros: duckdb.DuckDBPyConnection, med_type: str, benefit: str | None
) -> None:
    assert value(macros, f"benefit5('{med_type}')") == benefit


@pytest.mark.parametrize(
    ("age", "five", "ten"),
    [
        (0, "0", "0-9"), (0.9, "0", "0-9"), (1, "1-4", "0-9"), (4.9, "1-4", "0-9"),
        (5, "5-9", "0-9"), (9.9, "5-9", "0-9"), (10, "10-14", "10-19"), (79.9, "75-79", "70-79"),
        (80, "80-84", "80+"), (84.9, "80-84", "80+"), (85, "85+", "80+"), (103, "85+", "80+"),
    ],
)  # fmt: skip
def test_ages_fall_into_five_and_ten_year_groups(
    macros: duckdb.DuckDBPyConnection, age: float, five: str, ten: str
) -> None:
    assert (value(macros, f"age5({age})"), value(macros, f"age10({age})")) == (five, ten)


@pytest.mark.parametrize(
    ("insured", "treated", "place"),
    [
        ("990101", "990112", "local"),
        ("990101", "990200", "in_province"),
        ("990101", "980000", "cross_province"),
    ],
)
def test_place_of_care_follows_from_the_two_regions(
    macros: duckdb.DuckDBPyConnection, insured: str, treated: str, place: str
) -> None:
    assert value(macros, f"pay_loc3('{insured}', '{treated}')") == place


@pytest.mark.parametrize(
    ("level", "four"), [("01", "T"), ("04", "T"), ("05", "S"), ("10", "P"), ("11", "N")]
)
def test_hospital_levels_roll_up_to_four(
    macros: duckdb.DuckDBPyConnection, level: str, four: str
) -> None:
    assert value(macros, f"hosp_lv4('{level}')") == four
