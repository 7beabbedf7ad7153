"""A release of S02 written by hand, of thousands of invented amounts, and what pirates do."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from gateway.catalogue.load import load_catalogue
from gateway.catalogue.model import Service
from gateway.policy.profiles import merged_profiles, profile_key
from gateway.releases.manifest import Level, Manifest, Shown, sealed
from gateway.releases.store import Page, ReleaseStore, Selection
from gateway.watermark.leaked import Leaked
from gateway.watermark.marking import Marks
from tests.gateway_factory import POLICIES

DIMS = {
    "insutype2": ("employee", "resident"),
    "benefit5": ("OP", "OPSP", "IP", "RX", "MAT"),
    "gend": ("1", "2"),
    "age5": ("0", "1-4", "5-9", "10-14", "15-19", "20-24"),
}
PERIODS = tuple(f"2024Q{n}" for n in range(1, 5))
GEO = ("990100", "990101", "990102")
AMOUNTS = ("inscp", "fund", "cash")
MEASURES = ("persons", *AMOUNTS, "ratio_inscp")
FILE = "file_and_header"
MADE = datetime(2025, 6, 1, tzinfo=UTC)
Columns = dict[str, list[str]]


@dataclass(frozen=True)
class World:
    """A home with the release."""

    home: Path
    manifest: Manifest
    service: Service

    @cached_property
    def store(self) -> ReleaseStore:
        return ReleaseStore(self.home / "releases")

    @property
    def profile_key(self) -> str:
        return next(iter(self.manifest.profiles))

    def page(
        self,
        tenant: str,
        *,
        word: str = FILE,
        dims: Sequence[str] = tuple(DIMS),
        measures: Sequence[str] = MEASURES,
        rows: tuple[int, int] = (0, 100_000),
    ) -> Page:
        """What a tenant is given."""
        asked = Selection(
            "S02",
            self.manifest.release_id,
            self.profile_key,
            "quarter",
            PERIODS,
            GEO,
            tuple(dims),
            {},
            tuple(measures),
            {},
        )
        marks = Marks(self.home / "keys")
        return marks.page(self.store, asked, *rows, tenant=tenant, word=word, service=self.service)

    def copy(self, tenant: str) -> Columns:
        """The whole cube as a tenant would save it."""
        page = self.page(tenant)
        return {
            name: ["" if v is None else str(v) for v in column]
            for name, column in {**page.keys, **page.values}.items()
        }


def write_world(home: Path) -> World:
    """Write the release and put it in force."""
    catalogue = load_catalogue(POLICIES)
    profile = merged_profiles(POLICIES, catalogue.as_policy_data())["S02", "SC01"]
    made = sealed(_fields(profile), MADE)
    folder = home / "releases" / "S02" / made.release_id
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(made.text(), "utf-8")
    _write_cells(folder / f"cells-{profile_key(profile)}.sqlite", made)
    (home / "releases" / "CURRENT.json").write_text(json.dumps({"S02": made.release_id}))
    return World(home, made, catalogue.services["S02"])


def _fields(profile: Mapping[str, object]) -> dict[str, object]:
    key = profile_key(profile)
    return {
        "service": "S02",
        "version": "1.0.0",
        "periods": {"quarter": PERIODS},
        "geo": GEO,
        "domains": dict(DIMS),
        "levels": {
            name: Level(dim=name, coarser=None, values=values, parents=())
            for name, values in DIMS.items()
        },
        "shapes": ((), tuple(DIMS)),
        "measures": (
            Shown(name="persons", unit="count", zero=0),
            *(Shown(name=name, unit="CNY", zero="0.00") for name in AMOUNTS),
            Shown(name="ratio_inscp", unit="ratio", zero=None),
        ),
        "person_measure": "persons",
        "structural_zeros": (),
        "profiles": {key: dict(profile)},
        "cells": {key: 1},
        "definitions": "invented",
        "code_versions": {},
        "quality": {},
        "waiver": None,
        "unmapped": {},
        "rounding_key": "invented",
        "inputs": (),
        "files": (),
        "software": {},
    }


def _write_cells(path: Path, made: Manifest) -> None:
    """Amounts from hundreds to billions of yuan to four digits; every ninth cell is hidden."""
    rng = np.random.default_rng(7)
    width = int(np.prod([len(values) for values in DIMS.values()]))
    blocks = len(made.blocks) * len(GEO)
    rows: list[tuple[object, ...]] = []
    for shape, cells in ((0, 1), (1, width)):
        for block in range(shape * blocks, (shape + 1) * blocks):
            for cell in range(cells):
                if (block + cell) % 9 == 0 and shape:
                    rows.append((block, cell, "sssss", *[None] * 5))
                    continue
                inscp = rounded(10 ** rng.uniform(5, 12))
                fund = rounded(inscp * rng.uniform(0.4, 0.9))
                cash = rounded(10 ** rng.uniform(3, 10))
                ratio = float(round(fund / inscp, 4))
                texts = [f"{n // 100}.{n % 100:02d}" for n in (inscp, fund, cash)]
                rows.append((block, cell, "rrrrr", 5 * int(rng.integers(3, 900)), *texts, ratio))
    with closing(sqlite3.connect(path)) as db, db:
        names = ", ".join(MEASURES)
        db.execute(f"CREATE TABLE cells (block INTEGER, cell INTEGER, marks TEXT, {names})")
        db.execute("CREATE UNIQUE INDEX place ON cells (block, cell)")
        db.executemany("INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def rounded(fen: float, digits: int = 4) -> int:
    """To significant digits, half up."""
    whole = int(fen)
    unit = 10 ** max(len(str(whole)) - digits, 0)
    return (whole + unit // 2) // unit * unit


def some(columns: Columns, rows: Sequence[int]) -> Columns:
    """These rows, in this order."""
    return {name: [column[i] for i in rows] for name, column in columns.items()}


def mixed(parts: Sequence[Columns], choose: Callable[[int], int]) -> Columns:
    """Whole rows from several copies."""
    count = len(next(iter(parts[0].values())))
    return {name: [parts[choose(i)][name][i] for i in range(count)] for name in parts[0]}


def shorter(columns: Columns, digits: int) -> Columns:
    """Amounts with fewer digits."""
    return columns | {
        name: [text and f"{rounded(float(text) * 100, digits) / 100:.2f}" for text in columns[name]]
        for name in AMOUNTS
        if name in columns
    }


def leaked(columns: Columns) -> Leaked:
    """The columns as they are read from a file."""
    return Leaked(columns)
