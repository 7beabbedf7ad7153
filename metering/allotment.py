"""Divide a sum of money among many so that the parts add up to it exactly.

Largest remainder: everybody gets the whole fen of its exact quota, and the fen left over go one by
one to the largest remainders. So a part is never a whole fen or more away from its quota, who
weighs nothing gets nothing, and neither order nor sign matters. The method has the Alabama paradox:
one fen more to divide may lower a part by one fen; agreements on sharing say so.
"""

from __future__ import annotations

from collections.abc import Mapping


class AllotmentError(ValueError):
    """There is something to divide and nobody to give it to, or a weight below zero."""


def allot(total_fen: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Parts of `total_fen` (which may be negative: a credit) in proportion to whole weights.

    Ties go to the smaller name, as SPEC §7.2 has it.
    """
    if any(weight < 0 for weight in weights.values()):
        raise AllotmentError("a weight is below zero")
    whole = sum(weights.values())
    if not whole:
        if total_fen:
            raise AllotmentError("there is something to divide and nobody with a weight")
        return dict.fromkeys(weights, 0)
    size, sign = abs(total_fen), (1 if total_fen >= 0 else -1)
    quotas = {name: divmod(size * weight, whole) for name, weight in weights.items()}
    parts = {name: fen for name, (fen, _) in quotas.items()}
    # A remainder is a fen's fraction over the same denominator for all: they compare as integers.
    # As many fen are left as remainders above zero suffice for, so no weight of zero is served.
    by_remainder = sorted(quotas, key=lambda name: (-quotas[name][1], name))
    for name in by_remainder[: size - sum(parts.values())]:
        parts[name] += 1
    return {name: sign * fen for name, fen in parts.items()}
