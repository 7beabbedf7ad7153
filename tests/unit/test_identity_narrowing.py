"""A grant can only narrow its scenario: each way of widening it is refused, alone and by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.model import Grant, Qualification, Tenant
from gateway.identity.narrowing import Boundaries, missing_qualifications, widenings

SCENARIO: dict[str, Any] = {
    "consumers": ["insurer"],
    "qualification": ["licensed", "officer"],
    "services": {
        "S02": {"measures": "*"},
        "S06": {"dims_deny": ["drg"], "measures": ["stays"]},
        "S99": {},
    },
    "regions": {"grant": "explicit_list", "finest": "city", "min_insured": 50_000},
    "validity_days": 365,
}
OPEN_TO_ALL = {**SCENARIO, "regions": {"grant": "all", "finest": "city"}}
BOUNDS = Boundaries(
    scenarios={"SC01": SCENARIO, "SC11": OPEN_TO_ALL},
    services={
        "S02": {"dims": ["gend", "age5"], "measures": ["medfee", "persons"]},
        "S06": {"dims": ["mdc", "drg"], "measures": ["stays", "riv"]},
        "S09": {"dims": ["atc"], "measures": ["ddd"]},
    },
    regions={
        "990000": {"level": "province", "insured": 2_800_000},
        "990100": {"level": "city", "insured": 2_000_000},
        "990104": {"level": "county", "insured": 9},
        "990300": {"level": "city", "insured": 49_999},
    },
)
TENANT = Tenant(
    id="T",
    type="insurer",
    name="测试（虚构）",
    uscc="",
    status="active",
    env="prod",
    crypto="intl",
    data_security_officer="",
    qualifications=tuple(
        Qualification(code, date(2027, 1, 1), "0" * 64) for code in ("licensed", "officer")
    ),
    source_ips=(),
    cert_thumbprints=(),
)
GRANT = Grant(
    id="G",
    tenant="T",
    scenario="SC01",
    product_name="p",
    purpose_text="p",
    regions=("990100",),
    services=("S02", "S06"),
    dims=("gend", "mdc"),
    measures=("medfee", "stays"),
    valid_from=date(2026, 1, 1),
    valid_to=date(2026, 12, 31),
    approved_by=(),
    providers=(),
    price_plan="p",
    agreement_hash="0" * 64,
    status="review",
)


def fields(grant: Grant, tenant: Tenant = TENANT) -> set[str]:
    return {fault.field for fault in widenings(grant, tenant, BOUNDS)}


def test_a_grant_inside_its_scenario_widens_nothing() -> None:
    assert widenings(GRANT, TENANT, BOUNDS) == ()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scenario": "SC77"}, "scenario"),
        ({"services": (), "dims": ("*",), "measures": ("*",)}, "services"),
        ({"services": ("S02", "S06", "S09")}, "services"),  # offered, but not in the scenario
        ({"services": ("S02", "S06", "S99")}, "services"),  # in the scenario, but not offered
        ({"dims": ("gend", "drg")}, "dims"),  # denied by the scenario
        ({"dims": ("gend", "atc")}, "dims"),  # of a service that is not granted
        ({"dims": ("gend", "invented")}, "dims"),
        ({"dims": ("*", "gend")}, "dims"),
        ({"measures": ()}, "measures"),
        ({"measures": ("stays", "riv")}, "measures"),  # not in the scenario's list
        ({"measures": ("ddd",)}, "measures"),
        ({"regions": ()}, "regions"),
        ({"regions": ("*",)}, "regions"),
        ({"regions": ("990100", "*")}, "regions"),
        ({"regions": ("990104",)}, "regions"),  # finer than city
        ({"regions": ("990300",)}, "regions"),  # too few insured
        ({"regions": ("123456",)}, "regions"),
        ({"valid_to": date(2027, 1, 2)}, "valid_to"),  # 366 days
        ({"valid_to": date(2025, 12, 31)}, "valid_to"),
    ],
)
def test_each_way_of_widening_is_refused_by_name(change: dict[str, Any], field: str) -> None:
    assert fields(replace(GRANT, **change)) == {field}


def test_a_tenant_of_another_kind_is_refused() -> None:
    assert fields(GRANT, replace(TENANT, type="pharma")) == {"tenant"}


def test_everything_means_everything_the_scenario_allows() -> None:
    assert fields(replace(GRANT, dims=("*",), measures=("*",))) == set()
    assert fields(replace(GRANT, scenario="SC11", regions=("*",))) == set()


def test_a_year_from_day_to_day_is_365_days() -> None:
    assert fields(replace(GRANT, valid_to=date(2027, 1, 1))) == set()


def test_a_region_the_bureau_has_set_is_measured_as_set() -> None:
    grant = replace(GRANT, regions=("990400",))
    opened = BOUNDS.with_regions({"990400": {"level": "city", "insured": 60_000}})
    shrunk = BOUNDS.with_regions({"990100": {"insured": 10}})

    assert widenings(grant, TENANT, opened) == ()
    assert widenings(GRANT, TENANT, shrunk) != ()


def test_qualifications_must_be_there_on_the_first_day() -> None:
    late = replace(GRANT, valid_from=date(2027, 1, 2), valid_to=date(2027, 6, 1))

    assert missing_qualifications(GRANT, TENANT, BOUNDS) == ()
    assert missing_qualifications(late, TENANT, BOUNDS) == ("licensed", "officer")
    assert missing_qualifications(GRANT, replace(TENANT, qualifications=()), BOUNDS) == (
        "licensed",
        "officer",
    )


@given(
    data=st.data(),
    services=st.lists(st.sampled_from(["S02", "S06"]), unique=True, min_size=1),
    dims=st.lists(st.sampled_from(["gend", "age5", "mdc", "drg", "atc"]), unique=True),
    days=st.integers(-3, 400),
)
def test_narrowing_an_acceptable_grant_further_keeps_it_acceptable(
    data: st.DataObject, services: list[str], dims: list[str], days: int
) -> None:
    grant = replace(
        GRANT,
        services=tuple(services),
        dims=tuple(dims),
        measures=("*",),
        valid_to=GRANT.valid_from + timedelta(days=days),
    )
    if widenings(grant, TENANT, BOUNDS):
        return
    fewer_dims = data.draw(st.sets(st.sampled_from(dims)) if dims else st.just(set()))
    shorter = data.draw(st.integers(0, days))
    narrower = replace(
        grant,
        dims=tuple(sorted(fewer_dims)),
        valid_to=GRANT.valid_from + timedelta(days=shorter),
    )

    assert widenings(narrower, TENANT, BOUNDS) == ()


@given(
    services=st.lists(st.sampled_from(["S02", "S06"]), unique=True, min_size=1),
    dims=st.lists(st.sampled_from(["gend", "age5", "mdc", "drg", "atc"]), unique=True),
)
def test_dims_agree_with_asking_service_by_service(services: list[str], dims: list[str]) -> None:
    def allowed(dim: str) -> bool:
        for service in services:
            denied = SCENARIO["services"][service].get("dims_deny", [])
            if dim in BOUNDS.services[service]["dims"] and dim not in denied:
                return True
        return False

    grant = replace(GRANT, services=tuple(services), dims=tuple(dims), measures=("*",))

    assert (fields(grant) == set()) == all(allowed(dim) for dim in dims)
