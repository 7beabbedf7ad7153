"""The lineage of a release as an OpenLineage event: the run that built it, what it read and made.

Everything in it follows from the definitions, the warehouse's version and the policy, so that the
same build writes the same bytes and the release's id covers them. It holds names, no counts of raw
rows: whoever may read the contract may read it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import NAMESPACE_OID, uuid5

from gateway.catalogue.model import Column, Measure, OwnMeasure, Service
from gateway.catalogue.own import own_dims
from gateway.catalogue.policy_view import policy_view
from gateway.releases.lineage.figures import Lineage
from gateway.releases.lineage.reads import Act, Origin, Path, Reads
from metering.calendar import month_range
from synthetic.integrity.kpis import LIMIT, NAMES, fails
from synthetic.integrity.quality import months_of
from synthetic.warehouse.schema import TABLES

Json: TypeAlias = dict[str, Any]

PRODUCER: Final = "urn:sluice:release-build"
WAREHOUSE: Final = "sluice://warehouse"
RELEASES: Final = "sluice://releases"
ITEM, LEVEL, MASK = "classification.item", "classification.level", "mask"
TOGETHER: Final = "sluice_protection"
_SPEC: Final = "https://openlineage.io/spec"
_CORE: Final = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs"
_TYPES: Final = {"CNY": "decimal(18,2)", "count": "integer", "band": "string", "code": "string"}
_ARROW: Final = " → "


@dataclass(frozen=True)
class Policy:
    """What the policy says of columns: the level of each classification item, and of period and
    place in every answer item, level and mask."""

    levels: Mapping[str, str]
    common: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, documents: Mapping[str, Any]) -> Policy:
        """As it stands in the policy's data."""
        items: Mapping[str, Mapping[str, str]] = documents["classification"]["items"]
        return cls(
            {name: item["level"] for name, item in items.items()}, documents["masks"]["common"]
        )


@dataclass(frozen=True)
class Build:
    """What one build says of itself: what names it, the periods it tells of, their quality."""

    made_from: object
    labels: Sequence[str]
    quality: Mapping[str, Mapping[str, Any]]


def event(service: Service, lineage: Lineage, policy: Policy, build: Build) -> Json:
    """The event of the finished run."""
    first, end = _span(build.labels)
    return {
        "eventType": "COMPLETE",
        "eventTime": end,
        "producer": PRODUCER,
        "schemaURL": f"{_CORE}/RunEvent",
        "run": {
            "runId": str(uuid5(NAMESPACE_OID, json.dumps(build.made_from, sort_keys=True))),
            "facets": {
                "nominalTime": _facet("1-0-1/NominalTimeRunFacet")
                | {"nominalStartTime": first, "nominalEndTime": end}
            },
        },
        "job": _job(service),
        "inputs": [
            _checked(build),
            *(_table(name, columns, policy) for name, columns in lineage.tables.items()),
        ],
        "outputs": list(_outputs(service, lineage, policy)),
    }


def _job(service: Service) -> Json:
    about = f"{service.title.zh} {service.title.en}. {service.summary.en}"
    return {
        "namespace": RELEASES,
        "name": f"build.{service.id}",
        "facets": {
            "documentation": _facet("1-1-0/DocumentationJobFacet") | {"description": about},
            "jobType": _facet("2-0-4/JobTypeJobFacet")
            | {"processingType": "BATCH", "integration": "SLUICE", "jobType": "RELEASE"},
        },
    }


def _checked(build: Build) -> Json:
    """The warehouse as a whole, with how good it was found in the periods of the release."""
    held = [one for label in build.labels for one in _assertions(label, build.quality.get(label))]
    quality = _facet("1-1-0/DataQualityAssertionsDatasetFacet") | {"assertions": held}
    return {
        "namespace": WAREHOUSE,
        "name": "warehouse",
        "facets": {
            "dataSource": _source(WAREHOUSE),
            "documentation": _facet("1-1-0/DocumentationDatasetFacet")
            | {"description": "All tables of the warehouse's version together."},
        },
        "inputFacets": {"dataQualityAssertions": quality},
    }


def _assertions(label: str, quality: Mapping[str, Any] | None) -> Iterator[Json]:
    """The four figures of a period against their limits, and whether a rule that blocks failed."""
    for name in NAMES:
        value = (quality or {}).get(name)
        if value is not None:
            yield {
                "assertion": name,
                "name": f"{name} {label}",
                "success": not fails(name, float(value)),
                "severity": "warn",
                "expected": str(LIMIT[name]),
                "actual": str(value),
                "params": {"period": label},
            }
    if quality and (failed := quality.get("blocked_rules")) is not None:
        yield {
            "assertion": "block_rules",
            "name": f"block_rules {label}",
            "success": int(failed) == 0,
            "severity": "error",
            "expected": "0",
            "actual": str(failed),
            "params": {"period": label},
        }


def _table(name: str, columns: Sequence[str], policy: Policy) -> Json:
    """A table of the warehouse: of its columns those that act on the release, and their classes."""
    if name not in TABLES:
        return _made(name, columns)
    table = TABLES[name]
    read = [table.column(column) for column in columns]
    fields = [
        {"name": c.name, "type": c.duckdb_type, "description": f"{c.title_zh} {c.title_en}"}
        for c in read
    ]
    tags = [tag for c in read for tag in _tags(c.name, c.item, policy.levels[c.item])]
    return {
        "namespace": WAREHOUSE,
        "name": name,
        "facets": {
            "schema": _facet("1-2-0/SchemaDatasetFacet") | {"fields": fields},
            "dataSource": _source(WAREHOUSE),
            "tags": _facet("1-0-0/TagsDatasetFacet") | {"tags": tags},
        },
    }


