"""Which places several journals charged some cells of both: where something may be given back.

Most places that several processes charge are charged for different cells. So bits are counted for
whole columns first, and only places with fewer cells than charges are looked at event by event.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from gateway.journal.bits import charged_again

_CROSSED = """
CREATE OR REPLACE TEMP TABLE crossed AS
SELECT tenant, release, place FROM ({charged})
WHERE release IN (SELECT DISTINCT release FROM month_charged)
GROUP BY ALL HAVING min(journal) <> max(also)
"""
_BITS = """
SELECT hash(tenant, release, place) AS place, cells, times
FROM ({charged}) SEMI JOIN crossed USING (tenant, release, place) ORDER BY 1
"""
_KEEP = """
DELETE FROM crossed WHERE hash(tenant, release, place) NOT IN (SELECT place FROM overlapping)
"""


def note_crossed(db: duckdb.DuckDBPyConnection, charged: str) -> bool:
    """Fill the table `crossed` (tenant, release, place) by all that was `charged`; whether there is
    anything in it."""
    db.execute(_CROSSED.format(charged=charged))
    if not db.execute("SELECT 1 FROM crossed LIMIT 1").fetchall():
        return False
    found = [each for part in charged_again(db, _BITS.format(charged=charged)) for each in part]
    db.register("overlapping", pa.table({"place": pa.array(found, pa.uint64())}))
    db.execute(_KEEP)
    return bool(found)
