"""Contracts as they lie in the catalogue: one YAML file of a kind in the folder of each service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import yaml
from pydantic import ValidationError

from gateway.catalogue.faults import CatalogueError, invalid


class Named(Protocol):
    """What has an id."""

    @property
    def id(self) -> str: ...


Kind = TypeVar("Kind", bound=Named)


def contracts(
    root: Path, file: str, validate: Callable[[Any], Kind]
) -> Iterator[tuple[Path, Kind]]:
    """The contracts in files of this name, with their paths, by service; `validate` makes them.

    Raises `CatalogueError` for what cannot be read, is not of its form or not of its folder.
    """
    for path in sorted(root.glob(f"S[0-9][0-9]/{file}")):
        try:
            one = validate(yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader))
        except ValidationError as error:
            raise invalid(path, error) from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise CatalogueError("catalogue_unreadable", f"{path}: cannot be read") from error
        if one.id != path.parent.name:
            raise CatalogueError("catalogue_id", f"{path}: id {one.id} is not its folder's")
        yield path, one
