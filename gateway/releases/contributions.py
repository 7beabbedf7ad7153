"""Who contributed to each published cell: the basis of revenue sharing (SPEC §7.2), internal only.

A provider with fewer than k persons in a cell is pooled into `others(<region>)`. `unique` says that
the cell could not be published without the provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gateway.releases.blocks import Block
from gateway.releases.cellfile import addresses, places_of
from gateway.releases.kernel import Ints
from gateway.releases.sdc import Profile
from gateway.releases.shown import ROUNDED, Shown

FILE = "contributions.parquet"
SCHEMA = pa.schema(
    [
        ("profile", pa.dictionary(pa.int32(), pa.string())),
        ("block", pa.int64()),
        ("cell", pa.int64()),
        ("provider", pa.dictionary(pa.int32(), pa.string())),
        ("persons", pa.int32()),
        ("share", pa.float64()),
        ("unique", pa.bool_()),
    ]
)


def write_contributions(
    path: Path, shown: Mapping[str, tuple[Shown, Profile]], providers: tuple[str, ...]
) -> int:
    """Write the providers of every published cell of every profile; how many rows."""
    regions = _regions(shown)
    names = [*providers, "unknown", *(f"others({region})" for region in regions)]
    rows = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for number, (cells, profile) in enumerate(shown[key] for key in sorted(shown)):
            for columns in _columns(cells, profile, len(providers) + 1):
                profiles = np.full(len(columns["block"]), number, np.int64)
                writer.write_table(_table(columns, profiles, sorted(shown), names))
                rows += len(profiles)
    return rows


def _regions(shown: Mapping[str, tuple[Shown, Profile]]) -> tuple[str, ...]:
    return next((places_of(cells.table.plan) for cells, _ in shown.values()), ())


def _table(
    columns: Mapping[str, Ints], profiles: Ints, keys: list[str], names: list[str]
) -> pa.Table:
    def words(codes: Ints, values: list[str]) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(values))

    return pa.table(
        [
            words(profiles, keys),
            pa.array(columns["block"]),
            pa.array(columns["cell"]),
            words(columns["provider"], names),
            pa.array(columns["persons"].astype(np.int32)),
            pa.array(columns["share"]),
            pa.array(columns["unique"].astype(np.bool_)),
        ],
        schema=SCHEMA,
    )


def _columns(shown: Shown, profile: Profile, first_region: int) -> Iterator[dict[str, Ints]]:
    """Per shape, the rows of its published cells, sorted by cell and provider."""
    block_of, cell_of = addresses(shown)
    n_places = len(places_of(shown.table.plan))
    batches: dict[int, list[dict[str, Ints]]] = {}
    for block, part, own in shown.by_block:
        open_ = (shown.marks[part] == ROUNDED) & (block_of[part] >= 0)
        if open_.any():
            found = _of_block(block, own[open_], profile)
            cells = found.pop("index")
            places = block_of[part][open_][cells]
            found |= {"block": places, "cell": cell_of[part][open_][cells]}
            region = first_region + places % n_places
            found["provider"] = np.where(found["provider"] < 0, region, found["provider"])
            batches.setdefault(block.shape, []).append(found)
    for shape in sorted(batches):
        yield _sorted(
            {k: np.concatenate([b[k] for b in batches[shape]]) for k in batches[shape][0]}
        )


def _sorted(columns: dict[str, Ints]) -> dict[str, Ints]:
    order = np.lexsort((columns["provider"], columns["cell"], columns["block"]))
    return {name: values[order] for name, values in columns.items()}


def _of_block(block: Block, own: Ints, profile: Profile) -> dict[str, Ints]:
    """Providers of the chosen cells of a block; -1 stands for the pooled ones."""
    place = np.full(len(block), -1, np.int64)
    place[own] = np.arange(len(own))
    held = block.shares
    kept = place[held.cells] >= 0
    cell, party = held.cells[kept], held.party[kept]
    persons, only = held.persons[kept], held.only[kept]
    few_left = block.persons[cell] - only < profile.k
    few_houses = block.institutions[cell] - 1 < profile.count("min_institutions")
    total = np.bincount(place[cell], weights=persons, minlength=len(own))
    big = persons >= profile.k
    pooled = np.bincount(place[cell][~big], weights=persons[~big], minlength=len(own))
    rest = np.flatnonzero(pooled > 0)
    index = np.concatenate([place[cell][big], rest])
    people = np.concatenate([persons[big], pooled[rest].astype(np.int64)])
    return {
        "index": index,
        "provider": np.concatenate([party[big], np.full(len(rest), -1, np.int64)]),
        "persons": people,
        "share": np.round(people / total[index], 9),
        "unique": np.concatenate([(few_left | few_houses)[big], np.zeros(len(rest), np.bool_)]),
    }
