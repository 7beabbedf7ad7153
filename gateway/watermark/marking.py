"""Marked pages: what a tenant is given of a release's cells, in answers and in files alike.

`Marks.page` stands where the release store's own `page` would: amounts carry the tenant's bits, the
figures made of them follow, everything else is as published. A figure depends on tenant, release
and cell alone, so no shape of query, page or format shows it otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from gateway.catalogue.model import Service
from gateway.releases.manifest import Manifest
from gateway.releases.store import Page, Selection, Value
from gateway.watermark.code import LANES, SMALLEST, Bools, Ints, Words, carriers, drawn_together
from gateway.watermark.following import in_fen, money, scaled, worked_out
from gateway.watermark.keys import MarkKey, key_for, keys_in
from gateway.watermark.measures import WORD, Plan, plan_of, total_shapes

DIGITS = "amount_sig_digits"


class Releases(Protocol):
    """Where published cells are looked up."""

    def find(self, release_id: str) -> Manifest | None: ...

    def page(self, selection: Selection, offset: int, limit: int) -> Page: ...


@dataclass(frozen=True)
class Marks:
    """Marks by the keys of one home; holds a path only, so it may go to another process."""

    folder: Path

    def page(
        self,
        releases: Releases,
        selection: Selection,
        offset: int,
        limit: int,
        *,
        tenant: str,
        word: str,
        service: Service,
    ) -> Page:
        """Some rows of an answer as this tenant is given them."""
        manifest = releases.find(selection.release_id)
        if manifest is None or not self._marks(manifest, word, selection.profile_key):
            return releases.page(selection, offset, limit)
        plan = plan_of(service, manifest)
        needed = plan.needed(selection.measures)
        if not plan.marked.keys() & set(needed):
            return releases.page(selection, offset, limit)
        page = releases.page(replace(selection, measures=needed), offset, limit)
        if not page.addresses:
            return page
        secrets = _secrets(_key(self.folder, manifest), manifest.release_id, tenant)
        digits = int(manifest.profiles[selection.profile_key][DIGITS])
        marked = _Work(page, plan, manifest, digits, secrets).done()
        return replace(
            marked,
            values={name: marked.values[name] for name in selection.measures},
            flags={name: marked.flags[name] for name in selection.measures},
        )

    def note(
        self, manifest: Manifest, *, word: str, profile_key: str, service: Service
    ) -> dict[str, object] | None:
        """What meta says of the marks of a release: the key, the measures, how far figures move."""
        plan = plan_of(service, manifest)
        if not plan.marked or not self._marks(manifest, word, profile_key):
            return None
        return {
            "key_id": _key(self.folder, manifest).id,
            "measures": sorted(plan.marked),
            "kept_digits": manifest.profiles[profile_key][DIGITS],
            "most_units_of_last_digit": 1,
            "most_relative": f"{1 / SMALLEST:.3f}",
            "sum_within_units_per_cell": "1.5",
        }

    @staticmethod
    def _marks(manifest: Manifest, word: str, profile_key: str) -> bool:
        """Whether the policy's word asks for it and the figures have digits enough to carry it."""
        digits = manifest.profiles.get(profile_key, {}).get(DIGITS, 0)
        return word.startswith(WORD) and 10 ** (int(digits) - 1) >= SMALLEST


@dataclass(frozen=True)
class Secrets:
    """What a release is marked with for one tenant: of the places, and of the tenant."""

    places: bytes = field(repr=False)
    tenant: bytes = field(repr=False)


def secrets_of(key: MarkKey, release_id: str, tenant: str) -> Secrets:
    """Secrets of their own for each release and tenant; none tells of another."""
    return Secrets(key.derived("places", release_id), key.derived("bits", release_id, tenant))


@lru_cache(maxsize=4096)
def _secrets(key: MarkKey, release_id: str, tenant: str) -> Secrets:
    return secrets_of(key, release_id, tenant)


@lru_cache(maxsize=512)
def _looked_up(folder: Path, release_id: str, created: datetime) -> MarkKey:
    return key_for(keys_in(folder), created)


def _key(folder: Path, manifest: Manifest) -> MarkKey:
    """The key of a release; looked up once, for a rotation never changes it."""
    return _looked_up(folder, manifest.release_id, manifest.created)


@dataclass(frozen=True)
class _Work:
    """One page being marked."""

    page: Page
    plan: Plan
    manifest: Manifest
    digits: int
    secrets: Secrets

    def done(self) -> Page:
        """The page with marked amounts and what follows from them."""
        block, cell, free = self._where()
        values = dict(self.page.values)
        moved: dict[str, Bools] = {}
        groups: dict[int, list[str]] = {}
        for name in values.keys() & self.plan.marked.keys():
            groups.setdefault(self.plan.marked[name] // LANES, []).append(name)
        for group, names in groups.items():
            shared = drawn_together(self.secrets.places, block, cell, group)
            own = drawn_together(self.secrets.tenant, block, cell, group)
            for name in names:
                lane = self.plan.marked[name] % LANES
                draws = shared[:, lane], own[:, lane]
                values[name], moved[name] = self._marked(values[name], draws, free)
        for name in values.keys() & self.plan.follow.keys():
            values[name] = self._following(name, values, moved)
        return replace(self.page, values=values)

    def _where(self) -> tuple[Ints, Ints, Bools]:
        """Block and cell of each row, and whether it is no total."""
        parts = self.page.addresses
        sizes = [len(cells) for _, cells in parts]
        block = np.repeat(np.array([one for one, _ in parts], np.int64), sizes)
        cell = np.concatenate([np.array(cells, np.int64) for _, cells in parts])
        shape = block // (len(self.manifest.blocks) * len(self.manifest.geo))
        return block, cell, ~np.isin(shape, total_shapes(self.manifest))

    def _marked(
        self, column: list[Value], draws: tuple[Words, Words], free: Bools
    ) -> tuple[list[Value], Bools]:
        """The amounts of a column as the tenant is given them, and which of them moved."""
        moved = np.zeros(len(column), np.bool_)
        at = np.flatnonzero(free & np.array([value is not None for value in column], np.bool_))
        amounts = in_fen([column[i] for i in at.tolist()])
        shared, own = draws
        found = carriers(amounts, self.digits, shared[at])
        chosen = np.where(own[at] < found.bias, found.high, found.low)
        other = np.flatnonzero(chosen != amounts)
        moved[at[other]] = True
        given = list(column)
        for i, fen in zip(at[other].tolist(), chosen[other].tolist(), strict=True):
            given[i] = money(fen)
        return given, moved

    def _following(
        self, name: str, values: Mapping[str, list[Value]], moved: Mapping[str, Bools]
    ) -> list[Value]:
        """A figure made of marked parts, where one of them moved."""
        measure, parts = self.plan.follow[name], self.plan.parts[name]
        given = list(self.page.values[name])
        rows = np.logical_or.reduce([moved[part] for part in parts if part in moved])
        rows &= np.array([value is not None for value in given], np.bool_)
        units = {shown.name: shown.unit for shown in self.manifest.measures}
        if not rows.any():
            return given
        now, before = ({part: held[part] for part in parts} for held in (values, self.page.values))
        if self.plan.scaled(name):
            found = scaled(measure, given, before, now, rows)
        else:
            found = worked_out(measure, units, now, rows)
        for i, value in found.items():
            given[i] = value
        return given
