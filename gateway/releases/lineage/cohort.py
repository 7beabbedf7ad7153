"""Lineage of a service that counts cohorts: from its index to each part of an answer.

An answer counts persons by their events and their months of enrolment, so that what the index holds
of them is what each figure rests on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.catalogue.cohort import CohortContract, EventList, cohort_sql, cohort_views
from gateway.catalogue.kinds import Persons
from gateway.catalogue.model import Measure, Service, Text
from gateway.releases.engine.sql import Library
from gateway.releases.lineage.columns import Traced
from gateway.releases.lineage.figures import Lineage
from gateway.releases.lineage.reads import Act, Reads, together

FOLLOW_UP = "follow_up_months"
_MONTHS = Measure(
    name=FOLLOW_UP,
    title=Text(zh="随访月数四分位", en="Months of follow-up: quartiles"),
    item="C02-04",
    level="L2",
    unit="months",
    define=Persons(kind="persons", fact="index"),
)


def counting_service(contract: CohortContract) -> Service:
    """What it has in common with every service, with all that its answers tell."""
    service = contract.as_service()
    return service.model_copy(update={"measures": (*service.measures, _MONTHS)})


def cohort_lineage(root: Path, contract: CohortContract) -> Lineage:
    """What every part of its answers rests on; `root` holds the catalogue."""
    library = Library.of(cohort_views(root, contract))

    def traced(query: str) -> Traced:
        name = f"{contract.id}/{query}"
        return Traced(
            query.removesuffix(".sql"), library.expanded(name, cohort_sql(root, contract, query))
        )

    lists = {name: traced(one.query) for name, one in contract.lists.items()}
    return _Index(contract, traced(contract.persons), traced(contract.insured), lists).lineage()


@dataclass(frozen=True)
class _Index:
    """The queries of an index, traced."""

    contract: CohortContract
    persons: Traced
    insured: Traced
    lists: Mapping[str, Traced]

    def lineage(self) -> Lineage:
        counted = self._counted()
        return Lineage(
            {
                "period": self._events("day").at("period"),
                "geo": self._events("geo_city").at("geo"),
                "age10": self._events("age10").at("age10"),
                "gend": self.persons.column("gend").at("gend"),
                "index_year": self._events("day").at("index_year"),
                "enrolled": self._enrolled().at("enrolled"),
                **dict(self._codes()),
                "persons": counted.at("persons"),
                FOLLOW_UP: together((self._enrolled(), counted)).at(FOLLOW_UP),
            },
            counted.acting(Act.FILTER, "disclosure control"),
            (),
        )

    def _events(self, column: str) -> Reads:
        return together(one.column(column) for one in self.lists.values())

    def _enrolled(self) -> Reads:
        """Stretches of months: the months of each person, and which there are."""
        of = together(self.insured.column(one) for one in ("psn_no", "period_m"))
        return together((of.acting(Act.AGGREGATION), self.insured.rows))

    def _codes(self) -> Iterator[tuple[str, Reads]]:
        for name, one in self.contract.lists.items():
            yield name, self.lists[name].column("code").at(name)
            yield from self._above(name, one)

    def _above(self, name: str, events: EventList) -> Iterator[tuple[str, Reads]]:
        for above, coarser in events.above.items():
            found = (self.lists[name].column(column) for column in coarser.columns)
            yield above, together(found).at(above)

    def _counted(self) -> Reads:
        """Persons: who there is, and whatever a criterion may count them by."""
        yes = together(one.column("psn_no") for one in (self.persons, *self.lists.values()))
        asked = (
            self.persons.column("gend"),
            *(one.column(name) for one in self.lists.values() for name in one.names),
            *(self.insured.column(name) for name in self.insured.names),
        )
        rows = (one.rows for one in (self.persons, self.insured, *self.lists.values()))
        chosen = together(asked).acting(Act.FILTER, "criteria")
        return together((yes.acting(Act.AGGREGATION), chosen, *rows))
