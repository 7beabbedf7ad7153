"""The verdict on a view of rows, and the ladder of generalisations until it passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import OperatorError, Unprocessable, wrong_places
from gateway.masking.operators import Value
from gateway.masking.plan import apply, plan
from gateway.masking.risk.diversity import diversity
from gateway.masking.risk.frequencies import (
    Attackers,
    Ints,
    attackers,
    classes,
    coded,
    frequencies,
    individual_risk,
)
from gateway.masking.risk.suda import MOST_COLUMNS, suda_scores

FILE = Path("person") / "reidentification.yaml"
Kind = Literal["geo", "period", "age", "diagnosis", "other"]


class Step(BaseModel):
    """One generalisation: of the quasi-identifiers of this kind, by this mask."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    mask: str


class Rule(BaseModel):
    """Thresholds of SPEC §4.2 and the ladder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: int = Field(ge=2)
    l: int = Field(ge=1)  # noqa: E741 - the field's own name
    t: float = Field(gt=0, le=1)
    ladder: tuple[Step, ...]


def load_rule(policies: Path) -> Rule:
    """The rule of a policies folder; OperatorError if the file cannot be used."""
    path = policies / FILE
    try:
        return Rule.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise OperatorError("masking.risk_rule", wrong_places(path.name, error)) from error
    except (OSError, yaml.YAMLError) as error:
        raise OperatorError("masking.risk_rule", f"{path.name} cannot be read as YAML.") from error


@dataclass(frozen=True)
class View:
    """Rows as columns of equal length: quasi-identifiers with their kind; whose each row is, the
    sensitive value and the weight where there are such columns."""

    columns: Mapping[str, Sequence[Value]]
    kinds: Mapping[str, Kind]
    person: Sequence[object] | None = None
    sensitive: Sequence[object] | None = None
    weights: Sequence[float] | None = None


@dataclass(frozen=True)
class Figures:
    """What a view gives away.

    `k` is the smallest class of persons, `below` how many stand in classes below the threshold (of
    rows, where no column says whose they are); `l`, `entropy_l`, `t` are the worst of any class,
    None without a sensitive column; `special` counts special uniques, `suda` is the highest score.
    """

    rows: int
    classes: int
    k: int
    below: int
    unique_share: float
    l: int | None  # noqa: E741 - the field's own name
    entropy_l: float | None
    t: float | None
    attackers: Attackers
    expected_links: float
    special: int
    suda: float
    failed: tuple[str, ...]


@dataclass(frozen=True)
class Assessment:
    """Figures before and after the ladder; `masks` is what the ladder added, by column."""

    verdict: Literal["release", "generalise", "refuse"]
    before: Figures
    after: Figures
    masks: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def assess(view: View, rule: Rule) -> Assessment:
    """`release` as it is, `generalise` if the ladder's masks are applied, `refuse` if even they do
    not help. Unprocessable if there is nothing to judge."""
    if not view.columns or not len(next(iter(view.columns.values()))):
        raise Unprocessable("risk_no_rows", "There are no quasi-identifiers or no rows to judge.")
    if len(view.columns) > MOST_COLUMNS:
        raise Unprocessable(
            "risk_too_many", f"Name at most {MOST_COLUMNS} quasi-identifiers, the strongest ones."
        )
    before = after = figures(view, rule)
    masks: dict[str, str] = {}
    for step in rule.ladder:
        mine = [name for name in view.columns if view.kinds.get(name) == step.kind]
        if not after.failed or not mine:
            continue
        masks.update(dict.fromkeys(mine, step.mask))
        after = figures(generalised(view, masks), rule)
    if not before.failed:
        return Assessment("release", before, before, {})
    return Assessment("refuse" if after.failed else "generalise", before, after, masks)


def generalised(view: View, masks: Mapping[str, str]) -> View:
    """The view with these columns masked."""
    made = {**view.columns, **apply(plan(masks), view.columns)}
    return View(made, view.kinds, view.person, view.sensitive, view.weights)


def figures(view: View, rule: Rule) -> Figures:
    """All figures of a view. Of several rows of a person with one key, one counts; of the sensitive
    column every row does."""
    columns, number, kept = _persons(view)
    weights = None if view.weights is None else [view.weights[at] for at in kept]
    told = frequencies(columns, weights)
    scores = suda_scores(columns)
    spread = None
    if view.sensitive is not None:
        spread = diversity(number, view.sensitive)
    distinct = None if spread is None else int(spread.distinct.min())
    distance = None if spread is None else float(spread.distance.max())
    k = int(told.sample.min())
    checks = {
        "k": k < rule.k,
        "l": distinct is not None and distinct < rule.l,
        "t": distance is not None and distance > rule.t,
    }
    return Figures(
        rows=len(number),
        classes=int(number.max()) + 1,
        k=k,
        below=int((told.sample < rule.k).sum()),
        unique_share=told.unique_share(),
        l=distinct,
        entropy_l=None if spread is None else float(spread.entropy.min()),
        t=distance,
        attackers=attackers(told),
        expected_links=float(individual_risk(told).sum()),
        special=int((scores > 0).sum()),
        suda=float(scores.max()),
        failed=tuple(name for name, fails in checks.items() if fails),
    )


def _persons(view: View) -> tuple[dict[str, list[Value]], Ints, list[int]]:
    """One row for each person and key; the key's number of every row; which rows were kept."""
    number = classes(coded(view.columns))
    kept = np.arange(len(number))
    if view.person is not None:
        whose = coded({"person": view.person})[:, 0]
        if (whose < 0).any():
            raise Unprocessable("risk_person", "Every row needs to say whose it is.")
        kept = np.unique(np.stack([number, whose]), axis=1, return_index=True)[1]
    places: list[int] = kept.tolist()
    columns = {name: [values[at] for at in places] for name, values in view.columns.items()}
    return columns, number, places
