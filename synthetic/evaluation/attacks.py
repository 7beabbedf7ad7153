"""Attacks on the synthetic table: who was among the persons it was made from, and what do they
gain whose attribute is guessed. Distance to the closest record is an attack here, never evidence:
sets that pass distance tests have leaked nine members of ten (Yao et al., 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from synthetic.evaluation.learning import Matrix, Target, auc, sample, utility
from synthetic.evaluation.marginals import Coded, Codes

PEOPLE = 2_000
"""Most members, and most others, that are attacked."""
FEWEST = 200
"""Fewest of each without which an area under the curve is not worth reading."""
NEAR = 10_000
"""Synthetic rows among which the nearest is looked for."""


@dataclass(frozen=True)
class Membership:
    """One attack: the area under its ROC curve over members and as many others, with the
    standard error of Hanley and McNeil (1982)."""

    attack: str
    auc: float
    error: float
    members: int
    others: int


def membership(members: Coded, others: Coded, synthetic: Coded, seed: int = 0) -> list[Membership]:
    """Attacks by somebody who holds the synthetic table and half of `others` as a reference.

    `marginal ratio` scores a person by how much commoner their two-way cells are in the synthetic
    table than in the reference (DOMIAS with the marginals that such a model is made of), `nearest
    row` by how few columns differ from the closest synthetic row.

    Raises:
        ValueError: fewer than `FEWEST` members, or others left to be attacked.
    """
    known, unknown = _halves(others, seed)
    inside = _draw(members, seed)
    outside = _draw(unknown, seed)
    if min(inside.rows, outside.rows) < FEWEST:
        raise ValueError(f"an attack needs {FEWEST} members and {2 * FEWEST} others")
    both = [inside, outside]
    truth = np.repeat([1, 0], [inside.rows, outside.rows])
    near = synthetic.take(_some(synthetic.rows, NEAR, seed))
    scored = {
        "marginal ratio": np.concatenate([_ratio(one, synthetic, known) for one in both]),
        "nearest row": np.concatenate([_nearness(one, near) for one in both]),
    }
    return [_judged(name, truth, scores) for name, scores in scored.items()]


def _judged(name: str, truth: NDArray[np.int64], scores: NDArray[np.float64]) -> Membership:
    found, yes = auc(truth, scores), int(truth.sum())
    no = len(truth) - yes
    q1, q2 = found / (2 - found), 2 * found**2 / (1 + found)
    spread = found * (1 - found) + (yes - 1) * (q1 - found**2) + (no - 1) * (q2 - found**2)
    return Membership(name, found, sqrt(max(0.0, spread) / (yes * no)), yes, no)


def _ratio(people: Coded, synthetic: Coded, reference: Coded) -> NDArray[np.float64]:
    scores = np.zeros(people.rows)
    for a, b in combinations(people.columns, 2):
        size = people.sizes[b]
        cells = people.sizes[a] * size
        if cells > reference.rows * 20:
            continue
        here, made, known = (
            one.columns[a] * size + one.columns[b] for one in (people, synthetic, reference)
        )
        p = (np.bincount(made, minlength=cells) + 0.5) / (synthetic.rows + 0.5 * cells)
        q = (np.bincount(known, minlength=cells) + 0.5) / (reference.rows + 0.5 * cells)
        scores += np.log(p[here]) - np.log(q[here])
    return scores


def _nearness(people: Coded, synthetic: Coded) -> NDArray[np.float64]:
    """Agreeing columns with the closest synthetic row, rare agreements first."""
    weights = [
        log(synthetic.rows + 1) - np.log(np.bincount(codes, minlength=synthetic.sizes[name]) + 1)
        for name, codes in synthetic.columns.items()
    ]
    best = np.zeros(people.rows)
    for at in range(people.rows):
        agreed = np.zeros(synthetic.rows)
        for weight, (name, codes) in zip(weights, synthetic.columns.items(), strict=True):
            mine = people.columns[name][at]
            agreed += (codes == mine) * weight[mine]
        best[at] = agreed.max()
    return best


def _halves(table: Coded, seed: int) -> tuple[Coded, Coded]:
    order = np.random.default_rng([seed, 0xA]).permutation(table.rows)
    return table.take(order[: table.rows // 2]), table.take(order[table.rows // 2 :])


def _draw(table: Coded, seed: int) -> Coded:
    return table.take(_some(table.rows, PEOPLE, seed + 1))


def _some(rows: int, most: int, seed: int) -> Codes:
    if rows <= most:
        return np.arange(rows)
    return np.random.default_rng([seed, 0xB]).choice(rows, most, replace=False)


@dataclass(frozen=True)
class Inference:
    """How well a column is guessed from the others by what the synthetic rows teach: for
    members, and for others. Only the difference is owed to having been in the data."""

    target: str
    measure: str
    members: float
    others: float

    @property
    def gain(self) -> float:
        """What members lose by having been in."""
        return self.members - self.others


def inference(
    members: Matrix, others: Matrix, synthetic: Matrix, target: Target, seed: int = 0
) -> Inference:
    """Guess `target` of members and of as many others, learning from the synthetic rows."""
    rows = min(members.rows, others.rows, PEOPLE * 2)
    sides = [sample(one, rows, seed) for one in (members, others)]
    inside, outside = (utility(synthetic, sides[1], side, target, seed) for side in sides)
    return Inference(target.name, inside.measure, inside.synthetic, outside.synthetic)


QUASI_IDENTIFIERS = 6
"""Columns from which on an equal row is a copied person rather than a common one (SPEC 3.14):
counted are those where the row has not the commonest value, which tells nobody apart."""


@dataclass(frozen=True)
class Copies:
    """DC7's copy tests. They find a copying generator; passing them proves nothing."""

    exact: int
    """Synthetic rows equal in every column to a real row that is the only one of its kind and
    told apart by `QUASI_IDENTIFIERS` columns or more."""
    exact_by_others: int
    """As many as other real persons' rows do by chance, scaled to the synthetic rows."""
    quasi_identifiers: int
    closest_ratio: float
    """5th percentile of synthetic rows' distance to the closest real row, over that of others."""


