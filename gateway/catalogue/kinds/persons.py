"""`persons`: distinct persons."""

from __future__ import annotations

from typing import Literal

from gateway.catalogue.kinds.base import Kind


class Persons(Kind):
    """Distinct persons with at least one counting row in the fact.

    Of the fact `exposure` these are the insured persons of the cell, on the dims which that fact
    has: the same people who are counted against the exposure threshold.
    """

    kind: Literal["persons"]
    fact: str

    @property
    def insured(self) -> bool:
        """Whether it counts who is insured, not who was treated."""
        return self.fact == "exposure"

    @property
    def source(self) -> str:
        return self.fact

    @property
    def adds_up(self) -> bool:
        return True

    @property
    def of_insured(self) -> bool:
        return True

    def phrase(self) -> str:
        return "distinct persons, rounded as count"
