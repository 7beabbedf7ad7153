"""The billing office: where the books are kept, and everything they rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy.orm import Session

from gateway.billing.frame import Labels
from gateway.billing.seal import Sealer
from gateway.billing.terms import Terms
from gateway.billing.truth import Evidence
from gateway.catalogue.tariff import Published, Tariff, charged_by, rule_of
from gateway.editions.published import Former
from gateway.journal.events import EventSource
from metering.rating import LineKey
from metering.tariff import Tariff as Rule

Committed: TypeAlias = Callable[[Session, str], Mapping[str, LineKey]]
"""Who owes a minimum for a month, by the id of its line."""


def nobody_committed(_session: Session, _month: str) -> Mapping[str, LineKey]:
    """Of an installation without commitments."""
    return {}


def no_labels(_session: Session) -> Labels:
    """Of an installation that names nobody."""
    return Labels()


@dataclass(frozen=True)
class Prices:
    """The published prices, and those that were published before: what was sold by a price is
    charged by it, wherever it stands now."""

    now: Mapping[str, Tariff]
    former: Former = field(default_factory=dict)

    def rule(self, key: LineKey) -> Rule | None:
        """The rule a line is charged by; None where its price was never published."""
        found = rule_of(self.now, key)
        if found is not None:
            return found
        kept = (one for one in self.former.get(key.service, ()) if one.ref == key.price_ref)
        price = next(kept, None)
        return None if price is None else price.price().tariff

    def charged_by(self, key: LineKey) -> Rule:
        """As `rule`; where no list says, the price the answers were stamped with."""
        return self.rule(key) or charged_by(self.now, key)

    def document(self) -> dict[str, object]:
        """Plain values, as kept with a closed month."""
        return {
            "now": {name: one.model_dump(mode="json") for name, one in self.now.items()},
            "former": {
                name: [one.model_dump(mode="json") for one in kept]
                for name, kept in self.former.items()
            },
        }

    @classmethod
    def read(cls, kept: Mapping[str, object]) -> Prices:
        """The prices that `document` wrote; before there were former ones, the list alone."""
        plain = kept if "now" in kept else {"now": kept, "former": {}}
        now, former = plain["now"], plain["former"]
        if not isinstance(now, dict) or not isinstance(former, dict):
            raise TypeError("prices are kept by service")
        return cls(
            {name: Tariff.model_validate(one) for name, one in now.items()},
            {
                name: [Published.model_validate(p) for p in listed]
                for name, listed in former.items()
            },
        )


@dataclass(frozen=True)
class Office:
    """Where the books are kept and what they rest on."""

    engine: sa.Engine
    events: EventSource
    archive: Path
    releases: Path
    tariffs: Mapping[str, Tariff]
    terms: Terms
    audit_key: Ed25519PublicKey
    sealer: Sealer
    former: Former = field(default_factory=dict)
    committed: Committed = nobody_committed
    labels: Callable[[Session], Labels] = no_labels
    hindrances: Callable[[], Iterable[str]] = tuple
    """What in the stores of events stands in the way: something set aside, or not yet shipped."""

    @property
    def prices(self) -> Prices:
        """By which months are charged that are not closed yet."""
        return Prices(self.tariffs, self.former)

    def evidence(self, prices: Prices) -> Evidence:
        """What months follow from, at these prices."""
        price = partial(Prices.charged_by, prices)
        return Evidence(self.events, self.archive, self.releases, price)
