"""What is made of a folder is made once for the same content, and anew for any other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.catalogue.faults import CatalogueError
from gateway.catalogue.load import load_catalogue
from gateway.catalogue.remembered import Remembered
from gateway.editions.running import prepare
from gateway.settings import Settings


def texts(folder: Path) -> tuple[str, ...]:
    return tuple(path.read_text("utf-8") for path in sorted(folder.iterdir()))


def filled(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    return folder


def test_the_same_files_are_read_once_wherever_they_lie(tmp_path: Path) -> None:
    read = []
    known = Remembered(lambda folder: read.append(folder) or texts(folder))
    first, second = filled(tmp_path / "1", a="x", b="y"), filled(tmp_path / "2", a="x", b="y")
    assert known.of(first) is known.of(second)
    assert read == [first]


@pytest.mark.parametrize("other", [{"a": "x", "b": "z"}, {"a": "x", "c": "y"}, {"a": "x"}])
def test_other_files_are_never_taken_for_known_ones(tmp_path: Path, other: dict[str, str]) -> None:
    known = Remembered(texts)
    known.of(filled(tmp_path / "1", a="x", b="y"))
    second = filled(tmp_path / "2", **other)
    assert known.of(second) == texts(second)


def test_what_is_written_during_the_reading_is_read_again(tmp_path: Path) -> None:
    folder = filled(tmp_path / "1", a="x")

    def reading(place: Path) -> tuple[str, ...]:
        (place / "a").write_text("late", "utf-8")
        return texts(place)

    known = Remembered(reading)
    known.of(folder)
    (folder / "a").write_text("x", "utf-8")
    known.of(folder)
    assert known.of(folder) == ("late",)


def test_of_a_failure_nothing_is_kept(tmp_path: Path) -> None:
    folder, ready = filled(tmp_path / "1", a="x"), []

    def failing(place: Path) -> tuple[str, ...]:
        if not ready:
            raise ValueError(place)
        return texts(place)

    known = Remembered(failing)
    with pytest.raises(ValueError, match="1"):
        known.of(folder)
    ready.append(True)
    assert known.of(folder) == ("x",)


def test_the_catalogue_follows_its_files_and_names_its_own_folder(tmp_path: Path) -> None:
    folder = shutil.copytree(Settings().policies, tmp_path / "p")
    assert load_catalogue(folder).root == folder / "catalogue"
    assert prepare(folder).catalogue.root == folder / "catalogue"
    before = prepare(folder).edition.name
    service = folder / "catalogue" / "S02" / "service.yaml"
    service.write_text(service.read_text("utf-8").replace("price_fen: 4000", "price_fen: 4001"))
    assert load_catalogue(folder).tariffs["S02"].prices[0].price_fen == 4001
    assert prepare(folder).edition.name != before
    service.write_text("id: [")
    with pytest.raises(CatalogueError, match="S02"):
        load_catalogue(folder)
