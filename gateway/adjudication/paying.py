"""What a layer pays, as the growth of one yearly sum.

Deductible, bands and cap all apply to what the layer counted in the year of cover. A payment is
G(before + amount) − G(before) with one rounding inside G, so a year pays the same total in whatever
order its settlements come and however they are split, and a refund takes back exactly its part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.adjudication.model import Layer


@dataclass(frozen=True, slots=True)
class Payment:
    """What one layer pays of one claim; amounts in fen."""

    layer: str
    eligible: int
    deductible: int
    payable: int
    capped: bool

    def at_most(self, left: int) -> Payment:
        """The same payment, no higher than `left`."""
        return self if self.payable <= left else replace(self, payable=left, capped=True)


def pay(layer: Layer, amount: int, before: int) -> Payment:
    """The payment for `amount` where the layer counted `before` earlier in the year (fen)."""
    after = before + amount
    free = min(after, layer.deductible) - min(before, layer.deductible)
    payable = paid_of(layer, after) - paid_of(layer, before)
    uncapped = _by_bands(layer, after) - _by_bands(layer, before)
    return Payment(layer.name, amount, free, payable, payable < uncapped)


def paid_of(layer: Layer, counted: int) -> int:
    """G: what the layer pays of a year in which it counted so much; both in fen."""
    return min(_by_bands(layer, counted), layer.cap)


def _by_bands(layer: Layer, counted: int) -> int:
    above, low, weighted = max(0, counted - layer.deductible), 0, 0
    for band in layer.bands:
        high = above if band.to is None else min(above, band.to)
        weighted += max(0, high - low) * band.pay
        low = max(low, high)
    return (weighted + 5_000) // 10_000
