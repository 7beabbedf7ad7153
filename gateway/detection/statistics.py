"""The closed set of statistics: what one slot of a window keeps, and what a window comes to.

A slot is a small JSON value of bounded size, whatever number of events it stands for. Distinct
values are counted by the `SKETCH` smallest hashes: exactly up to that many, to about 12 % beyond.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from gateway.detection.rule import (
    HOUR,
    Crowd,
    Distinct,
    Edge,
    Places,
    Share,
    Statistic,
    Total,
    Window,
)
from gateway.detection.signal import Signal

SKETCH: Final = 64
KEYS: Final = 24
DEVICES, MEMBERS, _ROOM = 224, 200, 32
NETWORKS: Final = 16
DAY: Final = 86_400
_SPACE: Final = 1 << 48

Slot: TypeAlias = Any  # JSON of bounded size, of the form its statistic gives it
Memory: TypeAlias = dict[str, Any]
"""What is kept of a tenant beyond a window: `networks`, each with the days it was first and last
seen; `since`, the first second anything was seen of it; `crowd N`, persons by device."""


@dataclass(frozen=True)
class Measure:
    """How a statistic is kept and read."""

    start: Callable[[], Slot]
    add: Callable[[Slot, Signal, Memory], Slot]
    value: Callable[[Sequence[Slot]], float | None]


def measure_of(statistic: Statistic, window: Window) -> Measure:
    """The functions of a statistic over a window."""
    if isinstance(statistic, Total):
        return _total(statistic)
    if isinstance(statistic, Distinct):
        return Measure(list, lambda s, g, _: sketch(s, getattr(g, statistic.of)), distinct)
    if isinstance(statistic, Crowd):
        return _crowd(window)
    if isinstance(statistic, Share):
        return _share(statistic)
    if isinstance(statistic, Places):
        return _places(statistic)
    return _edge(statistic)


def _total(what: Total) -> Measure:
    return Measure(
        lambda: 0, lambda s, g, _: s + getattr(g, what.of), lambda slots: float(sum(slots))
    )


def sketch(kept: list[int], value: int | str | tuple[str, ...] | None) -> list[int]:
    """The smallest hashes with one more value among them; codes are values of their own."""
    values = map(_code, value) if isinstance(value, tuple) else [] if value is None else [value]
    new = {one for one in values if isinstance(one, int) and one not in kept}
    return sorted({*kept, *new})[:SKETCH] if new else kept


def _code(code: str) -> int:
    """A short code as a number, spread over the space of hashes."""
    return int.from_bytes(code.encode()[:6], "big") * 0x9E3779B97F4A % _SPACE


def distinct(slots: Iterable[Sequence[int]]) -> float:
    """How many different values all slots have seen."""
    merged = heapq.nsmallest(SKETCH, {one for slot in slots for one in slot})
    if len(merged) < SKETCH:
        return float(len(merged))
    return (SKETCH - 1) * _SPACE / max(merged[-1], 1)


def _crowd(window: Window) -> Measure:
    """Persons behind the device of the event, within the window. The table is one for the whole
    window: a slot would forget who comes back every few hours. Where there are too many devices,
    the emptiest that were not seen for longest are forgotten."""
    name, seconds = f"crowd {window.hours}", window.hours * HOUR

    def add(slot: float, signal: Signal, memory: Memory) -> float:
        if signal.device is None or signal.subject is None:
            return slot
        table = memory.setdefault(name, {})
        members = table.get(str(signal.device), {})
        members = {m: at for m, at in members.items() if at > signal.time - seconds}
        members[str(signal.subject)] = signal.time
        while len(members) > MEMBERS:
            del members[next(iter(members))]
        table[str(signal.device)] = members
        if len(table) > DEVICES + _ROOM:
            fullest = sorted(table, key=lambda d: (-len(table[d]), -max(table[d].values())))
            memory[name] = {device: table[device] for device in fullest[:DEVICES]}
        return float(len(members))

    return Measure(lambda: 0.0, add, lambda slots: float(slots[-1]))


def _share(what: Share) -> Measure:
    def add(slot: list[int], signal: Signal, _: Memory) -> list[int]:
        return [slot[0] + getattr(signal, what.part), slot[1] + getattr(signal, what.whole)]

    def value(slots: Sequence[Sequence[int]]) -> float | None:
        part, whole = (sum(column) for column in zip(*slots, strict=True))
        return part / whole if whole >= what.whole_from else None

    return Measure(lambda: [0, 0], add, value)


def _places(what: Places) -> Measure:
    def add(slot: Slot, signal: Signal, memory: Memory) -> Slot:
        strange = is_strange(signal, memory, what.strange_days)
        if what.count == "strangers":
            slot["n"] = slot.get("n", 0) + int(strange)
            return slot
        last = slot.setdefault("at", {})
        name = str(signal.key)
        before = last.get(name)
        if before and before[0] != signal.network and (strange or before[1]):
            slot["n"] = slot.get("n", 0) + 1
        last[name] = [signal.network, strange]
        if len(last) > KEYS:
            del last[next(iter(last))]
        return slot

    return Measure(dict, add, lambda slots: float(sum(slot.get("n", 0) for slot in slots)))


def is_strange(signal: Signal, memory: Memory, days: int) -> bool:
    """Whether a tenant comes from a network it is not known by, though it is known itself."""
    known = memory.get("networks", {}).get(signal.network)
    old_enough = signal.time - memory.get("since", signal.time) >= days * DAY
    return (
        bool(signal.network)
        and old_enough
        and (known is None or signal.time - known[0] < days * DAY)
    )


def remember(memory: Memory, signal: Signal) -> None:
    """Keep since when the tenant is known, and by which networks."""
    memory.setdefault("since", signal.time)
    if not signal.network or signal.result == "failed":
        return
    networks = memory.setdefault("networks", {})
    first = networks.get(signal.network, [signal.time])[0]
    networks[signal.network] = [first, signal.time]
    if len(networks) > NETWORKS:
        del networks[min(networks, key=lambda name: networks[name][1])]


def _edge(what: Edge) -> Measure:
    def add(slot: dict[str, float], signal: Signal, _: Memory) -> dict[str, float]:
        slot[signal.grant] = max(slot.get(signal.grant, 0.0), signal.edge)
        if len(slot) > KEYS:
            del slot[min(slot, key=lambda grant: slot[grant])]
        return slot

    def value(slots: Sequence[Mapping[str, float]]) -> float:
        grants = {grant for slot in slots for grant in slot}
        days = (sum(what.least <= s.get(g, 0.0) <= 1.0 for s in slots) for g in grants)
        return float(max(days, default=0))

    return Measure(dict, add, value)
