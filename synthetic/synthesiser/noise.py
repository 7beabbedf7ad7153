"""Gaussian noise on whole numbers, as whole numbers: no gaps of floating point tell a count apart.

Without a seed: OpenDP's discrete Gaussian, exact, from the system's secure randomness. With a seed
(tests, audits, data that are public anyway): a normal draw rounded. Rounding x + N for a whole x
is afterwards of the Gaussian mechanism, so both cost what `accounting` says; but whoever learns the
seed takes the noise off again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from synthetic.tables.errors import SynthesisError

Ints: TypeAlias = NDArray[np.int64]
Noise: TypeAlias = Callable[[str, Ints, float], Ints]
"""(what is noised, whole figures, σ) → the figures with noise. σ is 8 at least, so that the
discrete and the rounded Gaussian differ from the continuous one by less than e⁻¹⁰⁰⁰."""

LEAST_SIGMA = 8.0


def seeded(seed: int) -> Noise:
    """Noise that is the same for the same seed and the same name of what is noised."""

    def draw(what: str, figures: Ints, sigma: float) -> Ints:
        digest = hashlib.sha256(f"sluice synth noise {seed} {what}".encode()).digest()
        rng = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
        normal = rng.normal(0.0, sigma, figures.shape)
        return figures + np.rint(normal).astype(np.int64)

    return draw


def secure() -> Noise:
    """OpenDP's discrete Gaussian.

    Raises:
        SynthesisError: `dp_missing`, where OpenDP is not installed.
    """
    dp = _opendp()
    space = dp.vector_domain(dp.atom_domain(T=dp.i64)), dp.l2_distance(T=dp.f64)

    def draw(what: str, figures: Ints, sigma: float) -> Ints:
        del what
        measure = dp.m.make_gaussian(*space, scale=float(sigma))
        flat = [int(one) for one in figures.ravel()]
        return np.array(measure(flat), np.int64).reshape(figures.shape)

    return draw


def _opendp() -> Any:  # a module without types
    try:
        found = import_module("opendp.prelude")
    except ImportError as error:
        raise SynthesisError(
            "dp_missing",
            "A fit without a seed draws its noise by OpenDP: pip install 'sluice[privacy]'.",
            "不指定随机种子的拟合需要安装 OpenDP。",
        ) from error
    found.enable_features("contrib")
    return found
