"""What differs between two editions of the policy: rule files, and policy data value by value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from gateway.policy.documents import read_documents, read_rego

Leaf: TypeAlias = Any  # a JSON value of the policy data


@dataclass(frozen=True)
class Change:
    """One difference: a rule file, or a value at its path; None where there is none."""

    place: str
    before: str | None
    after: str | None

    @property
    def kind(self) -> str:
        if self.before is None:
            return "new"
        return "gone" if self.after is None else "changed"


def changes(before: Path, after: Path) -> Iterator[Change]:
    """Every difference between two policies folders, rules first, each in order of its place."""
    yield from _differences(read_rego(before), read_rego(after), "rule ", whole=False)
    old, new = dict(_leaves(read_documents(before))), dict(_leaves(read_documents(after)))
    yield from _differences(old, new, "data.", whole=True)


def _differences(
    old: Mapping[str, str], new: Mapping[str, str], prefix: str, *, whole: bool
) -> Iterator[Change]:
    for place in sorted({*old, *new}):
        was, becomes = old.get(place), new.get(place)
        if was != becomes:
            yield Change(
                prefix + place,
                was if whole or was is None else _lines(was),
                becomes if whole or becomes is None else _lines(becomes),
            )


def _lines(text: str) -> str:
    return f"{len(text.splitlines())} lines"


def _leaves(value: Leaf, path: str = "") -> Iterator[tuple[str, str]]:
    """Every value that is no object, by its dotted path; a list is one value."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
