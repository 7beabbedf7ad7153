"""Bundles: named by content, side by side, the old one or the new one; tampering is seen."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.codes import publishing
from gateway.codes.bundle import write_bundle
from gateway.codes.publishing import publish, verify
from gateway.codes.shelf import BundleError, Shelf, current, manifest_of, manifests
from gateway.codes.sources import read_source
from tests.codes_world import FILES, NOW, World, folder_of

OTHER = {"old_csv": FILES["old.csv"].replace("旧组一", "改名组")}


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "first")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "other", None, **OTHER)


def test_equal_content_is_one_bundle_whenever_and_wherever_it_is_built(
    source: Path, tmp_path: Path
) -> None:
    here = publish(tmp_path / "a", read_source(source), NOW)
    again = publish(tmp_path / "a", read_source(source), NOW + timedelta(days=1))
    there = publish(tmp_path / "b", read_source(folder_of(tmp_path / "copy")), NOW)
    assert again == here == there
    assert len(manifests(tmp_path / "a")) == 1
    told = (tmp_path / "a" / f"{here.name}.sqlite").read_bytes()
    assert hashlib.sha256(told).hexdigest() == here.sha256


def test_versions_stay_side_by_side_and_each_can_be_asked(
    source: Path, other: Path, tmp_path: Path
) -> None:
    shelf = tmp_path / "shelf"
    first, second = World(shelf, source), World(shelf, other)
    assert current(shelf) == second.manifest.name != first.manifest.name
    asked = {"system": "grp", "version": "1.1", "code": "A1"}
    assert first.ask("lookup", **asked)["concept"]["display"] == "旧组一"
    assert second.ask("lookup", **asked)["concept"]["display"] == "改名组"
    listed = second.ask("bundles")
    assert listed["current"] == second.manifest.name
    assert {one["bundle"] for one in listed["bundles"]} == {
        first.manifest.name,
        second.manifest.name,
    }
    World(shelf, source)
    assert current(shelf) == first.manifest.name


@pytest.mark.parametrize("survived", range(12))
def test_whenever_a_build_dies_the_old_bundle_or_the_new_one_is_there(
    source: Path, other: Path, tmp_path: Path, survived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = tmp_path / "shelf"
    old = publish(shelf, read_source(source), NOW)
    steps = 0

    def dying(act: Any) -> Any:
        def acting(*given: Any, **named: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps > survived:
                raise Killed
            return act(*given, **named)

        return acting

    with monkeypatch.context() as sabotage:
        sabotage.setattr(Path, "replace", dying(Path.replace))
        sabotage.setattr(Path, "write_bytes", dying(Path.write_bytes))
        sabotage.setattr(os, "fsync", dying(os.fsync))
        sabotage.setattr(publishing, "write_bundle", dying(write_bundle))
        with suppress(Killed):
            publish(shelf, read_source(other), NOW)
    name = current(shelf)
    assert name is not None
    manifest = manifest_of(shelf, name)
    told = (shelf / f"{name}.sqlite").read_bytes()
    assert hashlib.sha256(told).hexdigest() == manifest.sha256
    assert not any(fault for _, fault in verify(shelf))
    shown = Shelf(shelf).reader(name)
    assert shown.lists[0].system == "grp"
    finished = publish(shelf, read_source(other), NOW)
    assert current(shelf) == finished.name != old.name
    assert not list(shelf.glob("*.part"))


def test_a_changed_row_and_a_changed_file_are_seen(source: Path, tmp_path: Path) -> None:
    manifest = publish(tmp_path, read_source(source), NOW)
    path = tmp_path / f"{manifest.name}.sqlite"
    assert list(verify(tmp_path)) == [(manifest.name, "")]
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE concept SET title_zh = '别的' WHERE code = 'A1'")
        db.commit()
    assert next(iter(verify(tmp_path)))[1] == "the file is not the one that was published"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    note = tmp_path / f"{manifest.name}.json"
    note.write_text(note.read_text().replace(manifest.sha256, digest))
    assert next(iter(verify(tmp_path)))[1] == "its content is not what its name says"
    path.unlink()
    assert next(iter(verify(tmp_path)))[1] == "cannot be read"


def test_a_bundle_that_is_not_there_is_no_bundle(tmp_path: Path) -> None:
    assert current(tmp_path) is None
    for name in ("0" * 16, "../etc/passwd", ""):
        with pytest.raises(BundleError):
            Shelf(tmp_path).reader(name)
    (tmp_path / "current").write_text("../other")
    with pytest.raises(BundleError, match="names no bundle"):
        current(tmp_path)


def test_a_bundle_cannot_be_written_by_who_reads_it(source: Path, tmp_path: Path) -> None:
    world = World(tmp_path, source)
    reader = world.shelf.reader(world.manifest.name)
    with pytest.raises(sqlite3.OperationalError):
        reader.db.execute("DELETE FROM concept")
    world.shelf.close()
