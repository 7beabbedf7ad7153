"""Everything that is said of a synthetic set, measured: one call, one value, one JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import sqrt
from typing import Any

import duckdb
import numpy as np
from scipy.special import ndtr

from synthetic.evaluation import people
from synthetic.evaluation.attacks import (
    Copies,
    Inference,
    Membership,
    copies,
    inference,
    membership,
)
from synthetic.evaluation.constraints import Check, check
from synthetic.evaluation.learning import (
    Utility,
    discriminator_auc,
    telling,
)
from synthetic.evaluation.longitudinal import Course, Events, Link, apart, course
from synthetic.evaluation.marginals import Fidelity, fidelity
from synthetic.evaluation.questions import Question, answered
from synthetic.evaluation.sides import Raw, coded, exact, matrix, raw, rows_of
from synthetic.evaluation.verdict import Limits, Verdict, judge
from synthetic.synthesiser.accounting import delta_at, epsilon_at
from synthetic.tables.schema import Number, Schema

DELTAS = (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)


@dataclass(frozen=True)
class Promise:
    """What the model's ledger says: the unit whose privacy is kept, what it was bounded to, μ² of
    all Gaussian releases together, and the releases in words."""

    unit: str
    caps: Mapping[str, int]
    epsilon: float
    delta: float
    mu2: float
    entries: Sequence[Mapping[str, Any]] = ()

    @property
    def mu(self) -> float:
        """μ of the whole fit."""
        return sqrt(self.mu2)

    @property
    def best_auc(self) -> float:
        """What nobody's membership attack can exceed, whatever they know: Φ(μ/√2)."""
        return float(ndtr(self.mu / sqrt(2)))

    def curve(self) -> list[tuple[float, float]]:
        """δ for ε from 0 to twice what was promised: the privacy loss, exactly."""
        ends = np.linspace(0, 2 * self.epsilon, 41)
        return [(float(e), delta_at(self.mu, float(e))) for e in ends]

    def as_dict(self) -> dict[str, Any]:
        """For the JSON."""
        return {
            **asdict(self),
            "mu": self.mu,
            "rho": self.mu2 / 2,
            "epsilon_at": {f"{delta:g}": epsilon_at(self.mu, delta) for delta in DELTAS},
            "delta_of_epsilon": self.curve(),
            "membership_auc_bound": self.best_auc,
        }


@dataclass(frozen=True)
class Told:
    """What is measured of one table."""

    rows: Mapping[str, int]
    fidelity: Fidelity
    discriminator: Mapping[str, float]
    telling: Mapping[str, float]


@dataclass(frozen=True)
class Report:
    """All findings. `holdout` says who the other real persons are."""

    promise: Promise
    holdout: str
    tables: Mapping[str, Told]
    lives: Mapping[str, float]
    courses: Mapping[str, Course]
    apart: Mapping[str, Mapping[str, float]]
    utility: Sequence[Utility]
    checks: Sequence[Check]
    membership: Sequence[Membership]
    inference: Sequence[Inference]
    copies: Copies
    verdict: Verdict
    notes: Sequence[str] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """The JSON beside the page."""
        return {
            "released": self.verdict.released,
            "verdict": [asdict(one) for one in self.verdict.reasons],
            "privacy": self.promise.as_dict(),
            "other_real": self.holdout,
            "tables": {name: _told(one) for name, one in self.tables.items()},
            "persons": dict(self.lives),
            "longitudinal": {side: asdict(one) for side, one in self.courses.items()},
            "longitudinal_apart": {side: dict(one) for side, one in self.apart.items()},
            "utility": [{**asdict(one), "lost": one.lost} for one in self.utility],
            "constraints": [{**asdict(one), "held": one.held} for one in self.checks],
            "membership": [asdict(one) for one in self.membership],
            "attribute_inference": [{**asdict(one), "gain": one.gain} for one in self.inference],
            "copies": asdict(self.copies),
            "notes": list(self.notes),
        }


def _told(one: Told) -> dict[str, Any]:
    by_width = {
        side: getattr(one.fidelity, side) for side in ("synthetic", "independent", "holdout")
    }
    pairs = {f"{a} × {b}": value for (a, b), value in one.fidelity.pairs.items()}
    return {
        "rows": dict(one.rows),
        "tvd": by_width,
        "pairs": pairs,
        "discriminator_auc": dict(one.discriminator),
        "telling": dict(one.telling),
    }


