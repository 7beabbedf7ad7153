"""What a release says of itself: enough to read it, to trust it and to build it again."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from gateway.errors import OperatorError

FILE = "manifest.json"


class ReleaseError(OperatorError):
    """A release cannot be built, read or trusted."""

    title = "The release cannot be used"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Table(_Frozen):
    """An input table, by content."""

    table: str
    sha256: str
    rows: int


class File(_Frozen):
    """A file of the release, by content."""

    name: str
    sha256: str
    bytes: int


class Level(_Frozen):
    """One column of the lattice: the dim it is a level of, its closed list and roll-up."""

    dim: str
    coarser: str | None
    values: tuple[str, ...]
    parents: tuple[int, ...]


class Shown(_Frozen):
    """A measure that is answered, and what it is where a combination is impossible."""

    name: str
    unit: str
    zero: str | int | None


class OwnTable(_Frozen):
    """Own rows that a question over these dims is answered from; `most`: the most rows that one
    institution has in a month."""

    name: str
    dims: tuple[str, ...]
    measures: tuple[Shown, ...]
    most: int


class Waived(_Frozen):
    """What poor quality a release was made despite: who signed for it, why, for which months."""

    id: str
    covers: tuple[str, ...]
    first: str
    last: str
    reason: str
    until: date
    signed_by: tuple[str, str]


class Manifest(_Frozen):
    """The contents page of one release. Everything but `created` is part of `release_id`.

    `estimated` are those of the `periods` that have no data, only forecasts.
    """

    release_id: str
    service: str
    version: str
    created: datetime
    periods: dict[str, tuple[str, ...]]
    estimated: dict[str, tuple[str, ...]] = {}
    own: tuple[OwnTable, ...] = ()
    geo: tuple[str, ...]
    domains: dict[str, tuple[str, ...]]
    levels: dict[str, Level]
    shapes: tuple[tuple[str, ...], ...]
    measures: tuple[Shown, ...]
    person_measure: str | None
    structural_zeros: tuple[dict[str, tuple[str, ...]], ...]
    profiles: dict[str, dict[str, Any]]  # as the policy merged them
    cells: dict[str, int]
    definitions: str
    code_versions: dict[str, str]
    quality: dict[str, dict[str, Any]]  # as the quality check measured it
    waiver: tuple[Waived, ...] | str | None  # a text in releases from before two people signed
    unmapped: dict[str, int]
    rounding_key: str
    inputs: tuple[Table, ...]
    files: tuple[File, ...]
    software: dict[str, str]

    @property
    def blocks(self) -> tuple[tuple[str, str], ...]:
        """Every period as (grain, label), in the order in which the cell files number them."""
        return tuple((grain, p) for grain, labels in self.periods.items() for p in labels)

    def content_id(self) -> str:
        """The id this content must have."""
        body = self.model_dump(mode="json", exclude={"release_id", "created"})
        if not self.estimated:  # releases from before there were forecasts keep their ids
            del body["estimated"]
        if not self.own:
            del body["own"]
        text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return f"{self.service}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def text(self) -> str:
        """The manifest as it is stored."""
        return self.model_dump_json(indent=1) + "\n"


def sealed(fields: dict[str, Any], now: datetime) -> Manifest:  # fields of Manifest, checked by it
    """A manifest with the id of its content."""
    draft = Manifest(release_id="", created=now, **fields)
    return draft.model_copy(update={"release_id": draft.content_id()})