def copies(real: Coded, others: Coded, synthetic: Coded, seed: int = 0) -> Copies:
    """Exact matches on every column, and the ratio of closest distances, rows drawn by the seed."""
    unique = _unique_rows(real)
    chance = len(_equal(others, unique)) * synthetic.rows / max(1, others.rows)
    near = real.take(_some(real.rows, NEAR, seed))
    far = [
        np.quantile(_distance(one.take(_some(one.rows, PEOPLE // 2, seed)), near), 0.05)
        for one in (synthetic, others)
    ]
    ratio = 1.0 if far[0] == far[1] else float(far[0] / far[1]) if far[1] else float("inf")
    return Copies(len(_equal(synthetic, unique)), round(chance), len(real.columns), ratio)


def _rows(table: Coded) -> NDArray[np.int64]:
    return np.column_stack(list(table.columns.values()))


def _unique_rows(table: Coded) -> set[bytes]:
    rows, many = np.unique(_rows(table), axis=0, return_counts=True)
    commonest = [np.bincount(codes).argmax() for codes in table.columns.values()]
    tells = (rows != commonest).sum(axis=1) >= QUASI_IDENTIFIERS
    return {one.tobytes() for one in rows[(many == 1) & tells]}


def _equal(table: Coded, among: set[bytes]) -> list[int]:
    return [at for at, one in enumerate(_rows(table)) if one.tobytes() in among]


def _distance(people: Coded, among: Coded) -> NDArray[np.float64]:
    """Columns that differ from the closest row."""
    mine, theirs = _rows(people), _rows(among)
    return np.array([(theirs != one).sum(axis=1).min() for one in mine], float)
