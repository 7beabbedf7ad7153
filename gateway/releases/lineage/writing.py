"""Write `lineage.json` into the folder of a release; its hash is in the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson

from gateway.catalogue.cohort import CohortContract, cohort_digest
from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Service
from gateway.policy.documents import read_documents
from gateway.releases.contents import Facts, software
from gateway.releases.lineage.cohort import cohort_lineage, counting_service
from gateway.releases.lineage.event import Build, Policy, event
from gateway.releases.lineage.figures import Lineage, lineage_of
from gateway.releases.source import Input


class Appraised(Protocol):
    """What a build found of the warehouse: its tables, and their quality by period."""

    @property
    def inputs(self) -> Sequence[Input]: ...

    @property
    def quality(self) -> Mapping[str, Mapping[str, Any]]: ...


def write_lineage(
    path: Path, catalogue: Catalogue, service: Service, labels: Sequence[str], facts: Facts
) -> None:
    """Write where the columns of a release come from."""
    made_from = {
        "service": service.id,
        "definitions": facts.definitions,
        "inputs": _hashes(facts.inputs),
        "profiles": sorted(facts.profiles),
        "rounding_key": facts.rounding_key,
        "software": software(),
    }
    build = Build(made_from, labels, facts.quality)
    _write(path, catalogue, service, lineage_of(catalogue, service), build)


def write_cohort_lineage(
    path: Path, catalogue: Catalogue, contract: CohortContract, appraised: Appraised
) -> None:
    """Write where the answers of a service that counts cohorts come from."""
    made_from = {
        "service": contract.id,
        "definitions": cohort_digest(catalogue.root, contract),
        "inputs": _hashes(appraised.inputs),
        "software": software(),
    }
    lineage = cohort_lineage(catalogue.root, contract)
    build = Build(made_from, sorted(appraised.quality), appraised.quality)
    _write(path, catalogue, counting_service(contract), lineage, build)


def _write(
    path: Path, catalogue: Catalogue, service: Service, lineage: Lineage, build: Build
) -> None:
    policy = Policy.of(read_documents(catalogue.root.parent))
    path.write_bytes(orjson.dumps(event(service, lineage, policy, build)))


def _hashes(inputs: Sequence[Input]) -> dict[str, str]:
    return {one.table: one.sha256 for one in inputs}
