"""The auditor of simulated months: every line, share and account from first principles.

Nothing of the product is imported here, on purpose: cells are counted chunk by chunk, money is
exact fractions, divisions are checked against quotas. What the product computes in SQL, Arrow and
whole numbers must come to the same fen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

ONCE_IN = timedelta(days=30)
CHINA = timedelta(hours=8)
BUREAU = "bureau"


@dataclass(frozen=True)
class Chunk:
    """Cells of a release that are only ever asked for together. `shares`: billionths of every
    cell's persons by provider; `alone`: providers without whom the cells could not be shown."""

    release: str
    place: int
    first: int
    count: int
    shares: tuple[tuple[str, int], ...]
    alone: frozenset[str]

    @property
    def bits(self) -> int:
        return ((1 << self.count) - 1) << self.first


@dataclass(frozen=True)
class Price:
    """A published price in plain values."""

    ref: str
    first: date
    last: date
    kind: str
    fen: int = 0
    size: int = 1
    tiers: tuple[tuple[int | None, int], ...] = ()
    minimum: int = 0
    cap: int | None = None

    def owed(self, units: int) -> int:
        """Fen for so many units, counted out unit by unit."""
        if self.kind == "per_unit":
            fen = sum(self.fen for _ in range(units))
        elif self.kind == "package":
            fen = sum(self.fen for at in range(units) if at % self.size == 0)
        else:
            reached = [self._tier(unit) for unit in range(1, units + 1)]
            fen = sum(reached) if self.kind == "graduated" else sum(reached[-1:] * units)
        fen = max(fen, self.minimum)
        return fen if self.cap is None else min(fen, self.cap)

    def _tier(self, unit: int) -> int:
        return next(fen for up_to, fen in self.tiers if up_to is None or unit <= up_to)


@dataclass(frozen=True)
class Answer:
    """One recorded answer, as the auditor wrote it down when it was given."""

    event_id: str
    node: str
    time: datetime
    tenant: str
    grant: str
    service: str
    release: str
    price: str
    asked: tuple[Chunk, ...]
    charged: tuple[Chunk, ...]

    @property
    def month(self) -> str:
        return f"{self.time + CHINA:%Y-%m}"


class Line(NamedTuple):
    """What one charge line is about."""

    month: str
    tenant: str
    grant: str
    service: str
    price: str


@dataclass(frozen=True)
class Agreed:
    """The terms of a month."""

    tax_bp: int
    operator_bp: int
    ceiling: int
    interest_bp: int
    strategy: str


@dataclass(frozen=True)
class Division:
    """Where a service-month's fees go: exact quotas of the providers, and the fen by account."""

    fees: int
    accounts: Mapping[str, int]
    quotas: Mapping[str, Fraction]


@dataclass(frozen=True)
class Truth:
    """A month by what is known: fen and charged cells by line, the divisions by service."""

    lines: Mapping[Line, int]
    cells: Mapping[Line, int]
    weights: Mapping[str, Mapping[str, int]]


