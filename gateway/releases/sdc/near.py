"""Pairs of counts whose sum comes near a third: found by ranges, without trying all."""

from __future__ import annotations

import numpy as np

from gateway.releases.sdc.lattice import Ints, ragged


def spread(begin: Ints, size: Ints) -> tuple[Ints, Ints]:
    """Positions begin … begin+size of each range and, for each, which range it is of."""
    starts = np.append(0, np.cumsum(size)).astype(np.int64)
    position, case = ragged(starts, np.arange(size.size))
    return position - starts[case] + begin[case], case


def pairs_near(count: Ints, case: Ints, target: Ints, reach: int) -> tuple[Ints, Ints]:
    """Places of two different counts of one case whose sum misses its target by less than `reach`.

    Inside each case the counts ascend, so the partners of a count are one range.
    """
    place = np.arange(count.size)
    span = 2 * int(max(count.max(initial=0), target.max(initial=0))) + 4 * reach
    base = (case - case.min(initial=0)) * span + reach
    keys = base + count
    want = target - count
    low = np.searchsorted(keys, base + np.maximum(want - reach + 1, -reach), side="left")
    high = np.searchsorted(keys, base + np.maximum(want + reach - 1, -reach), side="right")
    low = np.maximum(low, place + 1)
    two, one = spread(low, np.maximum(high - low, 0))
    return one, two
