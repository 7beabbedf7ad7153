"""What a fit leaves: probabilities made of noised counts, and the statement of what they cost."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from synthetic.synthesiser.accounting import Entry, epsilon_at
from synthetic.tables.errors import SynthesisError
from synthetic.tables.loading import parse_schema
from synthetic.tables.schema import Schema

Floats = NDArray[np.float64]

FORM = "sluice-synthesiser/1"
DELTAS = (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)


@dataclass(frozen=True)
class Draw:
    """How one variable is drawn: from its parents' codes, by cumulative probabilities.

    `table`: one row for each combination of the parents' codes (the last parent fastest), one
    column for each code of the variable.
    """

    name: str
    parents: tuple[str, ...]
    table: Floats


@dataclass(frozen=True)
class Values:
    """Values inside the bins of a number or date: weights of fine cells, and of the remainders of
    values after division by their number, where a fine cell holds several values."""

    cells: Floats
    cycle: Floats


@dataclass(frozen=True)
class Fitted:
    """One table: variables in the order they are drawn, values, and how rows were weighed."""

    draws: tuple[Draw, ...]
    values: dict[str, Values]
    estimator: Literal["rows", "shares"]
    unit_rows: int


@dataclass(frozen=True)
class Statement:
    """The guarantee: (ε, δ) for adding or removing a unit with all its rows, and its proof."""

    unit: str
    epsilon: float
    delta: float
    noise: Literal["secure", "seeded"]
    entries: tuple[Entry, ...] = field(default=())

    @property
    def mu(self) -> float:
        """μ of the whole fit."""
        return float(sum(entry.mu2 for entry in self.entries) ** 0.5)

    def as_dict(self) -> dict[str, Any]:
        """For machines: ρ = μ²/2, the curve ε(δ), every group of figures that was released."""
        return {
            "unit": self.unit,
            "relation": "add or remove one unit with all its rows",
            "epsilon": self.epsilon,
            "delta": self.delta,
            "mu": self.mu,
            "rho": self.mu**2 / 2,
            "curve": [{"delta": d, "epsilon": round(epsilon_at(self.mu, d), 9)} for d in DELTAS],
            "noise": self.noise,
            "entries": [
                {
                    "what": e.what,
                    "queries": e.queries,
                    "sensitivity": e.sensitivity,
                    "sigma": e.sigma,
                }
                for e in self.entries
            ],
        }


@dataclass(frozen=True)
class Model:
    """All that is needed to draw tables, and nothing that was not paid for."""

    schema: Schema
    units: float  # noised
    levels: dict[str, Fitted]
    statement: Statement

    @property
    def digest(self) -> str:
        """The name of the model: SHA-256 of its file."""
        return hashlib.sha256(self.encoded()).hexdigest()

    def encoded(self) -> bytes:
        """The model file."""
        document = {
            "form": FORM,
            "schema": self.schema.model_dump(mode="json", exclude_defaults=True),
            "units": self.units,
            "levels": {name: _level(one) for name, one in self.levels.items()},
            "statement": self.statement.as_dict(),
        }
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)

    def write(self, path: Path) -> None:
        """Write the model file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.encoded())


def read_model(path: Path) -> Model:
    """The model of a file.

    Raises:
        SynthesisError: `synth_model`, where it is none.
    """
    try:
        return decoded(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SynthesisError(
            "synth_model",
            f"{path.name} is no model of this version: make it by sluice synth fit.",
            "该文件不是本版本的合成模型。",
        ) from error


def decoded(encoded: bytes) -> Model:
    """The model of a file's bytes; ValueError, KeyError or TypeError where it is none."""
    document = orjson.loads(encoded)
    if document["form"] != FORM:
        raise ValueError("another form")
    told = document["statement"]
    entries = tuple(Entry(**one) for one in told["entries"])
    return Model(
        parse_schema(document["schema"]),
        document["units"],
        {name: _fitted(one) for name, one in document["levels"].items()},
        Statement(told["unit"], told["epsilon"], told["delta"], told["noise"], entries),
    )


def _level(fitted: Fitted) -> dict[str, Any]:
    return {
        "estimator": fitted.estimator,
        "unit_rows": fitted.unit_rows,
        "draws": [{"name": d.name, "parents": d.parents, "table": d.table} for d in fitted.draws],
        "values": {name: {"cells": v.cells, "cycle": v.cycle} for name, v in fitted.values.items()},
    }


def _fitted(document: dict[str, Any]) -> Fitted:
    draws = tuple(
        Draw(d["name"], tuple(d["parents"]), np.array(d["table"])) for d in document["draws"]
    )
    values = {
        name: Values(np.array(v["cells"]), np.array(v["cycle"]))
        for name, v in document["values"].items()
    }
    return Fitted(draws, values, document["estimator"], document["unit_rows"])
