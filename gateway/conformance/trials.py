"""Which challenge a request meets, decided by what was seen of the client before. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.conformance.seen import Kind, Seen, Trial

BUSY_SECONDS: Final = 2
"""Retry-After of the 429, of an export that works, and of a consent that waits."""
LOOKS: Final = 2
"""How often a job is told to be working, and a consent to be waiting."""
_OVER_KEYS: Final = (Trial.NONCE, Trial.BUSY, Trial.DOWN, Trial.LOST, Trial.ENDED)
_OVER_CERTIFICATES: Final = _OVER_KEYS[1:]
_TWICE: Final = frozenset({Trial.DOWN})


@dataclass(frozen=True)
class Terms:
    """What of a run decides: how its client proves itself, and the consents it was told of."""

    binding: str
    consents: Mapping[str, str]  # state to consent id


def trial(before: Sequence[Seen], asked: Seen, terms: Terms) -> Trial:
    """The challenge for a request, given all that was seen before it, oldest first."""
    if asked.token and any(e.trial is Trial.ENDED and e.token == asked.token for e in before):
        return Trial.ENDED
    return _of_kind(before, asked, terms)


def _of_kind(before: Sequence[Seen], asked: Seen, terms: Terms) -> Trial:
    match asked.kind:
        case Kind.QUERY:
            return _of_query(before, asked, terms)
        case Kind.FILE:
            return _of_file(before, asked)
        case Kind.VERIFY if asked.item in _ended(terms):
            return Trial.REFUSED
        case Kind.CONSENT if asked.item == terms.consents.get("waiting"):
            return _of_waiting(before, asked)
        case Kind.PROGRESS if _count(before, asked, Trial.WORKING) < LOOKS:
            return Trial.WORKING
    return Trial.NONE


def _of_query(before: Sequence[Seen], asked: Seen, terms: Terms) -> Trial:
    """Each new question meets the next challenge; one asked again is answered."""
    earlier = [e for e in before if e.same == asked.same and e.kind is Kind.QUERY]
    if earlier:
        last = earlier[-1].trial
        again = last in _TWICE and _count(before, asked, last) < LOOKS
        return last if again else Trial.NONE
    put = {each.trial for each in before}
    order = _OVER_KEYS if terms.binding == "dpop" else _OVER_CERTIFICATES
    asked_well = [e for e in before if e.kind is Kind.QUERY and e.status == 200]
    if not asked_well:
        return Trial.NONE  # the first question shows that the client works at all
    return next((each for each in order if each not in put), Trial.NONE)


def _of_waiting(before: Sequence[Seen], asked: Seen) -> Trial:
    return Trial.PENDING if _count(before, asked, Trial.PENDING) < LOOKS else Trial.GRANTED


def _of_file(before: Sequence[Seen], asked: Seen) -> Trial:
    """The first file breaks off half-way; a file of another export arrives damaged, once."""
    files = [each for each in before if each.kind is Kind.FILE]
    broken = next((each for each in files if each.trial is Trial.BROKEN), None)
    if broken is None:
        return Trial.NONE if asked.begins_at else Trial.BROKEN
    other = asked.item.partition("/")[0] != broken.item.partition("/")[0]
    damaged = any(each.trial is Trial.DAMAGED for each in files)
    return Trial.DAMAGED if other and not damaged and not asked.begins_at else Trial.NONE


def _count(before: Sequence[Seen], asked: Seen, kind: Trial) -> int:
    return sum(each.trial is kind and each.same == asked.same for each in before)


def _ended(terms: Terms) -> frozenset[str]:
    return frozenset(one for state, one in terms.consents.items() if state != "waiting")
