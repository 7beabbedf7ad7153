"""The attack by intervals on one season: amounts say who is there, person counts how many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from gateway.releases.attack.bounds import Bounds, tightened
from gateway.releases.attack.explain import figures_of, named, needed, steps_of
from gateway.releases.attack.finding import Finding, Part, Rule
from gateway.releases.attack.program import (
    EPS,
    Effort,
    Inconsistent,
    Late,
    Programme,
    programmes,
)
from gateway.releases.attack.space import Bools, Ints
from gateway.releases.attack.system import EQUAL, System, system_of
from gateway.releases.attack.tables import SHOWN, Tables

_LATE = "the time granted was used up"
_LARGE = "too large for programmes"
_UNFIT = "no numbers fit what is published"
Judge: TypeAlias = Callable[[Programme, Ints], None]


@dataclass
class Season:
    """One season of linked services; `sure` are cells that cannot be empty, by service and key.

    `share`: a hidden amount may not be known to within this share of itself; what one institution
    may at most have of a shown cell leaves the others as much.
    """

    name: str
    effort: Effort
    share: float
    sure: dict[str, set[int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    insiders: list[Finding] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    def amounts(self, tables: Sequence[Tables]) -> None:
        """Which hidden cells cannot be empty, and which hidden amounts are known too well."""
        if self._too_late(tables):
            return
        system = system_of(tables)
        self._attack(system, self._amount)
        for line, pair, low, high in insiders(system):
            if high - low < self.share * low:
                self.insiders.append(self._pair(system, line, pair, low, high))

    def persons(self, tables: Sequence[Tables]) -> None:
        """Which hidden person counts are few, or known too well."""
        if self._too_late(tables):
            return
        system = system_of(tables)
        sure = self._known_filled(system)
        system.low[sure] = np.maximum(system.low[sure], 1.0)
        self._attack(system, self._count)

    def _too_late(self, tables: Sequence[Tables]) -> bool:
        """Whether no time is left for these; then all that is hidden in them is left out."""
        self.effort.begin()
        try:
            self.effort.left()
        except Late:
            hidden = sum(int((table.state != SHOWN).sum()) for table in tables)
            self.parts.append(
                Part(
                    season=self.name,
                    measures=tuple(_names(tables)),
                    cells=sum(table.keys.size for table in tables),
                    hidden=hidden,
                    equations=0,
                    components=0,
                    filled=0,
                    programmes=0,
                    seconds=0.0,
                    not_examined=hidden,
                    why_not=_LATE,
                )
            )
            return True
        return False

    def _pair(
        self, system: System, line: int, pair: tuple[int, int], low: float, high: float
    ) -> Finding:
        cells = tuple(table.text(at) for table, at in (system.places(u)[0] for u in pair))
        lines = np.array([line])
        return Finding(
            rule="insider", season=self.name, cells=cells, measure=system.tables[0].measure.name,
            low=round(low, 2), high=round(high, 2),
            sentence=f"{' and '.join(cells)} hold between {low:,.2f} and {high:,.2f} together: "
            "who alone makes up the one reads off the other.",
            figures=figures_of(system, lines), steps=steps_of(system, lines),
        )  # fmt: skip

    def _attack(self, system: System, judge: Judge) -> None:
        """Propagation over everything; then programmes, component by component, in the time."""
        before, began = self.effort.programmes, self.effort.seconds
        tried = _Tried()
        bounds = tightened(system)
        contradict = bounds.contradict
        todo = programmes(system, system.hidden, self.effort)
        for programme, cells in todo:
            try:
                if contradict[programme.unknowns].any():
                    raise Inconsistent
                filled = self._filled(programme, cells, bounds)
                self._remember(system, programme.unknowns[filled])
                # What passed its own tests is no secret; known to be filled, it bounds the others.
                judge(programme, filled[system.bare[programme.unknowns[filled]]])
                tried.filled += filled.size
            except (Late, _TooLarge) as cut:
                tried.bounded += cells.size
                tried.why_bounded = _LATE if isinstance(cut, Late) else _LARGE
                tried.filled += self._propagated(system, bounds, programme.unknowns[cells])
            except Inconsistent:
                tried.left, tried.why = tried.left + cells.size, _UNFIT
        self.parts.append(
            Part(
                season=self.name, measures=tuple(_names(system.tables)), cells=system.low.size,
                hidden=int(system.hidden.sum()), equations=len(system.rows), components=len(todo),
                filled=tried.filled, programmes=self.effort.programmes - before,
                seconds=round(self.effort.seconds - began, 3), not_examined=tried.left,
                why_not=tried.why, bounded=tried.bounded, why_bounded=tried.why_bounded,
            )
        )  # fmt: skip

    def _filled(self, programme: Programme, cells: Ints, bounds: Bounds) -> Ints:
        if programme.unknowns.size > self.effort.largest:
            raise _TooLarge
        return programme.filled(cells, bounds.low[programme.unknowns] > EPS)

    def _propagated(self, system: System, bounds: Bounds, unknowns: Ints) -> int:
        """Judge by propagation alone; how many of the unknowns cannot be empty."""
        filled = unknowns[bounds.low[unknowns] > EPS]
        self._remember(system, filled)
        for unknown in filled[system.bare[filled] & np.isfinite(bounds.high[filled])].tolist():
            low, high = float(bounds.low[unknown]), float(bounds.high[unknown])
            rule = _broken(system, unknown, low, high, self.share)
            if rule:
                self._told(system, unknown, rule, (low, high), bounds.needed(unknown), exact=False)
        return int(filled.size)

    def _remember(self, system: System, unknowns: Ints) -> None:
        for unknown in unknowns.tolist():
            for table, at in system.places(unknown):
                own = self.sure.setdefault(table.space.service.id, set())
                own.add(int(table.keys[at]))

    def _known_filled(self, system: System) -> Bools:
        found = np.zeros(system.low.size, np.bool_)
        for number, table in enumerate(system.tables):
            if not _of_records(table):
                continue
            own = np.array(sorted(self.sure.get(table.space.service.id, ())), np.int64)
            held = table.find(own)
            first = int(system.offsets[number])
            found[system.cell_of[first + held[held >= 0]]] = True
        return found & system.hidden

    def _amount(self, programme: Programme, filled: Ints) -> None:
        for at in filled.tolist():
            self._judged(programme, at, *programme.interval(at))

    def _count(self, programme: Programme, filled: Ints) -> None:
        system = programme.system
        k = np.array([_least(system, u) for u in programme.unknowns[filled].tolist()], np.float64)
        for at, (low, high) in programme.narrow(filled, 2 * k).items():
            self._judged(programme, at, low, high)

    def _judged(self, programme: Programme, at: int, low: float, high: float) -> None:
        system, unknown = programme.system, int(programme.unknowns[at])
        rule = _broken(system, unknown, low, high, self.share)
        if rule:
            self._told(system, unknown, rule, (low, high), needed(programme, at, low, high))

    def _told(
        self, system: System, unknown: int, rule: Rule, ends: tuple[float, float], lines: Ints,
        *, exact: bool = True,
    ) -> None:  # fmt: skip
        low, high = ends
        table, place = system.places(unknown)[0]
        self.findings.append(
            Finding(
                rule=rule, season=self.name, cells=(table.text(place),),
                measure=table.measure.name, low=round(low, 2), high=round(high, 2),
                sentence=_sentence(rule, named(system, unknown), low, high, table.least),
                figures=figures_of(system, lines, [unknown]), steps=steps_of(system, lines),
                exact=exact,
            )
        )  # fmt: skip


def _of_records(table: Tables) -> bool:
    """Whether it is nought in empty cells alone: a pharmacy's cell has no stays."""
    counts = (
        m.name
        for m in table.space.service.measures
        if getattr(m.define, "style", "") == "count" and not m.internal
    )
    return table.persons or table.measure.name == next(counts, "")


