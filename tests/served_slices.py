"""Random questions about any service of the catalogue, and the figures of their answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gateway.catalogue.model import Dim, Service
from gateway.releases.manifest import Manifest
from tests.second.slices import Shown

Body = dict[str, Any]
SHOWN = ("ok", "r", "e")


def question(service: Service, manifest: Manifest, rng: np.random.Generator) -> Body:
    """A random span of one grain, up to three random dims at random levels, perhaps one fixed."""
    grain = str(rng.choice(sorted(grain for grain in manifest.periods if manifest.periods[grain])))
    ahead = manifest.estimated.get(grain, ())
    labels = [label for label in manifest.periods[grain] if label not in ahead]
    first = int(rng.integers(0, len(labels)))
    last = min(len(labels) - 1, first + int(rng.integers(0, 4)))
    offered = [dim for dim in service.dims if not dim.pivot]
    many = int(rng.integers(1, min(3, len(offered)) + 1))
    dims: list[Dim] = [offered[at] for at in rng.choice(len(offered), many, replace=False)]
    levels = {dim.name: int(rng.integers(1, len(dim.levels) + 1)) for dim in dims if dim.levels}
    return {
        "period": {"from": labels[first], "to": labels[last], "grain": grain},
        "dims": [dim.name for dim in dims],
        **({"levels": levels} if levels else {}),
    }


def figures(service: Service, asked: Body, rows: Sequence[Mapping[str, Any]]) -> Iterator[Shown]:
    """The shown figures of an answer, their cells named by columns as releases name them."""
    levels = asked.get("levels", {})
    column = {
        dim.name: dim.levels[levels.get(dim.name, len(dim.levels)) - 1] if dim.levels else dim.name
        for dim in service.dims
        if dim.name in asked["dims"]
    }
    grain = asked["period"]["grain"]
    for row in rows:
        cell = {grain: row["period"], **{of: row[name] for name, of in column.items()}}
        if any("sensitive_other" in value for value in cell.values()):
            continue
        for name, told in row.items():
            if isinstance(told, Mapping) and told["flag"] in SHOWN and told["value"] is not None:
                yield Shown(service.id, name, cell, told["value"])
