"""Persons and their dated visits, made by a rule: sums that hold, lives that hang together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from synthetic.tables.loading import parse_schema
from synthetic.tables.schema import Schema

SCHEMA = """
tables:
  person:
    key: id
    columns:
      sex: {kind: category, values: [M, F]}
      age: {kind: number, bins: [0, 15, 30, 45, 60, 75, 111]}
  visit:
    parent: person
    foreign_key: person_id
    key: visit_id
    at_most: 12
    order: {column: day, start: 2026-01-01, end: 2026-12-31}
    columns:
      day: {kind: date, bins: [0, 1, 8, 31, 91, 366]}
      clinic: {kind: category, values: [GP, ER]}
      drugs: {kind: number, bins: [0, 10, 20, 50, 100, 200, 500, 5000], step: 0.01}
      exams: {kind: number, bins: [0, 0.01, 20, 50, 100, 200, 500, 5000], step: 0.01}
      total: {kind: number, bins: [0, 0.01, 20, 50, 100, 200, 500, 10000], step: 0.01}
    identities:
      - {kind: sum, total: total, items: [drugs, exams]}
"""
Tables = Mapping[str, pa.Table]
FIRST_DAY = np.datetime64("2026-01-01")


def schema() -> Schema:
    """The schema of the world."""
    return parse_schema(yaml.safe_load(SCHEMA))


def world(seed: int, persons: int) -> dict[str, pa.Table]:
    """Persons of this seed and their visits; the old come more often, the ill cost more."""
    draw = np.random.default_rng(seed)
    age = np.clip(draw.normal(50, 20, persons), 0, 110).astype(np.int64)
    many = np.minimum(draw.poisson(np.clip(age / 25, 0.2, 5)), 12)
    unit = np.repeat(np.arange(persons), many)
    gaps = draw.exponential(30, len(unit)).astype(np.int64) * (draw.random(len(unit)) > 0.15)
    before = np.cumsum(gaps) - gaps
    first = np.concatenate([[0], np.cumsum(many)[:-1]])
    day = np.minimum(np.cumsum(gaps) - before[np.minimum(first, len(unit) - 1)][unit], 364)
    ill = draw.normal(0, 1, persons)[unit]
    drugs = np.round(np.exp(3 + 0.01 * age[unit] + 0.6 * ill), 2)
    exams = np.round(np.where(draw.random(len(unit)) < 0.5, 0, np.exp(4 + 0.3 * ill)), 2)
    clinic = draw.random(len(unit)) < 0.3 + 0.004 * age[unit]
    return {
        "person": pa.table(
            {
                "id": np.arange(persons) + 1,
                "sex": np.array(["M", "F"])[draw.integers(0, 2, persons)],
                "age": age,
            }
        ),
        "visit": visits(unit + 1, day, np.where(clinic, "ER", "GP"), drugs, exams),
    }


def visits(
    unit: np.ndarray, day: np.ndarray, clinic: np.ndarray, drugs: np.ndarray, exams: np.ndarray
) -> pa.Table:
    """Rows of visits, numbered from 1."""
    return pa.table(
        {
            "visit_id": np.arange(len(unit)) + 1,
            "person_id": unit,
            "day": pa.array(FIRST_DAY + day.astype("timedelta64[D]")),
            "clinic": clinic,
            "drugs": drugs,
            "exams": exams,
            "total": np.round(drugs + exams, 2),
        }
    )


def with_canary(tables: Tables, age: int, many: int) -> dict[str, pa.Table]:
    """The same persons and one more, unlike all others, with so many visits."""
    person, visit = tables["person"], tables["visit"]
    number = person.num_rows + 1
    one = pa.table({"id": [number], "sex": ["F"], "age": [age]}).cast(person.schema)
    ones = np.full(many, number)
    rows = visits(ones, np.arange(many), np.full(many, "ER"), ones * 0 + 4000.0, ones * 0 + 400.0)
    rows = rows.set_column(0, "visit_id", pa.array(np.arange(many) + visit.num_rows + 1))
    more = pa.concat_tables([visit, rows.cast(visit.schema)]) if many else visit
    return {"person": pa.concat_tables([person, one]), "visit": more}


def written(tables: Tables, folder: Path) -> dict[str, list[Path]]:
    """The tables as Parquet files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return {name: [folder / f"{name}.parquet"] for name in tables}