def largest_remainder(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Hamilton's method in fractions; the smaller name wins a tie."""
    whole = sum(weights.values())
    exact = {name: Fraction(total * weight, whole) for name, weight in weights.items()}
    parts = {name: floor(quota) for name, quota in exact.items()}
    left = total - sum(parts.values())
    for name in sorted(exact, key=lambda name: (parts[name] - exact[name], name))[:left]:
        parts[name] += 1
    return parts


def divide(fees: int, weights: Mapping[str, int], terms: Agreed) -> Division:
    """SPEC §7.2: tax contained in the fees, the fund, the operator's share, providers the rest."""
    tax = floor(Fraction(fees * terms.tax_bp, 10_000 + terms.tax_bp) + Fraction(1, 2))
    net = fees - tax
    fund = floor(Fraction(net * terms.interest_bp, 10_000))
    operator = min(floor(Fraction(net * terms.operator_bp, 10_000)), terms.ceiling, net - fund)
    pool = net - fund - operator
    named = weights if any(weights.values()) else {BUREAU: 1}
    whole = sum(named.values())
    quotas = {name: Fraction(pool * weight, whole) for name, weight in named.items()}
    providers = largest_remainder(pool, named)
    accounts = {"tax": tax, "operator_cost": operator, "public_interest": fund}
    accounts |= {f"payable:{name}": fen for name, fen in providers.items()}
    return Division(fees, accounts, quotas)


def counted_once(answers: Iterable[Answer]) -> Iterator[tuple[Answer, tuple[Chunk, ...]]]:
    """Each answer with the chunks that are charged for it: of two gateways that charged the same
    cell to the same tenant within thirty days, the earlier answer keeps it."""
    kept: dict[tuple[str, str, int, int], datetime] = {}
    for answer in sorted(answers, key=lambda one: (one.time, one.event_id)):
        own = []
        for chunk in answer.charged:
            key = (answer.tenant, chunk.release, chunk.place, chunk.first)
            if key in kept and answer.time - kept[key] < ONCE_IN:
                continue
            kept[key] = answer.time
            own.append(chunk)
        yield answer, tuple(own)


def truth_of(
    answers: Iterable[Answer], month: str, prices: Mapping[str, Price], strategy: str
) -> Truth:
    """A month's lines, and what each provider weighs in each service."""
    cells: dict[Line, int] = {}
    weights: dict[str, dict[str, int]] = {}
    for answer, charged in counted_once(answers):
        if answer.month != month:
            continue
        line = Line(month, answer.tenant, answer.grant, answer.service, answer.price)
        cells[line] = cells.get(line, 0) + sum(chunk.count for chunk in charged)
        for chunk in charged:
            _weigh(weights.setdefault(answer.service, {}), chunk, strategy)
    lines = {
        line: prices[line.price].owed(ceil(Fraction(count, 1000))) if line.price in prices else 0
        for line, count in cells.items()
    }
    return Truth(lines, cells, weights)


def _weigh(weights: dict[str, int], chunk: Chunk, strategy: str) -> None:
    for provider, share in chunk.shares:
        name = BUREAU if provider == "unknown" else provider
        if strategy == "equal":
            weights[name] = 1
            continue
        tenths = 10 if provider in chunk.alone else 9  # 0.5 + 0.3 + 0.1, and 0.1 for uniqueness
        worth = tenths if strategy == "contribution" else 1
        weights[name] = weights.get(name, 0) + chunk.count * share * worth


@dataclass
class Case:
    """A dispute: of which line, how much of it is where."""

    line: Line
    fen: int
    parts: Mapping[str, int]
    state: str = "held"
    credited: int = 0


@dataclass
class Auditor:
    """Everything that was answered and booked, as it must be."""

    prices: dict[str, Price]
    answers: dict[str, Answer] = field(default_factory=dict)
    terms: dict[str, Agreed] = field(default_factory=dict)
    charged: dict[Line, int] = field(default_factory=dict)
    divided: dict[tuple[str, str], Division] = field(default_factory=dict)
    closed_at: dict[str, datetime] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)
    paid: dict[str, int] = field(default_factory=dict)

    def close(self, month: str, known: Iterable[Answer], terms: Agreed, now: datetime) -> None:
        """Book every month up to this one by what is known of it."""
        heard = list(known)
        self.terms[month] = terms
        self.closed_at[month] = now
        for each in sorted({one.month for one in heard if one.month <= month}):
            self._book(each, heard, closing=month)

    def _book(self, month: str, heard: list[Answer], closing: str) -> None:
        # A clock that is behind may stamp an answer before the books began.
        terms = self.terms[min(each for each in self.terms if each >= month)]
        truth = truth_of(heard, month, self.prices, terms.strategy)
        frozen = set() if month == closing else self.frozen()
        for line, fen in truth.lines.items():
            if line not in frozen:
                self.charged[line] = fen
        for service in {line.service for line in truth.lines}:
            fees = sum(
                fen
                for line, fen in self.charged.items()
                if (line.month, line.service) == (month, service)
            )
            weights = truth.weights.get(service, {})
            self.divided[service, month] = divide(fees, weights, terms)

    def frozen(self) -> set[Line]:
        """Lines in dispute or given back after one: what was charged for them stays."""
        return {case.line for case in self.cases.values() if case.state != "rejected"}

    def hold(self, case: str, line: Line, claimed: int) -> None:
        """A dispute, over no more than the line: its part of every account that the fees went to
        is held."""
        fen = min(claimed, self.charged[line])
        weights = self.divided[line.service, line.month].accounts
        self.cases[case] = Case(line, fen, largest_remainder(fen, weights))

    def balances(self) -> dict[str, int]:
        """What must stand on every account: debits positive."""
        sheet: dict[str, int] = {}

        def move(account: str, fen: int) -> None:
            sheet[account] = sheet.get(account, 0) + fen

        for line, fen in self.charged.items():
            move(f"receivable:{line.tenant}", fen)
        for division in self.divided.values():
            for account, fen in division.accounts.items():
                move(account, -fen)
        for name, case in self.cases.items():
            held = case.state == "held"
            gone = case.parts if held else largest_remainder(case.credited, case.parts)
            for account, fen in gone.items():
                move(account, fen)
            move(f"held:{name}" if held else f"receivable:{case.line.tenant}", -sum(gone.values()))
        for tenant, fen in self.received.items():
            move(f"receivable:{tenant}", -fen)
            move("cash", fen)
        for provider, fen in self.paid.items():
            move(f"payable:{provider}", fen)
            move("cash", -fen)
        return {account: fen for account, fen in sheet.items() if fen}