class _TooLarge(Exception):
    """A component is larger than programmes are tried on."""


@dataclass
class _Tried:
    """What the attack on one system came to."""

    filled: int = 0
    bounded: int = 0
    why_bounded: str = ""
    left: int = 0
    why: str = ""


def _broken(system: System, unknown: int, low: float, high: float, share: float) -> Rule | None:
    """The rule that an interval of a cell breaks which cannot be empty."""
    table = system.places(unknown)[0][0]
    if getattr(table.measure.define, "style", "") == "amount":
        return "amount_known" if np.isfinite(high) and high - low < share * high - EPS else None
    least = _least(system, unknown)
    if high - low >= 2 * least - EPS:
        return None
    if high < least:
        return "few_persons"
    return "narrow_interval" if _persons(system, unknown) else None


def _names(tables: Sequence[Tables]) -> Iterator[str]:
    return (f"{table.space.service.id} {table.measure.name}" for table in tables)


def _least(system: System, unknown: int) -> int:
    return min(table.least for table, _ in system.places(unknown))


def _persons(system: System, unknown: int) -> bool:
    """Whether this count says how many persons there are as far as readers are told at all."""
    return any(
        table.persons or table.space.service.disclosure.person_measure is None
        for table, _ in system.places(unknown)
    )


def _sentence(rule: Rule, what: str, low: float, high: float, k: int) -> str:
    said = f"The hidden {what} lies between {low:,.2f} and {high:,.2f}"
    told = {
        "few_persons": f"{said}: somebody is in it, and fewer than {k} persons.",
        "narrow_interval": f"{said}, which is less than {2 * k} apart, and it is not empty.",
        "amount_known": f"{said}: who has most of it can be read off.",
    }
    return told[rule]


def insiders(system: System) -> Iterator[tuple[int, tuple[int, int], float, float]]:
    """(line, two hidden unknowns, least, most): what these two hold together is published.

    Whoever alone makes up the one (a monopolist, the only hospital of its level) reads off the
    other; nobody else can. Pairs that cannot both be shown to hold something are not told.
    """
    for line, row in enumerate(system.rows):
        members = (*row.left, *row.right)
        hidden = [u for u in members if np.isinf(system.high[u])]
        if row.sense == EQUAL and len(hidden) == 2 and all(system.bare[u] for u in hidden):
            if not {*hidden} <= {*row.right}:
                continue
            rest = [u for u in row.right if u not in hidden]
            low = float(system.low[list(row.left)].sum() - system.high[rest].sum())
            high = float(system.high[list(row.left)].sum() - system.low[rest].sum())
            if low > EPS:
                yield line, (hidden[0], hidden[1]), low, high
