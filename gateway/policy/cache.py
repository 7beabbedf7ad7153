"""Decisions made once and given again while nothing they were made from has changed.

A decision is found again only for the same question with the same consent under the same revision
of rules and data (hence the same grant, stop and region), at a moment between the two edges the
rules themselves drew around it, and while no counter comes near a limit. Within those bounds the
rules would give the very same answer; outside them they are asked.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from uuid_utils import uuid7

from gateway.policy.bundle import Bundle
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.port import Decision, Holds, PolicyInput, Usage
from gateway.tracing import span

LARGEST: Final = 10_000
REFUSED_SECONDS: Final = 300
"""How long a refusal is repeated at most; an allowance says so itself (`ttl`)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ASIDE: Final = {"request_id", "time", "usage"}  # the first is not read, the others are bounded
_UNORDERED: Final = ("geo", "dims", "measures", "fields")
_EXCLUDED: Final = {*_ASIDE, *_UNORDERED}
_ABOUT_THE_QUESTION: Final = ("smallest_difference", "estimate_fen")
"""Usage that is no counter; there is nothing to bound, so it is part of the question."""

_Key = tuple[str, tuple[tuple[str, ...], ...], tuple[int | None, ...]]


class Recalled(NamedTuple):
    """A decision as it is held: of which revision it is, of a question that costs how much (see
    `_ABOUT_THE_QUESTION`), and when it was made, in nanoseconds since 1970."""

    version: str
    about: tuple[int | None, ...]
    made: int
    decision: Decision

    def again(self, usage: Usage, moment: datetime) -> Decision | None:
        """The same under a new id, if the rules would make it again at this moment and with these
        counters."""
        holds, now = self.decision.holds, _nanoseconds(moment)
        if holds is None or not _covers(holds, usage, now):
            return None
        if abs(now - self.made) >= _lasts(self.decision):
            return None
        return replace(self.decision, decision_id=str(uuid7()))


class DecisionCache:
    """Decisions of one revision at a time; those of another are forgotten."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._largest = largest
        self._gate = threading.Lock()
        self._version = ""
        self._held: dict[_Key, tuple[int, Decision]] = {}

    def find(self, version: str, question: PolicyInput) -> Decision | None:
        """A decision that the rules of this revision would make again now, under a new id."""
        held = self.recall(version, question)
        return None if held is None else held.again(question.usage, question.time)

    def recall(self, version: str, question: PolicyInput) -> Recalled | None:
        """What was decided of a question, whether or not it would be decided again now."""
        with self._gate:
            found = self._held.get(_key(question)) if version == self._version else None
        return None if found is None else Recalled(version, _about(question.usage), *found)

    def keep(self, version: str, question: PolicyInput, decision: Decision) -> None:
        """Hold on to a decision just made, if it can hold beyond this question at all.

        `version` decides at this moment; what another revision decided is not kept.
        """
        now = _nanoseconds(question.time)
        holds = decision.holds
        if decision.policy_version != version or holds is None:
            return
        if not _covers(holds, question.usage, now):
            return
        with self._gate:
            if version != self._version or len(self._held) >= self._largest:
                self._version, self._held = version, {}
            self._held[_key(question)] = (now, decision)


class CachedPolicy:
    """The embedded policy with its decisions remembered; it answers as that policy would."""

    def __init__(self, policy: EmbeddedPolicy, cache: DecisionCache | None = None) -> None:
        self._policy = policy
        self._cache = cache or DecisionCache()

    @property
    def version(self) -> str:
        return self._policy.version

    @property
    def healthy(self) -> bool:
        return self._policy.healthy

    @property
    def bundle(self) -> Bundle:
        return self._policy.bundle

    def decide(self, question: PolicyInput) -> Decision:
        decision = self._known(question)
        if decision is None:
            decision = self._policy.decide(question)
            self._cache.keep(self._policy.version, question, decision)
        return decision

    async def decide_soon(self, question: PolicyInput) -> Decision:
        decision = self._known(question)
        if decision is None:
            with span("policy.decide", sluice__engine="embedded"):
                decision = await self._policy.decide_soon(question)
            self._cache.keep(self._policy.version, question, decision)
        return decision

    def recall(self, question: PolicyInput) -> Recalled | None:
        """What is held of a question, for who will ask it `again`."""
        return self._cache.recall(self._policy.version, question)

    def again(self, held: Recalled, usage: Usage, moment: datetime) -> Decision | None:
        """What was decided, decided again for the same question at another moment and with other
        counters; None where the rules must be asked."""
        same = held.version == self._policy.version and held.about == _about(usage)
        return held.again(usage, moment) if same and self._policy.healthy else None

    def load(self, data: Mapping[str, Any]) -> None:
        self._policy.load(data)

    def close(self) -> None:
        self._policy.close()

    def _known(self, question: PolicyInput) -> Decision | None:
        """A policy that is closed decides nothing, also not what it once decided."""
        if not self._policy.healthy:
            return None
        return self._cache.find(self._policy.version, question)


def _key(question: PolicyInput) -> _Key:
    """Everything of a question but what is bounded; lists that are sets to the rules, in order.

    Written as JSON, so that 1, "1" and true stay three things.
    """
    rest = question.model_dump_json(by_alias=True, exclude=_EXCLUDED)
    sets = tuple(tuple(sorted(getattr(question, name))) for name in _UNORDERED)
    return rest, sets, _about(question.usage)


def _about(usage: Usage) -> tuple[int | None, ...]:
    return tuple(getattr(usage, name) for name in _ABOUT_THE_QUESTION)


def _covers(holds: Holds, usage: Usage, now: int) -> bool:
    counted = ((getattr(usage, name), limit) for name, limit in holds.usage.items())
    return holds.since <= now < holds.before and all(
        used is not None and used <= limit for used, limit in counted
    )


def _lasts(decision: Decision) -> int:
    """Nanoseconds after which a decision is made anew in any case."""
    told = decision.obligations
    return (told.ttl if told else REFUSED_SECONDS) * 1_000_000_000


def _nanoseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
