"""The macros and views that facts build on: shared ones, and those of one service's folder.

Shared files are `views_<number>_<name>.sql`, run in the order of their names; a folder's own
`views.sql` runs last and for its service alone. Each name is made once: a folder cannot change what
another service, or it itself elsewhere, reads by that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from gateway.catalogue.faults import CatalogueError

OWN = "views.sql"
_SHARED = re.compile(r"views_\d\d_[a-z0-9_]+\.sql", re.ASCII)
_COMMENT = re.compile(r"--[^\n]*")
_QUOTED = re.compile(r"'(?:[^']|'')*'")
_MADE = re.compile(r"CREATE\s+OR\s+REPLACE\s+(MACRO|VIEW)\s+([a-z_][a-z0-9_]*)\b", re.I | re.ASCII)


def shared_files(root: Path) -> list[Path]:
    """The shared files in the order in which they are run."""
    return sorted(path for path in root.glob("views_*.sql") if _SHARED.fullmatch(path.name))


def read_views(paths: list[Path]) -> str:
    """The text of several files, one after the other."""
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def check_views(root: Path, folders: list[Path]) -> None:
    """Nothing but macros and views, each made once; raises `CatalogueError` naming the file."""
    for path in root.glob("views_*.sql"):
        if not _SHARED.fullmatch(path.name):
            raise CatalogueError("catalogue_views", f"{path}: is not called views_NN_<name>.sql")
    made: dict[str, Path] = {}
    for path in shared_files(root):
        made |= _made(path, made)
    for folder in folders:
        if (path := folder / OWN).is_file():
            _made(path, made)


def _made(path: Path, before: dict[str, Path]) -> dict[str, Path]:
    """The names a file makes."""
    names: dict[str, Path] = {}
    for statement in _statements(path):
        found = _MADE.match(statement)
        if found is None:
            raise CatalogueError(
                "catalogue_views",
                f"{path}: holds CREATE OR REPLACE MACRO and VIEW alone, not {statement[:40]!r}",
            )
        name = found[2].lower()
        if name in before or name in names:
            other = before.get(name, path).name
            raise CatalogueError("catalogue_views", f"{path}: {name} is made in {other} already")
        names[name] = path
    return names


def _statements(path: Path) -> Iterator[str]:
    text = _QUOTED.sub("''", _COMMENT.sub("", path.read_text(encoding="utf-8")))
    return (part for piece in text.split(";") if (part := piece.strip()))
