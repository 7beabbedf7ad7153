"""One fit: two scans of the coded tables, everything that leaves them noised and paid for.

The first scan gives one-way counts and the dependence of pairs, the second the tables of the
network that was chosen from them. Budget of a level, in parts of its μ²: SHARES.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import pi
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from synthetic.synthesiser.accounting import Entry, Ledger, sigma_for
from synthetic.synthesiser.domains import CYCLE, Domain
from synthetic.synthesiser.engine import ONE, Engine, refused
from synthetic.synthesiser.estimating import DIGITS, TINY, conditional, estimated, positive, shrunk
from synthetic.synthesiser.levels import UNIT, Level, levels_of, of_unit
from synthetic.synthesiser.model import Draw, Fitted, Model, Statement, Values
from synthetic.synthesiser.noise import LEAST_SIGMA, Noise, secure, seeded
from synthetic.synthesiser.structure import Network, Pairs, chosen
from synthetic.tables.schema import Schema

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNITS = 0.005
"""The part of the budget that counts the units."""
SHARES = {"single": 0.12, "values": 0.08, "pairs": 0.15}
"""Of a level's budget; its tables have the rest."""
STRETCHES = (16, 4, 1)
"""Fine cells of a bin that are looked at together, one after another."""
MANY = 1_000_000
"""Units from which each row counts one: the noise of a unit's many rows is then small enough."""
WIDEST = 1_000_000
"""Cells of the widest pair whose dependence is measured."""


@dataclass
class Release:
    """The only way out of the engine: enter in the ledger, noise, turn into units."""

    ledger: Ledger
    noise: Noise

    def figures(
        self, what: str, raw: Mapping[str, Ints], sensitivity: int, mu2: float
    ) -> tuple[dict[str, Floats], float]:
        """Noised figures in units, and their σ in units. One unit moves each by ≤ `sensitivity`."""
        if not raw:
            return {}, 0.0
        sigma = sigma_for(len(raw), sensitivity, mu2)
        if sigma < LEAST_SIGMA:
            raise ValueError("the noise is too small to be that of whole numbers")
        self.ledger.spend(Entry(what, len(raw), sensitivity, sigma))
        found = {
            name: self.noise(f"{what} {name}", figures, sigma) / ONE
            for name, figures in raw.items()
        }
        return found, sigma / ONE


def fit(
    schema: Schema,
    data: Mapping[str, Sequence[Path]],
    *,
    epsilon: float,
    delta: float = 1e-9,
    unit: str | None = None,
    seed: int | None = None,
    noise: Noise | None = None,
    threads: int = 2,
) -> Model:
    """A model of the tables, (ε, δ)-private for each unit.

    `data`: files of each table, all CSV or all Parquet. `seed`: see `noise`; None draws securely.

    Raises:
        SynthesisError: `synth_data`, `synth_unit`, `synth_schema`, `synth_budget`, `dp_missing`.
    """
    whole = of_unit(schema, unit)
    for name in {*data} ^ {*schema.tables}:
        raise refused(f"tables of the schema and of the data differ in {name}")
    draw = noise or (secure() if seed is None else seeded(seed))
    release = Release(Ledger(epsilon, delta), draw)
    levels = levels_of(whole)
    engine = Engine(threads)
    try:
        _read(engine, levels, data)
        units, fitted = _fitted(engine, levels, release)
    finally:
        engine.close()
    statement = Statement(
        unit or whole.tables[whole.root].key or f"row of {whole.root}",
        epsilon,
        delta,
        "secure" if seed is None and noise is None else "seeded",
        tuple(release.ledger.entries),
    )
    return Model(whole, units, fitted, statement)


def _read(engine: Engine, levels: Sequence[Level], data: Mapping[str, Sequence[Path]]) -> None:
    for level in levels:
        if level.name in data:
            engine.read(level, data[level.name])
    if levels[0].name == UNIT and UNIT not in data:
        engine.units(levels[0], levels[1].name)
    for level in levels:
        engine.code(level)


def _fitted(
    engine: Engine, levels: Sequence[Level], release: Release
) -> tuple[float, dict[str, Fitted]]:
    budget = release.ledger.budget
    engine.weigh(levels[0], shares=False)
    found, _ = release.figures(
        "units", {"count": engine.counts(levels[0], [()])[0]}, ONE, budget * UNITS
    )
    units = max(1.0, float(found["count"]))
    weight = {level.name: 2.0 + len(level.own) for level in levels}
    whole = sum(weight.values())
    fitted = {}
    for level in levels:
        part = budget * (1 - UNITS) * weight[level.name] / whole
        fitted[level.name] = _Fit(engine, level, release, units, part).fitted()
    return units, fitted


