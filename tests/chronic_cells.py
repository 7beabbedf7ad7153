"""What lies behind the published cells of S14: persons, institutions, their costs, and parts.

Read from the tables of the second implementation, never from the build.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gateway.releases.listing import Listed, listing
from gateway.releases.store import ReleaseStore
from gateway.warehouse import store
from tests.second import s05, s14, slices
from tests.served_recount import Recount

PARTS = {
    "": "true",
    "stays": "benefit5 = 'IP'",
    "visits": "benefit5 IN ('OP', 'OPSP')",
    "pdc_mean": "supply3 <> 'unknown'",
    "gap_share": "supply3 = 'gap'",
    "gap_share ": "supply3 = 'steady'",
    "drug_only_share": "evidence2 = 'drug_only'",
}
"""Figures of a part of a cell, and whose care is in the part; without a name the whole cell."""
_OWN = ("insutype2", "age10", "gend")
_PERSONS = {"S14": "chronic", "S05": "person_years"}
Key = tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """One shown cell: its service and profile, what it is keyed by, and its figures."""

    service: str
    profile: str
    k: int
    where: Mapping[str, str]
    figures: Mapping[str, str | int | float]

    @property
    def columns(self) -> Key:
        return tuple(self.where)

    @property
    def values(self) -> Key:
        return tuple(self.where.values())

    def __str__(self) -> str:
        return f"{self.service} {' '.join(f'{n}={v}' for n, v in self.where.items())}"


@dataclass(frozen=True)
class Held:
    """What a cell or a part of it holds."""

    persons: int
    houses: int
    insured: int
    largest: float
    two_largest: float
    one_person: float


class Behind:
    """The records of a home, and the cells it publishes."""

    def __init__(self, home: Path) -> None:
        self._releases = home / "releases"
        self.recount: Recount = slices.recount_of(store.current(home / "warehouse"), [s05, s14])
        self._sql = self.recount.connection
        self._sql.execute(f"""
            CREATE TABLE spent AS
            SELECT c.year, c.disease12, c.stratum5, c.insutype2, c.age10, c.gend, c.supply3,
                   c.evidence2, c.psn_no, s.fixmedins_code AS house, s.benefit5, s.setl_id, s.whole,
                   s.medfee_sumamt::DOUBLE AS fee
            FROM chronic c JOIN care s
            ON s.psn_no = c.psn_no AND year(s.setl_time)::VARCHAR = c.year
            WHERE {PARTS[""]}""")
        self._held: dict[tuple[str, Key], dict[Key, Held]] = {}

    def shown(self, service: str) -> Iterator[Shown]:
        """The cells of a service, of every profile, of which anything is shown."""
        manifest = ReleaseStore(self._releases).latest(service)
        assert manifest is not None
        names = [measure.name for measure in manifest.measures]
        for profile, merged in manifest.profiles.items():
            for row in listing(self._releases / service / manifest.release_id, manifest, profile):
                if row.shown:
                    yield Shown(
                        service, profile, int(merged["k_person"]),
                        {row.grain: row.period, **dict(row.values)}, _figures(row, names),
                    )  # fmt: skip

    def members(self, cell: Shown, what: str = "psn_no") -> set[str]:
        """Who is in a cell: its persons, or the stays of these."""
        table, where = _PERSONS[cell.service], "cared"
        if what != "psn_no":
            table, where = "spent", "whole"
        key = (what, cell.service, *cell.columns)
        if key not in self._members:
            listed = ", ".join(cell.columns)
            found: dict[Key, set[str]] = {}
            for row in self._sql.execute(
                f"SELECT DISTINCT {listed}, {what} FROM {table} WHERE {where}"
            ).fetchall():
                found.setdefault(row[:-1], set()).add(row[-1])
            self._members[key] = found
        return self._members[key].get(cell.values, set())

    @cached_property
    def _members(self) -> dict[Key, dict[Key, set[str]]]:
        return {}

    def held(self, cell: Shown, part: str) -> Held | None:
        """What a cell holds, or the part of it that a figure is of; None where nothing does."""
        key = (part, cell.columns)
        if key not in self._held:
            self._held[key] = self._counted(cell.columns, PARTS[part])
        return self._held[key].get(cell.values)

    def _counted(self, columns: Key, where: str) -> dict[Key, Held]:
        keys = ", ".join(columns)
        own = ", ".join(["year", *(name for name in columns if name in _OWN)])
        rows = self._sql.execute(f"""
            WITH r AS (SELECT {keys}, psn_no, house, fee FROM spent WHERE {where}),
            h AS (SELECT {keys}, house, sum(fee) AS fee FROM r GROUP BY ALL),
            p AS (SELECT {keys}, psn_no, sum(fee) AS fee, bool_or(fee <> 0) AS counts
                  FROM r GROUP BY ALL),
            i AS (SELECT {own}, count(DISTINCT psn_no) AS insured
                  FROM insured_by_year GROUP BY ALL),
            hs AS (SELECT {keys}, count(*) AS houses, sum(fee) AS whole, max(fee) AS one,
                          list_sum(max(fee, 2)) AS two FROM h GROUP BY ALL),
            ps AS (SELECT {keys}, count(*) FILTER (counts) AS persons, max(fee) AS person
                   FROM p GROUP BY ALL)
            SELECT {keys}, persons, houses, coalesce(insured, 0), one / whole, two / whole,
                   person / whole
            FROM hs JOIN ps USING ({keys}) LEFT JOIN i USING ({own})""").fetchall()
        size = len(columns)
        return {row[:size]: Held(*(value or 0 for value in row[size:])) for row in rows}


def _figures(row: Listed, names: list[str]) -> dict[str, str | int | float]:
    return {
        name: value
        for name, value, mark in zip(names, row.figures, row.marks, strict=True)
        if mark in "or" and value is not None
    }
