"""Which words of a decision may be kept for people: those of the policy, never those of a question.

An edition in shadow has been approved by nobody, and sees live questions. Rules that copied them
into an obligation would have them kept where officers read. So a value is shown only if it is a
small figure, yes or no, or stands where such values stand in the editions' own documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gateway.policy.bundle import Edition

# Words and figures by the obligation they belong to.
Known: TypeAlias = Mapping[str, frozenset[Any]]

MOST_NEW = 50
"""Of an obligation's words, how many the shadow may add: a list of all places is no vocabulary."""
_SMALL = 10_000
_CODES = re.compile(r'^deny contains "(D\d{3})"', re.MULTILINE | re.ASCII)
_ALWAYS: Known = {"columns": frozenset({"none", "suppress"}), "tariff": frozenset({"free"})}
_PLACES: Mapping[str, tuple[str, ...]] = {
    "profile": ("sdc_profiles", "scenarios.*.sdc"),
    "columns": ("services.*.columns", "masks", "ranks.level"),
    "quota": ("limits.quota_default", "limits.counted_quotas", "scenarios.*.quota"),
    "watermark": ("scenarios.*.egress.watermark",),
    "log_level": ("scenarios.*.audit.log",),
    "tariff": ("services.*.tariff", "limits.revenue_caps_fen"),
}


@dataclass(frozen=True)
class Words:
    """What may be shown of codes, and of each obligation."""

    codes: frozenset[str] = frozenset()
    known: Known = field(default_factory=dict)

    def code(self, code: str) -> str:
        """A code of the rules as it is; another one only as being another."""
        return code if code in self.codes else "D???"

    def name(self, part: str, name: str) -> str:
        """The name of one thing in an obligation."""
        return f"{part}.{name if name in self._of(part) else '?'}"

    def shows(self, part: str, value: object) -> bool:
        """Whether a value says nothing but what the policy says."""
        if value is None or isinstance(value, bool):
            return True
        if isinstance(value, int) and abs(value) < _SMALL:
            return True
        if isinstance(value, Mapping):
            return all(self.shows(part, each) for pair in value.items() for each in pair)
        if isinstance(value, list | tuple):
            return all(self.shows(part, each) for each in value)
        return isinstance(value, str | int | float) and value in self._of(part)

    def _of(self, part: str) -> frozenset[Any]:
        return self.known.get(part, frozenset()) | _ALWAYS.get(part, frozenset())


def words_of(live: Edition, other: Edition) -> Words:
    """The words of the live edition, and the few that another one adds."""
    return Words(
        _joined(_codes(live), _codes(other)),
        {part: _joined(_known(live, part), _known(other, part)) for part in _PLACES},
    )


def _joined(known: frozenset[Any], other: frozenset[Any]) -> frozenset[Any]:
    new = other - known
    return known | new if len(new) <= MOST_NEW else known


def _codes(edition: Edition) -> frozenset[str]:
    return frozenset(code for text in edition.rego.values() for code in _CODES.findall(text))


def _known(edition: Edition, part: str) -> frozenset[Any]:
    return frozenset(
        leaf
        for place in _PLACES[part]
        for found in _at(edition.documents, place.split("."))
        for leaf in _leaves(found)
    )


def _at(node: Any, steps: list[str]) -> Iterator[Any]:  # a JSON tree, as all below
    """What stands at a path; `*` is every name. What an odd edition has otherwise is no word."""
    if not steps:
        yield node
    elif isinstance(node, Mapping):
        first, *rest = steps
        for child in node.values() if first == "*" else filter(None, [node.get(first)]):
            yield from _at(child, rest)


def _leaves(node: Any) -> Iterator[str | float]:
    if isinstance(node, Mapping):
        for name, child in node.items():
            yield name
            yield from _leaves(child)
    elif isinstance(node, list):
        for child in node:
            yield from _leaves(child)
    elif isinstance(node, str | int | float) and not isinstance(node, bool):
        yield node
