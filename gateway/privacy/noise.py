"""Two-sided geometric noise (discrete Laplace) from OpenDP: whole numbers, exact sampling.

No floating-point noise is ever added: its gaps tell the true figure apart. OpenDP is imported when
noise is drawn first; a bureau that leaves differential privacy off does not need it installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np

from gateway.privacy.bounding import Ints
from gateway.privacy.terms import PrivacyError


@dataclass(frozen=True)
class Mechanism:
    """Noise for whole counts of which one person changes at most `sensitivity` in all (L1)."""

    epsilon: Fraction
    sensitivity: int


Noise: TypeAlias = Callable[[Ints, Mechanism], Ints]
"""Counts and how to protect them → noised counts, of the same length. Draws anew at each call."""


def noised(counts: Ints, by: Mechanism) -> Ints:
    """Counts with two-sided geometric noise; any whole number, also below 0.

    Raises `PrivacyError` (`dp_missing`) where OpenDP is not installed.
    """
    measure = _measurement(by)
    drawn = measure([int(one) for one in counts]) if len(counts) else []
    return np.array(drawn, np.int64)


def scale_of(by: Mechanism) -> float:
    """The scale of the noise: OpenDP itself proves that its loss is no more than ε."""
    measure, scale = _found(by)
    del measure
    return scale


def _measurement(by: Mechanism) -> Any:  # OpenDP has no types
    return _found(by)[0]


def _found(by: Mechanism) -> tuple[Any, float]:
    dp = _opendp()
    space = dp.vector_domain(dp.atom_domain(T=dp.i64)), dp.l1_distance(T=dp.i64)
    scale = by.sensitivity / float(by.epsilon)
    while True:
        made = dp.m.make_geometric(*space, scale=scale)
        # The loss is worked out rounded up: a scale that is short by one bit is made longer.
        if Fraction(made.map(by.sensitivity)) <= by.epsilon:
            return made, scale
        scale = math.nextafter(scale, math.inf)


def _opendp() -> Any:  # a module without types
    try:
        found = import_module("opendp.prelude")
    except ImportError as error:
        raise PrivacyError(
            "dp_missing",
            "Differential privacy is on and OpenDP is missing: pip install 'sluice[privacy]'.",
            "已启用差分隐私，但未安装 OpenDP。",
        ) from error
    found.enable_features("contrib")
    return found
