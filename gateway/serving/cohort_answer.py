"""What is told of a counted cohort: bands, never counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from gateway.catalogue.cohort import CohortContract
from gateway.cohorts.bands import Rules, quartiles
from gateway.cohorts.evaluate import Counted
from gateway.cohorts.guard import Told
from gateway.cohorts.question import CohortQuestion

_INDEX = "index"
_WITHHELD: dict[str, object] = {"value": None, "flag": "c"}
_QUARTILES = ("p25", "p50", "p75")
_NO_MONTHS: dict[str, object] = {name: {"value": None, "flag": "s"} for name in _QUARTILES}


@dataclass(frozen=True)
class Sizes:
    """How many persons each cohort of a question has: as counted, or with noise."""

    steps: tuple[int, ...]
    years: tuple[int, ...]
    noised: bool = False

    @classmethod
    def of(cls, counted: Counted) -> Sizes:
        """As counted."""
        steps, years = (tuple(len(c.members) for c in of) for of in (counted.steps, counted.years))
        return cls(steps, years)


@dataclass(frozen=True)
class Answered:
    """An answer before it is rendered: figures with flags, as cells of other services have."""

    persons: dict[str, object]
    steps: tuple[dict[str, object], ...]
    index_years: tuple[dict[str, object], ...]
    follow_up: dict[str, object]

    @classmethod
    def of(
        cls,
        question: CohortQuestion,
        counted: Counted,
        told: Told,
        rules: Rules,
        contract: CohortContract,
        *,
        sizes: Sizes,
    ) -> Answered:
        """The answer to a question, as far as it may be told."""
        last = len(sizes.steps) - 1
        shown = {*told.steps, last}
        kinds = [_INDEX, *(each.kind for each in question.criteria)]
        steps = tuple(
            {
                "step": number,
                "kind": kind,
                "persons": _band(rules, size) if number in shown else _WITHHELD,
            }
            for number, (kind, size) in enumerate(zip(kinds, sizes.steps, strict=True))
        )
        final = _band(rules, sizes.steps[-1])
        # The quartiles have no noise: where counts have, they are not told.
        months = _NO_MONTHS if sizes.noised else _months(counted, contract)
        return cls(final, steps, _years(question, sizes, told, rules), months)

    @property
    def withheld(self) -> int:
        """How many figures are not told."""
        figures = [one["persons"] for one in (*self.steps, *self.index_years)]
        return sum(figure == _WITHHELD for figure in figures)


def _band(rules: Rules, number: int) -> dict[str, object]:
    return {"value": rules.bands.tell(number), "flag": "r"}


def _years(
    question: CohortQuestion, sizes: Sizes, told: Told, rules: Rules
) -> tuple[dict[str, object], ...]:
    """The members by calendar year of entry; all years are withheld where their bands together
    would tell one of them more closely than a band does."""
    bands = [
        rules.bands.tell(size) if number in told.years else None
        for number, size in enumerate(sizes.years)
    ]
    if not sizes.noised and rules.narrowed(rules.bands.tell(sizes.steps[-1]), bands):
        bands = [None] * len(bands)
    return tuple(
        {
            "index_year": year,
            "persons": _WITHHELD if band is None else {"value": band, "flag": "r"},
        }
        for year, band in zip(question.period.years, bands, strict=True)
    )


def _months(counted: Counted, contract: CohortContract) -> dict[str, object]:
    if len(counted.follow_up) < contract.quartiles_from:
        return _NO_MONTHS
    found = quartiles(counted.follow_up)
    return {name: {"value": found[name], "flag": "r"} for name in _QUARTILES}


def render(answered: Answered, meta: Mapping[str, object]) -> bytes:
    """The body of the answer."""
    data = {
        "persons": answered.persons,
        "steps": answered.steps,
        "index_years": answered.index_years,
        "follow_up_months": answered.follow_up,
    }
    return orjson.dumps({"data": data, "meta": meta})