class _Fit:
    """The fit of one level."""

    def __init__(
        self, engine: Engine, level: Level, release: Release, units: float, mu2: float
    ) -> None:
        self._engine, self._level, self._release, self._mu2 = engine, level, release, mu2
        self._left = mu2
        self._estimator = _estimator(level, units)
        self._rows = level.unit_rows
        engine.weigh(level, shares=self._estimator == "shares")
        self._sensitivity = ONE * (self._rows if self._estimator == "rows" else 1)

    def fitted(self) -> Fitted:
        """Release the level's figures and estimate it."""
        if not self._level.own:
            return Fitted((), {}, self._estimator, self._rows)
        singles = self._singles()
        network = self._network(singles)
        values = self._values(singles)
        tables = self._tables(network, singles)
        draws = tuple(
            Draw(name, tuple(network.parents[name]), tables[name]) for name in network.order
        )
        return Fitted(draws, values, self._estimator, self._rows)

    def _figures(self, kind: str, raw: Mapping[str, Ints]) -> tuple[dict[str, Floats], float]:
        what, mu2 = f"{self._level.name} {kind}", self._mu2 * SHARES[kind]
        self._left -= mu2 if raw else 0.0
        return self._release.figures(what, raw, self._sensitivity, mu2)

    def _singles(self) -> dict[str, Floats]:
        names = [*self._level.own, *self._level.given]
        counted = self._engine.counts(self._level, [(name,) for name in names])
        raw = dict(zip(names, counted, strict=True))
        noised, sigma = self._figures("single", raw)
        # The total that all of them tell, each by as much as its noise lets it.
        weights = np.array([1 / counts.size for counts in noised.values()])
        sums = np.array([counts.sum() for counts in noised.values()])
        total = max(1.0, float((weights * sums).sum() / weights.sum()))
        for name, domain in self._level.own.items():
            if domain.measured:
                noised[name][: domain.known] = _without_ends(noised[name][: domain.known], sigma)
        return {name: positive(counts, total) for name, counts in noised.items()}

    def _network(self, singles: Mapping[str, Floats]) -> Network:
        level = self._level
        total = float(next(iter(singles.values())).sum())
        raw = {}
        for one, other in [
            *combinations(level.own, 2),
            *((a, b) for a in level.own for b in level.given),
        ]:
            if singles[one].size * singles[other].size <= WIDEST:
                raw[f"{one} × {other}"] = (one, other)
        wholes = {
            name: np.rint(np.outer(singles[a], singles[b]) / total * ONE).astype(np.int64)
            for name, (a, b) in raw.items()
        }
        counted = self._engine.counts(level, list(raw.values()))
        distances = {
            name: np.asarray(np.abs(counts - wholes[name]).sum())
            for name, counts in zip(raw, counted, strict=True)
        }
        noised, _ = self._figures("pairs", distances)
        sigma = sigma_for(len(singles), self._sensitivity, self._mu2 * SHARES["single"]) / ONE
        strength = {
            frozenset(raw[name]): (float(value) - _chance(wholes[name] / ONE, sigma)) / 2 / total
            for name, value in noised.items()
        }
        gini = {name: 1 - float(((c / total) ** 2).sum()) for name, c in singles.items()}
        sizes = {name: counts.size for name, counts in singles.items()}
        noise = sigma_for(len(level.own), self._sensitivity, self._left)
        return chosen(
            tuple(level.own), tuple(level.given), Pairs(strength, gini, sizes), noise / ONE / total
        )

    def _tables(self, network: Network, singles: Mapping[str, Floats]) -> dict[str, Floats]:
        """Each variable's cumulative table, for what is left of the budget.

        Larger tables get less noise, 1/σ² ~ cells^(2/3): the sum of all errors is then least.
        """
        found = {
            name: conditional(singles[name])
            for name, parents in network.parents.items()
            if not parents
        }
        joint = {name: (*ps, name) for name, ps in network.parents.items() if ps}
        cells = {n: float(np.prod([singles[v].size for v in vs])) for n, vs in joint.items()}
        whole = sum(size ** (2 / 3) for size in cells.values())
        counted = self._engine.counts(self._level, list(joint.values()))
        for (name, variables), counts in zip(joint.items(), counted, strict=True):
            part = self._left * cells[name] ** (2 / 3) / whole
            noised, sigma = self._release.figures(
                f"{self._level.name} table {name}", {name: counts}, self._sensitivity, part
            )
            margins = [singles[variable] for variable in variables]
            found[name] = conditional(estimated(noised[name], margins, sigma))
        return found

    def _values(self, singles: Mapping[str, Floats]) -> dict[str, Values]:
        level, raw = self._level, {}
        measured = {name: one for name, one in level.own.items() if one.measured}
        for name, (cells, cycle) in self._engine.fine(level, list(measured), CYCLE).items():
            raw[f"{name} cells"] = cells
            if measured[name].cyclic:
                raw[f"{name} cycle"] = cycle
        noised, sigma = self._figures("values", raw)
        return {
            name: Values(
                _inside(noised[f"{name} cells"], domain, singles[name], sigma),
                _even(noised.get(f"{name} cycle"), sigma),
            )
            for name, domain in measured.items()
        }


