"""Laws of the ledger: postings add up to zero, closed months stay, every fen is somewhere."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from metering import movements
from metering.identities import Moved, differences, standings
from metering.ledger import NOTHING, Entry, LedgerError, Posting
from metering.movements import Booking
from metering.prices import Price, PriceError, price_list
from metering.rating import Accrual, ChargeLine, LineKey
from metering.revenue_cap import years
from metering.sharing import Deductions, split
from metering.tariff import Bounded, Free, Package, PerUnit, TariffError
from tests.law_cases import LAW_CASES, cases
from tests.ledger_model import Book, chain

AT = datetime(2026, 11, 22, tzinfo=UTC)
MONTHS = [f"2026-{number:02d}" for number in range(1, 13)]
PROVIDERS = ("990100", "990200", "H-01")


def entry(moved: dict[str, int], name: str = "e1", period: str = "2026-11") -> Entry:
    parts = tuple(Posting(account, fen) for account, fen in moved.items())
    return Entry(name, "charge", period, period, AT, "c", parts)


@pytest.mark.parametrize(
    "moved",
    [
        {"suspense": 5},
        {"suspense": 5, "tax": -4},
        {},
        {"receivable": 5, "suspense": -5},
        {"suspense:x": 5, "tax": -5},
        {"payable:": 5, "tax": -5},
        {"bank": 5, "tax": -5},
        {"payable:a b": 5, "tax": -5},
        {"suspense": 0, "tax": 0},
    ],
)
def test_an_entry_that_does_not_balance_or_names_no_account_is_refused(moved):
    with pytest.raises(LedgerError):
        entry(moved)


def test_an_account_stands_once_in_an_entry():
    with pytest.raises(LedgerError):
        Entry(
            "e",
            "k",
            "2026-11",
            "2026-11",
            AT,
            "c",
            (Posting("tax", 1),) * 2 + (Posting("cash", -2),),
        )


def test_the_same_entry_twice_counts_once_and_another_under_its_name_is_refused():
    first = entry({"receivable:T": 5, "suspense": -5})
    book = Book().post(first)
    assert book.post(first) == book
    with pytest.raises(LedgerError):
        book.post(entry({"receivable:T": 6, "suspense": -6}))


def test_a_closed_month_takes_no_entry():
    book = Book().post(entry({"receivable:T": 5, "suspense": -5})).close("2026-11")
    with pytest.raises(LedgerError):
        book.post(entry({"receivable:T": 1, "suspense": -1}, "e2"))


def test_the_chain_moves_with_every_change_and_with_the_order():
    one, two = entry({"cash": 1, "tax": -1}, "a"), entry({"cash": 2, "tax": -2}, "b")
    book = Book().post(one).post(two)
    assert book.head == chain([one, two]) != chain([two, one])
    changed = replace(two, cause="other")
    assert chain([one, changed]) != book.head
    assert chain([]) == NOTHING


class Months(RuleBasedStateMachine):
    """Charges, shares, payments, later truths, disputes and closings in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.book, self.month, self.number = Book(), 0, 0
        self.fees: dict[str, tuple[int, Deductions]] = {}
        self.paid = self.received = self.credited = 0
        self.cases: dict[str, dict[str, int]] = {}
        self.heads: dict[str, tuple[str, ...]] = {}

    def booking(self) -> Booking:
        return Booking(MONTHS[self.month], AT, MONTHS[0])

    def name(self, kind: str) -> str:
        self.number += 1
        return f"{kind}{self.number}"

    def post(self, entry: Entry | None) -> None:
        if entry is not None:
            self.book = self.book.post(entry).post(entry)

    def before(self, kind: str, cause: str) -> dict[str, int]:
        sums: dict[str, int] = {}
        for one in self.book.entries.values():
            if one.kind == kind and one.cause.startswith(f"{cause}/"):
                for posting in one.postings:
                    sums[posting.account] = sums.get(posting.account, 0) + posting.fen
        return sums

    @rule(fen=st.integers(0, 10**7), tax=st.integers(0, 600), operator=st.integers(0, 10**6))
    def charge_and_share(self, fen, tax, operator):
        self.truth(self.name("S"), fen, tax, operator)

    @precondition(lambda self: bool(self.fees) and self.month)
    @rule(fen=st.integers(0, 10**7))
    def learn_a_later_truth(self, fen):
        self.truth(sorted(self.fees)[0], fen, 100, 5)

    def truth(self, service, fen, tax, operator):
        if any(
            one.cause.endswith(f"{service}.{MONTHS[0]}/{MONTHS[self.month]}")
            for one in self.book.entries.values()
        ):
            return  # a month is closed once
        line = ChargeLine(
            service, LineKey(MONTHS[0], "T", "g", service, "u", "p", 1), Accrual(), 1, fen
        )
        self.post(movements.charge(line, self.before("charge", service), self.booking()))
        weights = dict(zip(PROVIDERS, (self.number % 5, 3, 1), strict=True))
        deductions = Deductions(fen * tax // 10_000, operator)
        parts = split(fen, deductions, weights, bureau="B")
        before = self.before("share", f"{service}.{MONTHS[0]}")
        self.post(movements.share(service, parts, before, self.booking()))
        self.fees[service] = (fen, deductions)

    @precondition(lambda self: self.book.balance(f"payable:{PROVIDERS[1]}") < 0)
    @rule(part=st.integers(1, 100))
    def pay_out(self, part):
        due = -self.book.balance(f"payable:{PROVIDERS[1]}")
        fen = max(1, due * part // 100)
        self.post(movements.payout(PROVIDERS[1], fen, self.booking(), order=self.name("order")))
        self.paid += fen

    @rule(fen=st.integers(1, 10**6))
    def pay(self, fen):
        self.post(movements.payment("T", fen, self.booking(), receipt=self.name("receipt")))
        self.received += fen

    @rule(fen=st.integers(1, 10**5), more=st.integers(0, 10**5))
    def hold(self, fen, more):
        case, parts = self.name("case"), {f"payable:{PROVIDERS[0]}": fen, "tax": more}
        self.post(movements.hold(case, parts, self.booking()))
        self.cases[case] = parts

    @precondition(lambda self: bool(self.cases))
    @rule(part=st.integers(0, 100))
    def decide(self, part):
        case, parts = self.cases.popitem()
        fen = sum(parts.values()) * part // 100
        for one in movements.decision(case, "T", parts, fen, self.booking()):
            self.post(one)
        self.credited += fen

    @precondition(lambda self: self.month < len(MONTHS) - 1)
    @rule()
    def close(self):
        month = MONTHS[self.month]
        self.book = self.book.close(month)
        self.heads[month] = self.of_month(month)
        self.month += 1

    def of_month(self, month: str) -> tuple[str, ...]:
        found = [one for one in self.book.entries.values() if one.period == month]
        return (str(len(found)), chain(found))

    @invariant()
    def everything_adds_up_to_zero(self):
        assert sum(self.book.balances.values()) == 0

    @invariant()
    def every_divided_fen_is_payable_held_paid_or_given_back(self):
        divided = sum(self.book.total(kind) for kind in (*movements.SHARED, "held"))
        fees = sum(fen for fen, _ in self.fees.values())
        assert -divided + self.paid + self.credited == fees

    def moved(self) -> list[Moved]:
        return [
            Moved(one.kind, one.cause, posting.account, posting.fen)
            for one in self.book.entries.values()
            for posting in one.postings
        ]

    @invariant()
    def every_identity_of_the_ledger_holds(self):
        assert list(differences(self.moved())) == []

    @invariant()
    def what_everybody_was_allocated_is_somewhere(self):
        for account, standing in standings(self.moved()).items():
            assert standing.missing == 0
            assert standing.payable == -self.book.balance(account)
            assert min(standing.held, standing.paid, standing.reversed) >= 0

    @invariant()
    def a_client_owes_what_is_true_less_what_it_paid_and_got_back(self):
        fees = sum(fen for fen, _ in self.fees.values())
        assert self.book.total("receivable") == fees - self.received - self.credited
        assert self.book.total("suspense") == 0

    @invariant()
    def closed_months_stay_as_they_were(self):
        assert all(self.of_month(month) == head for month, head in self.heads.items())

    @invariant()
    def balances_are_the_sum_of_the_entries(self):
        sums: dict[str, int] = {}
        for one in self.book.entries.values():
            for posting in one.postings:
                sums[posting.account] = sums.get(posting.account, 0) + posting.fen
        assert sums == dict(self.book.balances)


# Every step is a case: all laws are looked at after it.
LIVES = max(60, LAW_CASES // 20)
Months.TestCase.settings = settings(max_examples=LIVES, stateful_step_count=30, deadline=None)
TestMonths = Months.TestCase


def test_the_identities_find_a_fen_that_is_nowhere():
    """Each entry is one that nobody may book; together with good ones they are noticed."""
    good = [
        Moved("charge", "l", "receivable:T", 100),
        Moved("charge", "l", "suspense", -100),
        Moved("share", "s", "suspense", 100),
        Moved("share", "s", "payable:P", -100),
        Moved("hold", "D", "payable:P", 40),
        Moved("hold", "D", "held:D", -40),
    ]
    assert list(differences(good)) == []
    for bad, word in (
        (Moved("other", "x", "payable:P", 1), "nowhere"),
        (Moved("release", "D", "held:D", 41), "more were given back"),
        (Moved("hold", "D", "held:D", -1), "disputes took"),
        (Moved("credit_note", "D", "receivable:T", -5), "taken back for good"),
        (Moved("charge", "l2", "receivable:T", 7), "were charged"),
    ):
        assert any(word in found for found in differences([*good, bad])), word


@settings(max_examples=cases(300), deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["tax", "payable:a", "payable:b"]), st.integers(1, 10**9), min_size=1
    ),
    st.integers(0, 10_000),
)
def test_a_decision_takes_from_nobody_more_than_was_held_of_it(held, share):
    whole = sum(held.values())
    fen, booking = whole * share // 10_000, Booking("2026-11", AT, "2026-10")
    moved: dict[str, int] = {}
    for one in movements.decision("D", "T", held, fen, booking):
        for posting in one.postings:
            moved[posting.account] = moved.get(posting.account, 0) + posting.fen
    assert moved["held:D"] == whole
    assert moved.get("receivable:T", 0) == -fen
    for account, part in held.items():
        back = -moved.get(account, 0)
        assert 0 <= back <= part
        assert abs((part - back) - part * fen / whole) < 1
    with pytest.raises(LedgerError):
        movements.decision("D", "T", held, whole + 1, booking)


def test_a_movement_of_nothing_or_out_of_another_account_is_no_entry():
    booking = Booking("2026-11", AT, "2026-11")
    with pytest.raises(LedgerError):
        movements.hold("c", {"payable:a": 0}, booking)
    with pytest.raises(LedgerError):
        movements.hold("c", {"cash": 5}, booking)
    for fen in (0, -1):
        with pytest.raises(LedgerError):
            movements.payment("T", fen, booking, receipt="r")


DAYS = st.dates(date(2026, 1, 1), date(2027, 12, 31))


@settings(max_examples=cases(300), deadline=None)
@given(st.lists(st.tuples(DAYS, DAYS), max_size=5), DAYS)
def test_a_list_has_at_most_one_price_for_a_day_or_is_refused(spans, day):
    spans = [(first, last) for first, last in spans if first <= last]
    prices = [Price(f"p{n}", PerUnit(n + 1), *span) for n, span in enumerate(spans)]
    overlapping = any(
        one.valid_from <= later.valid_from <= one.valid_to
        for one in prices
        for later in prices
        if one is not later
    )
    if overlapping:
        with pytest.raises(PriceError):
            price_list(prices)
        return
    listed = price_list(prices)
    assert sum(one.valid_from <= day <= one.valid_to for one in listed.prices) <= 1
    assert all(listed.named(one.ref) == one for one in prices)
    assert listed.most_micro(3) == 3 * len(prices)


def test_a_price_ends_after_it_begins_and_has_its_name_alone():
    first, last = date(2026, 1, 1), date(2026, 12, 31)
    with pytest.raises(PriceError):
        Price("p", Free(), last, first)
    with pytest.raises(PriceError):
        price_list([Price("p", Free(), first, first), Price("p", Free(), last, last)])


@settings(max_examples=cases(300), deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 500), st.integers(0, 10**9))
def test_a_package_begun_costs_whole_and_a_month_keeps_its_bounds(units, size, price_micro):
    package = Package(size, price_micro)
    packages = len(range(0, units, size))
    assert package.charge(units) == packages * price_micro
    bounded = Bounded(package, price_micro, 10 * price_micro)
    assert bounded.charge(units) == min(max(1, packages), 10) * price_micro
    assert Bounded(Free(), price_micro).charge(0) == price_micro


def test_a_package_of_nothing_and_a_cap_below_the_commitment_are_refused():
    with pytest.raises(TariffError):
        Package(0, 1)
    with pytest.raises(TariffError):
        Bounded(Free(), 10, 9)


def test_what_was_earned_too_much_is_deducted_in_the_next_year():
    found = years({2026: 100, 2027: 100, 2028: 100}, {2026: 130, 2027: 60, 2028: 95})
    assert [(s.allowed_fen, s.left_fen, s.level) for s in found] == [
        (100, -30, "exceeded"),
        (70, 10, "warning"),
        (100, 5, "alarm"),
    ]


@settings(max_examples=cases(300), deadline=None)
@given(st.dictionaries(st.integers(2026, 2030), st.integers(0, 1000), min_size=1), st.data())
def test_over_all_years_no_more_is_kept_than_was_approved(approved, data):
    earned = data.draw(st.dictionaries(st.sampled_from(sorted(approved)), st.integers(0, 1000)))
    states = years(approved, earned)
    excess = [max(0, -state.left_fen) for state in states]
    for before, state in zip([0, *excess], states, strict=False):
        assert state.carried_fen == -before
        assert state.level != "ok" or state.earned_fen <= 0.8 * state.allowed_fen
