"""SPEC 4.3.5: a period published again gives nobody's late claims away."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.releases import jobs
from gateway.releases.attack.audit import Scope, audit
from gateway.releases.manifest import Manifest, ReleaseError
from gateway.releases.restated.changes import changed
from gateway.releases.shelf import withdraw
from gateway.releases.source import Atoms, Words
from gateway.settings import Settings
from tests.late_world import AGAIN, FIRST, cells, late_world, point, released

K = 11


@dataclass(frozen=True)
class Again:
    """A home with two releases of one period."""

    home: Path
    before: Manifest
    after: Manifest


def _world(home: Path, share: float) -> Manifest:
    """A home with a release of the older version; the newer one is made current."""
    late_world(home, share, persons=700, visits=3500)
    (made,) = released(home, FIRST)
    point(home, 1)
    return made


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Again]:
    """Two releases of one period, between which a fifth of the visits came."""
    home = tmp_path_factory.mktemp("again")
    before = _world(home, 0.2)
    (after,) = released(home, AGAIN)
    yield Again(home, before, after)
    _writable(home)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Manifest]]:
    """A home whose next release would tell of seventeen late visits more."""
    home = tmp_path_factory.mktemp("late")
    yield home, _world(home, 0.005)
    _writable(home)


@pytest.fixture
def home(first: tuple[Path, Manifest], tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(first[0], tmp_path / "home")
    yield tmp_path / "home"
    _writable(tmp_path)


def _writable(folder: Path) -> None:
    for path in folder.rglob("*"):
        path.chmod(0o700)


def _late(home: Path, place: str, dims: Mapping[str, str]) -> int:
    """Persons of a place with a late settlement, straight from the two versions."""
    old, new = (home / "warehouse" / "versions" / name for name in _versions(home))
    where = f"n.insu_admdvs LIKE '{place.removesuffix('00')}%'"
    if "gend" in dims:
        where += f" AND n.gend = '{dims['gend']}'"
    if "insutype2" in dims:
        where += f" AND n.insutype = '{'310' if dims['insutype2'] == 'employee' else '390'}'"
    ((found,),) = duckdb.sql(
        f"SELECT count(DISTINCT n.psn_no) FROM '{new}/setl_d.parquet' n "
        f"ANTI JOIN '{old}/setl_d.parquet' o USING (setl_id) WHERE {where}"
    ).fetchall()
    return int(found)


def _versions(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "warehouse" / "versions").glob("2*"))


def test_few_late_persons_are_not_told_and_many_are(again: Again) -> None:
    services, marks = load_catalogue(Settings().policies).services, set()
    assert again.after.release_id != again.before.release_id
    names = [measure.name for measure in again.after.measures]
    persons = names.index(str(again.after.person_measure))
    for key in again.after.profiles:
        before, now = (cells(again.home, one, key) for one in (again.before, again.after))
        for cell, row in now.items():
            marks |= set(row.marks)
            if cell not in before or not before[cell].shown:
                continue
            old = before[cell]
            assert row.shown, f"{cell} was shown and is lost"
            if "v" in row.marks:
                assert [
                    (was, is_)
                    for was, is_, mark in zip(old.figures, row.figures, row.marks, strict=True)
                    if mark == "v" and was != is_
                ] == []
            elif row.marks[persons] == old.marks[persons] == "r":
                moved = int(str(row.figures[persons])) - int(str(old.figures[persons]))
                assert moved == 0 or abs(moved) >= K
    assert {"v", "r"} <= marks
    assert audit(Settings(home=again.home).releases, services, Scope(services=("S05",))).ok


def _restated(home: Path, manifest: Manifest) -> int:
    """How many cells a release restates that another count can follow; each for enough persons."""
    checked = 0
    for key in manifest.profiles:
        for cell, row in cells(home, manifest, key).items():
            dims = dict(cell[3])
            if row.shown and "v" not in row.marks and {*dims} <= {"gend", "insutype2"}:
                assert _late(home, cell[2], dims) >= K, cell
                checked += 1
    return checked


def test_what_is_restated_changed_for_enough_persons_by_another_count(again: Again) -> None:
    assert _restated(again.home, again.after)


def test_amounts_of_few_late_persons_stay_though_the_count_does_not_move(home: Path) -> None:
    (after,) = released(home, AGAIN)
    _restated(home, after)
    marks = "".join(row.marks for key in after.profiles for row in cells(home, after, key).values())
    assert "v" in marks


def test_a_build_that_restates_whatever_changed_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "standing", lambda season: {})
    with pytest.raises(ReleaseError, match="Nothing was published") as refused:
        released(home, AGAIN)
    assert refused.value.code == "release_exposed"


def test_where_the_older_state_is_gone_nothing_is_restated(
    home: Path, first: tuple[Path, Manifest]
) -> None:
    shutil.rmtree(home / "warehouse" / "versions" / _versions(home)[0])
    (again,) = released(home, AGAIN)
    for key in again.profiles:
        before, now = cells(home, first[1], key), cells(home, again, key)
        shown = {cell for cell, row in now.items() if row.shown}
        assert shown == {cell for cell, row in before.items() if row.shown}
        assert all("r" not in now[cell].marks or "v" in now[cell].marks for cell in shown)


@pytest.mark.slow
def test_figures_of_a_withdrawn_release_are_not_shown_again(
    home: Path, first: tuple[Path, Manifest]
) -> None:
    withdraw(Settings(home=home).releases, first[1].release_id, "wrong", FIRST)
    (again,) = released(home, AGAIN)
    rows = [row for key in again.profiles for row in cells(home, again, key).values()]
    assert rows
    assert not any("v" in row.marks for row in rows)


def _atoms(rows: list[tuple[str, int, int]]) -> Atoms:
    words = sorted({word for word, _, _ in rows})
    codes = np.array([words.index(word) for word, _, _ in rows], np.int32)
    numbers = {
        "counting": np.array([n for _, n, _ in rows], np.int64),
        "magnitude": np.array([n for _, _, n in rows], np.int64),
    }
    present = {"magnitude": np.ones(len(rows), np.bool_)}
    return Atoms(
        {"psn_no": Words(codes, tuple(words))}, numbers, present, {"magnitude": 2}, len(rows)
    )


def test_a_person_counts_as_changed_who_came_left_or_says_something_else() -> None:
    old = _atoms([("A", 1, 5), ("B", 1, 5), ("C", 1, 7), ("C", 1, 7)])
    new = _atoms([("B", 1, 5), ("C", 1, 7), ("D", 0, 1), ("E", 1, 5)])
    found = changed(old, new)
    words = found.words["psn_no"]
    assert {words.values[code] for code in words.codes} == {"A", "C", "D", "E"}
    assert found.numbers["counting"].all()
    assert changed(new, new).rows == 0
