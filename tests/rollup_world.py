"""Histories of answers by several nodes: in any order, some delivered to several journals."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from gateway.journal.entry import BY_CELL
from gateway.journal.events import CHARGED, IN_FLIGHT, Rows
from metering.calendar import month_range
from metering.overlap import REPEAT_WINDOW, CellCharge, overcharged
from metering.rating import accrue, charge, key_of, less_repeated
from metering.usage import UsageEvent, distinct, time_text
from tests.journal_factory import event_id, usage

MONTH = "2026-11"
NODES = ("node-a", "node-b", "node-c")
WIDTH = 2  # measures of a cell


@dataclass(frozen=True)
class Answer:
    """A usage event and the cells it charged."""

    event: UsageEvent
    cells: dict[int, int]

    def charges(self):
        event = self.event
        whose = (event.tenant, event.release)
        for place, bits in self.cells.items():
            yield CellCharge(*whose, place, event.time, event.event_id, bits)


@dataclass
class Journals:
    """Journals in memory, as an `EventSource`."""

    answers: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))

    def heads(self):
        return {journal: len(found) for journal, found in self.answers.items()}

    def link_at(self, journal, seq):
        if not 0 < seq <= len(self.answers.get(journal, ())):
            return None
        event = self.answers[journal][seq - 1].event
        return hashlib.sha256(f"{journal} {seq} {event}".encode()).digest()

    def marks(self, now):
        return dict.fromkeys(self.answers, now - IN_FLIGHT)

    def numbered(self, begins, ends):
        return {journal: (1, len(found)) for journal, found in self.answers.items()}

    def files(self):
        return ()

    def rows(self, what: Rows, after, until):
        for journal, answers in sorted(self.answers.items()):
            span = range(after.get(journal, 0) + 1, until.get(journal, 0) + 1)
            rows = [row for seq in span for row in _rows(what, seq, answers[seq - 1])]
            for first in range(0, len(rows), 97):
                yield what.batch(journal, rows[first : first + 97])

    def within(self, heads):
        """All answers up to some heads, as often as they were delivered."""
        return [one for j, found in self.answers.items() for one in found[: heads.get(j, 0)]]


def _rows(what, seq, answer):
    event = answer.event
    if what is CHARGED:
        whose = (event.tenant, event.release)
        for place, bits in sorted(answer.cells.items()):
            raw = bits.to_bytes((bits.bit_length() + 7) // 8, "big")
            yield (seq, *whose, place, event.event_id, time_text(event.time), raw)
    else:
        yield (seq, *event.record().values())


def history(tenant: int, random: Random) -> list[tuple[str, Answer]]:
    """What one tenant was answered by several nodes around a month; each node charges a cell once
    in thirty days, and knows nothing of what the others charge."""
    begins = month_range(MONTH)[0]
    known: dict[tuple[str, int], list[tuple[datetime, int]]] = defaultdict(list)
    days = [random.randrange(-40, 40) for _ in range(random.randrange(7))]
    moments = sorted(day + random.randrange(60) / 1440 for day in days)
    found = []
    for number, day in enumerate(moments):
        time = begins + timedelta(days=day)
        node, place = random.choice(NODES), random.randrange(2)
        asked = random.getrandbits(3 * WIDTH) or 1
        recent = [bits for at, bits in known[node, place] if time - at < REPEAT_WINDOW]
        new = asked
        for bits in recent:
            new &= ~bits
        known[node, place].append((time, new))
        free = random.random() < 0.2
        event = usage(
            tenant * 100 + number + 1,
            tenant=f"t{tenant}",
            grant=f"g{tenant}-{random.randrange(2)}",
            unit="free" if free else BY_CELL,
            qty=asked.bit_count(),
            billable_qty=new.bit_count(),
            repeat_of=None if new else event_id(tenant * 100 + 99),
            price_micro=0 if free else 40_000_000,
            price_ref="free" if free else "2026-1",
            providers_ref="S02-r1/k11",
            time=time,
        )
        found.append((node, Answer(event, {place: new} if new else {})))
    return found


def delivered(answers: list[tuple[str, Answer]], random: Random) -> list[tuple[str, Answer]]:
    """The same answers in any order, each once in its own journal and up to twice in others."""
    copies = [
        (other, answer)
        for node, answer in answers
        for other in [node, *random.sample([n for n in NODES if n != node], random.randrange(3))]
    ]
    random.shuffle(copies)
    return copies


def by_the_pure_rule(answers: list[Answer], month: str = MONTH):
    """Lines, and how often each measure of each place counts for whom."""
    events = distinct(one.event for one in answers)
    cells = {one.event.event_id: one for one in answers}
    charges = [each for one in cells.values() for each in one.charges()]
    again = list(overcharged(charges))
    own = {event.event_id: event for event in events if event.month == month}
    lost: Counter = Counter()
    counts: Counter = Counter()
    for one in (one for one in cells.values() if one.event.event_id in own):
        for place, bits in one.cells.items():
            _count(counts, one.event, place, bits, 1)
    for each in (each for each in again if each.event_id in own):
        lost[key_of(own[each.event_id])] += each.cells.bit_count()
        _count(counts, own[each.event_id], each.place, each.cells, -1)
    lines = charge(less_repeated(accrue(own.values()), lost))
    return lines, {key: times for key, times in counts.items() if times}


def by_the_rollups(sums):
    """The same out of the roll-ups of a month."""
    counts: Counter = Counter()
    for source, table in sums.cells():
        for row in table.to_pylist():
            _bits(counts, source, row["place"], int.from_bytes(row["cells"], "big"), row["times"])
    for source, rows in sums.given_back().items():
        for (place, bits), times in rows.items():
            _bits(counts, source, place, bits, times)
    return charge(sums.accruals()), {key: times for key, times in counts.items() if times}


def _count(counts, event, place, bits, times):
    if event.unit != "free":
        _bits(counts, (event.service, event.providers_ref), place, bits, times)


def _bits(counts, source, place, bits, times):
    for at in range(bits.bit_length()):
        if bits >> at & 1:
            counts[source, place, at] += times
