"""The manifest's fields of a finished build: what is in it and what it was made from."""

from __future__ import annotations

import hashlib
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from gateway import catalogue
from gateway.catalogue.model import Measure, Service
from gateway.quality.waiver import Waiver
from gateway.releases.blocks import Block
from gateway.releases.cellfile import answered, places_of
from gateway.releases.kernel import unmixed
from gateway.releases.manifest import File, Level, OwnTable, Shown, Table
from gateway.releases.outlook import estimated
from gateway.releases.plan import Plan
from gateway.releases.prepare import Prepared
from gateway.releases.quality import ByProvider
from gateway.releases.source import Input, digest
from gateway.releases.table import Table as ReleaseTable
from gateway.releases.waived import waived_in
from synthetic.warehouse.codes import VERSIONS


@dataclass(frozen=True)
class Facts:
    """What a build knows of a release besides its cells."""

    profiles: Mapping[str, Mapping[str, Any]]  # as the policy merged them
    cells: Mapping[str, int]
    definitions: str
    quality: Mapping[str, Mapping[str, Any]]  # as the quality check measured it
    providers: Mapping[str, ByProvider]  # how well each delivered, by period
    waivers: Sequence[Waiver]  # which the build rests on
    failing: Mapping[str, Sequence[str]]  # figures and blocking rules, by period
    rounding_key: str
    inputs: Sequence[Input]
    contradicted: frozenset[int]  # impossible combinations that there is somebody in
    own: tuple[OwnTable, ...] = ()  # rows of one institution each


def contents(one: Prepared, folder: Path, known: Facts) -> dict[str, Any]:  # fields of Manifest
    """The fields of the manifest, its id and time apart."""
    plan, service = one.plan, one.plan.service
    labels = {p.label for p in plan.periods}
    return {
        **common(service, folder, known, sorted(labels)),
        "periods": {
            str(grain): tuple(p.label for p in plan.calendar if p.grain == grain)
            for grain in service.periods
        },
        "estimated": estimated(service, plan.periods, plan.calendar),
        "geo": places_of(plan),
        "domains": _domains(one),
        "levels": _levels(one),
        "shapes": answered(plan),
        "measures": tuple(
            Shown(name=m.name, unit=m.unit, zero=_zero(m))
            for m in service.measures
            if not m.internal
        ),
        "person_measure": _published_persons(service),
        "structural_zeros": _zeros(service, known.contradicted),
        "unmapped": dict(one.unmapped),
    }


def common(
    service: Service, folder: Path, known: Facts, labels: Sequence[str]
) -> dict[str, Any]:  # fields of Manifest
    """The fields that every release has alike, whatever is in it."""
    return {
        "service": service.id,
        "version": service.version,
        "profiles": {key: dict(p) for key, p in known.profiles.items()},
        "cells": dict(known.cells),
        "own": known.own,
        "definitions": known.definitions,
        "code_versions": {str(k): str(v) for k, v in VERSIONS.items()},
        "quality": {label: dict(known.quality[label]) for label in labels},
        "waiver": waived_in(known.waivers, known.failing, labels),
        "rounding_key": known.rounding_key,
        "inputs": tuple(Table(table=i.table, sha256=i.sha256, rows=i.rows) for i in known.inputs),
        "files": tuple(
            File(name=f.name, sha256=digest(f), bytes=f.stat().st_size)
            for f in sorted(folder.iterdir())
        ),
        "software": software(),
    }


def _published_persons(service: Service) -> str | None:
    """The person count a reader sees; nothing where it serves only the protection."""
    name = service.disclosure.person_measure
    return name if any(m.name == name and not m.internal for m in service.measures) else None


def _domains(one: Prepared) -> dict[str, tuple[str, ...]]:
    """The closed list of each dim a query can name; a dim with levels lists all of them."""
    plan = one.plan
    return {
        dim.name: tuple(
            v for column in (dim.levels or (dim.name,)) for v in plan.domains[column].values
        )
        for dim in plan.service.dims
        if not dim.pivot
    }


def _levels(one: Prepared) -> dict[str, Level]:
    plan = one.plan
    return {
        column: Level(
            dim=dim.name,
            coarser=plan.domains[column].coarser,
            values=plan.domains[column].values,
            parents=plan.domains[column].parents[: len(plan.domains[column].values)],
        )
        for dim in plan.service.dims
        if not dim.pivot
        for column in (dim.levels or (dim.name,))
    }


def _zeros(
    service: Service, contradicted: frozenset[int]
) -> tuple[dict[str, tuple[str, ...]], ...]:
    """The combinations in which nothing can be; of what is open, any that nothing is in."""
    if service.disclosure.subject == "open":
        return ({},)
    rules = enumerate(service.disclosure.structural_zeros)
    return tuple(dict(rule) for i, rule in rules if i not in contradicted)


def _zero(measure: Measure) -> str | int | None:
    """What a measure is in an impossible cell: nothing adds up to zero, nothing has a ratio."""
    if not measure.define.adds_up:
        return None
    return "0.00" if measure.unit == "CNY" else 0


def contradicted(table: ReleaseTable) -> frozenset[int]:
    """Which of the contract's impossible combinations there is somebody in."""
    rules = enumerate(table.plan.service.disclosure.structural_zeros)
    return frozenset(
        i for i, rule in rules if any(_holds(table.plan, b, rule) for b in table.blocks)
    )


def _holds(plan: Plan, block: Block, rule: Mapping[str, Sequence[str]]) -> bool:
    columns = plan.shapes[block.shape].columns
    if not set(rule) <= set(columns):
        return False
    digits = dict(zip(columns, unmixed(block.code, plan.sizes(columns))[1:], strict=True))
    held = block.magnitude != 0
    for column, values in rule.items():
        places = [plan.domains[column].values.index(value) for value in values]
        held &= np.isin(digits[column], places)
    return bool(held.any())


def software() -> dict[str, str]:
    """Versions that a byte-identical rebuild needs, and the hash of the builder's own source."""
    folder = Path(__file__).parent
    own = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        own.update(path.relative_to(folder).as_posix().encode())
        own.update(path.read_bytes())
    return {
        "sluice": version("sluice"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "duckdb": duckdb.__version__,
        "sqlite": sqlite3.sqlite_version,
        "releases": own.hexdigest()[:16],
    }


def builder() -> dict[str, str]:
    """All software that cells depend on: as `software`, and the reading of the contracts."""
    own = hashlib.sha256()
    for path in sorted(Path(catalogue.__file__).parent.rglob("*.py")):
        own.update(path.name.encode() + b"\0" + path.read_bytes())
    return {**software(), "catalogue": own.hexdigest()[:16]}
