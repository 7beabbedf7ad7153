"""A gateway whose one release is written by hand, of any size, and a client that exports from it.

The cells are invented: the figure of a cell follows from its number, every seventh is suppressed,
every eleventh is in no file (which reads as suppressed). Every amount has four digits, so it can
carry a tenant's mark.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import yaml

from gateway.catalogue.load import load_catalogue
from gateway.policy.profiles import merged_profiles, profile_key
from gateway.releases.manifest import Level, Manifest, Shown, sealed
from tests.gateway_factory import LARGE, Gateway, copy_policies, marking, serving

GEO = ("990100",)
QUESTION: dict[str, Any] = {
    "purpose": "actuarial_pricing_and_reserving",
    "period": {"from": "2024Q1", "to": "2024Q4", "grain": "quarter"},
    "geo": list(GEO),
    "dims": ["insutype2", "benefit5"],
    "measures": ["visits", "fund"],
}
QUARTERS = tuple(f"2024Q{n}" for n in range(1, 5))
ASYNC = {"Prefer": "respond-async"}
HIDDEN, MISSING = 7, 11


@dataclass(frozen=True)
class Lists:
    """What the release ranges over."""

    periods: tuple[str, ...] = QUARTERS
    first: int = 10
    second: int = 50

    @property
    def rows(self) -> int:
        return len(self.periods) * len(GEO) * self.first * self.second


SMALL = Lists()


def export_policies(
    folder: Path, *, lookback: int = 60, parquet: bool = True, **quota: int
) -> Path:
    """The project's policies with large quotas, and Parquet agreed for insurers."""
    policies = copy_policies(folder, {**LARGE, **quota}, lookback)
    if not parquet:
        return policies
    path = policies / "data" / "scenarios" / "SC01.yaml"
    document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    document["SC01"]["egress"]["formats"] = ["json", "csv", "arrow", "parquet"]
    path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, allow_unicode=True), "utf-8")
    return policies


def cells_per_file(policies: Path, cells: int) -> None:
    """Let a file hold no more than so many cells."""
    path = policies / "data" / "limits.yaml"
    document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    document["limits"]["max_cells_file"] = cells
    path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, allow_unicode=True), "utf-8")


def release(home: Path, policies: Path, lists: Lists = SMALL, *, shift: int = 0) -> Manifest:
    """Write a release of S02 and put it in force. `shift` changes every 100th cell."""
    profile = _profile(policies)
    made = sealed(_fields(profile, lists, shift), datetime(2025, 6, 1, tzinfo=UTC))
    folder = home / "releases" / "S02" / made.release_id
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(made.text(), "utf-8")
    _cells(folder / f"cells-{profile_key(profile)}.sqlite", lists, shift)
    (home / "releases" / "CURRENT.json").write_text(json.dumps({"S02": made.release_id}))
    return made


@lru_cache(maxsize=8)
def _profile(policies: Path) -> dict[str, Any]:
    catalogue = load_catalogue(policies)
    return merged_profiles(policies, catalogue.as_policy_data())["S02", "SC01"]


def _fields(profile: Mapping[str, Any], lists: Lists, shift: int) -> dict[str, Any]:
    levels = {
        name: Level(
            dim=name, coarser=None, values=tuple(f"{name[:1]}{i:04d}" for i in range(n)), parents=()
        )
        for name, n in (("insutype2", lists.first), ("benefit5", lists.second))
    }
    key = profile_key(profile)
    return {
        "service": "S02",
        "version": "1.0.0",
        "periods": {"quarter": lists.periods},
        "geo": GEO,
        "domains": {name: level.values for name, level in levels.items()},
        "levels": levels,
        "shapes": (("insutype2", "benefit5"),),
        "measures": (
            Shown(name="visits", unit="count", zero=0),
            Shown(name="fund", unit="CNY", zero="0.00"),
        ),
        "person_measure": None,
        "structural_zeros": ({"insutype2": ("i0001",), "benefit5": ("b0001",)},),
        "profiles": {key: dict(profile)},
        "cells": {key: lists.rows},
        "definitions": f"invented-{shift}",
        "code_versions": {},
        "quality": {},
        "waiver": None,
        "unmapped": {},
        "rounding_key": "invented",
        "inputs": (),
        "files": (),
        "software": {},
    }


