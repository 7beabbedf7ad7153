"""What every kind of measure tells the rest about itself, so that nothing asks which kind it is."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

from gateway.catalogue.frozen import Frozen


class Part(NamedTuple):
    """Another measure a figure is made of, read in the cell with the dims `over` rolled up."""

    measure: str
    over: tuple[str, ...] = ()


class Kind(Frozen):
    """How a figure comes about. One file per kind here, one in `gateway/releases/kinds/`.

    A kind is data of the contract: what it reads, and how it is told to people. What it does with
    that is the evaluator's.
    """

    kind: str

    @property
    def source(self) -> str | None:
        """The fact it reads; None where it is made of other measures alone."""
        return None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The measures it is made of."""
        return ()

    @property
    def sums(self) -> tuple[str, ...]:
        """Columns of its fact that are added up in each cell."""
        return ()

    @property
    def records(self) -> tuple[str, ...]:
        """Columns of its fact that are read record by record; never of a sum."""
        return ()

    @property
    def adds_up(self) -> bool:
        """Whether it is zero, not unknown, in a cell that nothing can be in."""
        return False

    @property
    def late(self) -> bool:
        """Whether it can only be worked out once all periods are together."""
        return False

    @property
    def takes_late(self) -> bool:
        """Whether its parts may be late, so that it is worked out after them, row by row."""
        return self.late

    @property
    def of_insured(self) -> bool:
        """Whether it makes sense of the `exposure` fact, which knows people, no events."""
        return False

    @property
    def needs(self) -> tuple[str, ...]:
        """The dims every cell that has it must name: for what adds up over none of them."""
        return ()

    @abstractmethod
    def phrase(self) -> str:
        """How the figure is computed, for the reference page."""


class OfRecords(Kind):
    """A figure of a per-record column of one fact."""

    fact: str
    column: str

    @property
    def source(self) -> str:
        return self.fact

    @property
    def records(self) -> tuple[str, ...]:
        return (self.column,)
