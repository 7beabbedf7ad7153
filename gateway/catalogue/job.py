"""What a service of training jobs is: a developer's code runs inside, and what it leaves is told.

One folder, `policies/catalogue/<id>/`, with `job.yaml` (this model). Jobs of the sandbox read
synthetic packs, which lie in no region and no period; validation runs read de-identified views of
the bureau's records, so their regions and months are judged as for every service.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from gateway.catalogue.folders import contracts
from gateway.catalogue.model import GeoLevel
from gateway.catalogue.plain import PlainContract

FILE = "job.yaml"


class JobContract(PlainContract):
    """The contract of one service of jobs."""

    OP: ClassVar[str] = "job"
    SAID: ClassVar[str] = "`POST /v1/jobs` and what follows it"

    grain: Literal["job"]
    output_level: Literal["L1", "L2"]
    sdc: Literal["DC7"]
    reads: Literal["packs", "views"]
    geo: tuple[GeoLevel, ...] = ()
    formats: tuple[str, ...]

    def policy_view(self) -> dict[str, object]:
        """As policy data; with the levels and grain of the views it reads."""
        places = {"geo": [level.model_dump() for level in self.geo], "periods": ["month"]}
        return super().policy_view() | (places if self.reads == "views" else {})


def load_jobs(root: Path) -> Mapping[str, JobContract]:
    """Every service of jobs, by id; raises `CatalogueError` at the first fault."""
    return {one.id: one for _, one in contracts(root, FILE, JobContract.model_validate)}
