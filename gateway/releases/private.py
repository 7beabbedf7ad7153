"""A table of noised person counts in place of a profile's cells, where its `dp` is on.

One table per service: its closed lists in full, cells nobody is in among them, so that which cells
there are says nothing. Noise is added first; what the profile hides for being small, it hides by
the noised count. No other measure of the service is published under such a profile.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import prod
from typing import Any

import numpy as np

from gateway.db.engine import open_engine
from gateway.privacy.bounding import counts
from gateway.privacy.ledger import Ledger, Purpose, purpose_digest
from gateway.privacy.noise import Mechanism, noised, scale_of
from gateway.privacy.terms import PrivacyError, PrivateTable, Terms
from gateway.releases.cellfile import answered, places_of
from gateway.releases.facts import Period
from gateway.releases.kernel import Ints, Rows, collapse, mixed, unmixed
from gateway.releases.kinds.scene import Rules
from gateway.releases.plan import Plan
from gateway.releases.prepare import Prepared, season_plan
from gateway.releases.sdc import Profile
from gateway.releases.sheet import Sheet, kept
from gateway.releases.shown import ABSENT, ROUNDED, SUPPRESSED

FILE = "privacy.json"
"""What a release with noise says of it: one statement per profile."""


@dataclass(frozen=True)
class Drawn:
    """The noised counts of one period of a table, and how they were drawn."""

    period: str
    noised: Ints
    scale: float


@dataclass(frozen=True)
class Private:
    """One service's private table in the making."""

    one: Prepared
    terms: Terms
    table: PrivateTable
    warehouse: Mapping[str, str]  # the content of each of its tables
    ledger: Ledger
    now: datetime

    def draws(self) -> Iterator[Drawn]:
        """Every period, in order of the calendar; spends for those that were not drawn before."""
        for season in self.one.seasons:
            plan, _ = season_plan(self.one, season)
            for period in plan.periods:
                if period.grain == self.table.grain:
                    yield self._drawn(plan, period)

    def _drawn(self, plan: Plan, period: Period) -> Drawn:
        by = Mechanism(self.terms.epsilon, self.terms.contributions)

        def draw() -> str:
            rng = np.random.default_rng(secrets.randbits(256))
            found = noised(self.counts(plan, period, rng), by)
            return json.dumps({"noised": found.tolist(), "scale": scale_of(by)})

        text = self.ledger.drawn(self._purpose(plan, period.label), self.now, draw)
        told = json.loads(text)
        return Drawn(period.label, np.array(told["noised"], np.int64), float(told["scale"]))

    def counts(self, plan: Plan, period: Period, rng: np.random.Generator) -> Ints:
        """Persons by place and cell, each in at most `contributions` of them: what is noised."""
        columns = self.columns
        fact = plan.facts[self._main()]
        rows = fact.window([period]).rows
        names = ["person", self.table.geo, *columns]
        radix = [int(rows.keys[n].max(initial=0)) + 1 for n in names]
        each = collapse(Rows(rows.keys, rows.sums[:1]), names, radix)
        each = each.take(np.flatnonzero(each.sums[0] > 0))
        sizes = [len(self._places()), *self._sizes()]
        listed = np.ones(len(each), np.bool_)
        for name, size in zip(names[1:], sizes, strict=True):
            listed &= each.keys[name] < size
        each = each.take(np.flatnonzero(listed))
        cell = mixed([each.keys[n] for n in names[1:]], sizes, len(each))
        return counts(each.keys["person"], cell, prod(sizes), self.terms.contributions, rng)

    def sheet(self, drawn: Sequence[Drawn], profile: Mapping[str, Any], key: bytes) -> Sheet:
        """The cells whose noised count is not small, with that count, rounded, and nothing else."""
        rules = Rules(Profile.of(profile), key)
        plan = self.one.plan
        number = {(p.grain, p.label): at for at, p in enumerate(plan.calendar)}
        shape = answered(plan).index(self.columns)
        block, cell, figure = [], [], []
        for one in drawn:
            large = np.flatnonzero(one.noised >= rules.profile.k)
            place, *digits = unmixed(large, self._sizes())
            at = shape * len(plan.calendar) + number[self._grain(), one.period]
            block.append(at * len(places_of(plan)) + self._before() + place)
            cell.append(mixed(digits, self._sizes(), len(large)))
            figure.append(rules.count(one.noised[large], rules.profile.k))
        return self._laid_out(*(_joined(each) for each in (block, cell, figure)))

    def _laid_out(self, block: Ints, cell: Ints, figure: Ints) -> Sheet:
        plan = self.one.plan
        service, order = plan.service, np.lexsort((cell, block))
        measures = kept(service)
        own = service.disclosure.person_measure
        offered = plan.fits[self._shape()].measures
        letter = [
            ROUNDED if m.name == own else SUPPRESSED if m.name in offered else ABSENT
            for m in measures
        ]
        marks = np.repeat(np.array(letter, np.uint8)[:, None], len(order), axis=1)
        none = np.zeros(len(order), np.int64)
        return Sheet(
            measures=measures,
            block=block[order],
            cell=cell[order],
            whole=np.full(len(order), ROUNDED, np.uint8),
            marks=marks,
            open=np.arange(len(order)),
            values=tuple(figure[order] if m.name == own else none for m in measures),
            scales=(0,) * len(measures),
            labels=((),) * len(measures),
        )

    def statement(self, drawn: Sequence[Drawn], profile: Mapping[str, Any]) -> dict[str, object]:
        """What is published of the noise: everything but what it was added to."""
        return {
            "mechanism": "two_sided_geometric",
            "epsilon": float(self.terms.epsilon),
            "epsilon_year": float(self.terms.year),
            "contributions": self.terms.contributions,
            "sensitivity_l1": self.terms.contributions,
            "unit": "person",
            "table": {"dims": self.columns, "geo": self.table.geo, "grain": self.table.grain},
            "threshold_on_noised": int(profile["k_person"]),
            "periods": {one.period: {"scale": one.scale} for one in drawn},
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """The dims of the table, in the order in which a shape names them."""
        return answered(self.one.plan)[self._place()]

    def _place(self) -> int:
        for at, columns in enumerate(answered(self.one.plan)):
            if set(columns) == set(self.table.dims):
                return at
        raise _no_table(self.one.plan)

    def _shape(self) -> int:
        shapes = self.one.plan.shapes
        return next(
            i for i, s in enumerate(shapes) if s.pivot is None and s.columns == self.columns
        )

    def _main(self) -> str:
        name = self.one.plan.fits[self._shape()].main
        own = self.one.plan.service.disclosure.person_measure
        if name is None or own not in self.one.plan.fits[self._shape()].measures:
            raise _no_table(self.one.plan)
        return name

    def _grain(self) -> Any:  # an enumeration of the catalogue, whose values are texts
        return next(p.grain for p in self.one.plan.calendar if p.grain == self.table.grain)

    def _sizes(self) -> list[int]:
        return [len(self.one.plan.domains[c].values) for c in self.columns]

    def _places(self) -> tuple[str, ...]:
        return self.one.plan.cities if self.table.geo == "city" else self.one.plan.counties

    def _before(self) -> int:
        """Places of the release that come before those of the table's level."""
        return (
            0 if self.table.geo == "city" else len(places_of(self.one.plan)) - len(self._places())
        )

    def _purpose(self, plan: Plan, period: str) -> Purpose:
        """No count decides about the draw: what was drawn before is given again only while the
        whole warehouse is the same."""
        service = plan.service.id
        told = {
            "service": service,
            "contract": plan.service.model_dump_json(exclude={"tariff", "own"}),
            "table": (self.columns, self.table.geo, self.table.grain, period),
            "lists": (self._places(), [self.one.plan.domains[c].values for c in self.columns]),
            "terms": (str(self.terms.epsilon), self.terms.contributions),
            "warehouse": dict(self.warehouse),
        }
        return Purpose(
            purpose_digest(told),
            f"{service} {period} by {', '.join(self.columns) or 'nothing'}",
            self._places(),
            self.terms.epsilon,
            self.terms.year,
        )


def private_sheets(
    one: Prepared,
    profiles: Mapping[str, Mapping[str, Any]],
    making: Callable[[Terms, PrivateTable], Private],
    key: bytes,
) -> dict[str, tuple[Sheet, dict[str, object]]]:
    """Sheet and statement of each profile whose `dp` is on."""
    found = {}
    for name, profile in profiles.items():
        if (terms := Terms.of(profile)) is None:
            continue
        if (table := terms.tables.get(one.plan.service.id)) is None:
            raise _no_table(one.plan)
        private = making(terms, table)
        levels = {level.level for level in one.plan.service.geo}
        if table.geo not in levels or table.grain not in {p.grain for p in one.plan.calendar}:
            raise _no_table(one.plan)
        drawn = list(private.draws())
        found[name] = private.sheet(drawn, profile, key), private.statement(drawn, profile)
    return found


def ledger_of(database: str) -> Ledger:
    """The ledger in the operational database of a home."""
    return Ledger(open_engine(database))


def _joined(parts: Sequence[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _no_table(plan: Plan) -> PrivacyError:
    return PrivacyError(
        "dp_table",
        f"{plan.service.id} has a profile with `dp` on: name under dp.tables.{plan.service.id} the "
        "dims, geo and grain of one table whose persons the service counts.",
        f"{plan.service.id} 的脱敏规则档启用了 dp：请在 dp.tables 中指定一张人数表。",
    )
