"""The states of a consent and every change between them, as one table (SPEC §8.1).

There is no other transition. A suspended consent that is ended passes through AUTHORISED in the
same transaction, so that withdrawing stays possible while a dispute is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal[
    "DRAFT",
    "AWAITING_PERSON",
    "AUTHORISED",
    "REJECTED",
    "CONSUMED",
    "EXPIRED",
    "REVOKED",
    "SUSPENDED",
]
ActorKind: TypeAlias = Literal["receiver", "person", "guardian", "bureau", "system"]
ActName: TypeAlias = Literal[
    "submit", "authorise", "reject", "consume", "expire", "revoke", "suspend", "resume"
]

STATES: tuple[State, ...] = (
    "DRAFT",
    "AWAITING_PERSON",
    "AUTHORISED",
    "REJECTED",
    "CONSUMED",
    "EXPIRED",
    "REVOKED",
    "SUSPENDED",
)
FIRST: State = "DRAFT"
ENDED: frozenset[State] = frozenset({"REJECTED", "CONSUMED", "EXPIRED", "REVOKED"})


@dataclass(frozen=True, slots=True)
class Transition:
    """One allowed change, and who may make it."""

    act: ActName
    before: State
    after: State
    by: frozenset[ActorKind]


def _by(*kinds: ActorKind) -> frozenset[ActorKind]:
    return frozenset(kinds)


TRANSITIONS: tuple[Transition, ...] = (
    Transition("submit", "DRAFT", "AWAITING_PERSON", _by("receiver")),
    Transition("authorise", "AWAITING_PERSON", "AUTHORISED", _by("person", "guardian")),
    Transition(
        "reject", "AWAITING_PERSON", "REJECTED", _by("person", "guardian", "receiver", "system")
    ),
    Transition("consume", "AUTHORISED", "CONSUMED", _by("system")),
    Transition("expire", "AUTHORISED", "EXPIRED", _by("system")),
    Transition("revoke", "AUTHORISED", "REVOKED", _by("person", "guardian", "bureau", "receiver")),
    Transition("suspend", "AUTHORISED", "SUSPENDED", _by("bureau")),
    Transition("resume", "SUSPENDED", "AUTHORISED", _by("bureau", "system")),
)
_BY_ACT = {(each.act, each.before): each for each in TRANSITIONS}


def transition(act: ActName, before: State, kind: ActorKind) -> Transition | None:
    """The change this actor may make from this state, if the table has it."""
    found = _BY_ACT.get((act, before))
    return found if found and kind in found.by else None


def must_resume_first(act: ActName, before: State) -> bool:
    """Whether the act ends a suspended consent, so that it passes through AUTHORISED."""
    return before == "SUSPENDED" and act in ("revoke", "expire")


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {FIRST}: request (receiver)"]
    for each in TRANSITIONS:
        who = ", ".join(sorted(each.by))
        lines.append(f"    {each.before} --> {each.after}: {each.act} ({who})")
    lines += [f"    {state} --> [*]" for state in STATES if state in ENDED]
    return "\n".join(lines)
