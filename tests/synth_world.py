"""Linked tables made up for tests of the synthesiser: persons, their visits, what was charged.

Known truths: men's blood pressure lies 8 above women's; 30 % of visits are the pharmacy, always on
the day of the visit before; pressure keeps to the person; charges come in tens of fen; older
persons are paid 80 %, others 60 %.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = """
tables:
  person:
    key: id
    columns:
      sex: {kind: category, values: [M, F]}
      age: {kind: number, bins: [0, 15, 30, 45, 60, 75, 91]}
      enrolled: {kind: date, bins: [2026-01-01, 2026-01-02, 2026-04-01, 2026-08-01]}
      left: {kind: date, since: enrolled, bins: [0, 60, 120, 180, 360, 364, 365]}
  visit:
    parent: person
    foreign_key: person_id
    key: vid
    at_most: 12
    order: {column: day, start: enrolled, end: left}
    columns:
      day: {kind: date, bins: [0, 1, 4, 8, 15, 31, 61, 121, 366]}
      clinic: {kind: category, values: [GP, LAB, PHARM]}
      pressure: {kind: number, bins: [60, 110, 120, 130, 140, 150, 160, 220], nullable: true}
      total: {kind: number, bins: [0, 0.01, 20, 50, 100, 200, 500], step: 0.01}
      share: {kind: number, bins: [0, 1], step: 0.001}
    identities:
      - {kind: children_sum, total: total, child: charge, item: amount}
      - {kind: derived, column: share, sql: "round(total / 500, 3)"}
  charge:
    parent: visit
    foreign_key: visit_id
    at_most: 4
    columns:
      code: {kind: category, values: [A, B, C]}
      amount: {kind: number, bins: [0, 0.01, 10, 20, 50, 100, 300], step: 0.01}
      fund: {kind: number, bins: [0, 0.01, 10, 20, 50, 100, 300], step: 0.01}
      own: {kind: number, bins: [0, 0.01, 10, 20, 50, 100, 300], step: 0.01}
    identities:
      - {kind: sum, total: amount, items: [fund, own], keep: total}
"""
TABLES = ("person", "visit", "charge")
FIRST = date(2026, 1, 1)


def make(folder: Path, persons: int, seed: int) -> dict[str, list[Path]]:
    """The three tables as Parquet, from about `persons` × 2.4 visits; files by table."""
    rng = np.random.default_rng(seed)
    start = np.where(rng.random(persons) < 0.8, 0, rng.integers(1, 200, persons))
    age = rng.integers(0, 90, persons)
    sex = rng.integers(0, 2, persons)
    visits = np.minimum(12, rng.negative_binomial(0.8, 0.25, persons))
    who = np.repeat(np.arange(persons), visits)
    day = start[who] + (rng.random(who.size) * (365 - start[who])).astype(int)
    order = np.lexsort((day, who))
    day = day[order]
    second = np.r_[False, who[1:] == who[:-1]] if who.size else np.zeros(0, bool)
    paired = second & (rng.random(who.size) < 0.45)
    for at in np.flatnonzero(paired):
        day[at] = day[at - 1]
    level = 118 + 8 * (sex == 0) + rng.normal(0, 10, persons)
    pressure = np.rint(level[who] + rng.normal(0, 4, who.size)).astype(int)
    clinic = np.where(paired, 2, (rng.random(who.size) < 0.2).astype(int))
    lines = rng.integers(1, 4, who.size)
    of = np.repeat(np.arange(who.size), lines)
    amount = rng.integers(1, 1000, of.size) * 10
    fund = amount * np.where(age[who[of]] >= 60, 8, 6) // 10
    total = np.bincount(of, weights=amount, minlength=who.size).astype(int)
    tables = {
        "person": {
            "id": np.arange(persons) * 3 + 7,
            "sex": np.array(["M", "F"])[sex],
            "age": age,
            "enrolled": [FIRST + timedelta(int(d)) for d in start],
            "left": [FIRST + timedelta(364)] * persons,
        },
        "visit": {
            "vid": np.arange(who.size) * 2 + 5,
            "person_id": who * 3 + 7,
            "day": [FIRST + timedelta(int(d)) for d in day],
            "clinic": np.array(["GP", "LAB", "PHARM"])[clinic],
            "pressure": pa.array(pressure, mask=paired),
            "total": total / 100,
        },
        "charge": {
            "visit_id": of * 2 + 5,
            "code": np.array(["A", "B", "C"])[rng.integers(0, 3, of.size)],
            "amount": amount / 100,
            "fund": fund / 100,
            "own": (amount - fund) / 100,
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return {name: [folder / f"{name}.parquet"] for name in TABLES}


def without(data: dict[str, list[Path]], person: int, folder: Path) -> dict[str, list[Path]]:
    """The same tables without one person and all that is hers, by key."""
    folder.mkdir(parents=True, exist_ok=True)
    visits = f"(SELECT vid FROM '{data['visit'][0]}' WHERE person_id = {person})"
    kept = {
        "person": f"id <> {person}",
        "visit": f"person_id <> {person}",
        "charge": f"visit_id NOT IN {visits}",
    }
    for name, condition in kept.items():
        duckdb.sql(f"SELECT * FROM '{data[name][0]}' WHERE {condition}").write_parquet(
            str(folder / f"{name}.parquet")
        )
    return {name: [folder / f"{name}.parquet"] for name in TABLES}
