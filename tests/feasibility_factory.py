"""A gateway that counts cohorts of the people of the worked example, and organisations that ask.

Of 155 who had metformin 60 are the men A (2023, 43 years), 40 the women B (2024, 43), 25 the men C
(2023, 43, newly insured) and 30 the women D (2024, 70).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from gateway.catalogue.cohort import cohort_example
from gateway.catalogue.load import load_catalogue
from gateway.identity.boundaries import load_boundaries
from gateway.releases.build import Order, build
from gateway.releases.keys import FILE
from gateway.settings import Settings
from tests.factories_identity import (
    Machine,
    add_client,
    add_grant,
    add_tenant,
    new_key,
    public,
    shown,
)
from tests.gateway_factory import (
    LARGE,
    POLICIES,
    TODAY,
    USCC,
    Gateway,
    copy_home,
    copy_policies,
    serving,
)
from tests.spec.test_worked_examples import warehouse
from tests.waivers import INVENTED

HALF_YEAR = {"valid_from": "2025-05-01", "valid_to": "2025-10-01"}
QUESTION: dict[str, Any] = {
    "purpose": "study_feasibility",
    "period": {"from": "2023", "to": "2024"},
    "geo": ["990100"],
    "index": {"kind": "atc", "codes": ["A10BA"]},
    "criteria": [],
}


def build_example(home: Path) -> None:
    """The people of the worked example, released for cohort counts alone."""
    settings = Settings(home=home)
    catalogue = load_catalogue(POLICIES)
    example = cohort_example(catalogue.root, catalogue.cohorts["S16"])
    assert example is not None
    warehouse(home, example)
    settings.keys.mkdir(mode=0o700)
    (settings.keys / FILE).write_bytes(bytes([1]) * 32)
    build(settings, Order(("S16",), waivers=INVENTED), TODAY)


@contextmanager
def counting_gateway(home: Path, folder: Path, **quota: int) -> Iterator[Gateway]:
    """A gateway on that home; quotas are large where none are named, but for those of a study."""
    policies = copy_policies(folder / "policies", {**LARGE, **quota})
    with serving(copy_home(home, folder / "home"), policies) as running:
        yield running


def admit(gateway: Gateway, client: str, tenant: str, grants: tuple[str, ...], **facts: Any) -> str:
    """Let a research institute in, with grants for studies of half a year."""
    identity, key = gateway.app.state.identity, new_key()
    scenario = str(facts.pop("scenario", "SC07"))
    bounds = load_boundaries(gateway.settings.policies)
    wanted = bounds.scenarios[scenario]["qualification"]
    kind = facts.pop("kind", "research")
    add_tenant(identity, tenant, kind=kind, uscc=USCC, qualifications=shown(wanted))
    services = facts.pop("services", ["S16"])
    for name in grants:
        add_grant(
            identity,
            bounds,
            grant_id=name,
            tenant_id=tenant,
            scenario=scenario,
            services=services,
            **HALF_YEAR,
            **facts,
        )
    add_client(identity, client, tenant, public(key))
    identity.directory.refresh()
    machine = Machine(client, key, gateway.settings.base_url)
    gateway.machines = {**gateway.machines, client: machine}
    return client


def ask(gateway: Gateway, client: str, *criteria: Mapping[str, Any], **more: Any) -> httpx.Response:
    """One cohort question."""
    body = {**QUESTION, "criteria": list(criteria), **more}
    return gateway.http.post("/v1/services/S16/query", json=body, auth=gateway.auth(client))
