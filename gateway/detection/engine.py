"""The pure core: one signal after another in, findings out; `now` is the signal's own time.

What is kept of each tenant, service or network is JSON of bounded size (`States`), so a follower
can store it beside its position and go on after a restart as if there had been none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import Any, Final, TypeAlias

from gateway.detection.rule import HOUR, Fixed, Learnt, Reads, Rule
from gateway.detection.signal import Signal
from gateway.detection.statistics import DAY, Measure, Memory, measure_of, remember

HISTORY: Final = 56
EVIDENCE: Final = 20
ENOUGH: Final = 8
"""So many windows show how much a tenant's windows differ."""
_ROBUST: Final = 1.4826  # a normal distribution's standard deviation, from its MAD

State: TypeAlias = dict[str, Any]
"""Of one rule: `slots` by number, the newest last; `history` of past windows; `peak` of the running
one."""
States: TypeAlias = dict[str, dict[str, Any]]
"""Of one tenant, service or network: rule -> State, and `memory` -> Memory."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule was broken at the event `evidence[-1]`; `evidence` are ids of events."""

    rule: Rule
    who: str
    at: float
    value: float
    threshold: float
    evidence: tuple[str, ...]
    grants: tuple[str, ...]
    tenants: tuple[str, ...]


@dataclass(frozen=True)
class _Ready:
    rule: Rule
    measure: Measure


def new_state() -> State:
    """Of a rule that has seen nothing yet."""
    return {"slots": {}, "history": [], "peak": None}


class Detector:
    """All rules. Holds no state of its own: each call is given the state and changes it."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._ready = tuple(_Ready(rule, measure_of(rule.statistic, rule.window)) for rule in rules)

    def concerns(self, signal: Signal) -> Iterator[tuple[str, str]]:
        """The kinds and names of those whose state a signal changes."""
        kinds = {one.rule.who for one in self._ready}
        yield from (("tenant", signal.tenant),) if signal.tenant and "tenant" in kinds else ()
        yield from (("service", signal.service),) if signal.service and "service" in kinds else ()
        if signal.network and "network" in kinds and signal.result == "failed":
            yield "network", signal.network

    def take(self, kind: str, name: str, states: States, signal: Signal) -> list[Finding]:
        """What a signal breaks of the rules about a kind; `states` are changed in place."""
        memory: Memory = states.setdefault("memory", {})
        found: list[Finding] = []
        for one in self._ready:
            rule = one.rule
            if rule.who == kind and reads(rule.reads, signal, memory):
                state = states.setdefault(rule.id, new_state())
                found += _step(one, name, state, memory, signal)
        remember(memory, signal)
        return found


def reads(what: Reads, signal: Signal, memory: Memory) -> bool:
    """Whether a rule looks at a signal."""
    return (
        signal.kind in what.kinds
        and _among(signal.result, what.results)
        and _among(signal.reason, what.reasons)
        and _among(signal.service, what.services)
        and (not what.deny or any(code.startswith(what.deny) for code in signal.deny))
        and (not what.canary or signal.canary)
        and (what.hours == "any" or signal.off_hours)
        and _below(signal.near, what.nearer_than)
        and _below(
            signal.time - memory.get("since", signal.time),
            what.young_days and what.young_days * DAY,
        )
    )


def _among(word: str, words: tuple[str, ...]) -> bool:
    return not words or word in words


def _below(figure: float | None, limit: float | None) -> bool:
    return limit is None or (figure is not None and figure < limit)


def _step(
    one: _Ready, name: str, state: State, memory: Memory, signal: Signal
) -> Iterator[Finding]:
    rule, window = one.rule, one.rule.window
    number = int(signal.time // window.slot_seconds)
    slots = state["slots"]
    # What comes late (another node's journal) counts in the newest slot there is: the last one.
    number = max(number, int(next(reversed(slots), number)))
    _close(rule, state, number)
    key = str(number)
    slots[key] = one.measure.add(slots.get(key, one.measure.start()), signal, memory)
    state["evidence"] = [*state.get("evidence", ()), signal.event_id][-EVIDENCE:]
    for part, said in (("grants", signal.grant), ("tenants", signal.tenant)):
        if said and said not in state.setdefault(part, []):
            state[part] = [*state[part], said][-EVIDENCE:]
    value = one.measure.value(list(slots.values()))
    if value is None:
        return
    limit = threshold(rule, state["history"], state.get("usual"))
    state["peak"] = _peak(rule, state["peak"], value)
    if not _breaks(rule, value, limit):
        return
    state["broken"] = True
    if limit is None or signal.time < state.get("quiet", 0.0):
        return
    state["quiet"] = signal.time + rule.quiet_hours * HOUR
    yield Finding(
        rule, name, signal.time, value, limit,
        tuple(state["evidence"]), tuple(state["grants"]), tuple(state["tenants"]),
    )  # fmt: skip


def _close(rule: Rule, state: State, number: int) -> None:
    """Let go of slots that are too old; at the end of a whole window, learn its peak. A window in
    which the rule was broken teaches nothing, nor does the first, which is a part of one."""
    slots, window = state["slots"], number // rule.window.slots
    while slots and int(oldest := next(iter(slots))) <= number - rule.window.slots:
        del slots[oldest]
    if not slots:
        state["evidence"], state["grants"], state["tenants"] = [], [], []
    if "window" not in state:
        state["window"], state["broken"] = window, True  # it began before there was anything to see
    if state["window"] == window:
        return
    if isinstance(rule.threshold, Learnt) and state["peak"] is not None and not state.get("broken"):
        state["history"] = [*state["history"], state["peak"]][-HISTORY:]
    state["window"], state["peak"], state["broken"] = window, None, False


def _is_below(rule: Rule) -> bool:
    return isinstance(rule.threshold, Learnt) and rule.threshold.below


def _peak(rule: Rule, before: float | None, value: float) -> float:
    """The highest value of a window; where too little is the alarm, the last one."""
    return value if before is None or _is_below(rule) else max(before, value)


def _breaks(rule: Rule, value: float, limit: float | None) -> bool:
    if limit is None:
        return False
    return value < limit if _is_below(rule) else value >= limit


def threshold(rule: Rule, history: Sequence[float], usual: float | None = None) -> float | None:
    """From which value on (below which, for `below`) a rule is broken; None: nothing known yet.
    `usual`: what an officer called usual for them is none."""
    limit = _threshold(rule.threshold, tuple(history))
    if limit is None or usual is None:
        return limit
    return min(limit, usual) if _is_below(rule) else max(limit, usual)


@lru_cache(maxsize=4096)  # asked at every event, and another one only when a window ends
def _threshold(how: Fixed | Learnt, history: tuple[float, ...]) -> float | None:
    if isinstance(how, Fixed):
        return how.at
    if len(history) < how.least:
        return how.start
    middle = median(history)
    spread = _ROBUST * median(abs(one - middle) for one in history)
    if len(history) < ENOUGH:
        spread = 0.0  # of so few windows it says nothing
    if how.below:
        # What was hardly ever there cannot fall.
        return (
            min(middle * how.times, middle - how.spreads * spread) if middle >= how.floor else None
        )
    return max(how.floor, middle * how.times, middle + how.spreads * spread)
