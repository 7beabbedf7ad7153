"""Tables that are made of a warehouse for the services that read them, kept beside the staging.

There is one: the results of the integrity rules, `dq_rslt_m`. It is named by the tables it was made
from, by what the office told and by the software, so a stale one is never read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Service
from gateway.releases.contents import builder
from gateway.releases.engine.staging import Staging, keyed
from synthetic.integrity.results import TABLE, write_results
from synthetic.integrity.told import Told

_MEMORY = "1536MiB"  # as much as a loader's


@dataclass(frozen=True)
class Derived:
    """The tables a service reads besides the warehouse's, by name, and their content's keys."""

    paths: Mapping[str, Path] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)


def derived_for(
    catalogue: Catalogue,
    service: Service,
    warehouse: Path,
    digests: Mapping[str, str],
    staging: Staging,
    *,
    told: Sequence[Told] = (),
) -> Derived:
    """Make what the service reads of derived tables, unless it lies there already."""
    texts = [catalogue.fact_sql(service, fact) for fact in service.facts]
    if not any(TABLE in text for text in texts):
        return Derived()
    known = [asdict(one) for one in told]
    made_from = {"tables": dict(digests), "told": known}
    key = keyed({"table": TABLE, "made_from": made_from, "software": builder()})
    folder = staging.root / "derived"
    path = folder / f"{TABLE}-{key}.parquet"
    if not path.is_file():
        folder.mkdir(mode=0o700, exist_ok=True)
        draft = staging.part() / path.name
        write_results(warehouse, draft, told, memory=_MEMORY, threads=1)
        for old in folder.glob(f"{TABLE}-*"):
            old.unlink()
        draft.replace(path)
        draft.parent.rmdir()
    return Derived({TABLE: path}, {TABLE: key})
