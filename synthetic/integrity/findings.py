"""What each rule found, per table, month and feeder: how many records it looked at, how many broke
it, and the money on those (SPEC §9.1).

Made of `delivered` and `broken` on the connection, which `counting.count` leaves there, and of
`feeder_of`, which says under which name institutions are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from synthetic.integrity.counting import month_label
from synthetic.integrity.engine import missing_part
from synthetic.integrity.model import Check, Rule, Severity
from synthetic.integrity.placing import DELIVERED, PLACES, Connection
from synthetic.integrity.rules import RULE, RULES


@dataclass(frozen=True)
class Finding:
    """One rule in one table, month and feeder; period and feeder are empty where records have
    none."""

    rule: str
    table: str
    period: str
    region: str
    feeder: str
    checked: int
    failed: int
    amount_affected: Decimal

    @property
    def rate(self) -> float:
        """The part of the records looked at that break the rule."""
        return self.failed / self.checked if self.checked else 0.0

    @property
    def severity(self) -> Severity:
        """What the rule does when it fails."""
        return RULE[self.rule].severity

    def as_dict(self) -> dict[str, object]:
        """The finding for machines: no record's key is in it."""
        return {
            "rule": self.rule,
            "table": self.table,
            "period": self.period,
            "region": self.region,
            "feeder": self.feeder,
            "checked": self.checked,
            "failed": self.failed,
            "rate": round(self.rate, 6),
            "amount_affected": str(self.amount_affected),
            "severity": self.severity.value,
        }


def find(connection: Connection, rows: Mapping[str, int], rules: Sequence[Rule] = RULES) -> None:
    """Make the table `finding`; rules that could not be checked have no rows in it."""
    connection.execute(
        "CREATE TEMP TABLE looked (rule VARCHAR, record VARCHAR, month TIMESTAMP, feeder VARCHAR,"
        " checked BIGINT)"
    )
    for rule in rules:
        for record, checks in _by_record(connection, rule, rows):
            _look(connection, rule.id, record, checks)
    connection.execute(
        "CREATE TEMP TABLE finding AS SELECT l.rule, l.record, l.month, l.feeder,"
        " r.region, l.checked, coalesce(b.failed, 0) AS failed,"
        " coalesce(b.amount, 0)::DECIMAL(18,2) AS amount"
        " FROM looked AS l LEFT JOIN (SELECT rule, record, month, feeder, count(*) AS failed,"
        "   sum(amount) AS amount FROM broken GROUP BY ALL) AS b"
        " ON b.rule = l.rule AND b.record = l.record AND b.month IS NOT DISTINCT FROM l.month"
        "  AND b.feeder IS NOT DISTINCT FROM l.feeder"
        " LEFT JOIN (SELECT DISTINCT feeder, region FROM feeder_of) AS r ON r.feeder = l.feeder"
    )


def read_findings(connection: Connection, *, failed_only: bool = True) -> tuple[Finding, ...]:
    """The findings in a fixed order; those without a failure only if asked for."""
    rows = connection.execute(
        "SELECT rule, record, month, coalesce(region, ''), coalesce(feeder, ''), checked, failed,"
        f" amount FROM finding{' WHERE failed > 0' if failed_only else ''}"
        " ORDER BY month NULLS FIRST, feeder NULLS FIRST, record, rule"
    ).fetchall()
    return tuple(
        Finding(rule, record, month_label(month), region, feeder, checked, failed, amount)
        for rule, record, month, region, feeder, checked, failed, amount in rows
    )


def _by_record(
    connection: Connection, rule: Rule, rows: Mapping[str, int]
) -> Iterator[tuple[str, list[Check]]]:
    """The checks of a rule that could be run, by the table whose records they name."""
    found: dict[str, list[Check]] = {}
    for check in rule.checks:
        if missing_part(connection, check, dict(rows)) is None:
            found.setdefault(check.record, []).append(check)
    yield from found.items()


def _look(connection: Connection, rule: str, record: str, checks: Sequence[Check]) -> None:
    """Count the records that at least one of the checks looks at."""
    some = [check.looks_at for check in checks]
    own = PLACES[record].relation(record)
    if not all(some) and record in DELIVERED:
        counted = (  # its feeders have the names they are shown under
            "SELECT month, feeder, sum(records) AS n FROM delivered"
            f" WHERE record = '{record}' GROUP BY 1, 2"
        )
    else:
        looked = (
            ""
            if not all(some)
            else (
                f" JOIN (SELECT DISTINCT token FROM ({' UNION ALL '.join(some)})) AS x"
                " ON x.token = p.token"
            )
        )
        counted = (
            f"SELECT p.month, o.feeder, count(*) AS n FROM ({own}) AS p{looked}"
            " LEFT JOIN feeder_of AS o ON o.institution = p.feeder GROUP BY 1, 2"
        )
    connection.execute(f"INSERT INTO looked SELECT '{rule}', '{record}', x.* FROM ({counted}) AS x")
