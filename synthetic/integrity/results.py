"""The results of all rules and the four figures as one small table, by month, city and table.

It holds counts and sums alone: no record, no person, no institution. Releases of the quality report
are made of it. A row tells of a rule, of one of the four figures, or of a further figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synthetic.integrity.appraisal import benched, tabulate
from synthetic.integrity.counting import IN_TIME_MINUTES, REAL_TIME
from synthetic.integrity.engine import MEMORY
from synthetic.integrity.merging import by_city
from synthetic.integrity.placing import Connection
from synthetic.integrity.told import Told

TABLE = "dq_rslt_m"
_EMPTY = """
CREATE TEMP TABLE result (period_m VARCHAR, geo_county VARCHAR, dq_table VARCHAR, rule VARCHAR,
  kpi4 VARCHAR, further9 VARCHAR, checked BIGINT, failed BIGINT, amount DECIMAL(18,2),
  whole BIGINT, good BIGINT)"""
_MONTH = "strftime({0}.month, '%Y-%m')"
_RULES = f"""
INSERT INTO result SELECT {_MONTH.format("f")}, f.feeder, f.record, f.rule, NULL, NULL,
  sum(f.checked), sum(f.failed), sum(f.amount), NULL, NULL
FROM finding AS f WHERE f.month IS NOT NULL AND f.feeder IS NOT NULL GROUP BY ALL"""
# The lower part of fields and records, of the fields; the larger difference, of the fen reported.
_FIGURES = f"""
INSERT INTO result
WITH own AS (SELECT * FROM kpi WHERE record <> '' AND feeder <> '' AND month IS NOT NULL)
SELECT {_MONTH.format("o")}, o.feeder, o.record, NULL, 'completeness', NULL, NULL, NULL, NULL,
  o.expected, round(o.expected * least(o.fields, coalesce(o.received, 1)))
FROM own AS o WHERE o.expected > 0
UNION ALL
SELECT {_MONTH.format("o")}, o.feeder, o.record, NULL, 'consistency', NULL, NULL, NULL, NULL,
  o.records, o.records - o.violating
FROM own AS o WHERE o.records > 0
UNION ALL
SELECT {_MONTH.format("o")}, o.feeder, o.record, NULL, 'accuracy', NULL, NULL, NULL, NULL,
  round(o.fee_said * 100), round(o.fee_said * 100 * greatest(0, 1 - o.accuracy))
FROM own AS o WHERE o.accuracy IS NOT NULL AND o.fee_said > 0"""
_ARRIVALS = f"""
INSERT INTO result SELECT strftime(setl_time, '%Y-%m'), o.feeder, 'setl_d', NULL, 'timeliness',
  NULL, NULL, NULL, NULL, count(*),
  count_if(date_diff('second', setl_time, crte_time) <= {60 * IN_TIME_MINUTES})
FROM setl_d AS s JOIN feeder_of AS o ON o.institution = s.fixmedins_code
WHERE {REAL_TIME} GROUP BY 1, 2"""

_FURTHER = f"""
INSERT INTO result SELECT {_MONTH.format("f")}, f.feeder, NULL, NULL, NULL, f.name,
  NULL, NULL, NULL, sum(f.whole), sum(f.counted)
FROM further AS f WHERE f.feeder <> '' AND f.month IS NOT NULL AND f.whole > 0 GROUP BY ALL"""


def write_results(
    warehouse: Path,
    path: Path,
    told: Sequence[Told] = (),
    memory: str = MEMORY,
    threads: int = 2,
) -> None:
    """Write the table of a warehouse as Parquet; the same warehouse gives the same bytes."""
    with benched(warehouse, memory, threads) as bench:
        connection = bench.connection
        connection.execute(_EMPTY)
        if bench.ledger is not None:
            tabulate(bench, by_city, told)
            for statement in (_RULES, _FIGURES, _ARRIVALS, _FURTHER):
                connection.execute(statement)
        _write(connection, path)


def _write(connection: Connection, path: Path) -> None:
    escaped = str(path).replace("'", "''")
    connection.execute(
        "COPY (SELECT * FROM result ORDER BY ALL) TO"
        f" '{escaped}' (FORMAT parquet, COMPRESSION zstd)"
    )
