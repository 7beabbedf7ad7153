"""Primary suppression: cells that must not be shown for what they themselves contain.

SPEC 4.3 rules 1, 2 and 8. Every test is written so that an unknown figure (NaN) hides the cell.
Stricter thresholds never unhide a cell: each test is monotone in its threshold.
"""

from __future__ import annotations

import numpy as np

from gateway.releases.sdc.lattice import Bools, CellFacts
from gateway.releases.sdc.profile import Profile

TOP_PERSON_SHARE_MAX = 0.5
"""SPEC 4.3.2: no single person is more than half of an amount, in every profile."""

GROUP_SHARE_MAX, GROUP_MIN = 0.9, 100
"""SPEC 4.3.1: a sensitive share above 90 % of fewer than 100 persons discloses the group."""


def primary(facts: CellFacts, profile: Profile) -> Bools:
    """True for each cell hidden by its own figures."""
    return (
        _too_few(facts, profile)
        | _dominated(facts, profile)
        | _makers(facts, profile)
        | _group_disclosure(facts, profile)
        | facts.sensitive
    )


def _too_few(facts: CellFacts, profile: Profile) -> Bools:
    """Too few persons, institutions or exposed persons; so also every sampling zero."""
    return ~(
        (facts.persons >= profile.k)
        & (facts.institutions >= profile.count("min_institutions"))
        & (facts.exposure >= profile.count("min_exposure"))
    )


def _dominated(facts: CellFacts, profile: Profile) -> Bools:
    """One or two institutions, or one person, make most of the amount.

    Where no amount is left there is nothing to dominate; a negative one has no shares: hidden.
    """
    spread = (
        (facts.top1_share <= profile.share("top1_share_max"))
        & (facts.top2_share <= profile.share("top2_share_max"))
        & (facts.top_person_share <= TOP_PERSON_SHARE_MAX)
    )
    fine: Bools = (facts.magnitude == 0) | ((facts.magnitude > 0) & spread)
    return ~fine


def _makers(facts: CellFacts, profile: Profile) -> Bools:
    """Too few makers, or one maker above the share, where the cell names a product."""
    if not facts.needs_makers.any():
        return np.zeros(facts.needs_makers.shape, np.bool_)
    if facts.makers is None or facts.maker_top1_share is None:
        return facts.needs_makers
    enough = facts.makers >= profile.count("min_manufacturers")
    spread = (facts.magnitude == 0) | (facts.maker_top1_share <= profile.share("top1_share_max"))
    fine: Bools = enough & spread
    return facts.needs_makers & ~fine


def _group_disclosure(facts: CellFacts, profile: Profile) -> Bools:
    """A sensitive fraction that says nearly everybody, or whose rest is fewer than k persons."""
    if facts.fraction_of is None:
        return np.zeros(facts.needs_makers.shape, np.bool_)
    whole = facts.fraction_of
    rest = whole - facts.persons
    nearly_all = (facts.persons > GROUP_SHARE_MAX * whole) & (whole < GROUP_MIN)
    few_left = ~((rest <= 0) | (rest >= profile.k))
    disclosed: Bools = (whole != 0) & (nearly_all | few_left)
    return disclosed