def appraise(
    connection: duckdb.DuckDBPyConnection,
    schema: Schema,
    promise: Promise,
    questions: Sequence[Question],
    limits: Limits,
    *,
    holdout: str,
    attacked: str = "synthetic",
    seed: int = 0,
) -> Report:
    """Measure everything over the sides `real`, `synthetic` and `holdout` of a database. The
    attacks and copy tests are made on the side `attacked`, made from the persons of `real`.

    Raises:
        LearnerMissing: scikit-learn is not installed.
    """
    names = [name for name in schema.ordered if schema.tables[name].columns]
    told = {name: _table(connection, schema, name, seed) for name in names}
    sides = ("real", "synthetic", "holdout")
    courses = {
        side: course(connection, side, links_of(schema), events_of(schema)) for side in sides
    }
    persons = {side: people.people(connection, schema, side, seed) for side in {*sides, attacked}}
    whole = {side: people.matrix(schema, one) for side, one in persons.items()}
    checks = check(connection, schema, "synthetic")
    caught = _attacks(schema, persons["real"], persons["holdout"], persons[attacked], seed)
    of_root = [one.target for one in questions if one.table == schema.root]
    return Report(
        promise=promise,
        holdout=holdout,
        tables=told,
        lives={
            "synthetic": discriminator_auc(whole["real"], whole["synthetic"], seed),
            "other real": discriminator_auc(whole["real"], whole["holdout"], seed),
        },
        courses=courses,
        apart={side: apart(courses["real"], courses[side]) for side in sides[1:]},
        utility=[answered(connection, schema, one, seed) for one in questions],
        checks=checks,
        membership=caught[0],
        inference=[
            inference(whole["real"], whole["holdout"], whole[attacked], target, seed)
            for target in of_root
        ],
        copies=caught[1],
        verdict=judge(checks, caught[1], caught[0], limits),
        notes=weaknesses(told, courses),
    )


def _attacks(
    schema: Schema, real: Raw, other: Raw, made: Raw, seed: int
) -> tuple[list[Membership], Copies]:
    equal = exact([real, other, made])
    copied = copies(equal[0], equal[1], equal[2], seed)
    try:
        inside, outside, drawn = people.classed(schema, real, other, made)
        return membership(inside, outside, drawn, seed), copied
    except ValueError:  # too few persons to be attacked: the verdict says that it is not known
        return [], copied


def _table(connection: duckdb.DuckDBPyConnection, schema: Schema, name: str, seed: int) -> Told:
    sides = ("real", "synthetic", "holdout")
    tables = [raw(connection, schema, side, name, seed) for side in sides]
    real, made, other = (coded(schema, name, one) for one in tables)
    as_learnt = [matrix(schema, name, one) for one in tables]
    return Told(
        {side: rows_of(connection, side, name) for side in sides},
        fidelity(real, made, other, seed),
        {
            "synthetic": discriminator_auc(as_learnt[0], as_learnt[1], seed),
            "other real": discriminator_auc(as_learnt[0], as_learnt[2], seed),
        },
        telling(as_learnt[0], as_learnt[1], seed),
    )


def links_of(schema: Schema) -> list[Link]:
    """Each child table beside its parent."""
    return [
        Link(name, table.parent, table.foreign_key or "", schema.tables[table.parent].key or "")
        for name, table in schema.tables.items()
        if table.parent
    ]


def events_of(schema: Schema) -> list[Events]:
    """Tables below the root; in time where the schema orders them."""
    return [
        Events(
            name,
            "_unit",
            table.order.column if table.order else None,
            numbers := tuple(
                column
                for column, what in table.columns.items()
                if isinstance(what, Number) and column != (table.order and table.order.column)
            ),
            tuple(column for column in numbers if table.columns[column].kind == "number"),
        )
        for name, table in schema.tables.items()
        if table.parent
    ]


def weaknesses(told: Mapping[str, Told], courses: Mapping[str, Course]) -> list[str]:
    """In words, what the set is not good for: what is farther from real than other persons are."""
    said = []
    for name, one in told.items():
        worst = sorted(one.fidelity.pairs.items(), key=lambda pair: -pair[1])[:3]
        said += [
            f"{name}: how {a} goes with {b} (two-way TVD {value:.3f})"
            for (a, b), value in worst
            if value > max(0.05, 2 * one.fidelity.holdout.get(2, 0.0))
        ]
        said += [
            f"{name}: {column} alone tells synthetic from real rows (AUC {value:.2f})"
            for column, value in sorted(one.telling.items(), key=lambda pair: -pair[1])[:3]
            if value > 0.65
        ]
    distance = apart(courses["real"], courses["synthetic"])
    floor = apart(courses["real"], courses["holdout"])
    said += [
        f"{what} (apart by {value:.3f}; other real persons by {floor[what]:.3f})"
        for what, value in distance.items()
        if value > max(0.05, 2 * floor[what])
    ]
    return said
