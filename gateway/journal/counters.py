"""What each grant has used, in memory: quotas are reserved before deciding, settled after.

A call first reserves the most it could use. The policy sees what others have used *or reserved*,
so calls deciding at the same time cannot pass a limit together; one may be refused that would
just have fitted. Counters are restored from sums over the journal at start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from types import TracebackType
from typing import NamedTuple, Self

from gateway.journal.charges import Cells, Charges, Claim
from gateway.journal.spending import Commitment, Payer, Spending, Spent
from metering.calendar import day_begins, day_of, month_begins, month_of
from metering.rating import LineKey
from metering.usage import UsageEvent

_SECOND = timedelta(seconds=1)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class UsageCounters:
    """What a grant has used, the asking call not included. Days and months end in China."""

    rps: int = 0
    calls_day: int = 0
    cells_day: int = 0
    cells_month: int = 0
    distinct_queries_day: int = 0


class Standing(NamedTuple):
    """A grant's running day and month, what was used in them, and that with what is reserved."""

    day: str
    month: str
    used: UsageCounters
    taken: UsageCounters


class Total(NamedTuple):
    """What a grant has used in the running month and day, from the journal."""

    grant: str
    cells_month: int
    calls_day: int
    cells_day: int


@dataclass
class _Use:
    """The running totals of one grant, and what calls in flight have reserved of it. Moments are
    kept in UTC: comparing them within one zone is several times faster."""

    day_begins: datetime = _NEVER
    day_ends: datetime = _NEVER
    month_begins: datetime = _NEVER
    calls_day: int = 0
    cells_day: int = 0
    cells_month: int = 0
    queries: set[str] = field(default_factory=set)
    recent: deque[datetime] = field(default_factory=deque)
    calls_held: int = 0
    cells_held: int = 0
    queries_held: dict[str, int] = field(default_factory=dict)

    def turn(self, now: datetime) -> None:
        """Start a new day or month, and forget calls older than a second."""
        if now >= self.day_ends:
            self.day_begins = day_begins(now).astimezone(UTC)
            self.day_ends = self.day_begins + timedelta(days=1)
            self.calls_day = self.cells_day = 0
            self.queries = set()
            if month_begins(now) > self.month_begins:
                self.month_begins, self.cells_month = month_begins(now).astimezone(UTC), 0
        while self.recent and now - self.recent[0] >= _SECOND:
            self.recent.popleft()

    def seen_by(self, query: str) -> UsageCounters:
        """Totals for a call asking `query`; that query itself is not counted as another one."""
        others = (self.queries | self.queries_held.keys()) - {query}
        return UsageCounters(
            rps=len(self.recent),
            calls_day=self.calls_day + self.calls_held,
            cells_day=self.cells_day + self.cells_held,
            cells_month=self.cells_month + self.cells_held,
            distinct_queries_day=len(others),
        )

    def used(self) -> UsageCounters:
        """Totals without what calls in flight reserve."""
        return UsageCounters(
            rps=len(self.recent),
            calls_day=self.calls_day,
            cells_day=self.cells_day,
            cells_month=self.cells_month,
            distinct_queries_day=len(self.queries),
        )

    def add(self, time: datetime, query: str, cells: int) -> None:
        """One answer delivered at `time`; an answer of a past day or month is past counting."""
        if time >= self.day_begins:
            self.calls_day += 1
            self.cells_day += cells
            self.queries.add(query)
        if time >= self.month_begins:
            self.cells_month += cells


