"""What a learner makes of the synthetic rows: can it tell them from real ones, and does what it
learns from them hold for real ones. Histogram gradient boosting (scikit-learn) throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CATEGORIES = 254
"""Most codes of a column that the learner takes as categories; above, it takes the order."""
ROWS = 20_000
"""Most rows of each side a learner is shown: more changes the third digit and costs minutes."""
FOLDS = 3
CLASSES = 200
"""Most classes of a single column."""


class LearnerMissing(Exception):
    """scikit-learn is not installed: `pip install sluice[evaluation]`."""


@dataclass(frozen=True)
class Matrix:
    """A table for a learner: (rows, columns) floats, nan where nothing is known."""

    values: Floats
    names: tuple[str, ...]
    categorical: tuple[bool, ...]

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return len(self.values)

    def take(self, at: NDArray[Any]) -> Matrix:
        """The rows at these positions, or where this mask holds."""
        return Matrix(self.values[at], self.names, self.categorical)

    def without(self, columns: Sequence[str]) -> Matrix:
        """The same rows, less some columns."""
        keep = [at for at, name in enumerate(self.names) if name not in columns]
        return Matrix(
            self.values[:, keep],
            tuple(self.names[at] for at in keep),
            tuple(self.categorical[at] for at in keep),
        )

    def column(self, name: str) -> Floats:
        """One column."""
        found: Floats = self.values[:, self.names.index(name)]
        return found


def sample(table: Matrix, rows: int, seed: int) -> Matrix:
    """At most so many rows, drawn without putting back."""
    if table.rows <= rows:
        return table
    return table.take(np.random.default_rng(seed).choice(table.rows, rows, replace=False))


def discriminator_auc(one: Matrix, other: Matrix, seed: int = 0) -> float:
    """How well a learner tells the rows of two tables apart: area under the ROC curve over
    rows it has not seen; .5 not at all, 1 always. The sides are made equally large.

    Raises:
        LearnerMissing: scikit-learn is not installed.
        ValueError: fewer than `FOLDS` rows on a side.
    """
    rows = min(one.rows, other.rows, ROWS)
    if rows < FOLDS:
        raise ValueError("too few rows to tell two tables apart")
    left, right = sample(one, rows, seed), sample(other, rows, seed + 1)
    values = np.vstack([left.values, right.values])
    side = np.repeat([0, 1], rows)
    scores = np.zeros(len(side))
    fold = np.random.default_rng(seed).permutation(np.arange(len(side)) % FOLDS)
    for at in range(FOLDS):
        kept = fold != at
        learner = _taught("classify", one, seed, values[kept], side[kept])
        scores[~kept] = learner.predict_proba(values[~kept])[:, 1]
    return auc(side, scores)


def auc(truth: NDArray[Any], scores: NDArray[Any]) -> float:
    """Area under the ROC curve by ranks (Mann–Whitney), ties counted half; nan with one class."""
    yes = np.asarray(truth, bool)
    if yes.all() or not yes.any():
        return float("nan")
    _, place, many = np.unique(scores, return_inverse=True, return_counts=True)
    upto = np.cumsum(many)
    ranks = (upto - (many - 1) / 2)[place]
    hits = int(yes.sum())
    return float((ranks[yes].sum() - hits * (hits + 1) / 2) / (hits * (len(yes) - hits)))


@dataclass(frozen=True)
class Target:
    """A column to foresee from the others: a yes/no, a number, or a number on one side of a bound.

    Numbers are scored by R² of the logarithm of 1 + value (costs and days have long tails), the
    others by AUC. `without` names columns the learner may not see, as they hold the answer.
    """

    column: str
    above: float | None = None
    within: float | None = None
    """At most so much; what is unknown is more (no next visit is none within 30 days)."""
    without: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the report calls it."""
        if self.above is not None:
            return f"{self.column} > {self.above:g}"
        return self.column if self.within is None else f"{self.column} ≤ {self.within:g}"

    def kind_of(self, train: Matrix) -> Literal["classify", "regress"]:
        """Whether a yes/no is asked, judged by the real rows."""
        if self.above is not None or self.within is not None:
            return "classify"
        known = train.column(self.column)
        return "classify" if len(np.unique(known[~np.isnan(known)])) <= 2 else "regress"

    def answers(self, table: Matrix) -> Floats:
        """What is to be foreseen, for each row; nan where unknown."""
        found = table.column(self.column)
        if self.within is not None:
            return (found <= self.within).astype(float)
        if self.above is None:
            return found
        return np.where(np.isnan(found), np.nan, (found > self.above).astype(float))


