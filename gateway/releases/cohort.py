"""Build the cohort index of a service that counts cohorts, and its release around it.

Runs at release time on the warehouse, like every build. Of persons there remain numbers in an order
that says nothing, sex, months of enrolment, and events by code, day, city and age group; sensitive
codes are left out. Who reads the index tells bands alone (`gateway.cohorts`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gateway import cohorts
from gateway.catalogue.cohort import (
    CohortContract,
    EventList,
    cohort_digest,
    cohort_sql,
    cohort_views,
)
from gateway.catalogue.model import Dim, Grain
from gateway.cohorts.index import (
    Array,
    CohortIndex,
    Events,
    EventsByCode,
    Insured,
    Ints,
    write_index,
)
from gateway.releases.contents import software
from gateway.releases.contributions import FILE as CONTRIBUTIONS
from gateway.releases.contributions import SCHEMA
from gateway.releases.jobs import Appraisal, Work
from gateway.releases.keys import fingerprint
from gateway.releases.lineage.reading import FILE as LINEAGE
from gateway.releases.lineage.writing import write_cohort_lineage
from gateway.releases.manifest import File, Manifest, ReleaseError, Shown, Table, sealed
from gateway.releases.parallel import note
from gateway.releases.quality import FILE as QUALITY
from gateway.releases.quality import write_quality
from gateway.releases.sensitive import is_sensitive
from gateway.releases.source import Source, digest
from gateway.releases.waived import waived_in
from synthetic.warehouse.codes import VERSIONS

_PEOPLE = """
CREATE TEMP TABLE cohort_person AS
SELECT psn_no, gend, CAST(row_number() OVER (ORDER BY md5(psn_no), psn_no) - 1 AS INTEGER) AS person
FROM ({sql}) AS person
"""
_INSURED = """
SELECT person, CAST(left(period_m, 4) AS INTEGER) * 12 + CAST(right(period_m, 2) AS INTEGER) - 1
       AS month
FROM ({sql}) AS insured JOIN cohort_person USING (psn_no)
GROUP BY ALL ORDER BY ALL
"""
_EVENTS = """
SELECT code{columns}, person, date_diff('day', DATE '2000-01-01', day) AS day,
       min(geo_city) AS geo, min(age10) AS age10
FROM ({sql}) AS event JOIN cohort_person USING (psn_no)
WHERE code IS NOT NULL AND geo_city IS NOT NULL AND age10 IS NOT NULL
  AND CAST(year(day) AS VARCHAR) IN ({years})
