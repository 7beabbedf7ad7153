"""What a simulated world is made of, and how it says that something is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway.billing.office import Office
from gateway.errors import SluiceError
from tests.month_world_auditor import CHINA, Agreed, Answer, Auditor, Line, Price
from tests.month_world_node import Node
from tests.month_world_prices import agreement, price_lists
from tests.month_world_site import Site, seeded

BEGIN = datetime(2025, 12, 31, 16, tzinfo=UTC)
"""The first of January in China: a world begins."""
MONTHS = ("2026-01", "2026-02", "2026-03")
"""Every one of them is closed."""
AFTER = "2026-04"
SKEW = 3600
SERVICES = ("S02", "S09")
GRANTS = (
    ("G-1", "T-1", "life"),
    ("G-2", "T-1", "pharma"),
    ("G-3", "T-2", "life"),
)


class Broken(AssertionError):
    """An invariant does not hold. The text says how to see it again."""

    def __init__(self, invariant: str, why: str) -> None:
        super().__init__(f"{invariant}: {why}")
        self.invariant, self.why = invariant, why


@dataclass
class World:
    """Everything there is at one moment of a world."""

    seed: int
    site: Site
    now: datetime = BEGIN
    nodes: dict[str, Node] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    used: dict[tuple[str, str], int] = field(default_factory=dict)
    last_stamp: dict[str, datetime] = field(default_factory=dict)
    charged: dict[tuple[str, str, str, int, int], datetime] = field(default_factory=dict)
    recorded: dict[str, list[str]] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)
    archived: set[str] = field(default_factory=set)
    line_ids: dict[Line, str] = field(default_factory=dict)
    number: int = 0

    def __post_init__(self) -> None:
        self.chance = seeded(self.seed)
        self.prices: dict[str, list[Price]] = price_lists(self.chance, (*MONTHS, AFTER), SERVICES)
        listed = {price.ref: price for prices in self.prices.values() for price in prices}
        self.auditor = Auditor(listed)
        self.terms: Agreed = agreement(self.chance)
        self.limits = {grant: self.chance.randrange(1500, 7000) for grant, _, _ in GRANTS}

    def next_number(self) -> int:
        self.number += 1
        return self.number

    def serving(self) -> list[Node]:
        """Nodes that are up."""
        return [node for node in self.nodes.values() if node.state == "up"]

    def readable(self) -> list[Node]:
        """Nodes whose journals can be read."""
        return [node for node in self.nodes.values() if node.state != "lost"]

    def start(self) -> Node:
        """A new gateway, with a journal of its own."""
        name = "abcdefghijklmnop"[len(self.nodes)]
        node = self.nodes[name] = Node(name, self.site, lambda: self.now, self.skew())
        self.recorded[name] = []
        self.last_stamp[name] = BEGIN - timedelta(days=1)
        return node

    def known(self) -> list[Answer]:
        """Answers in the journals that can be read now."""
        visible = {node.name for node in self.readable()}
        return [one for one in self.auditor.answers.values() if one.node in visible]

    def office(self, *, reading: bool = False) -> Office:
        """The books as they stand, on the journals that can be read now. `reading`: for something
        that adds up what they hold; from then on none of them may be missing."""
        files = tuple(node.path for node in self.readable())
        if reading:
            self.archived |= {node.name for node in self.readable()}
        return self.site.office(files, self.prices, self.terms)

    def skew(self) -> timedelta:
        """How wrong a clock is: up to an hour."""
        return timedelta(seconds=self.chance.randint(-SKEW, SKEW))

    def month_open(self) -> str:
        """The month that something booked now belongs to."""
        return f"{self.now + CHINA:%Y-%m}"


def refused(codes: str, invariant: str, call: Callable[[], object]) -> None:
    """The call must be refused for one of these reasons, in words of the product."""
    try:
        call()
    except SluiceError as error:
        if error.code not in codes.split():
            raise Broken(invariant, f"refused as {error.code}, not as {codes}") from error
        return
    raise Broken(invariant, f"was taken, and should be refused as {codes}")


def told(error: Exception) -> str:
    """What the product said when it should have said nothing."""
    return f"{type(error).__name__}: {error}"
