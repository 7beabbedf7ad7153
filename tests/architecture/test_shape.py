"""The shape of the repository: small files, no drawers, commands that exist, no foreign paths."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = (".py", ".rego", ".sql", ".html", ".js", ".css")
DRAWERS = {"utils", "util", "common", "core", "helpers", "misc", "lib"}


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_code_file_is_longer_than_400_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked()
        if path.suffix in CODE
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_no_folder_or_module_is_a_drawer() -> None:
    drawers = {
        str(path.relative_to(ROOT))
        for path in tracked()
        if DRAWERS & {*path.relative_to(ROOT).parts[:-1], path.stem}
    }
    assert drawers == set()


def test_every_python_module_says_what_it_is_for() -> None:
    silent = {
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix == ".py"
        and path.stat().st_size
        and not path.read_text(encoding="utf-8").lstrip().startswith('"""')
    }
    assert silent == set()


def test_commands_the_readme_names_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = set(re.findall(r"`?make ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert named, "the README shows no make command"
    assert named <= targets


@pytest.mark.parametrize("needle", [str(ROOT.parent) + "/", str(Path.home()) + "/"])
def test_no_file_names_a_path_of_the_machine_it_was_written_on(needle: str) -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix in (*CODE, ".md", ".yaml", ".toml", ".json", ".lock")
        and needle in path.read_text(encoding="utf-8")
    }
    assert found == set()
