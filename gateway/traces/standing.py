"""What became of a pack, from how often it was bought, sold and given back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, TypeAlias, get_args

Status: TypeAlias = Literal[
    "unknown",
    "in_stock",
    "sold_once",
    "sold_more_than_once",
    "returned",
    "expired",
    "recalled",
]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)


@dataclass(frozen=True)
class Pack:
    """One pack: counts of transactions 3503 to 3506, the halves of a split pack being one sale.

    `month` is that of the first sale (YYYY-MM), `expires` the last day of use, `recalled` the day
    its lot was recalled.
    """

    bought: int
    sent_back: int
    sold: int
    returned: int
    month: str | None
    expires: date | None
    recalled: date | None


def status_of(pack: Pack | None, today: date) -> Status:
    """The one status of a pack. A recall goes before everything; a pack that was sold is told as
    sold however old it is now; one that went back, to the seller or the supplier, is returned."""
    if pack is None:
        return "unknown"
    if pack.recalled is not None and pack.recalled <= today:
        return "recalled"
    if pack.sold - pack.returned > 1:
        return "sold_more_than_once"
    if pack.sold > pack.returned:
        return "sold_once"
    if pack.sold or pack.sent_back >= pack.bought:
        return "returned" if pack.sold or pack.sent_back else "unknown"
    return "expired" if has_expired(pack, today) else "in_stock"


def has_expired(pack: Pack, today: date) -> bool:
    """Whether its last day of use is over."""
    return pack.expires is not None and pack.expires < today
