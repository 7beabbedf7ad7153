"""A shadow decides beside the live edition, unseen, and counts where it would decide otherwise.

Questions are taken from a short queue by one thread that rests four times as long as it works; what
does not fit is not compared, and counted. So no answer waits for a shadow. What is kept is which
codes and obligations differ, and how often: nothing that names a caller, a grant or a person, and
nothing that the shadow's rules took from the question (`gateway.editions.wording`).
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from queue import Empty, Full, Queue
from typing import Protocol

import orjson

from gateway.editions.wording import Words
from gateway.policy.port import Decision, Obligations, PolicyInput, PolicyUnavailable

LONGEST_QUEUE = 256
MOST_KINDS = 200
SAME, SKIPPED, FAILED, MORE = "same", "skipped", "failed", "more"
_FLUSH_SECONDS = 1.0
_REST = 4
_MOST_CHANGES = 20

_log = logging.getLogger(__name__)


class Decider(Protocol):
    """What a shadow asks."""

    def decide(self, question: PolicyInput) -> Decision: ...


class Keeper(Protocol):
    """Where findings go: kinds of difference with their number."""

    def __call__(self, edition: str, found: Mapping[str, Finding]) -> None: ...


@dataclass
class Finding:
    """One way of deciding otherwise, and how often it was seen."""

    told: Mapping[str, object]
    times: int = 0


@dataclass
class Tally:
    """Findings since they were last kept; bounded, what is beyond is only counted."""

    found: dict[str, Finding] = field(default_factory=dict)

    def add(self, kind: str, told: Mapping[str, object]) -> None:
        if kind not in self.found and len(self.found) >= MOST_KINDS:
            kind, told = MORE, {}
        self.found.setdefault(kind, Finding(told)).times += 1


def difference(
    question: PolicyInput, live: Decision, other: Decision, words: Words
) -> dict[str, object]:
    """How two decisions on one question differ; empty when they do not."""
    changes = list(_changes(live.obligations, other.obligations, words))[:_MOST_CHANGES]
    if live.allow == other.allow and set(live.deny) == set(other.deny) and not changes:
        return {}
    return {
        "service": question.service,
        "op": question.op,
        "live": _word(live, words),
        "shadow": _word(other, words),
        "changes": changes,
    }


def kind_of(told: Mapping[str, object]) -> str:
    """The name of a way of differing; equal ways, equal name."""
    return hashlib.sha256(orjson.dumps(dict(told), option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


class Shadow:
    """Compares in the background until it is closed."""

    def __init__(self, edition: str, policy: Decider, keep: Keeper, words: Words) -> None:
        self.edition = edition
        self._policy, self._keep, self._words = policy, keep, words
        self._queue: Queue[tuple[PolicyInput, Decision]] = Queue(LONGEST_QUEUE)
        self._skipped = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
        self._thread.start()

    def offer(self, question: PolicyInput, decision: Decision) -> None:
        """Have a decision compared some time, or not at all; returns at once."""
        try:
            self._queue.put_nowait((question, decision))
        except Full:
            self._skipped += 1  # a count for people: two threads may lose one

    def close(self) -> None:
        """End; what waits is not compared any more, what was found is kept."""
        self._closing.set()
        self._thread.join()

    def _work(self) -> None:
        tally, flushed = Tally(), time.monotonic()
        while not self._closing.is_set():
            self._compare_next(tally)
            if time.monotonic() - flushed >= _FLUSH_SECONDS:
                self._flush(tally)
                flushed = time.monotonic()
        self._flush(tally)

    def _compare_next(self, tally: Tally) -> None:
        try:
            question, live = self._queue.get(timeout=_FLUSH_SECONDS / 4)
        except Empty:
            return
        began = time.monotonic()
        try:
            told = difference(question, live, self._policy.decide(question), self._words)
        except PolicyUnavailable:
            tally.add(FAILED, {})
        else:
            tally.add(kind_of(told) if told else SAME, told)
        self._closing.wait(_REST * (time.monotonic() - began))

    def _flush(self, tally: Tally) -> None:
        if self._skipped:
            skipped, self._skipped = self._skipped, 0
            tally.found.setdefault(SKIPPED, Finding({})).times += skipped
        if not tally.found:
            return
        try:
            self._keep(self.edition, tally.found)
        except Exception as error:  # noqa: BLE001 - what a shadow found may wait or be lost, answers may not
            _log.warning("shadow: findings cannot be kept now: %s", type(error).__name__)
        else:
            tally.found = {}


def _word(decision: Decision, words: Words) -> str:
    if decision.allow:
        return "allow"
    return "deny " + " ".join(sorted({words.code(code) for code in decision.deny}))


def _changes(live: Obligations | None, other: Obligations | None, words: Words) -> Iterator[str]:
    """What an allowed answer must observe otherwise; of values only what is the policy's own."""
    if live is None or other is None:
        return
    before, after = dict(_flat(live)), dict(_flat(other))
    named: dict[str, None] = {}
    for part, name in sorted({*before, *after}):
        was, becomes = before.get((part, name)), after.get((part, name))
        if was == becomes:
            continue
        shown = words.name(part, name) if name else part
        if words.shows(part, was) and words.shows(part, becomes):
            named[f"{shown}: {_shown(was)} → {_shown(becomes)}"] = None
        else:
            named[shown] = None
    yield from named


def _flat(told: Obligations) -> Iterator[tuple[tuple[str, str], object]]:
    """Each obligation and, where it has several, the name of the one."""
    yield from ((("profile", name), value) for name, value in told.profile.items())
    yield from ((("columns", each.field), (each.level, each.mask)) for each in told.columns)
    yield from ((("quota", name), value) for name, value in told.quota.items())
    yield ("max_cells", ""), told.max_cells
    yield ("watermark", ""), told.watermark
    yield ("log_level", ""), told.log_level
    yield ("notify_person", ""), told.notify_person
    tariff = told.tariff
    yield ("tariff", ""), (tariff.unit, tariff.price_ref, tariff.free)
    yield ("price_plan", ""), tariff.price_plan


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "-" if value is None else str(value)[:80]
