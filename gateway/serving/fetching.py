"""Fetch one page of protected cells and mask it by the decision's obligations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.catalogue.tariff import WHOLE
from gateway.errors import Unavailable
from gateway.journal.charges import Cells
from gateway.masking.plan import Plan, apply, plan
from gateway.policy.port import ColumnRule, Obligations
from gateway.policy.profiles import profile_key
from gateway.releases.store import Page, Selection
from gateway.serving.charge import chargeable, whole_answer
from gateway.serving.model import Pinned
from gateway.serving.own import own_measures, own_page
from gateway.serving.pinning import check_released
from gateway.serving.ports import Releases
from gateway.serving.render import Table, Value
from gateway.watermark.marking import Marks


@dataclass(frozen=True)
class Fetched:
    """A masked page and where it lies in the whole answer."""

    table: Table
    limit: int
    total: int
    chargeable: Cells


@lru_cache(maxsize=512)
def _plan(columns: tuple[ColumnRule, ...]) -> Plan:
    """Operators of the obligations; the same few plans serve all requests."""
    return plan({column.field: column.mask for column in columns})


def selection(pinned: Pinned, obligations: Obligations) -> Selection:
    """The cells asked for, under the profile the policy obliges to."""
    question, manifest = pinned.question, pinned.manifest
    key = profile_key(obligations.profile)
    if key not in manifest.profiles:
        raise Unavailable("release_unavailable", "The release was not built for this profile.")
    return Selection(
        service=question.service.id,
        release_id=manifest.release_id,
        profile_key=key,
        grain=question.grain,
        periods=question.periods,
        geo=question.geo,
        dims=question.dims,
        where=question.where,
        measures=pinned.measures,
        levels=question.levels,
    )


def _flags(flags: list[str], before: Sequence[Value], after: Sequence[Value]) -> list[str]:
    """A value that a mask took away is suppressed, whatever it was before."""
    if after is before:
        return flags
    taken = (b is not None and a is None for b, a in zip(before, after, strict=True))
    return ["s" if gone else flag for gone, flag in zip(taken, flags, strict=True)]


def masked(page: Page, columns: tuple[ColumnRule, ...], units: Mapping[str, str]) -> Table:
    """The page with every column masked; a column the decision does not name is not in it."""
    masks = _plan(columns)
    keys, values = apply(masks, page.keys), apply(masks, page.values)
    shown = [name for name in page.values if name in values]
    return Table(
        rows=len(page.keys["period"]),
        keys={name: keys[name] for name in page.keys if name in keys},
        values={name: values[name] for name in shown},
        flags={name: _flags(page.flags[name], page.values[name], values[name]) for name in shown},
        units={name: units[name] for name in shown},
    )


def fetch(
    releases: Releases, marks: Marks, tenant: str, pinned: Pinned, obligations: Obligations
) -> Fetched:
    """One page with the tenant's marks, masked, never longer than the decision allows."""
    check_released(pinned)
    rows = max(1, obligations.max_cells // len(pinned.measures))
    limit = min(pinned.question.page_size, rows)
    service = pinned.question.service
    if pinned.own:  # exact and free: neither marked nor charged
        page = own_page(releases, pinned, obligations, limit)
        units = {measure.name: measure.unit for measure in own_measures(pinned)}
        return Fetched(masked(page, obligations.columns, units), limit, page.total, {})
    page = marks.page(
        releases,
        selection(pinned, obligations),
        pinned.offset,
        limit,
        tenant=tenant,
        word=obligations.watermark,
        service=service,
    )
    units = {measure.name: measure.unit for measure in service.measures}
    table = masked(page, obligations.columns, units)
    letters = {measure.name: i for i, measure in enumerate(pinned.manifest.measures)}
    cells = chargeable(table, page.addresses, letters)
    if cells and service.tariff.unit in WHOLE:
        cells = whole_answer(pinned.digest, _first_block(pinned), len(letters))
    return Fetched(table, limit, page.total, cells)


def _first_block(pinned: Pinned) -> int:
    """The block of the release in which the books keep that a whole answer was charged."""
    question, manifest = pinned.question, pinned.manifest
    span = manifest.blocks.index((question.grain, question.periods[0]))
    return span * len(manifest.geo) + manifest.geo.index(question.geo[0])
