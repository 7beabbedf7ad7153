"""S24's `peers.sql` on invented units: rates by institution, each person counted at one of them."""

from __future__ import annotations

from pathlib import Path

import duckdb

PEERS = Path(__file__).parents[2] / "policies/catalogue/S24/peers.sql"
UNITS = """
    ('A', 'F01', 'S', '1', 'p1', 'yes', 1), ('A', 'F01', 'S', '1', 'p1', 'no', 3),
    ('A', 'F01', 'S', '1', 'p2', 'no', 4), ('B', 'F01', 'S', '1', 'p1', 'no', 2),
    ('B', 'F01', 'S', '1', 'p3', 'yes', 2), ('B', 'F02', 'S', '1', 'p1', 'no', 5),
    ('C', 'F01', 'N', '1', 'p1', 'yes', 1), ('D', 'F01', 'N', '2', 'p1', 'no', 0),
    ('E', 'F01', 'N', '2', 'p1', 'no', 7)
"""


def test_rates_are_of_units_and_a_person_counts_once_in_a_group() -> None:
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE fact_unit AS SELECT '2024-03' AS period_m, * FROM (VALUES"
            f"{UNITS}) AS u(fixmedins_code, indicator14, hosp_lv4, fixmedins_type,"
            " psn_no, hit, checked)"
        )
        rows = con.sql(
            "SELECT fixmedins_code, peer_group, indicator14, checked, hits_1000, own_persons, units"
            f" FROM ({PEERS.read_text(encoding='utf-8')}) ORDER BY 1, 3"
        ).fetchall()
    assert [(*row[:3], *map(float, row[3:])) for row in rows] == [
        ("A", "S-1", "F01", 8, 125, 2, 8),
        ("B", "S-1", "F01", 4, 500, 1, 4),  # p1 is A's already
        ("B", "S-1", "F02", 5, 0, 1, 5),
        ("C", "N-1", "F01", 1, 1000, 1, 1),
        # D checked nothing and is nobody's peer, but p1 came to it first: fewer, never more
        ("E", "N-2", "F01", 7, 0, 0, 7),
    ]
