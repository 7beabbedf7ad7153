"""`release verify --all`: the services in force, subtracted from each other.

The second opinion reads the published cells by itself and compares sets of dim values.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.catalogue.load import load_catalogue
from gateway.catalogue.model import Service
from gateway.cli.release import app
from gateway.releases.across import nests
from gateway.releases.listing import Listed, listing
from gateway.releases.manifest import Manifest
from gateway.releases.store import ReleaseStore
from gateway.releases.verify import REST, verify_together
from gateway.settings import Settings
from tests.release_warehouse import Built

SHARED = {"insutype2", "benefit5", "hosp_lv4", "gend"}


@pytest.fixture(scope="module")
def services() -> Mapping[str, Service]:
    return load_catalogue(Settings().policies).services


@pytest.fixture(scope="module")
def home(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the releases that may be spoilt."""
    folder = tmp_path_factory.mktemp("together")
    shutil.copytree(built.settings.releases, folder / "releases")
    for path in (folder / "releases").rglob("*"):
        path.chmod(0o700)
    return folder


def manifest_of(root: Path, service: str) -> Manifest:
    found = ReleaseStore(root).latest(service)
    assert found is not None
    return found


def cell_files(root: Path, service: str) -> list[Path]:
    folder = root / service / manifest_of(root, service).release_id
    return sorted(folder.glob("cells-*"))


def published(root: Path, service: str) -> list[tuple[Listed, int]]:
    """Cells of all profiles with a person count."""
    manifest = manifest_of(root, service)
    at = [m.name for m in manifest.measures].index(str(manifest.person_measure))
    folder = root / service / manifest.release_id
    return [
        (row, int(str(row.figures[at])))
        for key in manifest.profiles
        for row in listing(folder, manifest, key)
        if row.marks[at] == "r"
    ]


def quarter(row: Listed) -> str:
    month = row.period[5:]
    return row.period if row.grain == "quarter" else f"{row.period[:4]}Q{(int(month) + 2) // 3}"


def small_pairs(root: Path, k: int = 11) -> set[tuple[object, ...]]:
    """S02 persons less S09 patients of a cell inside it, by plain comparison of dim values."""
    inner: dict[tuple[str, str], list[tuple[Listed, int]]] = {}
    for row, count in published(root, "S09"):
        inner.setdefault((quarter(row), row.geo), []).append((row, count))
    found = set()
    for upper, total in published(root, "S02"):
        wanted = set(upper.values)
        if {column for column, _ in wanted} <= SHARED:
            for lower, part in inner.get((upper.period, upper.geo), []):
                if 0 < abs(total - part) < k and wanted <= set(lower.values):
                    found.add((upper.period, *sorted(wanted), lower.period, *sorted(lower.values)))
    return found


def test_the_catalogue_says_which_person_counts_nest(services: Mapping[str, Service]) -> None:
    assert [(nest.inner, nest.outer) for nest in nests(services)] == [
        ("S09", "S02"),
        ("S11", "S09"),
        ("S12", "S09"),
        ("S13", "S02"),
        ("S14", "S05"),
        ("S24", "S02"),
    ]


def test_services_built_together_leave_no_small_rest(
    built: Built, services: Mapping[str, Service]
) -> None:
    root = built.settings.releases
    reports = verify_together(root, services)
    assert [report.release_id for report in reports] == [
        f"{nest.outer} with {nest.inner}" for nest in nests(services)
    ]
    assert [fault for report in reports for fault in report.faults] == []
    assert not small_pairs(root)


def plant(root: Path) -> tuple[Listed, Listed]:
    """Set one count of patients to five less than the persons of the same cell."""
    persons = {(r.period, r.geo, frozenset(r.values)): (r, n) for r, n in published(root, "S02")}
    same = [
        (persons[q, row.geo, frozenset(row.values)], row)
        for row, _ in published(root, "S09")
        if row.grain == "quarter" and (q := row.period, row.geo, frozenset(row.values)) in persons
    ]
    ((upper, total), lower) = next(pair for pair in same if pair[1].values)
    manifest = manifest_of(root, "S09")
    (path,) = cell_files(root, "S09")
    con = sqlite3.connect(path)
    shape = manifest.shapes.index(tuple(column for column, _ in lower.values))
    blocks = manifest.blocks
    number = shape * len(blocks) + blocks.index((lower.grain, lower.period))
    block = number * len(manifest.geo) + manifest.geo.index(lower.geo)
    cell = 0
    for column, value in lower.values:
        values = manifest.levels[column].values
        cell = cell * len(values) + values.index(value)
    changed = con.execute(
        f'UPDATE cells SET "{manifest.person_measure}" = ? WHERE block = ? AND cell = ?',
        (total - 5, block, cell),
    ).rowcount
    con.commit()
    con.close()
    assert changed == 1
    return upper, lower


def test_a_planted_leak_is_named_and_stops_the_command(
    home: Path, services: Mapping[str, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    upper, lower = plant(home / "releases")
    assert small_pairs(home / "releases")
    report = next(
        one for one in verify_together(home / "releases", services) if "S09" in one.release_id
    )
    text = f"{REST}: S02 quarter={upper.period}/{upper.geo}"
    assert any(
        fault.startswith(text) and f"less S09 quarter={lower.period}/{lower.geo}" in fault
        for fault in report.faults
    )
    assert all(fault.startswith(f"{REST}: ") for fault in report.faults)

    monkeypatch.setenv("SLUICE_HOME", str(home))
    result = CliRunner().invoke(app, ["verify", "--all", "--json"])
    assert result.exit_code == 1
    found = {one["release_id"]: one for one in json.loads(result.stdout)}
    assert not found["S02 with S09"]["ok"]
