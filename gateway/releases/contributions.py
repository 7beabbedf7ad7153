"""Who contributed to each published cell: the basis of revenue sharing (SPEC §7.2), internal only.

A provider with fewer than k persons in a cell is pooled into `others(<region>)`. `unique` says that
the cell could not be published without the provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gateway.releases.blocks import Block
from gateway.releases.cellfile import places_of
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


Columns = dict[str, Ints]


def write_contributions(
    path: Path,
    found: Mapping[str, Iterable[Columns]],
    providers: tuple[str, ...],
    regions: tuple[str, ...],
) -> int:
    """Write the providers of every published cell of every profile; how many rows."""
    names = [*providers, "unknown", *(f"others({region})" for region in regions)]
    rows = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for number, key in enumerate(sorted(found)):
            for columns in filter(None, found[key]):  # a season may publish nothing
                profiles = np.full(len(columns["block"]), number, np.int64)
                writer.write_table(_table(columns, profiles, sorted(found), names))
                rows += len(profiles)
    return rows


def of_whole_blocks(columns: Columns, blocks: int) -> Columns:
    """Who contributed to each period and place as a whole: rows of cell -1, for answers that are
    charged whole. `blocks`: how many there are of periods and places; so many has each shape."""
    if not columns:
        return {}
    place, provider = columns["block"] % blocks, columns["provider"]
    keys, at = np.unique(np.stack([place, provider]), axis=1, return_inverse=True)
    persons = np.bincount(at.reshape(-1), weights=columns["persons"]).astype(np.int64)
    totals = np.bincount(keys[0], weights=persons)[keys[0]]
    shares: Any = np.round(persons / np.maximum(totals, 1), 9)  # the one column of fractions
    return {
        "block": keys[0],
        "cell": np.full(keys.shape[1], -1, np.int64),
        "provider": keys[1],
        "persons": persons,
        "share": shares,
        "unique": np.zeros(keys.shape[1], np.bool_),
    }


def _table(columns: Columns, profiles: Ints, keys: list[str], names: list[str]) -> pa.Table:
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


def contributed(shown: Shown, addresses: tuple[Ints, Ints], profile: Profile) -> Columns:
    """The providers of the published cells, sorted by block, cell and provider.

    Providers beyond the known ones and the unknown stand for a region's whose few persons are
    pooled.
    """
    first_region = shown.table.plan.n_institutions
    block_of, cell_of = addresses
    n_places = len(places_of(shown.table.plan))
    batches: list[Columns] = []
    for block, part, own in shown.by_block:
        open_ = (shown.marks[part] == ROUNDED) & (block_of[part] >= 0)
        if open_.any():
            found = _of_block(block, own[open_], profile)
            cells = found.pop("index")
            places = block_of[part][open_][cells]
            found |= {"block": places, "cell": cell_of[part][open_][cells]}
            region = first_region + places % n_places
            found["provider"] = np.where(found["provider"] < 0, region, found["provider"])
            batches.append(found)
    if not batches:
        return {}
    return _sorted({k: np.concatenate([b[k] for b in batches]) for k in batches[0]})


def _sorted(columns: Columns) -> Columns:
    order = np.lexsort((columns["provider"], columns["cell"], columns["block"]))
    return {name: values[order] for name, values in columns.items()}


def _of_block(block: Block, own: Ints, profile: Profile) -> Columns:
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
