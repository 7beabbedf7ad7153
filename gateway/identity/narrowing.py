"""A grant can only narrow its scenario: every way in which one widens it, as a sentence.

Pure: scenario documents, service documents and region documents come in as arguments (the shapes
of `policies/data` and of `Catalogue.as_policy_data`). The same check runs when a grant is entered
and whenever the directory is loaded, so a scenario that was tightened tightens its old grants too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from gateway.identity.model import EVERYTHING, Grant, Tenant

Documents: TypeAlias = Mapping[str, Mapping[str, Any]]  # JSON documents by id

OWN_INSTITUTION = "own_institution"
SYNTHETIC = "synthetic_99xxxx"

_FINENESS = {"province": 0, "city": 1, "county": 2}


@dataclass(frozen=True)
class Boundaries:
    """What grants are measured against: scenarios, the services on offer, known regions."""

    scenarios: Documents = field(default_factory=dict)
    services: Documents = field(default_factory=dict)
    regions: Documents = field(default_factory=dict)

    def with_regions(self, overrides: Documents) -> Boundaries:
        """The same boundaries with regions added or partly replaced by the bureau."""
        regions: dict[str, Mapping[str, Any]] = dict(self.regions)
        for admdvs, flags in overrides.items():
            regions[admdvs] = {**regions.get(admdvs, {}), **flags}
        return replace(self, regions=regions)


@dataclass(frozen=True, slots=True)
class Widening:
    """One way in which a grant reaches beyond its scenario."""

    field: str
    reason: str


def widenings(grant: Grant, tenant: Tenant, bounds: Boundaries) -> tuple[Widening, ...]:
    """Every way in which the grant reaches beyond its scenario; empty when it only narrows."""
    scenario = bounds.scenarios.get(grant.scenario)
    if scenario is None:
        return (Widening("scenario", f"there is no scenario {grant.scenario!r}"),)
    return (
        *_consumer(tenant, scenario),
        *_services(grant, scenario, bounds),
        *_dims(grant, scenario, bounds),
        *_measures(grant, scenario, bounds),
        *_regions(grant, scenario, bounds),
        *_institution(grant, scenario),
        *_validity(grant, scenario),
    )


def missing_qualifications(grant: Grant, tenant: Tenant, bounds: Boundaries) -> tuple[str, ...]:
    """Qualifications of the scenario that the tenant cannot show for the grant's first day."""
    held = {each.code for each in tenant.qualifications if each.valid_to >= grant.valid_from}
    wanted: Iterable[str] = bounds.scenarios.get(grant.scenario, {}).get("qualification", ())
    return tuple(code for code in wanted if code not in held)


def _consumer(tenant: Tenant, scenario: Mapping[str, Any]) -> Iterator[Widening]:
    if tenant.type not in scenario.get("consumers", ()):
        yield Widening("tenant", f"the scenario is not for tenants of type {tenant.type!r}")


def _services(grant: Grant, scenario: Mapping[str, Any], bounds: Boundaries) -> Iterator[Widening]:
    if not grant.services:
        yield Widening("services", "name at least one service")
    for service in grant.services:
        if service not in scenario.get("services", {}):
            yield Widening("services", f"the scenario does not allow service {service!r}")
        elif service not in bounds.services:
            yield Widening("services", f"this gateway does not offer service {service!r}")


def _entries(
    grant: Grant, scenario: Mapping[str, Any], bounds: Boundaries
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """(scenario's entry, service document) of each granted service that both know."""
    for service in grant.services:
        if service in scenario.get("services", {}) and service in bounds.services:
            yield scenario["services"][service], bounds.services[service]


def _dims(grant: Grant, scenario: Mapping[str, Any], bounds: Boundaries) -> Iterator[Widening]:
    if grant.dims == (EVERYTHING,):
        return
    allowed: set[str] = set()
    for entry, service in _entries(grant, scenario, bounds):
        allowed |= set(service.get("dims", ())) - set(entry.get("dims_deny", ()))
    for dim in grant.dims:
        if dim not in allowed:
            yield Widening("dims", f"the scenario does not allow dim {dim!r} in these services")


def _measures(grant: Grant, scenario: Mapping[str, Any], bounds: Boundaries) -> Iterator[Widening]:
    if grant.measures == (EVERYTHING,):
        return
    if not grant.measures:
        yield Widening("measures", 'name the measures, or ["*"] for all the scenario allows')
    allowed: set[str] = set()
    for entry, service in _entries(grant, scenario, bounds):
        offered = set(service.get("measures", ()))
        listed = entry.get("measures", EVERYTHING)
        allowed |= offered if listed == EVERYTHING else offered & set(listed)
    for measure in grant.measures:
        if measure not in allowed:
            yield Widening("measures", f"the scenario does not allow measure {measure!r} here")


def _regions(grant: Grant, scenario: Mapping[str, Any], bounds: Boundaries) -> Iterator[Widening]:
    rule = scenario.get("regions", {})
    if grant.regions == (EVERYTHING,):
        if rule.get("grant") != "all":
            yield Widening("regions", "the scenario wants an explicit list of regions")
        return
    if not grant.regions:
        yield Widening("regions", "name at least one region")
    for admdvs in grant.regions:
        yield from _region(admdvs, rule, bounds.regions.get(admdvs))


def _region(
    admdvs: str, rule: Mapping[str, Any], region: Mapping[str, Any] | None
) -> Iterator[Widening]:
    if region is None:
        yield Widening("regions", f"there is no region {admdvs!r}")
        return
    finest = rule.get("finest")
    if finest in _FINENESS and _FINENESS.get(str(region.get("level")), 99) > _FINENESS[finest]:
        yield Widening("regions", f"region {admdvs} is finer than {finest}")
    insured, least = region.get("insured"), rule.get("min_insured")
    if least is not None and isinstance(insured, int) and insured < least:
        yield Widening("regions", f"region {admdvs} has fewer insured than the {least} required")


def _institution(grant: Grant, scenario: Mapping[str, Any]) -> Iterator[Widening]:
    """Own data are an institution's in its own scenario, and everybody's where all is invented."""
    rule = scenario.get("regions", {})
    if grant.own_institution is not None and not (
        rule.get("finest") == OWN_INSTITUTION or rule.get("grant") == SYNTHETIC
    ):
        yield Widening("own_institution", "the scenario opens no institution's own data")


def _validity(grant: Grant, scenario: Mapping[str, Any]) -> Iterator[Widening]:
    days = (grant.valid_to - grant.valid_from).days
    if days < 0:
        yield Widening("valid_to", "the grant ends before it begins")
    longest = scenario.get("validity_days")
    if not isinstance(longest, int):
        yield Widening("valid_to", "the scenario states no validity_days")
    elif days > longest:
        yield Widening("valid_to", f"the grant lasts {days} days, the scenario allows {longest}")
