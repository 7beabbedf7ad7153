"""Services whose cells are about no person: a fund's ledger, figures about data.

A ledger's cells are shown where enough are insured, and where one is not, none of its sisters is,
so that nothing can be found by subtraction. What is open is shown as it is. Their facts reach
tables without persons alone; that is looked at again here, in the very SQL that will be run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from gateway.catalogue.model import Service
from gateway.catalogue.subject import ADDED, EXPOSURE, IMPERSONAL, restricted
from gateway.releases.blocks import Block
from gateway.releases.cellfile import places_of
from gateway.releases.contributions import Columns
from gateway.releases.engine.sql import Library, tables
from gateway.releases.facts import city_of
from gateway.releases.guarding import Protected
from gateway.releases.kernel import Bools, Ints
from gateway.releases.kinds.scene import Rules
from gateway.releases.manifest import ReleaseError
from gateway.releases.plan import Plan
from gateway.releases.sdc import COMPLEMENTARY, PRIMARY, PUBLISHED, Profile
from gateway.releases.sdc.lattice import Flags
from gateway.releases.sheet import Sheet
from gateway.releases.shown import OK, ROUNDED, Shown
from gateway.releases.table import Table, unpublished

_WRAPPED = """SELECT fact.*, '' AS psn_no, CAST(NULL AS VARCHAR) AS fixmedins_code,
       true AS counting, 0 AS magnitude
FROM (
{sql}
) AS fact"""


def wrapped(sql: str) -> str:
    """A fact about no person in the form of all facts: its rows tell nobody apart."""
    return _WRAPPED.format(sql=sql.strip().rstrip(";"))


def check_reading(service: Service, library: Library, texts: Mapping[str, str]) -> None:
    """Refuse a fact that reaches a table with persons in it, by whatever name or way."""
    for fact in restricted(service):
        reached = tables(library.expanded(f"{service.id}/{fact}", texts[fact]))
        if found := sorted(reached - IMPERSONAL):
            raise ReleaseError(
                "fact_subject",
                f"{service.id}: facts.{fact} reads {', '.join(map(repr, found))}; of a service "
                f"whose subject is {service.disclosure.subject} it may read "
                f"{', '.join(sorted(IMPERSONAL))} alone.",
                f"{service.id}：事实{fact}读取了含个人信息的表。",
            )


def check_columns(service: Service, fact: str, columns: list[str]) -> None:
    """Refuse columns that facts about persons have."""
    if found := sorted({*ADDED} & {name.lower() for name in columns}):
        raise ReleaseError(
            "fact_subject",
            f"{service.id}: facts.{fact} has the columns {', '.join(found)}; where the subject is "
            f"{service.disclosure.subject} a fact tells no persons apart.",
            f"{service.id}：事实{fact}含有个人或机构列。",
        )


@dataclass(frozen=True)
class Exact(Rules):
    """No rounding: for what is open."""

    def count(self, values: Ints, floor: int = 0) -> Ints:
        return values

    def amount(self, values: Ints) -> Ints:
        return values


def rules_of(service: Service, merged: Mapping[str, object], key: bytes) -> Rules:
    """How a service's figures are rounded under a profile."""
    if service.disclosure.subject == "open":
        return Exact(Profile(str(merged.get("name")), {}, None, None), key)
    return Rules(Profile.of(merged), key)


def protected(table: Table, merged: Mapping[str, object]) -> Protected:
    """What is shown of a season's cells that are about no person."""
    flags = np.where(unpublished(table), PRIMARY, PUBLISHED).astype(np.uint8)
    if table.plan.service.disclosure.subject == "ledger":
        flags = np.maximum(flags, _thin(table, Profile.of(merged).count("min_exposure")))
    return Protected(flags, np.zeros(len(table), np.bool_))


def _thin(table: Table, least: int) -> Flags:
    """Cells in which too few are insured, and with them, in the whole season and city, every cell
    of the same level over the same dims of exposure: no total less its parts leaves one of them."""
    few = table.whole("exposure") < least
    group = np.zeros(len(table), np.int64)
    for block, (first, last) in zip(table.blocks, pairwise(table.offset), strict=True):
        group[first:last] = _groups(table.plan, block)
    bad = np.isin(group, np.unique(group[few]))
    return np.where(few, PRIMARY, np.where(bad, COMPLEMENTARY, PUBLISHED)).astype(np.uint8)


def _groups(plan: Plan, block: Block) -> Ints:
    """A number per cell for its city, level and the dims of exposure that it names."""
    known = plan.facts[EXPOSURE].columns
    named = plan.shapes[block.shape].columns
    dims = sum(1 << i for i, column in enumerate(known) if column in named)
    city = block.geo
    if plan.service.geo[block.level].level == "county":
        city = np.array([plan.cities.index(city_of(c)) for c in plan.counties])[block.geo]
    groups: Ints = (city * len(plan.service.geo) + block.level) * (1 << len(known)) + dims
    return groups


def exact(sheet: Sheet) -> Sheet:
    """The sheet with every rounded figure marked as what it is: not rounded at all."""
    marks = np.where(sheet.marks == ROUNDED, OK, sheet.marks).astype(np.uint8)
    return replace(sheet, marks=marks)


def contributed_by_region(shown: Shown, addresses: tuple[Ints, Ints]) -> Columns:
    """The published cells with the one who keeps such accounts: the bureau of the region."""
    places = len(places_of(shown.table.plan))
    block, cell = addresses
    open_: Bools = (shown.marks == ROUNDED) & (block >= 0)
    order = np.lexsort((cell[open_], block[open_]))
    if not len(order):
        return {}
    block, cell = block[open_][order], cell[open_][order]
    whole: Any = np.ones(len(order))  # the one column that is no whole number
    return {
        "block": block,
        "cell": cell,
        "provider": shown.table.plan.n_institutions + block % places,
        "persons": np.zeros(len(order), np.int64),
        "share": whole,
        "unique": np.ones(len(order), np.bool_),
    }
