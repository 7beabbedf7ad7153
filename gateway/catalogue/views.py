"""The macros and views that facts build on: shared ones, and those of one service's folder.

Shared files are `views_<number>_<name>.sql`, run in the order of their names; a folder's own
`views.sql` runs last and for its service alone. Each name is made once: a folder cannot change what
another service, or it itself elsewhere, reads by that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.catalogue.faults import CatalogueError

OWN = "views.sql"
_SHARED = re.compile(r"views_\d\d_[a-z0-9_]+\.sql", re.ASCII)
_COMMENT = re.compile(r"--[^\n]*")
_PIECE = re.compile(r"--[^\n]*|'(?:[^']|'')*'|;|[^-';]+|.", re.S)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_MADE = re.compile(r"CREATE\s+OR\s+REPLACE\s+(MACRO|VIEW)\s+([a-z_][a-z0-9_]*)\b", re.I | re.ASCII)


def shared_files(root: Path) -> list[Path]:
    """The shared files in the order in which they are run."""
    return sorted(path for path in root.glob("views_*.sql") if _SHARED.fullmatch(path.name))


def read_views(paths: list[Path]) -> str:
    """The text of several files, one after the other."""
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def reached(views: str, texts: Iterable[str]) -> str:
    """The macros and views that queries lead to, by name: what defines them, and nothing besides.

    Comments define nothing. A word that is a name by chance counts: rather one too many.
    """
    made = {found[2].lower(): one for one in statements(views) if (found := _MADE.match(one))}
    wanted: set[str] = set()
    waiting = [_COMMENT.sub("", text) for text in texts]
    while waiting:
        words = {word.lower() for word in _WORD.findall(waiting.pop())}
        new = (words & made.keys()) - wanted
        wanted |= new
        waiting += [made[name] for name in new]
    return ";\n".join(one for name, one in made.items() if name in wanted)


def named_in(views: str, texts: Iterable[str]) -> tuple[str, ...]:
    """The views made in one text that others name."""
    words = {word.lower() for text in texts for word in _WORD.findall(_COMMENT.sub("", text))}
    made = (_MADE.match(one) for one in statements(views))
    names = [found[2].lower() for found in made if found and found[1].upper() == "VIEW"]
    return tuple(name for name in names if name in words)


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
    return statements(path.read_text(encoding="utf-8"))


def statements(text: str) -> Iterator[str]:
    """The statements of a text, without comments; a semicolon in quotes ends none."""
    pieces: list[str] = [""]
    for found in _PIECE.finditer(text):
        piece = found[0]
        if piece == ";":
            pieces.append("")
        elif not piece.startswith("--"):
            pieces[-1] += piece
    return (part for piece in pieces if (part := piece.strip()))