def _cells(path: Path, lists: Lists, shift: int) -> None:
    width = lists.first * lists.second
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute(
            "CREATE TABLE cells (block INTEGER, cell INTEGER, marks TEXT, visits, fund,"
            " PRIMARY KEY (block, cell)) WITHOUT ROWID"
        )
        db.execute(
            """
            WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :rows)
            INSERT INTO cells
            SELECT i / :width, i % :width, iif(i % :hidden = 0, 'ss', 'rr'),
              iif(i % :hidden = 0, NULL, 10 * (i % 1000) + iif(i % 100 = 1, :shift, 0)),
              iif(i % :hidden = 0, NULL, printf('%d.00', 1000 + i % 8999))
            FROM n WHERE i % :missing != 0 AND NOT (i % :width = :width_of_zero)
            """,
            {
                "rows": lists.rows,
                "width": width,
                "hidden": HIDDEN,
                "missing": MISSING,
                "shift": shift,
                "width_of_zero": lists.second + 1,
            },
        )


@dataclass
class Exporter:
    """A client that starts, follows and fetches exports."""

    gateway: Gateway
    client: str = "ins-app"
    headers: dict[str, str] = field(default_factory=lambda: dict(ASYNC))

    def start(
        self, body: object = None, service: str = "S02", since: str = "none", **params: str
    ) -> httpx.Response:
        """Kick off; for everything unless `since` says otherwise ("" leaves it to the server)."""
        named = {"_since": since} if since else {}
        if "format" in params:
            named["_outputFormat"] = params.pop("format")
        return self.gateway.http.post(
            f"/v1/services/{service}/exports",
            json=QUESTION if body is None else body,
            params={**named, **params},
            headers=self.headers,
            auth=self.gateway.auth(self.client),
        )

    def begun(self, body: object = None, **params: str) -> str:
        """The address of a job that was started."""
        reply = self.start(body, **params)
        assert reply.status_code == 202, reply.text
        return reply.headers["Content-Location"]

    def get(self, url: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.gateway.http.get(url, headers=named, auth=self.gateway.auth(self.client))

    def delete(self, url: str) -> httpx.Response:
        return self.gateway.http.delete(url, auth=self.gateway.auth(self.client))

    def finished(self, url: str, patience: float = 120.0) -> dict[str, Any]:
        """The manifest, once there is one."""
        ends = time.monotonic() + patience
        while True:
            reply = self.get(url)
            if reply.status_code == 200:
                return dict(reply.json())
            assert reply.status_code == 202, reply.text
            assert reply.headers["X-Progress"].endswith("% complete")
            assert int(reply.headers["Retry-After"]) > 0
            assert time.monotonic() < ends, "the export does not end"
            time.sleep(0.05)

    def export(self, body: object = None, **params: str) -> tuple[dict[str, Any], list[bytes]]:
        """Manifest and files of an export."""
        told = self.finished(self.begun(body, **params))
        return told, [self.get(each["url"]).content for each in told["output"]]


def values(rows: list[dict[str, Any]]) -> dict[tuple[str, ...], tuple[Any, ...]]:
    """Value and flag of each measure by the labels of its row."""
    found = {}
    for row in rows:
        key = tuple(row[name] for name in ("period", "geo", "insutype2", "benefit5"))
        cells = (row["visits"], row["fund"])
        found[key] = tuple(each for cell in cells for each in (cell["value"], cell["flag"]))
    return found


def values_of_table(table: pa.Table) -> dict[tuple[str, ...], tuple[Any, ...]]:
    found = {}
    for row in table.to_pylist():
        key = tuple(row[name] for name in ("period", "geo", "insutype2", "benefit5"))
        amount = row["fund"]
        assert amount is None or isinstance(amount, Decimal)
        fee = None if amount is None else f"{amount:.2f}"
        found[key] = (row["visits"], row["visits_flag"], fee, row["fund_flag"])
    return found


def until(true: Callable[[], bool], patience: float = 60.0) -> None:
    """Wait for it."""
    ends = time.monotonic() + patience
    while not true():
        assert time.monotonic() < ends, "it does not come true"
        time.sleep(0.02)


def reopened(gateway: Gateway, url: str, keep: int) -> None:
    """The job as a crash leaves it: only so many files entered, though all are on record."""
    exports = gateway.app.state.exports
    until(lambda: exports.worker.idle)
    job, path = url.rpartition("/")[2], exports.office.folder.parent / "jobs.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM file WHERE job = ? AND number >= ?", (job, keep))
        db.execute("UPDATE job SET state = 'open', ended = NULL WHERE id = ?", (job,))
        db.execute("COMMIT")


@contextmanager
def exporting(
    folder: Path,
    *,
    lists: Lists = SMALL,
    file_cells: int = 1_000_000,
    parquet: bool = True,
    **quota: int,
) -> Iterator[Gateway]:
    """A gateway with a release written by hand."""
    policies = marking(export_policies(folder / "policies", parquet=parquet, **quota))
    cells_per_file(policies, file_cells)
    release(folder / "home", policies, lists)
    with serving(folder / "home", policies) as gateway:
        yield gateway
