"""A release that was made from another state of the warehouse, and what it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.releases.engine.staging import Staged
from gateway.releases.manifest import Manifest


@dataclass(frozen=True)
class Earlier:
    """A release made from other tables than today's; `version` is None where these are gone.

    `carries`: whether its figures may be shown again; those of a withdrawn release may not.
    """

    folder: Path
    manifest: Manifest
    version: Path | None
    carries: bool

    @property
    def digests(self) -> dict[str, str]:
        return {table.table: table.sha256 for table in self.manifest.inputs}


@dataclass(frozen=True)
class Before:
    """An earlier release of a service and the rows it was made of; None where they are gone."""

    release: Earlier
    staged: Mapping[str, Staged] | None
