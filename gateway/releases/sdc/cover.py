"""Which figures to withhold so that of each dangerous combination at least one is gone."""

from __future__ import annotations

import numpy as np

from gateway.releases.sdc.lattice import Bools, Ints


def cover(members: Ints, hidden: Bools, persons: Ints, place: Ints) -> None:
    """Hide a member of every row that has none hidden, in place; -1 is no member.

    Members of most such rows go first, then those of fewest persons; `place` settles ties.
    """
    ids, place_of = np.unique(members[members >= 0], return_inverse=True)
    rows = np.full(members.shape, -1, np.int64)
    rows[members >= 0] = place_of
    chosen = hidden[ids]
    _cover(rows, chosen, persons[ids], place[ids])
    hidden[ids] = chosen


def _cover(members: Ints, hidden: Bools, persons: Ints, place: Ints) -> None:
    """The same where every id is in some row."""
    while members.size:
        there = members >= 0
        members = members[~(hidden[members] & there).any(axis=1)]
        if not members.size:
            return
        there = members >= 0
        count = np.bincount(members[there], minlength=hidden.size)
        order = np.lexsort((place, persons, -count))
        rank = np.empty(hidden.size, np.int64)
        rank[order] = np.arange(hidden.size)
        # A figure that is first in all its rows is taken; the very first always is.
        own = np.where(there, rank[members], hidden.size)
        least = np.full(hidden.size, hidden.size, np.int64)
        best = np.broadcast_to(own.min(axis=1)[:, None], members.shape)
        np.minimum.at(least, members[there], best[there])
        hidden[(count > 0) & (rank == least)] = True


def smaller(members: Ints, persons: Ints) -> Ints:
    """Each row without its member of most persons: what is seen least is what may go."""
    size = np.where(members >= 0, persons[members], -1)
    kept = members.copy()
    kept[np.arange(len(kept)), size.argmax(axis=1)] = -1
    return kept
