"""Read the catalogue: dimensions, then one folder per service, checked as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gateway.catalogue.cohort import CohortContract, load_cohorts
from gateway.catalogue.faults import CatalogueError, faults, invalid
from gateway.catalogue.job import JobContract, load_jobs
from gateway.catalogue.lists import with_lists
from gateway.catalogue.model import Dim, OwnView, Service
from gateway.catalogue.person import PersonContract, load_persons
from gateway.catalogue.policy_view import policy_view
from gateway.catalogue.reference import Reference, load_references
from gateway.catalogue.remembered import Remembered
from gateway.catalogue.subject import reading_faults, restricted
from gateway.catalogue.tariff import Tariff
from gateway.catalogue.text import TextContract, load_texts
from gateway.catalogue.trace import TraceContract, load_traces
from gateway.catalogue.union import together
from gateway.catalogue.views import OWN, check_views, named_in, reached, read_views, shared_files
from gateway.catalogue.worked import Example, read_example


@dataclass(frozen=True)
class Catalogue:
    """Every data service on offer, by id."""

    services: Mapping[str, Service]
    root: Path
    cohorts: Mapping[str, CohortContract] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)
    persons: Mapping[str, PersonContract] = field(default_factory=dict)
    texts: Mapping[str, TextContract] = field(default_factory=dict)
    jobs: Mapping[str, JobContract] = field(default_factory=dict)
    traces: Mapping[str, TraceContract] = field(default_factory=dict)

    def get(self, key: str) -> Service | None:
        """The service with this id (`S02`) or code (`act.cost-structure`), if there is one."""
        if key in self.services:
            return self.services[key]
        return next((s for s in self.services.values() if s.code == key), None)

    @cached_property  # asked for every line of a bill that is priced, so for every answer
    def tariffs(self) -> Mapping[str, Tariff]:
        """Unit and published prices of every service."""
        told = {name: service.tariff for name, service in self.services.items()}
        told |= {name: contract.tariff for name, contract in self.cohorts.items()}
        told |= {name: contract.tariff for name, contract in self.traces.items()}
        return told | {name: contract.tariff for name, contract in self.persons.items()}

    @property
    def released(self) -> tuple[str, ...]:
        """The services that have releases."""
        return (*self.services, *self.cohorts)

    def cohort(self, key: str) -> CohortContract | None:
        """The service that counts cohorts with this id or code, if there is one."""
        found = (one for one in self.cohorts.values() if key in (one.id, one.code))
        return next(found, None)

    def reference(self, key: str) -> Reference | None:
        """The service of reference data with this id or code, if there is one."""
        found = (one for one in self.references.values() if key in (one.id, one.code))
        return next(found, None)

    def text(self, key: str) -> TextContract | None:
        """The service of texts with this id or code, if there is one."""
        found = (one for one in self.texts.values() if key in (one.id, one.code))
        return next(found, None)

    def trace(self, key: str) -> TraceContract | None:
        """The service of trace codes with this id or code, if there is one."""
        return next((one for one in self.traces.values() if key in (one.id, one.code)), None)

    def job(self, key: str) -> JobContract | None:
        """The service of jobs with this id or code, if there is one."""
        return next((one for one in self.jobs.values() if key in (one.id, one.code)), None)

    def jobs_on(self, reads: str) -> JobContract | None:
        """The service of jobs that read `packs` or `views`, if there is one."""
        return next((one for one in self.jobs.values() if one.reads == reads), None)

    def person(self, key: str) -> PersonContract | None:
        """The service about single persons with this id or code, if there is one."""
        found = (one for one in self.persons.values() if key in (one.id, one.code))
        return next(found, None)

    def folder(self, service_id: str) -> Path:
        """Where the service's contract and the SQL of its facts lie."""
        return self.root / service_id

    def fact_sql(self, service: Service, fact: str) -> str:
        """The text of one fact's query; of several, of all together."""
        texts = [self._text(service, name) for name in service.facts[fact].queries]
        return texts[0] if len(texts) == 1 else together(service, fact, texts)

    def own_sql(self, service: Service, view: OwnView) -> str:
        """The text of a view of own data."""
        return self._text(service, view.query)

    def own_views(self, service: Service, texts: Iterable[str]) -> tuple[str, ...]:
        """Views of the service's folder that are named in any of the texts."""
        path = self.folder(service.id) / OWN
        return named_in(read_views([path]), texts) if path.is_file() else ()

    def records_sql(self, service: Service) -> str | None:
        """The query of the records it shares with the services linked with it, if it has one."""
        query = service.disclosure.records
        return self._text(service, query) if query else None

    def example(self, service_id: str) -> Example | None:
        """The worked example of a service, if it has one."""
        return read_example(self.folder(service_id))

    def rollups_sql(self, service: Service | None = None) -> str:
        """The macros and views that a service's facts build on; those shared by all without one."""
        own = [] if service is None else [self.folder(service.id) / OWN]
        return read_views([*shared_files(self.root), *(path for path in own if path.is_file())])

    def definitions_digest(self, service: Service) -> str:
        """SHA-256 over everything that defines the service's figures: not its prices, nor the views
        of others."""
        texts = [self.fact_sql(service, fact) for fact in sorted(service.facts)]
        texts.append(self.records_sql(service) or "")
        if service.own is not None:
            texts += [self.own_sql(service, view) for view in service.own.views]
        digest = hashlib.sha256(reached(self.rollups_sql(service), texts).encode())
        hidden = {"tariff"} if service.own is not None else {"tariff", "own"}
        digest.update(service.model_dump_json(exclude=hidden).encode())
        for text in texts:
            digest.update(text.encode())
        return digest.hexdigest()

    def _text(self, service: Service, name: str) -> str:
        return (self.folder(service.id) / name).read_text(encoding="utf-8")

    def as_policy_data(self) -> dict[str, dict[str, object]]:
        """What the policy may know of each service: names, limits and classification."""
        told = {service.id: policy_view(service) for service in self.services.values()}
        told |= {one.id: one.policy_view() for one in self.cohorts.values()}
        told |= {one.id: one.policy_view() for one in self.references.values()}
        told |= {one.id: one.policy_view() for one in self.texts.values()}
        told |= {one.id: one.policy_view() for one in self.jobs.values()}
        told |= {one.id: one.policy_view() for one in self.traces.values()}
        return told | {one.id: one.policy_view() for one in self.persons.values()}


