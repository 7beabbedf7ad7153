"""The meaning of row conditions said again in the plainest way: look at every row, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from gateway.policy.port import RowRule

Row = Mapping[str, Any]


@dataclass(frozen=True)
class World:
    """All rows of all tables, who is meant, and who is in which register."""

    rows: Mapping[str, list[Row]]
    bound: Mapping[str, tuple[str, ...]]
    registers: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def allowed(self, rules: Iterable[RowRule], table: str) -> list[Row]:
        """The rows of a table that meet every condition on it."""
        found: list[Row] = self.rows[table]
        for rule in [each for each in rules if each.column.split(".")[0] == table]:
            keys = self._keys(rules, rule) if rule.op == "among" else frozenset()
            found = [
                row for row in found if self._holds(rule, row[rule.column.split(".")[1]], keys)
            ]
        return found

    def _keys(self, rules: Iterable[RowRule], rule: RowRule) -> frozenset[Any]:
        table, column = str(rule.value).split(".")
        return frozenset(row[column] for row in self.allowed(rules, table))

    def _holds(self, rule: RowRule, value: Any, keys: frozenset[Any]) -> bool:
        match rule.op:
            case "among":
                return value in keys
            case "is":
                return value in self.bound[str(rule.value)]
            case "absent":
                return value not in self.registers[str(rule.value)]
            case _ if value is None:
                return rule.op in ("gt_or_null", "outside", "unlike")
            case _:
                return _COMPARES[rule.op](value, rule.value)


def _day(value: date | datetime) -> str:
    """A moment is on or after a day when its date is; the same with before."""
    return value.isoformat()[:10]


def _category_in(value: str, said: Iterable[tuple[str, str]]) -> bool:
    return any(low <= value[:3].upper() <= high for low, high in said)


_COMPARES: Mapping[str, Callable[[Any, Any], bool]] = {
    "in": lambda value, said: value in said,
    "ge": lambda value, said: _day(value) >= said,
    "lt": lambda value, said: _day(value) < said,
    "gt_or_null": lambda value, said: value > type(value).fromisoformat(said),
    "within": _category_in,
    "outside": lambda value, said: not _category_in(value, said),
    "unlike": lambda value, said: not any(value.startswith(each) for each in said),
}
