"""Write `lineage.json` into the folder of a release; its hash is in the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Service
from gateway.policy.documents import read_documents
from gateway.releases.contents import Facts, software
from gateway.releases.lineage.event import Build, Policy, event
from gateway.releases.lineage.figures import lineage_of


def write_lineage(
    path: Path, catalogue: Catalogue, service: Service, labels: Sequence[str], facts: Facts
) -> None:
    """Write where the columns of a release come from."""
    policy = Policy.of(read_documents(catalogue.root.parent))
    made_from = {
        "service": service.id,
        "definitions": facts.definitions,
        "inputs": {one.table: one.sha256 for one in facts.inputs},
        "profiles": sorted(facts.profiles),
        "rounding_key": facts.rounding_key,
        "software": software(),
    }
    told = event(
        service, lineage_of(catalogue, service), policy, Build(made_from, labels, facts.quality)
    )
    path.write_bytes(orjson.dumps(told))