def load_catalogue(policies: Path) -> Catalogue:
    """Load `<policies>/catalogue`; raises `CatalogueError` at the first fault."""
    root = policies / "catalogue"
    return replace(_KNOWN.of(root), root=root)  # the same files may lie elsewhere by now


def _load(root: Path) -> Catalogue:
    shared = _dimensions(root / "dimensions.yaml", {})
    services = {}
    paths = sorted(root.glob("S[0-9][0-9]/service.yaml"))
    check_views(root, [path.parent for path in paths])
    for path in paths:
        own = path.parent / "dims.yaml"
        service = _service(path, {**shared, **(_dimensions(own, shared) if own.is_file() else {})})
        if service.id != path.parent.name:
            raise CatalogueError("catalogue_id", f"{path}: id {service.id} is not its folder's")
        services[service.id] = service
    if not services:
        raise CatalogueError("catalogue_empty", f"{root}: no service found (S??/service.yaml)")
    for service in services.values():
        _check_links(service, services, root)
    catalogue = Catalogue(
        services,
        root,
        load_cohorts(root),
        load_references(root),
        load_persons(root),
        load_texts(root),
        load_jobs(root),
        load_traces(root),
    )
    for service in services.values():
        _check_reading(catalogue, service)
    return catalogue


_KNOWN = Remembered(_load)


def _read(path: Path) -> Any:  # whatever YAML holds; validated by the caller
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, yaml.YAMLError) as error:
        raise CatalogueError("catalogue_unreadable", f"{path}: {error}") from error


def _dimensions(path: Path, taken: Mapping[str, Dim]) -> dict[str, Dim]:
    """The dims of a dictionary; those of a folder are new, they change none that all have."""
    body = _mapping(path)
    for name in body:
        if name in taken:
            raise CatalogueError("catalogue_dim", f"{path}: {name} is in dimensions.yaml already")
        if isinstance(body[name], dict) and "lists" in body[name]:
            raise CatalogueError("catalogue_dim", f"{path}: {name}.lists: is a codes_*.csv file")
    try:
        return {
            name: Dim(**{**_mapping_of(path, name, one), "name": name})
            for name, one in body.items()
        }
    except ValidationError as error:
        raise invalid(path, error) from error


def _service(path: Path, dims: Mapping[str, Dim]) -> Service:
    body = _mapping(path)
    names = body.get("dims", [])
    unknown = [str(name) for name in names if not isinstance(name, str) or name not in dims]
    if unknown:
        raise CatalogueError("catalogue_dim", f"{path}: dims: unknown {', '.join(unknown)}")
    folders = (path.parent, path.parent.parent)
    chosen = [with_lists(_without_absent_parent(dims[name], names), folders) for name in names]
    try:
        service = Service(**{**body, "dims": chosen, **_own(path, body, dims)})
    except ValidationError as error:
        raise invalid(path, error) from error
    for fault in faults(service, path.parent):
        raise CatalogueError("catalogue_reference", f"{path}: {fault}")
    return service


def _own(path: Path, body: Mapping[str, Any], dims: Mapping[str, Dim]) -> dict[str, Any]:
    """The part of a contract about own data, its dims looked up."""
    own = body.get("own")
    if not isinstance(own, dict):
        return {}
    names = own.get("dims", [])
    unknown = [str(name) for name in names if not isinstance(name, str) or name not in dims]
    if unknown:
        raise CatalogueError("catalogue_dim", f"{path}: own.dims: unknown {', '.join(unknown)}")
    found = [dims[name].model_copy(update={"parent": None}) for name in names]
    return {"own": {**own, "dims": found}}


def _without_absent_parent(dim: Dim, names: Collection[str]) -> Dim:
    """The dim as the top of its axis where the service does not offer the coarser one."""
    return dim if dim.parent in names else dim.model_copy(update={"parent": None})


def _mapping(path: Path) -> dict[str, Any]:  # whatever YAML holds; validated by the caller
    return _mapping_of(path, "", _read(path))


def _mapping_of(path: Path, name: str, body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise CatalogueError("catalogue_invalid", f"{path}: {name or 'the file'}: is no mapping")
    return body


def _check_reading(catalogue: Catalogue, service: Service) -> None:
    """A service that is about no person reads no table with one: by every word it reaches."""
    views = catalogue.rollups_sql(service) if restricted(service) else ""
    texts = {}
    for fact in restricted(service):
        sql = catalogue.fact_sql(service, fact)
        texts[fact] = sql + reached(views, [sql])
    for fault in reading_faults(service, texts):
        raise CatalogueError("fact_subject", f"{catalogue.folder(service.id)}: {fault}")


def _check_links(service: Service, services: Mapping[str, Service], root: Path) -> None:
    for link in (*service.disclosure.linked, *service.disclosure.within):
        other = services.get(link.service)
        known = {dim.name for dim in other.dims} if other else set()
        if other is None or not {*link.where, *link.dims.values(), *link.parts.values()} <= known:
            raise CatalogueError(
                "catalogue_link", f"{root / service.id}: disclosure: {link.service} unknown"
            )
