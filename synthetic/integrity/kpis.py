"""The four figures per table, month and feeder, and why one fails (SPEC §9.1).

Completeness is the lower of mandatory fields filled and settlements received of those the
institution reported; accuracy the larger difference from its reported fee and fund totals. For all
feeders together the fund's ledger is a third, and of them and of cities the part of the quarter's
audited sample that was coded otherwise. What nothing measures is null and has not failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from synthetic.integrity.counting import REAL_TIME, month_label
from synthetic.integrity.placing import DELIVERED, Connection
from synthetic.integrity.told import Told, audited_errors

Name: TypeAlias = Literal["completeness", "consistency", "timeliness", "accuracy"]
NAMES: Final[tuple[Name, ...]] = ("completeness", "consistency", "timeliness", "accuracy")
LIMIT: Final[Mapping[Name, float]] = MappingProxyType(
    {"completeness": 0.98, "consistency": 0.96, "timeliness": 10.0, "accuracy": 0.005}
)
"""At least this part, or at most these minutes and this difference."""
ALL: Final = ""
"""The table or feeder that stands for all of them."""


def fails(name: Name, value: float | None) -> bool:
    """Whether a figure misses its limit."""
    if value is None:
        return False
    least = name in ("completeness", "consistency")
    return value < LIMIT[name] if least else value > LIMIT[name]


@dataclass(frozen=True)
class Kpi:
    """The figures of one table, month and feeder; timeliness in minutes, batches in hours."""

    table: str
    period: str
    region: str
    feeder: str
    records: int
    fields: float | None
    received: float | None
    consistency: float | None
    timeliness: float | None
    batch_hours: float | None
    accuracy: float | None

    @property
    def completeness(self) -> float | None:
        """The lower of fields filled and records received."""
        return min((x for x in (self.fields, self.received) if x is not None), default=None)

    def value(self, name: Name) -> float | None:
        """One of the four."""
        found: float | None = getattr(self, name)
        return found

    @property
    def failed(self) -> tuple[Name, ...]:
        """Which of the four miss their limits."""
        return tuple(name for name in NAMES if fails(name, self.value(name)))

    def as_dict(self) -> dict[str, object]:
        """The figures for machines."""
        figures: dict[str, object] = {name: _rounded(self.value(name)) for name in NAMES}
        return {
            "table": self.table,
            "period": self.period,
            "region": self.region,
            "feeder": self.feeder,
            "records": self.records,
            **figures,
            "fields": _rounded(self.fields),
            "received": _rounded(self.received),
            "batch_hours": _rounded(self.batch_hours),
            "failed": list(self.failed),
        }


def measure_kpis(
    connection: Connection, rows: Mapping[str, int], told: Iterable[Told] = ()
) -> None:
    """Make the table `kpi`: every table, month and feeder, and all of them together."""
    _violating(connection)
    _arrivals(connection)
    compare_totals(connection, rows)
    _audited(connection, told)
    connection.execute(_KPI)


def compare_totals(connection: Connection, rows: Mapping[str, int]) -> None:
    """Make the tables `reported` and `booked`: settlements beside 3201 totals and the ledger."""
    _reported(connection, rows)
    _ledger(connection, rows)


def read_kpis(connection: Connection) -> tuple[Kpi, ...]:
    """The figures in a fixed order."""
    rows = connection.execute(
        "SELECT record, month, coalesce(r.region, ''), k.feeder, records, fields, received,"
        " consistency, timeliness, batch_hours, accuracy"
        " FROM kpi AS k LEFT JOIN (SELECT DISTINCT feeder, region FROM feeder_of) AS r"
        " ON r.feeder = k.feeder"
        " WHERE month IS NOT NULL ORDER BY month, k.feeder, record"
    ).fetchall()
    return tuple(
        Kpi(record, month_label(month), region, feeder, int(records), *map(_number, figures))
        for record, month, region, feeder, records, *figures in rows
    )


def _violating(connection: Connection) -> None:
    known = ", ".join(f"'{name}'" for name in DELIVERED)
    connection.execute(
        "CREATE TEMP TABLE violating AS SELECT record, month, feeder, count(*) AS n FROM"
        f" (SELECT DISTINCT record, token, month, feeder FROM broken WHERE record IN ({known}))"
        " GROUP BY 1, 2, 3"
    )


def _arrivals(connection: Connection) -> None:
    """P95 of minutes where settled in real time; of hours where sent in batches or by hand."""
    connection.execute(
        "CREATE TEMP TABLE arrival AS SELECT date_trunc('month', setl_time) AS month,"
        " coalesce(o.feeder, '') AS feeder,"
        f" quantile_disc(late / 60.0, 0.95) FILTER ({REAL_TIME}) AS timeliness,"
        f" quantile_disc(late / 3600.0, 0.95) FILTER (NOT ({REAL_TIME})) AS batch_hours"
        " FROM (SELECT *, date_diff('second', setl_time, crte_time) AS late FROM setl_d) AS s"
        " JOIN feeder_of AS o ON o.institution = s.fixmedins_code"
        " GROUP BY GROUPING SETS ((1, o.feeder), (1))"
    )


def _reported(connection: Connection, rows: Mapping[str, int]) -> None:
    """What institutions said they settled, beside what arrived; a settlement sent twice is one."""
    connection.execute(
        "CREATE TEMP TABLE arrived AS SELECT date_trunc('month', setl_time) AS month,"
        " fixmedins_code AS feeder, count(DISTINCT coalesce(medins_setl_id, setl_id)) AS n,"
        " sum(medfee_sumamt) AS fee, sum(fund_pay_sumamt) AS fund FROM setl_d GROUP BY 1, 2"
    )
    said = (
        "SELECT strptime(ym, '%Y%m') AS month, fixmedins_code AS feeder, stmt_cnt AS n,"
        " medfee_sumamt AS fee, fund_pay_sumamt AS fund FROM recon_3201_d"
        if rows.get("recon_3201_d")
        else "SELECT month, feeder, n, fee, fund FROM arrived WHERE false"
    )
    connection.execute(
        "CREATE TEMP TABLE reported AS"
        " SELECT s.month, coalesce(o.feeder, '') AS feeder,"
        " sum(s.n) AS said, sum(least(s.n, coalesce(a.n, 0))) AS came,"
        " sum(s.fee) AS fee_said, sum(coalesce(a.fee, 0)) AS fee_came,"
        " sum(s.fund) AS fund_said, sum(coalesce(a.fund, 0)) AS fund_came"
        f" FROM ({said}) AS s LEFT JOIN arrived AS a ON a.month = s.month AND a.feeder = s.feeder"
        " JOIN feeder_of AS o ON o.institution = s.feeder"
        " GROUP BY GROUPING SETS ((1, o.feeder), (1))"
    )


def _ledger(connection: Connection, rows: Mapping[str, int]) -> None:
    """The fund's ledger of benefits beside the settlements' fund payments, all feeders together."""
    booked = (
        "SELECT strptime(ym, '%Y%m') AS month, sum(amt) AS booked FROM fund_flow_m"
        " WHERE flow LIKE 'benefit%' AND fund_type <> 'account' GROUP BY 1"
        if rows.get("fund_flow_m")
        else "SELECT month, fund AS booked FROM arrived WHERE false"
    )
    connection.execute(
        "CREATE TEMP TABLE booked AS SELECT b.month, b.booked, coalesce(a.fund, 0) AS came"
        f" FROM ({booked}) AS b LEFT JOIN"
        " (SELECT month, sum(fund) AS fund FROM arrived GROUP BY 1) AS a ON a.month = b.month"
    )


def _audited(connection: Connection, told: Iterable[Told]) -> None:
    """What audited samples found wrong: by quarter, of all feeders and where cities are shown."""
    connection.execute("CREATE TEMP TABLE audited (quarter VARCHAR, feeder VARCHAR, error DOUBLE)")
    for (quarter, city), error in audited_errors(told).items():
        connection.execute("INSERT INTO audited VALUES (?, ?, ?)", [quarter, city, error])


_APART = "abs({0} - {1})::DOUBLE / nullif(abs({1}), 0)::DOUBLE"
_KPI = f"""
CREATE TEMP TABLE kpi AS
WITH together AS (
  SELECT coalesce(d.record, '') AS record, d.month, coalesce(d.feeder, '') AS feeder,
    sum(d.records) AS records, sum(d.expected) AS expected, sum(d.missing) AS missing,
    sum(coalesce(v.n, 0)) AS violating
  FROM delivered AS d LEFT JOIN violating AS v
    ON v.record = d.record AND v.month = d.month AND v.feeder = d.feeder
  GROUP BY GROUPING SETS ((d.month, d.record, d.feeder), (d.month, d.record),
    (d.month, d.feeder), (d.month)))
