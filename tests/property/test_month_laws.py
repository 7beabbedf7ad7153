"""Laws of months: whatever arrives when, the fen booked in the end are those of the events.

A case is a handful of answers, when each of them becomes known and how often, and what is paid,
disputed and decided between the closings. The books are `tests.ledger_model`; everything that
computes or moves money is the product's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from metering import movements
from metering.allotment import allot
from metering.ledger import Entry
from metering.movements import Booking
from metering.rating import ChargeLine, rate
from metering.sharing import Deductions, split
from metering.usage import UsageEvent, distinct
from tests.journal_factory import usage
from tests.law_cases import LAW_CASES
from tests.ledger_model import Book, chain
from tests.month_world_site import seeded

MANY = settings(max_examples=LAW_CASES, deadline=None)
MONTHS = ("2026-01", "2026-02", "2026-03", "2026-04")
BEGIN = datetime(2025, 12, 31, 16, tzinfo=UTC)  # the first of January in China
WEIGHTS = {"990100": 5, "990200": 3, "H-01": 1, "late": 0}
PRICES = (40_000_000, 12_345, 7)


class Told(NamedTuple):
    """An answer, the closings at which it is delivered to the books, none of them too early."""

    event: UsageEvent
    heard: tuple[int, ...]


def _told(number: int, drawn: int) -> Told:
    """The answer that a whole number stands for: its digits choose day, cells, grant and so on."""

    def digit(choices: int) -> int:
        nonlocal drawn
        drawn, chosen = divmod(drawn, choices)
        return chosen

    cells, grant, price = digit(2501), digit(4), digit(3)
    event = usage(
        number,
        time=BEGIN + timedelta(days=digit(90), seconds=number),
        qty=cells,
        billable_qty=cells * digit(2),
        grant=f"g{grant % 2}",
        tenant=f"t{grant % 2}",
        service=("S02", "S09")[grant // 2],
        price_micro=PRICES[price],
        price_ref=f"p{price}",
    )
    first, times = MONTHS.index(event.month), 1 + digit(3)
    heard = (min(first + digit(4), len(MONTHS) - 1) for _ in range(times))
    return Told(event, tuple(heard))


TOLD = st.lists(st.integers(0, 10**13), max_size=8).map(
    lambda drawn: [_told(number, one) for number, one in enumerate(drawn, 1)]
)


@dataclass
class Books:
    """Closings over what is known by then, on the product's movements."""

    book: Book = field(default_factory=Book)
    heads: dict[str, str] = field(default_factory=dict)

    def close(self, month: str, known: Iterable[UsageEvent]) -> None:
        lines = rate(distinct(known))
        for line in lines:
            booking = _booking(month, line.key.month)
            self.post(movements.charge(line, self.before("charge", line.line_id), booking))
        for (service, about), fees in _fees(lines).items():
            parts = split(fees, Deductions(fees // 20, 500), WEIGHTS, bureau="B")
            before = self.before("share", f"{service}.{about}")
            self.post(movements.share(service, parts, before, _booking(month, about)))
        self.book = self.book.close(month)
        self.heads[month] = self.digest(month)

    def post(self, entry: Entry | None) -> None:
        if entry is not None:
            assert sum(one.fen for one in entry.postings) == 0
            self.book = self.book.post(entry)

    def before(self, kind: str, cause: str) -> dict[str, int]:
        sums: dict[str, int] = {}
        for one in self.book.entries.values():
            if one.kind == kind and one.cause.startswith(f"{cause}/"):
                for posting in one.postings:
                    sums[posting.account] = sums.get(posting.account, 0) + posting.fen
        return sums

    def digest(self, month: str) -> str:
        return chain(one for one in self.book.entries.values() if one.period == month)

    def check(self) -> None:
        assert sum(self.book.balances.values()) == 0
        assert all(self.digest(month) == head for month, head in self.heads.items())


def _booking(period: str, about: str) -> Booking:
    return Booking(period, BEGIN, about)


def _fees(lines: Iterable[ChargeLine]) -> dict[tuple[str, str], int]:
    fees: dict[tuple[str, str], int] = {}
    for line in lines:
        key = (line.key.service, line.key.month)
        fees[key] = fees.get(key, 0) + line.amount_fen
    return fees


def _by_hand(events: Iterable[UsageEvent]) -> dict[str, int]:
    """What each tenant owes: begun thousands per line, half a fen upwards, in exact fractions."""
    cells: dict[tuple[str, ...], int] = {}
    for e in events:
        china = f"{e.time + timedelta(hours=8):%Y-%m}"
        key = (china, e.tenant, e.service, e.price_ref, str(e.price_micro))
        cells[key] = cells.get(key, 0) + e.billable_qty
    owed: dict[str, int] = {}
    for key, count in cells.items():
        exact = Fraction(-(-count // 1000) * int(key[-1]), 10_000)
        owed[key[1]] = owed.get(key[1], 0) + int(exact + Fraction(1, 2))
    return owed


@MANY
@given(TOLD, st.integers(0, 10**6))
def test_any_order_duplication_and_lateness_gives_the_same_final_amounts(told, order):
    books, chance = Books(), seeded(order)
    for number, month in enumerate(MONTHS):
        known = [one.event for one in told for at in one.heard if at <= number]
        chance.shuffle(known)
        books.close(month, known)
        books.check()
    due = {name: fen for name, fen in _by_hand(one.event for one in told).items() if fen}
    kind = "receivable:"
    owed = {name: fen for name, fen in books.book.balances.items() if name.startswith(kind) and fen}
    assert owed == {f"{kind}{name}": fen for name, fen in due.items()}
    assert books.book.balance("suspense") == 0
    assert books.book.balance("payable:late") == 0
    assert books.book.balance("payable:B") == 0


class Claim(NamedTuple):
    """A part of a service-month's fees in dispute: how much, and how much of it is given back."""

    percent: int
    upheld: int


MOVES = st.lists(
    st.one_of(
        st.builds(Claim, st.integers(1, 100), st.integers(0, 100)),
        st.integers(1, 10**6),  # a payout of at most so much
    ),
    max_size=8,
)


@MANY
@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=4), MOVES)
def test_what_was_allotted_is_payable_held_paid_or_given_back(fees, moves):
    """Every fen of every division is on one of the accounts, however disputes end, and a closed
    month never changes."""
    books, paid, reversed_fen = Books(), 0, 0
    for number, fen in enumerate(fees):
        month = MONTHS[number]
        parts = split(fen, Deductions(fen // 20, 500), WEIGHTS, bureau="B")
        booking = _booking(month, month)
        books.post(movements.share("S02", parts, {}, booking))
        for order, move in enumerate(moves):
            name = f"{number}.{order}"
            if isinstance(move, Claim):
                reversed_fen += _dispute(books, name, fen, move, booking)
            else:
                paid += _pay_out(books, name, move, booking)
            _accounted(books.book, sum(fees[: number + 1]), paid, reversed_fen)
        books.book = books.book.close(month)
        books.heads[month] = books.digest(month)
        books.check()


def _dispute(books: Books, case: str, fen: int, claim: Claim, booking: Booking) -> int:
    """Hold a part, give back a part of that, release the rest; what was given back."""
    weights = {
        account: -moved
        for account, moved in books.before("share", f"S02.{booking.service_period}").items()
        if account != "suspense"
    }
    held = allot(fen * claim.percent // 100, weights) if any(weights.values()) else {}
    if not any(held.values()):
        return 0
    books.post(movements.hold(case, {name: part for name, part in held.items() if part}, booking))
    assert books.book.balance(f"held:{case}") == -sum(held.values())
    back = sum(held.values()) * claim.upheld // 100
    kept = allot(sum(held.values()) - back, held)
    if back:
        books.post(movements.credit_note(case, "t", back, booking))
    if any(kept.values()):
        books.post(movements.release(case, _moving(kept), booking))
    assert books.book.balance(f"held:{case}") == 0
    return back


def _moving(parts: Mapping[str, int]) -> dict[str, int]:
    return {name: fen for name, fen in parts.items() if fen}


def _pay_out(books: Books, order: str, most: int, booking: Booking) -> int:
    fen = min(most, -books.book.balance("payable:990100"))
    if fen <= 0:
        return 0
    books.post(movements.payout("990100", fen, booking, order=order))
    return fen


def _accounted(book: Book, allotted: int, paid: int, reversed_fen: int) -> None:
    kinds = (*movements.SHARED, "held")
    assert -sum(book.total(kind) for kind in kinds) + paid + reversed_fen == allotted
    assert -book.total("suspense") == -allotted
    assert sum(book.balances.values()) == 0
