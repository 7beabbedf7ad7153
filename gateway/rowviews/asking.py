"""Which rows a grant's jobs may read: the policy is asked as it will be when a run is proposed."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

from uuid_utils import uuid7

from gateway.catalogue.job import JobContract
from gateway.catalogue.load import load_catalogue
from gateway.errors import OperatorError
from gateway.identity.boundaries import load_boundaries
from gateway.identity.directory import take_snapshot
from gateway.identity.model import Grant, Tenant
from gateway.identity.store import Contents
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.port import (
    AskedPeriod,
    AskingTenant,
    AskingUser,
    Obligations,
    PolicyInput,
    Usage,
)

_PATIENCE: Final = 30.0


def rows_for(
    policies: Path, contents: Contents, grant_id: str, months: tuple[str, str], now: datetime
) -> tuple[Grant, Obligations]:
    """The grant, and what the policy lets its jobs read of these months.

    Raises:
        OperatorError: `view.grant` where there is no such grant; `view.refused` tells the codes.
    """
    catalogue = load_catalogue(policies)
    service = catalogue.jobs_on("views")
    snapshot = take_snapshot(contents, load_boundaries(policies))
    grants = (one for mine in snapshot.grants.values() for one in mine)
    grant = next((one for one in grants if one.id == grant_id), None)
    if grant is None or service is None:
        raise OperatorError("view.grant", f"There is no grant {grant_id[:60]!r}, or no S17 here.")
    tenant = snapshot.tenants[grant.tenant]
    purpose = load_boundaries(policies).scenarios[grant.scenario]["purpose"]
    question = _question(service, grant, tenant, purpose=purpose, months=months, now=now)
    services, directory = catalogue.as_policy_data(), snapshot.policy_data
    with closing(EmbeddedPolicy(policies, services, directory, timeout=_PATIENCE)) as policy:
        decision = policy.decide(question)
    if decision.obligations is None:
        codes = ", ".join(decision.deny)
        raise OperatorError(
            "view.refused", f"The policy lets jobs of {grant.id} read nothing: {codes}."
        )
    return grant, decision.obligations


def _question(
    service: JobContract, grant: Grant, tenant: Tenant, *, purpose: str, months: tuple[str, str],
    now: datetime,
) -> PolicyInput:  # fmt: skip
    """As the grant's own client would ask, from a registered place."""
    return PolicyInput(
        request_id=str(uuid7()),
        time=now,
        tenant=AskingTenant(
            id=tenant.id,
            cert_thumbprint=next(iter(tenant.cert_thumbprints), None),
            ip=next(iter(tenant.source_ips), "127.0.0.1").partition("/")[0],
        ),
        user=AskingUser(id="office"),
        grant_id=grant.id,
        service=service.id,
        version=service.version,
        op="job",
        period=AskedPeriod.model_validate({"from": months[0], "to": months[1], "grain": "month"}),
        geo=tuple(grant.regions),
        purpose_code=purpose,
        env="prod",
        format="metrics_json",
        usage=Usage(),
    )
