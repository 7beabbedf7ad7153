"""What an edition of the policy says about money: prices, what is free, how services are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.billing.commitments import commitments
from gateway.billing.frame import Labels
from gateway.billing.terms import Terms, read_terms
from gateway.catalogue.cohort import CohortContract
from gateway.catalogue.job import JobContract
from gateway.catalogue.load import load_catalogue
from gateway.catalogue.model import Service
from gateway.catalogue.person import PersonContract
from gateway.catalogue.tariff import Tariff
from gateway.catalogue.text import TextContract
from gateway.catalogue.trace import TraceContract
from gateway.db.tables import TenantRow
from gateway.policy.documents import read_documents
from metering.rating import LineKey

_Sold: TypeAlias = (
    Service | CohortContract | TextContract | PersonContract | TraceContract | JobContract
)


@dataclass(frozen=True)
class Agreed:
    """Read once from a policies folder."""

    tariffs: Mapping[str, Tariff]
    terms: Terms
    titles: Mapping[str, Mapping[str, str]]
    free_scenarios: frozenset[str]
    free_for: Mapping[str, frozenset[str]]

    def is_free(self, scenario: str, service: str, kind: str) -> bool:
        """As the rules have it (`budget.free`): public use, or free for such an organisation."""
        for_whom = self.free_for.get(service, frozenset())
        unit = self.tariffs[service].unit
        return scenario in self.free_scenarios or unit == "free" or bool(for_whom & {"*", kind})

    def committed(self, session: Session, month: str) -> Mapping[str, LineKey]:
        """Who owes a minimum for a month."""
        return commitments(session, month, self.tariffs, self.is_free)

    def labels(self, session: Session) -> Labels:
        """Names as they are now."""
        rows = session.execute(sa.select(TenantRow.id, TenantRow.name).order_by(TenantRow.id))
        named = {str(row.id): str(row.name) for row in rows}
        return Labels(self.terms.issuer_names, named, self.titles)


def read_agreed(policies: Path, terms: Path | None = None) -> Agreed:
    """What a folder of the policy agrees; the terms of sharing lie in the installation's own."""
    catalogue = load_catalogue(policies)
    services: dict[str, _Sold] = {**catalogue.services, **catalogue.cohorts}
    services |= {**catalogue.texts, **catalogue.persons, **catalogue.traces, **catalogue.jobs}
    documents = read_documents(policies)
    classes = set(documents["limits"]["free_tariff_classes"])
    scenarios = documents["scenarios"]
    return Agreed(
        tariffs={name: service.tariff for name, service in services.items()},
        terms=read_terms(terms or policies),
        titles={name: {"zh": s.title.zh, "en": s.title.en} for name, s in services.items()},
        free_scenarios=frozenset(
            name for name, told in scenarios.items() if told["tariff"]["class"] in classes
        ),
        free_for={name: frozenset(service.free_for) for name, service in services.items()},
    )