def _made(name: str, columns: Sequence[str]) -> Json:
    """A table that the build made beside the warehouse, of what it found out about it."""
    fields = [{"name": column} for column in columns]
    return {
        "namespace": WAREHOUSE,
        "name": name,
        "facets": {
            "schema": _facet("1-2-0/SchemaDatasetFacet") | {"fields": fields},
            "dataSource": _source(WAREHOUSE),
            "tags": _facet("1-0-0/TagsDatasetFacet") | {"tags": []},
        },
    }


def _outputs(service: Service, lineage: Lineage, policy: Policy) -> Iterator[Json]:
    """The cells of the release, if it has any, and each view of own rows, as they are answered."""
    answered = {**policy.common, **_view(service)}
    if lineage.fields:
        known: dict[str, Column] = {one.name: one for one in (*service.dims, *service.measures)}
        cells = _Answers(service.id, lineage.fields, lineage.control, known, answered)
        yield _release(cells, lineage.beside)
    for view in lineage.views:
        known = {one.name: one for one in (*own_dims(service), *service.dims, *view.view.measures)}
        of = {one.name: {"item": one.item, "level": one.level, "mask": one.mask}
              for one in view.view.measures}  # fmt: skip
        name = f"{service.id}.{view.name}"
        yield _release(_Answers(name, view.fields, view.control, known, {**answered, **of}), ())


@dataclass(frozen=True)
class _Answers:
    """One table that answers are read from: what its columns rest on, are, and are answered as."""

    name: str
    fields: Mapping[str, Reads]
    control: Reads
    known: Mapping[str, Column]
    answered: Mapping[str, Mapping[str, str]]


def _release(of: _Answers, beside: Sequence[str]) -> Json:
    """Its columns as they are answered, and where each comes from."""
    tags = [tag for name in of.fields for tag in _tags(name, **of.answered[name])]
    fields = {
        name: _field(of.known.get(name), reads, of.answered[name]["mask"])
        for name, reads in of.fields.items()
    }
    return {
        "namespace": RELEASES,
        "name": of.name,
        "facets": {
            "schema": _facet("1-2-0/SchemaDatasetFacet")
            | {"fields": [_column(name, of.known.get(name)) for name in of.fields]},
            "dataSource": _source(RELEASES),
            "columnLineage": _facet("1-2-0/ColumnLineageDatasetFacet")
            | {"fields": fields, "dataset": _inputs(of.control)},
            "tags": _facet("1-0-0/TagsDatasetFacet") | {"tags": tags},
            TOGETHER: _base("DatasetFacet") | {"together": list(beside)},
        },
    }


def _view(service: Service) -> Mapping[str, Mapping[str, str]]:
    """Item, level and mask of each column, as the policy reads them of the contract."""
    found: Any = policy_view(service)["columns"]  # as the view wrote it
    columns: Mapping[str, Mapping[str, str]] = found
    return columns


def _column(name: str, column: Column | None) -> Json:
    if column is None:
        return {"name": name, "type": "string"}
    unit = column.unit if isinstance(column, (Measure, OwnMeasure)) else "band"
    described = f"{column.title.zh} {column.title.en}"
    return {"name": name, "type": _TYPES.get(unit, "number"), "description": described}


def _field(column: Column | None, reads: Reads, mask: str) -> Json:
    """What a column rests on; how it is defined and, as it is answered, masked."""
    told: Json = {"inputFields": _inputs(reads, masked=mask != "none")}
    if isinstance(column, Measure):
        told["definition"] = column.define.phrase()
    return told


def _inputs(reads: Reads, *, masked: bool = False) -> list[Json]:
    found: dict[tuple[str, str], list[Json]] = {}
    for origin, path in sorted(reads.paths.items(), key=_order):
        told: Json = {
            "type": "DIRECT" if origin.act.direct else "INDIRECT",
            "subtype": str(origin.act),
            "description": _ARROW.join(path),
        }
        if masked and origin.act.direct:
            told["masking"] = True
        found.setdefault((origin.table, origin.column), []).append(told)
    return [
        {"namespace": WAREHOUSE, "name": table, "field": column, "transformations": ways}
        for (table, column), ways in found.items()
    ]


def _order(one: tuple[Origin, Path]) -> tuple[str, str, int]:
    origin, _ = one
    return origin.table, origin.column, list(Act).index(origin.act)


def _tags(field: str, item: str, level: str, mask: str = "") -> Iterator[Json]:
    told = {ITEM: item, LEVEL: level} | ({MASK: mask} if mask else {})
    for key, value in told.items():
        yield {"key": key, "value": value, "source": "SLUICE", "field": field}


def _facet(name: str) -> Json:
    version, kind = name.split("/")
    url = f"{_SPEC}/facets/{version}/{kind}.json#/$defs/{kind}"
    return {"_producer": PRODUCER, "_schemaURL": url}


def _base(kind: str) -> Json:
    return {"_producer": PRODUCER, "_schemaURL": f"{_CORE}/{kind}"}


def _source(uri: str) -> Json:
    return _facet("1-0-1/DatasourceDatasetFacet") | {"name": uri.partition("://")[2], "uri": uri}


def _span(labels: Sequence[str]) -> tuple[str, str]:
    """When the first period begins, and when the last is over."""
    months = sorted({month for label in labels for month in months_of(label)}) or ["2000-01"]
    begins, _ = month_range(months[0])
    _, ends = month_range(months[-1])
    return begins.isoformat(), ends.isoformat()
