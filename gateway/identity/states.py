"""What every state machine of the directory shares: a table of allowed changes, and its refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from gateway.errors import OperatorError

Transitions: TypeAlias = Mapping[str, frozenset[str]]
"""State -> states it may become; every state is a key."""


def allow(table: Transitions, before: str, after: str, what: str, *, staying: bool = False) -> None:
    """Refuse a change of state that its table does not have; `staying` where it is may be meant."""
    if after not in table.get(before, frozenset()) and not (staying and before == after):
        raise OperatorError("state.not_allowed", f"{what} is {before} and cannot become {after}.")


def diagram(table: Transitions, first: str) -> str:
    """The table as a Mermaid state diagram; `first` is the state things begin in."""
    lines = ["stateDiagram-v2", f"    [*] --> {first}"]
    for before, reached in table.items():
        lines += [f"    {before} --> {after}" for after in sorted(reached)]
        if not reached:
            lines.append(f"    {before} --> [*]")
    return "\n".join(lines)
