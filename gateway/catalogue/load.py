"""Read the catalogue: dimensions, then one folder per service, checked as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gateway.catalogue.model import Column, Dim, Measure, Ratio, Service
from gateway.catalogue.tariff import Tariff
from gateway.errors import OperatorError


class CatalogueError(OperatorError):
    """A catalogue document cannot be used; the message names file and field."""

    title = "The catalogue is not valid"


@dataclass(frozen=True)
class Catalogue:
    """Every data service on offer, by id."""

    services: Mapping[str, Service]
    root: Path

    def get(self, key: str) -> Service | None:
        """The service with this id (`S02`) or code (`act.cost-structure`), if there is one."""
        if key in self.services:
            return self.services[key]
        return next((s for s in self.services.values() if s.code == key), None)

    @property
    def tariffs(self) -> Mapping[str, Tariff]:
        """Unit and published prices of every service."""
        return {name: service.tariff for name, service in self.services.items()}

    def folder(self, service_id: str) -> Path:
        """Where the service's contract and the SQL of its facts lie."""
        return self.root / service_id

    def fact_sql(self, service: Service, fact: str) -> str:
        """The text of one fact's query."""
        return (self.folder(service.id) / service.facts[fact].query).read_text(encoding="utf-8")

    def records_sql(self, service: Service) -> str | None:
        """The query of the records it shares with the services linked with it, if it has one."""
        query = service.disclosure.records
        return (self.folder(service.id) / query).read_text(encoding="utf-8") if query else None

    def rollups_sql(self) -> str:
        """The macros and views that facts build on."""
        return (self.root / "rollups.sql").read_text(encoding="utf-8")

    def definitions_digest(self, service: Service) -> str:
        """SHA-256 over everything that defines the service's figures; its prices do not."""
        digest = hashlib.sha256(self.rollups_sql().encode())
        digest.update(service.model_dump_json(exclude={"tariff"}).encode())
        for fact in sorted(service.facts):
            digest.update(self.fact_sql(service, fact).encode())
        digest.update((self.records_sql(service) or "").encode())
        return digest.hexdigest()

    def as_policy_data(self) -> dict[str, dict[str, object]]:
        """What the policy may know of each service: names, limits and classification."""
        return {service.id: _policy_view(service) for service in self.services.values()}


def load_catalogue(policies: Path) -> Catalogue:
    """Load `<policies>/catalogue`; raises `CatalogueError` at the first fault."""
    root = policies / "catalogue"
    dims = _dimensions(root / "dimensions.yaml")
    services = {}
    for path in sorted(root.glob("S[0-9][0-9]/service.yaml")):
        service = _service(path, dims)
        if service.id != path.parent.name:
            raise CatalogueError("catalogue_id", f"{path}: id {service.id} is not its folder's")
        services[service.id] = service
    if not services:
        raise CatalogueError("catalogue_empty", f"{root}: no service found (S??/service.yaml)")
    for service in services.values():
        _check_links(service, services, root)
    return Catalogue(services, root)


def _read(path: Path) -> Any:  # whatever YAML holds; validated by the caller
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, yaml.YAMLError) as error:
        raise CatalogueError("catalogue_unreadable", f"{path}: {error}") from error


def _invalid(path: Path, error: ValidationError) -> CatalogueError:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return CatalogueError("catalogue_invalid", f"{path}: {field}: {first['msg']}")


def _dimensions(path: Path) -> dict[str, Dim]:
    try:
        return {name: Dim(name=name, **body) for name, body in _read(path).items()}
    except ValidationError as error:
        raise _invalid(path, error) from error


def _service(path: Path, dims: Mapping[str, Dim]) -> Service:
    body = _read(path)
    names = body.get("dims", [])
    unknown = [name for name in names if name not in dims]
    if unknown:
        raise CatalogueError("catalogue_dim", f"{path}: dims: unknown {', '.join(unknown)}")
    try:
        service = Service(**{**body, "dims": [dims[name] for name in names]})
    except ValidationError as error:
        raise _invalid(path, error) from error
    for fault in _faults(service, path.parent):
        raise CatalogueError("catalogue_reference", f"{path}: {fault}")
    return service


def _faults(service: Service, folder: Path) -> Iterator[str]:
    """References that point nowhere, each as a sentence."""
    dims = {dim.name: dim for dim in service.dims}
    measures = {measure.name for measure in service.measures}
    if len(measures) < len(service.measures):
        yield "measures: a name appears twice"
    if "exposure" not in service.facts:
        yield "facts: there is no `exposure` fact"
    records = service.disclosure.records
    if records and not (folder / records).is_file():
        yield f"disclosure.records: {records} does not exist"
    for name, fact in service.facts.items():
        if not (folder / fact.query).is_file():
            yield f"facts.{name}.query: {fact.query} does not exist"
        unknown = {*fact.dims, *fact.requires_any} - dims.keys()
        yield from (f"facts.{name}.dims: unknown {dim}" for dim in sorted(unknown))
    for measure in service.measures:
        unknown = {*measure.only_with, *measure.never_with, *measure.at} - dims.keys()
        yield from (f"measures.{measure.name}: unknown dim {dim}" for dim in sorted(unknown))
        yield from _definition_faults(service, measure, measures)
        for dim, value in measure.at.items():
            if dim in dims and not (dims[dim].pivot and value in dims[dim].values):
                yield f"measures.{measure.name}.at: {dim}={value} is no value of a pivot dim"


def _definition_faults(service: Service, measure: Measure, known: set[str]) -> Iterator[str]:
    define = measure.define
    if isinstance(define, Ratio):
        for part in sorted({define.num, define.den} - known):
            yield f"measures.{measure.name}: unknown measure {part}"
    elif define.fact not in service.facts:
        yield f"measures.{measure.name}: unknown fact {define.fact}"


def _check_links(service: Service, services: Mapping[str, Service], root: Path) -> None:
    for link in (*service.disclosure.linked, *service.disclosure.within):
        other = services.get(link.service)
        known = {dim.name for dim in other.dims} if other else set()
        if other is None or not {*link.where, *link.dims.values(), *link.parts.values()} <= known:
            raise CatalogueError(
                "catalogue_link", f"{root / service.id}: disclosure: {link.service} unknown"
            )


def _policy_view(service: Service) -> dict[str, object]:
    dims = [dim for dim in service.dims if not dim.pivot]
    measures = [measure for measure in service.measures if not measure.internal]
    columns: list[Column] = [*dims, *measures]
    return {
        "code": service.code,
        "version": service.version,
        "consumers": list(service.consumers),
        "grain": service.grain,
        "output_level": service.output_level,
        "sdc": service.sdc,
        "scenarios": list(service.scenarios),
        "min_lag_days": service.min_lag_days,
        "tariff": service.tariff.view(),
        "free_for": list(service.free_for),
        "periods": [str(grain) for grain in service.periods],
        "geo": [level.model_dump() for level in service.geo],
        "dims": [dim.name for dim in dims],
        "axes": {dim.name: dim.axis for dim in dims},
        "forbidden": [list(pair) for pair in service.disclosure.forbid_together],
        "measures": [measure.name for measure in measures],
        "columns": {
            column.name: {"item": column.item, "level": column.level, "mask": column.mask}
            for column in columns
        },
    }
