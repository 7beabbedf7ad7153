"""What jobs read: synthetic packs, and views of the same layout of the bureau's records.

A view is a folder with `card.json` (whose records it holds, and what was found of their risk) and
tables as Parquet. Which one a validation run reads follows from the pack's name: the pack is made
after the view, and both must have the same tables with the same columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.catalogue.model import Text
from gateway.errors import NotFound, Unprocessable

CARD: Final = "card.json"
ALWAYS: Final = "-pack"
"""At the end of an input's name: the pack, also in a validation run, to compare with."""
Region = Annotated[str, Field(pattern=r"^\d{6}$")]
Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
Layout: TypeAlias = dict[str, list[tuple[str, str]]]


class ViewCard(BaseModel):
    """Whose records a view holds; only one with the verdict `release` is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    regions: tuple[Region, ...] = Field(min_length=1)
    first: Month
    last: Month
    verdict: Literal["release", "withhold"]
    risk: Mapping[str, float | int | str | None] = {}


class PackCard(BaseModel):
    """What a pack is: made-up rows, how they were made, and the digest of each of its files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: Text
    synthetic: Literal[True] = True
    note: str
    source: Mapping[str, Any]
    """Kind of the warehouse, size, seed and versions of what made it."""
    rows: int
    left_out: int
    k: int
    columns: Mapping[str, str]
    """Every column with the mask under which it stands."""
    files: Mapping[str, str]
    """Name and SHA-256."""


class Inputs:
    """The packs and views of a home."""

    def __init__(self, packs: Path, views: Path) -> None:
        self._packs = packs
        self._views = views

    def packs(self) -> dict[str, Path]:
        """Every pack by name."""
        return _folders(self._packs)

    def views(self) -> dict[str, Path]:
        """Every view by name that may be read."""
        return {
            name: folder
            for name, folder in _folders(self._views).items()
            if (card := _card(folder)) is not None and card.verdict == "release"
        }

    def of(self, names: tuple[str, ...], *, real: bool) -> dict[str, Path]:
        """The folders of a job's inputs that are there: `x` is the pack, or where it is about real
        records the view of this name; `x-pack` is the pack in both."""
        packs, chosen = self.packs(), self.views() if real else self.packs()
        there = {name: packs if name.endswith(ALWAYS) else chosen for name in names}
        return {n: there[n][_bare(n)] for n in names if _bare(n) in there[n]}

    def pack(self, name: str) -> PackCard:
        """The card of a pack; `NotFound` (`unknown_pack_name`) where there is none."""
        folder = self.packs().get(name)
        try:
            if folder is not None:
                return PackCard.model_validate_json((folder / CARD).read_bytes())
        except (OSError, ValidationError):
            pass
        raise NotFound("unknown_pack_name", "There is no pack of this name with a card.")

    def check_packs(self, names: tuple[str, ...]) -> None:
        """Raises `Unprocessable` (`unknown_pack`) where one is not there."""
        there = self.packs()
        if not {_bare(name) for name in names} <= there.keys():
            listed = ", ".join(sorted(there)) or "none"
            raise Unprocessable(
                "unknown_pack", f"An input is no pack; there are: {listed}.", "输入不是现有数据包。"
            )

    def cards(self, names: tuple[str, ...]) -> list[ViewCard]:
        """The cards of the views that take the packs' places.

        Raises:
            Unprocessable: `no_view` where there is none, or one of another layout.
        """
        views, packs = self.views(), self.packs()
        names = tuple(name for name in names if not name.endswith(ALWAYS))
        wrong = [
            name
            for name in names
            if name not in views or name not in packs or not _alike(views[name], packs[name])
        ]
        if wrong or not names:
            listed = ", ".join(wrong) or "the job has no input"
            raise Unprocessable(
                "no_view",
                f"No view of the bureau's records has the layout of: {listed}.",
                "没有与该数据包结构一致的视图。",
            )
        return [card for name in names if (card := _card(views[name])) is not None]


def _bare(name: str) -> str:
    return name.removesuffix(ALWAYS)


def _folders(root: Path) -> dict[str, Path]:
    found = sorted(root.iterdir()) if root.is_dir() else []
    whole = (path for path in found if path.is_dir() and not path.is_symlink())
    return {path.name: path for path in whole if not path.name.startswith(".")}


def _card(folder: Path) -> ViewCard | None:
    try:
        return ViewCard.model_validate_json((folder / CARD).read_bytes())
    except (OSError, ValidationError):
        return None


def _alike(one: Path, other: Path) -> bool:
    """Whether two folders have tables, and the same with the same columns; unreadable: no."""
    try:
        return bool(_layout(one)) and _layout(one) == _layout(other)
    except (OSError, pa.ArrowException):
        return False


def _layout(folder: Path) -> Layout:
    return {
        path.name: [(field.name, str(field.type)) for field in pq.read_schema(path)]
        for path in sorted(folder.glob("*.parquet"))
    }
