"""What would change: recorded questions put to the live rules and to a draft, answers compared.

Both are asked today, about today's directory, so that a difference is the draft's doing and nobody
else's. Differences are counted by what they are; a few decisions stand for each kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from gateway.policy.decision_log import Logged, read_event
from gateway.policy.port import Decision, Obligations, PolicyInput, PolicyUnavailable

EXAMPLES: Final = 5
MOST_KINDS: Final = 500
"""Kinds of change that are told apart; further ones are counted together."""

Codes: TypeAlias = tuple[str, ...]
Answer: TypeAlias = tuple[Codes, Obligations | None]
ScenarioOf: TypeAlias = Callable[[PolicyInput], str]


class Judge(Protocol):
    """Rules that answer one question."""

    def decide(self, question: PolicyInput) -> Decision:
        """Allow or refuse; raises `PolicyUnavailable` where there is no answer."""


@dataclass(frozen=True, order=True)
class Kind:
    """One kind of change. `was` and `becomes`: deny codes, `allowed`, or `no answer`; `differs`:
    the obligations that an allowed answer would carry otherwise."""

    scenario: str
    service: str
    was: Codes
    becomes: Codes
    differs: Codes = ()


@dataclass(frozen=True)
class Change:
    """One recorded question that would be answered otherwise."""

    decision_id: str
    time: str
    kind: Kind


@dataclass
class Group:
    """All changes of one kind: how many, and the decisions of the first ones."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, decision_id: str) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(decision_id)


@dataclass
class Tally:
    """The outcome of a replay; grows with the kinds of change, not with the questions."""

    unchanged: int = 0
    changed: int = 0
    drifted: int = 0  # today's answer is not the recorded one: the directory changed, or the rules
    skipped: Counter[str] = field(default_factory=Counter)  # by why they cannot be asked again
    groups: dict[Kind, Group] = field(default_factory=dict)

    @property
    def replayed(self) -> int:
        return self.unchanged + self.changed

    def add(self, change: Change | None) -> None:
        """Count a replay: a change under its kind, beyond the bound of kinds under none."""
        if change is None:
            self.unchanged += 1
            return
        self.changed += 1
        kind = change.kind
        if kind not in self.groups and len(self.groups) >= MOST_KINDS:
            kind = OTHER
        self.groups.setdefault(kind, Group()).add(change.decision_id)

    def ranked(self) -> list[tuple[Kind, Group]]:
        """Kinds with most changes first."""
        return sorted(self.groups.items(), key=lambda each: (-each[1].count, each[0]))


OTHER: Final = Kind("…", "…", ("further kinds",), ("further kinds",))
_ALLOWED: Final = ("allowed",)
_NO_ANSWER: Final = ("no answer",)


def replay(
    recorded: Iterable[str], live: Judge, draft: Judge, scenario_of: ScenarioOf, tally: Tally
) -> Iterator[Change | None]:
    """Ask both about each recorded decision; one item each, a change or None."""
    for body in recorded:
        logged = read_event(body)
        change = None
        if reason := _unfit(logged):
            tally.skipped[reason] += 1
        elif (question := _question(logged)) is None:
            tally.skipped["of another form than questions have today"] += 1
        else:
            before, after = _asked(live, question), _asked(draft, question)
            tally.drifted += before[0] != (_ALLOWED if logged.allow else logged.deny)
            if differs := _differing(before, after):
                kind = Kind(scenario_of(question), question.service, *differs)
                change = Change(logged.decision_id, logged.time or "", kind)
            tally.add(change)
        yield change


def _unfit(logged: Logged) -> str:
    if logged.input is None:
        return "refused before the rules were asked, or kept in short form"
    return "" if logged.whole else "parts of the question were erased"


def _question(logged: Logged) -> PolicyInput | None:
    try:
        return logged.question()
    except ValueError:
        return None


def _asked(judge: Judge, question: PolicyInput) -> Answer:
    try:
        decision = judge.decide(question)
    except PolicyUnavailable:
        return _NO_ANSWER, None
    return (_ALLOWED if decision.allow else decision.deny), decision.obligations


def _differing(before: Answer, after: Answer) -> tuple[Codes, Codes, Codes] | None:
    """Both answers and the names of the obligations that differ; None where nothing does."""
    (was, bound), (becomes, would_bind) = before, after
    names: Codes = ()
    if bound is not None and would_bind is not None:
        fields = bound.__dataclass_fields__
        names = tuple(name for name in fields if getattr(bound, name) != getattr(would_bind, name))
    return (was, becomes, names) if names or was != becomes else None
