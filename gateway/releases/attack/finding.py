"""What the attack found, and the arithmetic by which anybody can repeat it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Rule = Literal[
    "few_persons", "narrow_interval", "amount_known", "insider",
    "subtraction", "figures_differ", "shown_elsewhere", "revision",
]  # fmt: skip


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Known(_Frozen):
    """A published figure that the derivation uses: what it says, and what that means."""

    cell: str
    measure: str
    value: float
    low: float
    high: float


class Step(_Frozen):
    """One equation of the derivation: `left` = or ≤ Σ `right`, by the law `why`."""

    left: tuple[str, ...]
    relation: Literal["=", "<="]
    right: tuple[str, ...]
    why: str


class Finding(_Frozen):
    """One thing that an outsider can say and must not be able to say.

    `low` and `high` bound what `cells` hold together; `figures` and `steps` are all it takes.
    What is not `exact` was bounded by propagation alone: the true bounds may be closer.
    """

    rule: Rule
    season: str
    cells: tuple[str, ...]
    measure: str
    low: float | None
    high: float | None
    sentence: str
    figures: tuple[Known, ...]
    steps: tuple[Step, ...] = ()
    exact: bool = True


class Part(_Frozen):
    """One system that was attacked: which measures of which services in one season.

    Of the `hidden` cells, `bounded` were bounded by propagation alone, which gives no wrong
    interval and may miss a narrow one; `not_examined` not at all; the rest exactly, by programmes.
    """

    season: str
    measures: tuple[str, ...]
    cells: int
    hidden: int
    equations: int
    components: int
    filled: int
    programmes: int
    seconds: float
    not_examined: int
    why_not: str = ""
    bounded: int = 0
    why_bounded: str = ""


class AttackReport(_Frozen):
    """The whole attack on what was published. `findings` break a rule and stop a publication;
    `insiders` are pairs that a monopolist in the one could use against the other: a reader outside
    cannot know whether there is one, so they are told and stop nothing. `not_begun`: what the time
    granted did not reach at all; of what it reached, `parts` count the cells left out."""

    releases: tuple[str, ...]
    parts: tuple[Part, ...]
    findings: tuple[Finding, ...]
    insiders: tuple[Finding, ...]
    seconds: float
    peak_mb: int
    not_begun: tuple[str, ...] = ()

    @property
    def not_examined(self) -> int:
        return sum(part.not_examined for part in self.parts)

    @property
    def bounded(self) -> int:
        return sum(part.bounded for part in self.parts)

    @property
    def left_out(self) -> str:
        """In words, what was not attacked exactly; empty if all was."""
        words = (
            f"{self.bounded} cells bounded by propagation alone" if self.bounded else "",
            f"{self.not_examined} cells not examined" if self.not_examined else "",
            f"{len(self.not_begun)} systems not begun" if self.not_begun else "",
        )
        return ", ".join(filter(None, words))

    @property
    def ok(self) -> bool:
        return not self.findings
