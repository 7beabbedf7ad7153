"""Code lists that come with the catalogue: `codes_<name>.csv` beside the contract or beside all.

A list is CSV with the columns code, title_zh, title_en, parent; further columns say more of a code
(how well claims show it) and are told in the contract as they stand.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from gateway.catalogue.faults import CatalogueError, invalid
from gateway.catalogue.model import Dim, Listed

_COLUMNS = ("code", "title_zh", "title_en", "parent")


def with_lists(dim: Dim, folders: tuple[Path, ...]) -> Dim:
    """The dim with those of its code lists that lie in these folders; the first one counts."""
    if dim.values:
        return dim
    found = {}
    for column in dim.levels or (dim.name,):
        name = f"codes_{dim.list_of(column)}.csv"
        path = next((p for folder in folders if (p := folder / name).is_file()), None)
        if path is not None:
            found[column] = tuple(_read(path))
    return dim.model_copy(update={"lists": found}) if found else dim


def _read(path: Path) -> Iterator[Listed]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError("catalogue_unreadable", f"{path}: is no readable UTF-8") from error
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    names = rows.fieldnames or ()
    if tuple(names[: len(_COLUMNS)]) != _COLUMNS or len(set(names)) < len(names):
        raise CatalogueError("catalogue_codes", f"{path}: begins with {','.join(_COLUMNS)}")
    seen: set[str] = set()
    try:
        for row in rows:
            if None in row or None in row.values() or row["code"] in seen:
                what = "a code twice" if row.get("code") in seen else "too many or too few columns"
                raise CatalogueError("catalogue_codes", f"{path}: line {rows.line_num}: {what}")
            seen.add(row["code"])
            more = {name: row[name] for name in names[len(_COLUMNS) :]}
            yield Listed(**{name: row[name] for name in _COLUMNS}, more=more)
    except csv.Error as error:
        raise CatalogueError("catalogue_codes", f"{path}: line {rows.line_num}: {error}") from error
    except ValidationError as error:
        raise invalid(path, error, f"line {rows.line_num}: ") from error
    if not seen:
        raise CatalogueError("catalogue_codes", f"{path}: has no codes")