@dataclass(frozen=True)
class Utility:
    """A target's score on real rows: learnt from synthetic rows, and from real ones beside."""

    target: str
    measure: Literal["AUC", "R2"]
    synthetic: float
    real: float
    rows: int

    @property
    def lost(self) -> float:
        """What is lost by learning from synthetic rows."""
        return self.real - self.synthetic


def utility(
    synthetic: Matrix, train: Matrix, test: Matrix, target: Target, seed: int = 0
) -> Utility:
    """Train on synthetic, test on real; and on as many real rows, tested on the same."""
    kind = target.kind_of(train)
    rows = min(synthetic.rows, train.rows, ROWS)
    made, real = (
        _score(kind, sample(one, rows, seed), test, target, seed) for one in (synthetic, train)
    )
    return Utility(target.name, "AUC" if kind == "classify" else "R2", made, real, rows)


def _score(kind: str, train: Matrix, test: Matrix, target: Target, seed: int) -> float:
    hidden = (target.column, *target.without)
    seen, asked = target.answers(train), target.answers(test)
    known, checked = ~np.isnan(seen), ~np.isnan(asked)
    features = train.without(hidden)
    if kind == "classify" and len(np.unique(seen[known])) < 2:
        return 0.5
    if kind == "regress":
        seen, asked = np.log1p(np.maximum(seen, 0)), np.log1p(np.maximum(asked, 0))
    learner = _taught(kind, features, seed, features.values[known], seen[known])
    put = test.without(hidden).values[checked]
    if kind == "classify":
        return auc(asked[checked] == asked[checked].max(), learner.predict_proba(put)[:, -1])
    left = ((asked[checked] - learner.predict(put)) ** 2).sum()
    return float(1 - left / ((asked[checked] - asked[checked].mean()) ** 2).sum())


def telling(one: Matrix, other: Matrix, seed: int = 0) -> Mapping[str, float]:
    """How well each column alone tells two tables apart, in the same measure: the ratio of
    shares by value, where there are few values, or by class, learnt on half of the rows."""
    rows = min(one.rows, other.rows, ROWS)
    left, right = sample(one, rows, seed), sample(other, rows, seed + 1)
    side = np.repeat([0, 1], rows)
    half = np.random.default_rng(seed).random(2 * rows) < 0.5
    found = {}
    for at, name in enumerate(one.names):
        both = np.nan_to_num(np.concatenate([left.values[:, at], right.values[:, at]]), nan=-1e300)
        edges = np.unique(both)
        if len(edges) > CLASSES:
            edges = np.unique(np.quantile(both, np.linspace(0, 1, CLASSES)))
        place = np.searchsorted(edges, both, "right")
        counts = [np.bincount(place[half & (side == s)], minlength=len(edges) + 1) for s in (0, 1)]
        ratio = (counts[1] + 0.5) / (counts[0] + counts[1] + 1)
        found[name] = auc(side[~half], ratio[place[~half]])
    return found


def _taught(kind: str, table: Matrix, seed: int, values: Floats, truth: NDArray[Any]) -> Any:
    try:
        from sklearn.ensemble import (  # noqa: PLC0415 - an extra; the rest works without
            HistGradientBoostingClassifier,
            HistGradientBoostingRegressor,
        )
        from threadpoolctl import threadpool_limits  # noqa: PLC0415 - comes with it
    except ImportError as error:
        raise LearnerMissing from error
    make = HistGradientBoostingClassifier if kind == "classify" else HistGradientBoostingRegressor
    learner = make(categorical_features=list(table.categorical), random_state=seed)
    with threadpool_limits(1):  # threads that wait for each other cost far more than they do
        return learner.fit(values, truth)