GROUP BY code{columns}, person, day ORDER BY code, person, day
"""
_MONTHS = "SELECT DISTINCT strftime(setl_time, '%Y-%m') AS month FROM setl_d ORDER BY month"
_EVERY_CELL = -1
"""The number of a cell that stands for all of its block: every answer is made from all records."""


class _Builder:
    """One index in the making: runs queries and takes their columns."""

    def __init__(self, work: Work, contract: CohortContract, scratch: Path) -> None:
        self._work, self._contract, self._scratch = work, contract, scratch
        root = work.catalogue.root
        self._texts = {query: cohort_sql(root, contract, query) for query in contract.queries}
        views = cohort_views(root, contract)
        self._source = Source(work.warehouse, views, spill=work.staging.root)

    def close(self) -> None:
        self._source.close()

    def years(self) -> tuple[str, ...]:
        """Calendar years of which every month has settlements, from the first to be published."""
        months = [str(month) for (month,) in self._source.rows(_MONTHS)]
        counted: dict[str, int] = {}
        for month in months:
            counted[month[:4]] = counted.get(month[:4], 0) + 1
        since = self._work.since[:4]
        return tuple(year for year, number in counted.items() if number == 12 and year >= since)

    def index(self, years: tuple[str, ...]) -> CohortIndex:
        """The whole index."""
        contract = self._contract
        self._source.run(_PEOPLE.format(sql=self._texts[contract.persons]))
        people = self._read("SELECT person, gend FROM cohort_person ORDER BY person")
        raw = {name: self._read(self._events(one, years)) for name, one in contract.lists.items()}
        geo = sorted({code for table in raw.values() for code in _texts(table, "geo")})
        lists: dict[str, EventsByCode] = {}
        standing_for: dict[str, tuple[str, dict[str, list[int]]]] = {}
        for name, one in contract.lists.items():
            lists[name], meaning = self._list(name, one, raw[name], geo)
            standing_for |= meaning
        sexes = contract.values["gend"]
        return CohortIndex(
            persons=people.num_rows,
            geo=tuple(geo),
            ages=contract.values["age10"],
            sexes=sexes,
            years=years,
            gend=_places(people["gend"], sexes),
            insured=self._insured(),
            lists=lists,
            standing_for=standing_for,
        )

    def _events(self, one: EventList, years: Sequence[str]) -> str:
        columns = "".join(f", {column}" for above in one.above.values() for column in above.columns)
        told = ", ".join(f"'{year}'" for year in years)
        return _EVENTS.format(sql=self._texts[one.query], columns=columns, years=told or "''")

    def _list(
        self, name: str, one: EventList, table: pa.Table, geo: Sequence[str]
    ) -> tuple[EventsByCode, dict[str, tuple[str, dict[str, list[int]]]]]:
        """The events of a list without sensitive codes; what its codes and those above mean."""
        every = _texts(table, "code")
        codes = [code for code in every if not self._sensitive(name, one.sensitive, code)]
        number = _places(table["code"], codes, missing=len(codes)).astype(np.int64)
        kept = number < len(codes)
        number = number[kept]
        offset = np.searchsorted(number, np.arange(len(codes) + 1)).astype(np.int64)
        events = Events(
            _ints(table["person"])[kept].astype(np.int32),
            _ints(table["day"])[kept].astype(np.int32),
            _places(table["geo"], geo)[kept],
            _places(table["age10"], self._contract.values["age10"])[kept],
        )
        meaning: dict[str, tuple[str, dict[str, list[int]]]] = {
            name: (name, {code: [place] for place, code in enumerate(codes)})
        }
        for above, coarser in one.above.items():
            found = _coarser(table, kept, number, offset, coarser.columns)
            shown = {
                code: numbers
                for code, numbers in found.items()
                if not self._sensitive(above, coarser.sensitive, code)
            }
            meaning[above] = (name, shown)
        return EventsByCode(tuple(codes), offset, events), meaning

    def _sensitive(self, name: str, listed: bool, code: str) -> bool:
        if not listed:
            return False
        asked = self._contract.kinds[name]
        dim = Dim(name=name, title=asked.title, item=asked.item, level=asked.level, axis=name)
        return is_sensitive(self._work.sensitive, dim, code)

    def _insured(self) -> Insured:
        """Stretches of months without a gap."""
        table = self._read(_INSURED.format(sql=self._texts[self._contract.insured]))
        person, month = _ints(table["person"]), _ints(table["month"])
        begins = np.ones(len(person), np.bool_)
        begins[1:] = (person[1:] != person[:-1]) | (month[1:] != month[:-1] + 1)
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(person)) - 1
        last = last[: len(first)]
        return Insured(person[first].astype(np.int32), month[first].astype(np.int32),
                       month[last].astype(np.int32))  # fmt: skip

    def providers(self) -> pa.Table:
        """Whose records the index is made from."""
        return self._read(
            f"{self._texts[self._contract.providers]} ORDER BY year, geo_city, provider"
        )

    def _read(self, sql: str) -> pa.Table:
        """The rows of a query, by way of a file: they leave the engine a piece at a time."""
        path = self._scratch / "cohort.parquet"
        escaped = str(path).replace("'", "''")
        self._source.run(f"COPY ({sql}) TO '{escaped}' (FORMAT parquet)")
        table = pq.read_table(path)
        path.unlink()
        return table


def _coarser(
    table: pa.Table, kept: Array, number: Ints, offset: Array, columns: Sequence[str]
) -> dict[str, list[int]]:
    """For each code of a coarser list the places of the codes it stands for."""
    found: dict[str, list[int]] = {}
    firsts = offset[:-1][np.diff(offset) > 0]
    for column in columns:
        words = np.asarray(table[column].to_pylist(), dtype=object)[kept]
        for at in firsts:
            if words[at] is not None:
                found.setdefault(str(words[at]), []).append(int(number[at]))
    return dict(sorted(found.items()))


def _texts(table: pa.Table, column: str) -> list[str]:
    return sorted(str(each) for each in table[column].unique().to_pylist())


def _ints(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.combine_chunks()).astype(np.int64)


def _places(column: pa.ChunkedArray, values: Sequence[str], missing: int | None = None) -> Array:
    """Each text as its place in a list, in the smallest kind of number; `missing` for others."""
    encoded = column.combine_chunks().dictionary_encode()
    known = {value: place for place, value in enumerate(values)}
    held = [known.get(str(each), missing) for each in encoded.dictionary.to_pylist()]
    if None in held:
        raise ReleaseError("cohort_value", "A query gives a value that its contract does not list.")
    kind = np.min_scalar_type(max(len(values), 1))
    places: Array = np.asarray(held, dtype=kind)
    return places[np.asarray(encoded.indices)] if held else places


def build_cohort(
    work: Work,
    contract: CohortContract,
    appraise: Callable[[Sequence[str]], Appraisal],
    building: Path,
) -> tuple[Path, Manifest]:
    """Build and write the release of one service that counts cohorts."""
    note(f"index {contract.id}")
    folder = building / contract.id
    folder.mkdir()
    builder = _Builder(work, contract, building)
    try:
        years = builder.years()
        appraisal = appraise(years)
        index = builder.index(years)
        places = builder.providers()
    finally:
        builder.close()
    write_index(folder, index)
    _write_providers(folder, work, contract, index, places)
    names = _texts(places, "provider")
    write_quality(folder / QUALITY, years, appraisal.providers, names)
    write_cohort_lineage(folder / LINEAGE, work.catalogue, contract, appraisal)
    return folder, sealed(_contents(work, contract, index, appraisal, folder), work.staging.now)


def _write_providers(
    folder: Path, work: Work, contract: CohortContract, index: CohortIndex, places: pa.Table
) -> None:
    """Contributions by year and city: one line a provider, those with few persons together."""
    rows: list[tuple[str, int, str, int, float, bool]] = []
    profiles = work.profiles[contract.id]
    for key in sorted(profiles):
        least = int(profiles[key]["k_person"])
        for span, year in enumerate(index.years):
            for at, city in enumerate(index.geo):
                block = span * len(index.geo) + at
                rows += [(key, block, *row) for row in _shares(places, year, city, least)]
    every = (_EVERY_CELL,)
    whole = [(*row[:2], *every, *row[2:]) for row in rows]
    names = ("profile", "block", "cell", "provider", "persons", "share", "unique")
    columns = {name: [row[at] for row in whole] for at, name in enumerate(names)}
    table = pa.table(
        {
            name: pa.array(column, SCHEMA.field(name).type.value_type).dictionary_encode()
            if pa.types.is_dictionary(SCHEMA.field(name).type)
            else pa.array(column, SCHEMA.field(name).type)
            for name, column in columns.items()
        },
        schema=SCHEMA,
    )
    pq.write_table(table, folder / CONTRIBUTIONS, compression="zstd")


def _shares(
    places: pa.Table, year: str, city: str, least: int
) -> Iterator[tuple[str, int, float, bool]]:
    found = [
        (str(row["provider"]), int(row["persons"]))
        for row in places.to_pylist()
        if (row["year"], row["geo_city"]) == (year, city)
    ]
    total = sum(persons for _, persons in found)
    for provider, persons in found:
        if persons >= least:
            yield provider, persons, round(persons / total, 9), False
    if few := sum(persons for _, persons in found if persons < least):
        yield f"others({city})", few, round(few / total, 9), False


def _contents(
    work: Work,
    contract: CohortContract,
    index: CohortIndex,
    appraisal: Appraisal,
    folder: Path,
) -> dict[str, Any]:  # fields of Manifest
    labels = sorted(index.years)
    return {
        "service": contract.id,
        "version": contract.version,
        "periods": {str(Grain.YEAR): index.years},
        "geo": index.geo,
        "domains": index.domains(),
        "levels": {},
        "shapes": (),
        "measures": (Shown(name="persons", unit="band", zero=None),),
        "person_measure": None,
        "structural_zeros": (),
        "profiles": {},
        "cells": {},
        "definitions": cohort_digest(work.catalogue.root, contract),
        "code_versions": {str(k): str(v) for k, v in VERSIONS.items()},
        "quality": {label: dict(appraisal.quality[label]) for label in labels},
        "waiver": waived_in(appraisal.waivers, appraisal.failing, labels),
        "unmapped": {},
        "rounding_key": fingerprint(work.key),
        "inputs": tuple(
            Table(table=i.table, sha256=i.sha256, rows=i.rows) for i in appraisal.inputs
        ),
        "files": tuple(
            File(name=f.name, sha256=digest(f), bytes=f.stat().st_size)
            for f in sorted(folder.iterdir())
        ),
        "software": software() | {"cohorts": _own()},
    }


def _own() -> str:
    """The hash of the software that reads and writes indexes."""
    folder = Path(cohorts.__file__).parent
    texts = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    return hashlib.sha256(texts).hexdigest()[:16]


def ordered_cohorts(
    known: Mapping[str, CohortContract], wanted: Sequence[str]
) -> tuple[CohortContract, ...]:
    """The services that count cohorts among those wanted; all if none are named."""
    if not wanted:
        return tuple(known.values())
    return tuple(one for one in known.values() if {one.id, one.code} & set(wanted))