class Counters:
    """Counters of all grants of one process. Every method is safe from any thread."""

    def __init__(self, charges: Charges | None = None) -> None:
        self._lock = Lock()
        self._uses: dict[str, _Use] = {}
        self.charges = charges or Charges()
        self.spending = Spending()
        self.complete = True
        """Whether everything this node has used is in them."""

    def reserve(
        self,
        grant: str,
        query_hash: str,
        cells: int,
        now: datetime,
        *,
        tenant: str = "",
        estimate_fen: int = 0,
        commitment: Commitment | None = None,
    ) -> Hold:
        """Reserve one call with at most `cells` cells that cost at most `estimate_fen`, and with
        the month's commitment if it brings that; use the hold as a context manager."""
        if cells < 0 or estimate_fen < 0:
            raise ValueError("cells and fen are counted upwards")
        payer = Payer(tenant, grant)
        if commitment is not None:
            estimate_fen = self.spending.most(payer, estimate_fen, commitment, now)
        spent = self.spending.hold(payer, estimate_fen, now)
        cost = Cost(payer, estimate_fen, spent)
        with self._lock:
            use = self._use(grant, now)
            seen = use.seen_by(query_hash)
            use.calls_held += 1
            use.cells_held += cells
            use.queries_held[query_hash] = use.queries_held.get(query_hash, 0) + 1
            use.recent.append(now)
            return Hold(self, seen, cost, query_hash=query_hash, cells=cells, time=now)

    def usage(self, grant: str, now: datetime) -> UsageCounters:
        """What the grant has used or reserved."""
        with self._lock:
            return self._use(grant, now).seen_by("")

    def standing(self, grant: str, now: datetime) -> Standing:
        """How the grant's counters stand, in the latest day and month that a call was in."""
        with self._lock:
            use = self._use(grant, now)
            day, month = day_of(use.day_begins), month_of(use.month_begins)
            return Standing(day, month, use.used(), use.seen_by(""))

    def grants(self) -> tuple[str, ...]:
        """The grants that were ever counted."""
        with self._lock:
            return tuple(self._uses)

    def restore(
        self,
        totals: Iterable[Total],
        queries: Iterable[tuple[str, str]],
        billable: Iterable[tuple[LineKey, int]],
        now: datetime,
    ) -> None:
        """Start where the journal stands: sums of the month and day of `now`, the day's (grant,
        query), and what the month's bills count."""
        self.spending.restore(billable, now)
        with self._lock:
            for total in totals:
                use = self._use(total.grant, now)
                use.cells_month += total.cells_month
                use.calls_day += total.calls_day
                use.cells_day += total.cells_day
            for grant, query in queries:
                self._use(grant, now).queries.add(query)

    def _use(self, grant: str, now: datetime) -> _Use:
        use = self._uses.get(grant)
        if use is None:
            use = self._uses[grant] = _Use()
        use.turn(now)
        return use

    def _finish(
        self, hold: Hold, cells: int | None, claim: Claim | None, usage: UsageEvent | None
    ) -> None:
        """End a hold: with the cells delivered, or with None as if it had never been."""
        self.spending.settle(hold.cost.payer, hold.cost.estimate_fen, hold.time, usage)
        if claim is not None:
            self.charges.end(claim, stored=cells is not None)
        with self._lock:
            use = self._use(hold.grant, hold.time)
            use.calls_held -= 1
            use.cells_held -= hold.cells
            use.queries_held[hold.query_hash] -= 1
            if not use.queries_held[hold.query_hash]:
                del use.queries_held[hold.query_hash]
            if cells is not None:
                use.add(hold.time, hold.query_hash, cells)
                return
            if hold.time in use.recent:
                use.recent.remove(hold.time)


@dataclass(frozen=True)
class Cost:
    """Who would pay for a call and how much at most, and what they owe without it."""

    payer: Payer
    estimate_fen: int
    spent: Spent


class Hold:
    """A reservation. Leaving its `with` block unsettled gives everything back."""

    def __init__(
        self,
        counters: Counters,
        usage: UsageCounters,
        cost: Cost,
        *,
        query_hash: str,
        cells: int,
        time: datetime,
    ) -> None:
        self.grant, self.query_hash, self.cells, self.time = (
            cost.payer.grant,
            query_hash,
            cells,
            time,
        )
        self.usage, self.cost = usage, cost
        self._counters = counters
        self._claim: Claim | None = None
        self._open = True
        self._handed = False

    def charge(self, tenant: str, release: str, cells: Cells, event_id: str) -> Claim:
        """Claim what of an answer's cells is to be charged.

        Call it once and directly before `record`, with nothing awaited between: then an answer
        that repeats another is queued behind it. Its entry names what it rests on. What other
        nodes charged is known as far as the journal was asked to `foresee` it.
        """
        charges = self._counters.charges
        self._claim = charges.claim(tenant, release, cells, event_id, self.time)
        return self._claim

    def settle(self, cells: int) -> None:
        """The answer is recorded: `cells` were delivered, the rest of the reservation is free."""
        self._fits(cells)
        self._finish(cells)

    def release(self) -> None:
        """No answer left: nothing was used. Harmless after `settle`."""
        self._finish(None)

    def hand_over(self, cells: int, usage: UsageEvent | None = None) -> Callable[[bool], None]:
        """Let the journal end this hold: it alone knows whether the entry was stored, even when
        the caller no longer waits for it. `usage` is what the entry bills."""
        self._fits(cells)
        self._handed = True
        return lambda stored: self._finish(cells, usage) if stored else self._finish(None)

    def _fits(self, cells: int) -> None:
        if not 0 <= cells <= self.cells:
            raise ValueError(f"{cells} cells were delivered, {self.cells} reserved")

    def _finish(self, cells: int | None, usage: UsageEvent | None = None) -> None:
        if self._open:
            self._open = False
            self._counters._finish(self, cells, self._claim, usage)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._handed:
            self.release()
