"""Which codes make which of the twelve diseases: what the contract tells is what the queries do."""

from __future__ import annotations

import csv

import duckdb
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.settings import Settings
from synthetic.warehouse.codes import code_list
from synthetic.warehouse.schema import TABLES, arrow_schema

FOLDER = Settings().policies / "catalogue"
with (FOLDER / "S14" / "codes_disease12.csv").open(encoding="utf-8") as _file:
    TOLD = {row["code"]: row for row in csv.DictReader(_file)}


@pytest.fixture(scope="module")
def views() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    for name, table in TABLES.items():
        con.register(f"no_{name}", arrow_schema(table).empty_table())
        con.execute(f"CREATE VIEW {name} AS FROM no_{name}")
    con.execute(load_catalogue(Settings().policies).rollups_sql())
    return con


def diseases_of(code: str) -> list[str]:
    """By the ranges and prefixes of the code list."""
    found = []
    for disease, row in TOLD.items():
        for part in row["icd10"].split():
            first, _, last = part.partition("-")
            if first <= code[: len(first)] <= (last or first):
                found.append(disease)
    return found


@pytest.mark.parametrize("letter", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
def test_a_diagnosis_is_of_the_disease_whose_codes_the_list_tells(
    views: duckdb.DuckDBPyConnection, letter: str
) -> None:
    codes = [f"{letter}{number:02d}.{digit}01" for number in range(100) for digit in range(10)]
    listed = [entry.code for entry in code_list("dx") if entry.code.startswith(letter)]
    for code in (*codes, *listed, f"{letter}99"):
        assert len(diseases_of(code)) <= 1
    rows = views.execute(
        "SELECT code, disease12(code) FROM (SELECT unnest(?) AS code)", [[*codes, *listed]]
    ).fetchall()
    assert {code: [disease] if disease else [] for code, disease in rows} == {
        code: diseases_of(code) for code, _ in rows
    }


def test_drug_classes_and_registrations_are_those_of_the_list(
    views: duckdb.DuckDBPyConnection,
) -> None:
    classes = views.execute("SELECT disease12, atc, specific FROM chronic_class").fetchall()
    told = [
        (disease, atc, specific)
        for disease, row in TOLD.items()
        for column, specific in (("specific_drugs", 1), ("other_drugs", 0))
        for atc in row[column].split()
    ]
    assert sorted(classes) == sorted(told)
    for disease, row in TOLD.items():
        for code in row["opsp"].split():
            found = views.execute("SELECT opsp_disease12(?)", [code.ljust(6, "0")]).fetchone()
            assert found == (disease,)


@pytest.mark.parametrize(
    ("code", "disease"),
    [
        ("I10.x00x002", "hypertension"), ("O24.900", None), ("E11.900", "diabetes"),
        ("N18.501", "ckd_dialysis"), ("N18.900", None), ("Z51.101", "cancer"), ("D25.900", None),
        ("I67.900", None), ("I69.300x002", "stroke"), ("B16.900", None), ("B18.100", "hepatitis_b"),
        ("F32.900", "mental"), ("F03.x00", None), ("M45.x00", "ra_as"), ("Z94.000", "transplant"),
        ("", None), (None, None),
    ],
)  # fmt: skip
def test_diagnoses_as_a_physician_would_sort_them(
    views: duckdb.DuckDBPyConnection, code: str | None, disease: str | None
) -> None:
    assert views.execute("SELECT disease12(?)", [code]).fetchone() == (disease,)