SELECT t.record, t.month, t.feeder, t.records, t.expected, t.missing, t.violating,
  1 - t.missing::DOUBLE / nullif(t.expected, 0) AS fields,
  r.came::DOUBLE / nullif(r.said, 0) AS received,
  1 - t.violating::DOUBLE / nullif(t.records, 0) AS consistency,
  a.timeliness, a.batch_hours,
  greatest({_APART.format("r.fee_came", "r.fee_said")},
    {_APART.format("r.fund_came", "r.fund_said")},
    CASE WHEN t.feeder = '' THEN {_APART.format("b.came", "b.booked")} END, u.error) AS accuracy,
  r.said, r.came, r.fee_said, r.fee_came
FROM together AS t
LEFT JOIN reported AS r ON t.record IN ('', 'setl_d') AND r.month = t.month AND r.feeder = t.feeder
LEFT JOIN arrival AS a ON t.record IN ('', 'setl_d') AND a.month = t.month AND a.feeder = t.feeder
LEFT JOIN booked AS b ON t.record IN ('', 'setl_d') AND b.month = t.month
LEFT JOIN audited AS u ON t.record IN ('', 'setl_d') AND u.feeder = t.feeder
  AND u.quarter = concat(year(t.month), 'Q', quarter(t.month))"""


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
