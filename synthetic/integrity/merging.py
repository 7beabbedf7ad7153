"""Who is shown as a feeder: each institution, a city, or in public groups of five or more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from synthetic.integrity.placing import Connection

LEAST = 5
"""Institutions that a feeder of the public view has at least."""
OTHERS = "others"


Shown: TypeAlias = Callable[[Mapping[str, str]], dict[str, str]]
"""Under which name each institution is shown, given the region of each."""


def each(regions: Mapping[str, str]) -> dict[str, str]:
    """Every institution by itself."""
    return {name: name for name in regions}


def by_city(regions: Mapping[str, str]) -> dict[str, str]:
    """All institutions of a city as one; those of no known region as nobody's."""
    return {name: f"{region[:4]}00" for name, region in regions.items() if region}


def groups(regions: Mapping[str, str]) -> dict[str, str]:
    """The group of each institution: its region, or `others` where that has too few.

    When the others are too few themselves, the smallest region joins them.
    """
    sizes: dict[str, int] = {}
    for region in regions.values():
        sizes[region] = sizes.get(region, 0) + 1
    small = {region for region, size in sizes.items() if size < LEAST or not region}
    left = sorted(sizes.keys() - small, key=lambda region: (sizes[region], region))
    while small and left and sum(sizes[region] for region in small) < LEAST:
        small.add(left.pop(0))
    return {name: OTHERS if region in small else region for name, region in regions.items()}


def name_feeders(connection: Connection, rows: Mapping[str, int], shown: Shown = each) -> None:
    """Make `feeder_of`: under which name each institution is shown, and where that is.

    Where institutions are shown together, `delivered` and `broken` then name their groups, too.
    """
    known = "fixmedins_b" if rows.get("fixmedins_b") else "setl_d"
    sources = ["SELECT feeder FROM delivered"]
    for table in ("recon_3201_d", "sel_trac_d"):
        if rows.get(table):
            sources.append(f"SELECT fixmedins_code AS feeder FROM {table}")
    found = connection.execute(
        f"SELECT d.feeder, coalesce(min(r.region), '') FROM ({' UNION '.join(sources)}) AS d"
        " LEFT JOIN (SELECT fixmedins_code AS feeder,"
        f" min(fix_blng_admdvs) AS region FROM {known} GROUP BY 1) AS r ON r.feeder = d.feeder"
        " WHERE d.feeder IS NOT NULL GROUP BY 1"
    ).fetchall()
    regions = dict(found)
    names = shown(regions)
    connection.execute(
        "CREATE TEMP TABLE feeder_of (institution VARCHAR, feeder VARCHAR, region VARCHAR)"
    )
    together = shown is not each
    for name, feeder in names.items():
        region = regions[name] if not together else "" if feeder == OTHERS else feeder
        connection.execute("INSERT INTO feeder_of VALUES (?, ?, ?)", [name, feeder, region])
    if together:
        _merge(connection)


def _merge(connection: Connection) -> None:
    for table, keys, sums in (
        ("delivered", "record, month", "records, expected, missing, overdue"),
        ("broken", "record, rule, token, month", "amount"),
    ):
        added = ", ".join(f"sum(t.{name}) AS {name}" for name in sums.split(", "))
        named = ", ".join(f"t.{name}" for name in keys.split(", "))
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {named}, o.feeder, {added}"
            f" FROM {table} AS t LEFT JOIN feeder_of AS o ON o.institution = t.feeder"
            " GROUP BY ALL"
        )
