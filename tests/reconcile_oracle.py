"""Judges usage events one after the other in plain Python, as an auditor with patience would.

The oracle of `gateway.audit.singly`, which lets an engine do it: nothing here asks for more than
the rows of the journals.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import Any, TypeAlias

from gateway.audit.findings import Difference
from gateway.journal.entry import BY_CELL
from gateway.journal.events import CHARGED, USAGE, EventSource, Rows
from gateway.journal.reader import USAGE_COLUMNS
from metering.calendar import month_of
from metering.overlap import REPEAT_WINDOW, CellCharge, overcharged
from metering.rating import Accrual, ChargeLine, LineKey, charge, less_repeated
from metering.tariff import PACKS
from metering.usage import FIELDS, UsageError, UsageEvent, from_record, time_of, time_text

Row: TypeAlias = dict[str, Any]
Kept: TypeAlias = dict[tuple[str, str, int], list[tuple[datetime, int]]]
NAMES = tuple(zip(FIELDS, USAGE_COLUMNS.split(", "), strict=True))
LINE = ("tenant", "grant_id", "service", "unit", "price_ref", "price_micro")


def judged(events: EventSource) -> tuple[list[Difference], tuple[ChargeLine, ...]]:
    """What is wrong with single events, and what the valid ones come to."""
    found: list[Difference] = []
    valid: dict[LineKey, Accrual] = {}
    every: dict[LineKey, Accrual] = {}
    rows, charges = _usage(events), _rows(events, CHARGED)
    for _, of_journal in groupby(rows, key=lambda row: row["journal"]):
        kept: Kept = {}
        for row in of_journal:
            line = _line(row)
            if line is not None and row["unit"] in PACKS:
                every[line] = every.get(line, Accrual()) + _used(row)
            try:
                event = from_record({name: row[column] for name, column in NAMES})
            except (UsageError, ValueError) as error:
                found.append(Difference("usage_invalid", row["request_id"], str(error)))
                continue
            found += _charged(event, row, _of(row, charges), kept)
            assert line is not None
            valid[line] = valid.get(line, Accrual()) + _used(row)
    for line, used in valid.items():
        if every[line] != used:
            found.append(Difference("amount_differs", line.line_id, "sums and events disagree"))
    return found, charge(less_repeated(valid, _given_back(rows, charges)))


def _rows(events: EventSource, what: Rows) -> list[Row]:
    return [row for batch in events.rows(what, {}, events.heads()) for row in batch.to_pylist()]


def _usage(events: EventSource) -> list[Row]:
    """Every event once: as the first of the journals tells it that have it."""
    rows = sorted(_rows(events, USAGE), key=lambda row: (row["journal"], row["seq"]))
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row["event_id"], row["journal"])
    return [row for row in rows if first[row["event_id"]] == row["journal"]]


def _of(row: Row, charges: list[Row]) -> list[Row]:
    own = (c for c in charges if (c["journal"], c["seq"]) == (row["journal"], row["seq"]))
    return sorted(own, key=lambda one: one["place"])


def _line(row: Row) -> LineKey | None:
    try:
        return LineKey(month_of(time_of(row["time"])), *(row[name] for name in LINE))
    except ValueError:
        return None


def _used(row: Row) -> Accrual:
    return Accrual(1, row["qty"], row["billable_qty"], row["qty"] - row["billable_qty"])


def _charged(event: UsageEvent, usage_row: Row, own: list[Row], kept: Kept) -> Iterator[Difference]:
    charged = 0
    for row in own:
        key, cells = (row["tenant"], row["release"], row["place"]), _bits(row["cells"])
        earlier = [one for one in kept.get(key, ()) if event.time - one[0] < REPEAT_WINDOW]
        if any(cells & before for _, before in earlier):
            told = "a cell was charged again within 30 days"
            yield Difference("charged_twice", event.request_id, told)
        own_event = (event.tenant, event.release, event.event_id, usage_row["time"])
        if (*key[:2], row["event_id"], row["time"]) != own_event:
            told = "it charges cells of another event, tenant or release"
            yield Difference("bill_differs", event.request_id, told)
        kept[key] = [*earlier, (event.time, cells)]
        charged += cells.bit_count()
    if (charged or event.unit == BY_CELL) and charged != event.billable_qty:
        told = "its bill is not that of the cells it charges"
        yield Difference("bill_differs", event.request_id, told)


def _bits(cells: bytes) -> int:
    return int.from_bytes(cells, "big")


def _plain(text: str) -> bool:
    try:
        return "1000" <= text <= "9998" and text == time_text(time_of(text))
    except ValueError:
        return False


def _given_back(rows: list[Row], charges: list[Row]) -> dict[LineKey, int]:
    """Cells that two journals charged for both, by the line of the later charge."""
    journals: dict[tuple[Any, ...], set[str]] = {}
    told: dict[tuple[Any, ...], bytes] = {}
    for row in charges:
        if not _plain(row["time"]):
            continue
        place = (row["tenant"], row["release"], row["place"])
        journals.setdefault(place, set()).add(row["journal"])
        key = (*place, time_of(row["time"]), row["event_id"])
        told[key] = min(told.get(key, row["cells"]), row["cells"])
    both = (CellCharge(*key, _bits(told[key])) for key in told if len(journals[key[:3]]) > 1)
    lines = {row["event_id"]: _line(row) for row in rows}
    sums: dict[LineKey, int] = {}
    for one in overcharged(both):
        line = lines.get(one.event_id)
        if line is not None:
            sums[line] = sums.get(line, 0) + one.cells.bit_count()
    return sums
