"""Fee lines of drugs and services, and how each splits by limit, class and ratio."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from synthetic.bureau.arrays import Array, Ints, half_up
from synthetic.bureau.catalogue import Items


@dataclass(frozen=True)
class Lines:
    """One entry per fee line; `price` in fen per counted unit, `item` indexes the catalogue."""

    event: Ints
    item: Ints
    count: Ints
    price: Ints
    day: Ints
    supply: Ints

    def __len__(self) -> int:
        return len(self.event)

    def take(self, index: Array) -> Lines:
        """The lines at these positions (or under this mask)."""
        return Lines(*(getattr(self, f.name)[index] for f in fields(self)))


@dataclass(frozen=True)
class Split:
    """R01–R05: amount = own pay + over limit + pre-self-pay + in scope, per line, in fen."""

    amount: Ints
    own: Ints
    over: Ints
    pre: Ints
    scope: Ints


def joined(parts: list[Lines]) -> Lines:
    """All parts in order of event, then day, then item."""
    names = [f.name for f in fields(Lines)]
    whole = Lines(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))
    key = (whole.event << 32) | (whole.day << 16) | whole.item
    return whole.take(np.argsort(key, kind="stable"))


def split(lines: Lines, items: Items) -> Split:
    """Own pay for class 03; else over-limit, then the pre-self-pay ratio, the rest in scope."""
    amount = lines.count * lines.price
    free = items.lv[lines.item] == 3
    limit = items.limit[lines.item]
    excess = np.where(limit > 0, np.maximum(lines.price - limit, 0), 0) * lines.count
    over = np.where(free, 0, excess)
    pre = np.where(free, 0, half_up((amount - over) * items.prop[lines.item], 10_000))
    own = np.where(free, amount, 0)
    return Split(amount, own, over, pre, amount - own - over - pre)
