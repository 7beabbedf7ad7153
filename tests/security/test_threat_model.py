"""Every file and every test that the threat model and the table of the edge name is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODEL, EDGES = ROOT / "docs/threat-model.md", ROOT / "docs/edges.md"
_TEST = re.compile(r"`((?:tests/)?[\w/]*test_\w+\.py)(?:::(test_\w+))?`")
_FILE = re.compile(r"`((?:gateway|metering|sandbox|policies|deploy|docs|tests)/?[\w/.-]*)`")


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def named(document: Path) -> list[tuple[Path, str]]:
    found = _TEST.findall(re.sub(r"\s+", " ", document.read_text("utf-8")))
    return [(_path(name), test) for name, test in found]


def _path(name: str) -> Path:
    return ROOT / name if "/" in name else next((ROOT / "tests").rglob(name), ROOT / name)


@pytest.mark.parametrize("document", [MODEL, EDGES], ids=["threats", "edges"])
def test_every_test_that_is_named_exists(document: Path) -> None:
    found = named(document)
    assert len(found) > 15
    missing = [
        f"{path.name}::{test}"
        for path, test in found
        if not path.is_file() or (test and test not in functions_of(path))
    ]
    assert missing == []


@pytest.mark.parametrize("document", [MODEL, EDGES], ids=["threats", "edges"])
def test_every_file_that_is_named_exists(document: Path) -> None:
    missing = [
        name for name in _FILE.findall(document.read_text("utf-8")) if not (ROOT / name).exists()
    ]
    assert missing == []


def test_every_threat_has_what_stands_against_it_and_a_test() -> None:
    rows = [
        line
        for line in MODEL.read_text("utf-8").splitlines()
        if re.match(r"\| [STRIDE, ]+ \|", line)
    ]
    assert len(rows) >= 35
    assert {letter for row in rows for letter in row.split("|")[1] if letter in "STRIDE"} == set(
        "STRIDE"
    )
    bare = [row for row in rows if not all(part.strip() for part in row.split("|")[2:5])]
    without = [row for row in rows if not _TEST.search(row.split("|")[4])]
    assert (bare, without) == ([], [])
    assert len(re.findall(r"^\| API\d+ ", MODEL.read_text("utf-8"), flags=re.M)) == 10
