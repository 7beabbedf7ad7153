"""What an integrity rule is, and what checking it tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum


class WarehouseUnreadable(Exception):
    """The folder is no warehouse: a file or column of the canonical schema is missing."""


class Severity(StrEnum):
    """What a failing rule does: stop a release, annotate it, or only inform."""

    BLOCK = "block"
    WARN = "warn"
    INFO = "info"


class Status(StrEnum):
    """The outcome of one rule; a rule that could not be checked is never `passed`."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True)
class Check:
    """One part of a rule: the records it looks at and the SQL of those that violate it.

    `failing` selects `token` (key of the record in table `record`) and `amount` (yuan affected);
    `looks_at` the tokens of the records looked at, where these are not all of the table.
    `columns` are needed columns of tables outside the canonical schema.
    """

    record: str
    needs: tuple[str, ...]
    failing: str
    looks_at: str = ""
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def checked_sql(self) -> str:
        """SQL of the number of records looked at."""
        return f"SELECT count(*) FROM ({self.looks_at or f'SELECT 1 FROM {self.record}'})"


@dataclass(frozen=True)
class Rule:
    """An integrity rule of the national data model."""

    id: str
    severity: Severity
    title_zh: str
    title_en: str
    checks: tuple[Check, ...]

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table the rule reads, in order of first use."""
        return tuple(dict.fromkeys(name for check in self.checks for name in check.needs))


@dataclass(frozen=True)
class RuleResult:
    """What one rule found. `sample` holds record keys and stays inside the raw zone."""

    rule: Rule
    status: Status
    checked: int
    failed: int
    amount_affected: Decimal
    reasons: tuple[str, ...]
    sample: tuple[str, ...]

    @property
    def blocks(self) -> bool:
        """Whether this result stops a release."""
        return self.status is Status.FAILED and self.rule.severity is Severity.BLOCK

    def as_dict(self) -> dict[str, object]:
        """The result for machines; amounts as strings."""
        return {
            "rule": self.rule.id,
            "severity": self.rule.severity.value,
            "title_zh": self.rule.title_zh,
            "title_en": self.rule.title_en,
            "tables": list(self.rule.tables),
            "status": self.status.value,
            "checked": self.checked,
            "failed": self.failed,
            "rate": self.failed / self.checked if self.checked else None,
            "amount_affected": str(self.amount_affected),
            "reasons": list(self.reasons),
            "sample_tokens": list(self.sample),
        }


@dataclass(frozen=True)
class CheckReport:
    """The results of every rule over one warehouse."""

    rows: Mapping[str, int]
    results: tuple[RuleResult, ...]

    @property
    def blocked_rules(self) -> tuple[str, ...]:
        """Ids of the failing rules that stop a release."""
        return tuple(result.rule.id for result in self.results if result.blocks)

    def result(self, rule_id: str) -> RuleResult:
        """The result of that rule; KeyError if there is none."""
        for result in self.results:
            if result.rule.id == rule_id:
                return result
        raise KeyError(rule_id)

    def as_dict(self) -> dict[str, object]:
        """The report for machines."""
        return {
            "ok": not self.blocked_rules,
            "blocked_rules": list(self.blocked_rules),
            "rows": dict(self.rows),
            "rules": [result.as_dict() for result in self.results],
        }