def _without_ends(counts: Floats, sigma: float) -> Floats:
    """Counts of bins without the ends that noise alone explains: few units there weigh much."""
    least = 2 * sigma * np.sqrt(np.arange(1, counts.size + 1))
    low = np.flatnonzero(np.cumsum(counts) > least)
    high = np.flatnonzero(np.cumsum(counts[::-1]) > least)
    if not (low.size and high.size) or low[0] >= counts.size - high[0]:
        return counts
    place = np.arange(counts.size)
    return np.where((place >= low[0]) & (place < counts.size - high[0]), counts, -np.inf)


def _estimator(level: Level, units: float) -> Literal["rows", "shares"]:
    if level.table.estimator != "auto":
        return level.table.estimator
    return "rows" if units >= MANY or level.unit_rows == 1 else "shares"


def _chance(expected: Floats, sigma: float) -> float:
    """The L1 distance from independence that chance and the noise of one-way counts bring."""
    total = max(float(expected.sum()), 1.0)
    rows, columns = expected.sum(axis=1, keepdims=True), expected.sum(axis=0, keepdims=True)
    noise = ((rows / total) ** 2 + (columns / total) ** 2) * sigma**2
    # Cells of few units are off by twice what is expected, at most.
    return float(np.minimum(np.sqrt(2 / pi * (expected + noise)), 2 * expected + sigma).sum())


def _inside(noised: Floats, domain: Domain, bins: Floats, sigma: float) -> Floats:
    """Weights of fine cells: shrunk to evenly filled bins, wide stretches before single cells."""
    wide = _width(domain.fine_edges)
    inside = np.bincount(domain.fine_bin, weights=wide)
    cells = bins[domain.fine_bin] * wide / inside[domain.fine_bin] + TINY
    place = np.arange(wide.size) - np.searchsorted(domain.fine_bin, domain.fine_bin)
    for length in STRETCHES:
        group = np.unique(np.stack([domain.fine_bin, place // length]), axis=1, return_inverse=True)
        stretch = group[1].ravel()
        expected, told = _added(cells, stretch), _added(noised, stretch)
        found = shrunk(told, expected, sigma * length**0.5)
        cells *= ((found + TINY) / (expected + TINY))[stretch]
    cells = cells + 1e-6 * wide / inside[domain.fine_bin]
    share = np.bincount(domain.fine_bin, weights=cells)
    return np.asarray(np.round(cells / share[domain.fine_bin], DIGITS))


def _width(edges: Ints) -> Floats:
    """How much of a bin each cell is expected to have: the longer it lies from 0, the less."""
    return np.diff(np.sign(edges) * np.log1p(np.abs(edges.astype(np.float64))))


def _added(cells: Floats, group: Ints) -> Floats:
    return np.asarray(np.bincount(group, weights=cells), np.float64)


def _even(noised: Floats | None, sigma: float) -> Floats:
    """Weights of remainders, 1 on average; shrunk to all alike."""
    if noised is None:
        return np.zeros(0)
    total = max(float(noised.sum()), 1.0)
    cells = shrunk(noised, np.full(noised.size, total / noised.size), sigma) + 1e-6
    return np.asarray(np.round(cells / cells.mean(), DIGITS))
