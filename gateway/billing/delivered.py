"""Whose records made the charged answers of a month possible.

The roll-ups say which cells of which release were charged; the release says who contributed to each
cell. A cell counts as often as measures of it were charged, and as often as tenants paid for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa

from gateway.billing.parts import Released, parts
from gateway.billing.rollup_month import MonthSums
from gateway.errors import OperatorError
from gateway.releases.manifest import Manifest
from gateway.releases.places import SPAN, Ints, addresses, counted
from gateway.releases.store import read_manifest
from metering.sharing import Contribution, Strategy


def contributions(
    sums: MonthSums, releases: Path, strategy_of: Callable[[str], Strategy]
) -> dict[str, list[Contribution]]:
    """By service the contributions of all who made its charged cells possible.

    An answer about one person was read from the bureau's own load and from no release: nobody
    contributed to it, and all of its fee falls to the bureau that answered (SPEC 7.2).
    """
    given_back = sums.given_back()
    found: dict[str, list[Contribution]] = {}
    for source, tables in groupby(sums.cells(), key=lambda found: found[0]):
        service, reference = source
        release, of_release, profile = reference.partition("/")
        if not of_release:
            continue
        folder = releases / service / release
        manifest = _manifest(folder, release)
        charged = (table for _, table in tables)
        places = _places(charged, given_back.get(source, {}), len(manifest.measures))
        released = Released(folder, manifest, profile)
        seed = f"{sums.month}/{service}"
        found.setdefault(service, []).extend(
            parts(_delivered(places), released, strategy_of(service), seed)
        )
    return found


def _manifest(folder: Path, release: str) -> Manifest:
    manifest = read_manifest(folder)
    if manifest is None:
        raise OperatorError(
            "release_missing",
            f"Release {release} was charged for and is not there: restore it, its contributions "
            "decide who shares the fees.",
        )
    return manifest


def _places(
    charged: Iterator[pa.Table], given_back: Mapping[tuple[int, int], int], width: int
) -> dict[int, Ints]:
    """How often each cell of each place counts."""
    sums: dict[int, Ints] = {}
    for table in (*charged, *_rows(given_back)):
        columns = (table["place"].to_numpy(), table["cells"].to_pylist(), table["times"].to_numpy())
        for place, cells in counted(*columns, width):
            known = sums.setdefault(place, np.zeros(SPAN, np.int64))
            known += cells
    return sums


def _rows(given_back: Mapping[tuple[int, int], int]) -> Iterator[pa.Table]:
    if given_back:
        raw = [bits.to_bytes((bits.bit_length() + 7) // 8, "big") for _, bits in given_back]
        yield pa.table(
            {
                "place": pa.array([place for place, _ in given_back], pa.int64()),
                "cells": pa.array(raw, pa.binary()),
                "times": pa.array(given_back.values(), pa.int64()),
            }
        )


def _delivered(places: Mapping[int, Ints]) -> pa.Table:
    """Addresses of the charged cells and how often each counts."""
    blocks, cells, times = [], [], []
    for place, counts in sorted(places.items()):
        block, first = addresses(place)
        (held,) = counts.nonzero()
        blocks.append(np.full(len(held), block, np.int64))
        cells.append(first + held)
        times.append(counts[held])
    nothing = np.zeros(0, np.int64)
    columns = (np.concatenate([nothing, *each]) for each in (blocks, cells, times))
    return pa.table(dict(zip(("block", "cell", "times"), columns, strict=True)))
