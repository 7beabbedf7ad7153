"""A provider's statement: its part of each pool to the fen, everything about others in bands.

It names no other provider, and what it says of pools and weights is too coarse to compute what the
others got.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy.orm import Session

from gateway.billing import account
from gateway.billing.frame import PROVIDER, Frame
from gateway.billing.truth import Month
from metering.hints import OwnQuality

_BANDS: Final = ((100, "under 1 %"), (500, "1–5 %"), (2000, "5–20 %"), (5000, "20–50 %"))
_MOST: Final = "over 50 %"
_UNITS: Final = 10
_FEN: Final = 100
"""Never said finer than this: of two providers each knows what of a pool is not its own."""


def provider_paper(session: Session, month: Month, name: str, frame: Frame) -> dict[str, object]:
    """The document. A credit on the account is the provider's, so signs are turned."""
    moved = account.movements(session, month.month, f"payable:{name}")
    opening = -account.opening_balance(session, month.month, f"payable:{name}")
    lines = [_line(month, service, name, frame) for service in _shared(month, name)]
    return {
        **frame.head(PROVIDER, "provider", month.month, name),
        "lines": lines,
        "lines_fen": sum(month.splits[one].providers[name] for one in _shared(month, name)),
        "movements": [one.document(month.month, own="share", sign=-1) for one in moved],
        "opening_balance_fen": opening,
        "closing_balance_fen": opening - sum(movement.fen for movement in moved),
    }


def _shared(month: Month, name: str) -> list[str]:
    return [service for service, parts in month.splits.items() if name in parts.providers]


def _line(month: Month, service: str, name: str, frame: Frame) -> dict[str, object]:
    parts = month.splits[service]
    units = sum(line.units for line in month.lines if line.key.service == service)
    return {
        "category": "share",
        "service": service,
        "title": frame.labels.service(service),
        "strategy": month.terms.strategy_of(service),
        "units_about": about(units, _UNITS),
        "pool_fen_about": about(parts.pool_fen, _FEN),
        "own_weight": band(month.weights.get(service, {}), name),
        "quality": _quality(month.quality.get(service, {}).get(name)),
        "amount_fen": parts.providers[name],
    }


def _quality(own: OwnQuality | None) -> dict[str, object]:
    """The provider's own scores, and what better ones would have brought."""
    if own is None:
        return {}
    return {
        "scores_ppm": dict(own.scores),
        "failed": list(own.failed),
        "timely": own.timely,
        "hints": [{"kpi": hint.kpi, "gain_bp": hint.gain_bp} for hint in own.hints],
    }


def band(weights: Mapping[str, int], name: str) -> str:
    """The own part of the weights in bands: exact parts of a few would tell the others'."""
    whole = sum(weights.values())
    if not whole:
        return "none"
    bp = weights.get(name, 0) * 10_000 // whole
    return next((label for limit, label in _BANDS if bp < limit), _MOST)


def about(number: int, finest: int) -> int:
    """Two digits of a number, in steps not below the `finest`: enough to see its size, too few to
    compute with. What is more than nothing is told as such."""
    step: int = max(finest, 10 ** max(0, len(str(number)) - 2))
    return max(step, (number + step // 2) // step * step) if number else 0
