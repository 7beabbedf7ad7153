"""The changelog as versions and kinds of change, read from the file users are given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from gateway.portal.pages import Change, ChangelogPage, Version

FILE: Final = Path(__file__).parents[2] / "CHANGELOG.md"
_VERSION = re.compile(r"^## \[?([^\]]+)\]?(.*)$")


def read_changelog(file: Path = FILE) -> ChangelogPage:
    """The page of a file in the form of Keep a Changelog; none where there is no file."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        text = ""
    return ChangelogPage(list(_versions(text.splitlines())))


def _versions(lines: Sequence[str]) -> Iterator[Version]:
    starts = [number for number, line in enumerate(lines) if _VERSION.match(line)]
    for start, end in pairwise([*starts, len(lines)]):
        found = _VERSION.match(lines[start])
        name = f"{found[1]}{found[2]}".strip() if found else ""
        yield Version(name, list(_changes(lines[start + 1 : end])))


def _changes(lines: Sequence[str]) -> Iterator[Change]:
    kind, told = "", list[str]()
    for line in (*lines, "### "):
        if line.startswith("### "):
            if told:
                yield Change(kind, told)
            kind, told = line.removeprefix("### ").strip(), []
        elif line.startswith("- "):
            told.append(line.removeprefix("- ").strip())
        elif line.strip() and told:
            told[-1] = f"{told[-1]} {line.strip()}"
