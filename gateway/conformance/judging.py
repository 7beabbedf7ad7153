"""What a run's exchanges say of its client: a rule for each check, over what was seen. Pure.

A rule gives None where the client has not shown it yet, else whether it did as it should.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from gateway.conformance.seen import Kind, Seen, Trial
from gateway.conformance.trials import Terms

Rule: TypeAlias = Callable[[Sequence[Seen], Terms], bool | None]

SLACK: Final = 0.1
"""Seconds a pause may be too short: clocks and networks are not exact."""
FIRST_PAUSE: Final = 0.5
GROWS: Final = 1.2
MOST_TOKENS: Final = 3
TOKEN_LIFE: Final = 60.0
"""The shortest life of an access token; so often a client may fetch one at most."""
QUICK: Final = 2.0
"""Seconds in which a receiver answers an event."""
_OK, _TAKEN, _REFUSED = 200, "taken", "refused"


def proof_once(seen: Sequence[Seen], terms: Terms) -> bool | None:
    """Every request has a proof of its own."""
    if terms.binding != "dpop":
        return True
    proofs = [each.proof for each in seen if each.token]
    return None if not proofs else len(set(proofs)) == len(proofs) and all(proofs)


def nonce(seen: Sequence[Seen], terms: Terms) -> bool | None:
    """A request that lacks the nonce is made once more, with it."""
    if terms.binding != "dpop":
        return True
    return _after(seen, Trial.NONCE, lambda this, then: then[0].proof != this.proof)


def renewal(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """A token that is no longer accepted is not shown again; a new one is fetched."""
    ended = [each for each in seen if each.trial is Trial.ENDED]
    if not ended:
        return None
    if len(ended) > 1:
        return False
    later = [e for e in seen if e.at > ended[0].answered and e.token]
    return any(each.token != ended[0].token for each in later)


def token_kept(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """A token is used until it ends: one is not fetched for every request."""
    used = [each for each in seen if each.token]
    if len(used) <= MOST_TOKENS:
        return None
    lives = (used[-1].at - used[0].at) / TOKEN_LIFE
    return len({each.token for each in used}) <= MOST_TOKENS + lives


def retry_after(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """429: asked again, and not before Retry-After is over."""
    return _after(seen, Trial.BUSY, lambda this, then: _waited(this, then[0]))


def back_off(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """503: asked again after pauses that grow, until it is answered."""
    tried = [each for each in seen if each.trial is Trial.DOWN]
    if not tried:
        return None
    run = [each for each in seen if each.same == tried[0].same and each.at >= tried[0].at]
    if len(run) <= len(tried) or len(tried) < 2:
        return _given_up(seen, tried[-1])
    first, second = (b.at - a.answered for a, b in pairwise(run[:3]))
    return first >= FIRST_PAUSE - SLACK and second >= first * GROWS - SLACK


def no_retry(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """403 is final: the same question is not put again."""
    refused = [each for each in seen if each.status == 403 and each.kind is Kind.QUERY]
    if not refused:
        return None
    return not any(_later(seen, each) for each in refused)


def all_pages(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """Every page that was announced is fetched, to the last."""
    pages = _answered(seen)
    told = {each.next_cursor for each in pages if each.next_cursor}
    asked = {each.cursor for each in pages if each.cursor}
    if not told:
        return None
    return told <= asked


def cursor_kept(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """A cursor is one that was given, sent back with the question it was given for."""
    sent = [each for each in seen if each.kind is Kind.QUERY and each.cursor]
    if not sent:
        return None
    given = {(each.question, each.next_cursor) for each in _answered(seen)}
    return all((each.question, each.cursor) in given for each in sent)


def lost_answer(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """An answer lost on its way is asked for again under the same key."""
    return _after(seen, Trial.LOST, lambda this, then: bool(this.key) and then[0].key == this.key)


def key_body(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """One key, one body: never the same key with another question."""
    keyed = [each for each in seen if each.key]
    if not any(each.kind is Kind.QUERY for each in seen):
        return None
    return bool(keyed) and len({e.key for e in keyed}) == len({(e.key, e.same) for e in keyed})


def consent_ended(seen: Sequence[Seen], terms: Terms) -> bool | None:
    """A consent that was refused, has ended or expired is not used again."""
    used = [each.item for each in seen if each.trial is Trial.REFUSED]
    wanted = {one for state, one in terms.consents.items() if state != "waiting"}
    if len(used) > len(set(used)):
        return False
    return True if set(used) == wanted else None


def consent_poll(seen: Sequence[Seen], terms: Terms) -> bool | None:
    """A consent that waits for the person is looked at no oftener than told, to its end."""
    looks = [each for each in seen if each.item == terms.consents.get("waiting")]
    if not any(each.trial is Trial.PENDING for each in looks):
        return None
    if not _patient(looks):
        return False
    return True if looks[-1].trial is Trial.GRANTED else None


def export_start(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """An export is started with `Prefer: respond-async`, once."""
    started = [each for each in seen if each.kind is Kind.KICK_OFF]
    return None if not started else all(each.asynchronous for each in started)


def export_poll(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """An export that works is looked at no oftener than told, to its manifest."""
    looks = [each for each in seen if each.kind is Kind.PROGRESS]
    if not looks:
        return None
    jobs = {each.item for each in looks}
    by_job = [[each for each in looks if each.item == job] for job in sorted(jobs)]
    if not all(map(_patient, by_job)):
        return False
    return True if any(each.status == _OK for each in looks) else None


def export_resume(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """A download that broke off goes on where it broke off, and the file is taken."""
    broken = next((each for each in seen if each.trial is Trial.BROKEN), None)
    if broken is None:
        return None
    later = [e for e in seen if e.item == broken.item and e.at > broken.at]
    fetched = [each for each in later if each.kind is Kind.FILE]
    if not fetched:
        return _given_up(seen, broken)
    if not (0 < fetched[0].begins_at <= broken.sent and fetched[0].conditional):
        return False
    said = [each for each in later if each.kind is Kind.SAID]
    return said[-1].body == _TAKEN if said else None


def export_checksum(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """A damaged file is refused, or fetched anew before it is taken."""
    damaged = next((each for each in seen if each.trial is Trial.DAMAGED), None)
    if damaged is None:
        return None
    later = [e for e in seen if e.item == damaged.item and e.at > damaged.at]
    for each in later:
        if each.kind is Kind.SAID:
            return each.body == _REFUSED
        if each.trial is Trial.NONE and each.status == _OK and not each.begins_at:
            return True
    return None


def event_signature(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """An event with a signature that is not ours is refused, and one of ours is not."""
    forged = [each for each in seen if each.trial is Trial.FORGED]
    if not forged:
        return None
    good = [each for each in seen if each.trial is Trial.GOOD and each.kind is Kind.PUSH]
    refused = all(400 <= each.status < 500 for each in forged)
    taken = {each.item for each in seen if each.kind is Kind.SAID and each.body == _TAKEN}
    return refused and not taken & {e.item for e in forged} and all(_accepted(e) for e in good)


def event_once(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """An event that comes twice is answered twice and taken once."""
    again = [each for each in seen if each.trial is Trial.REPLAYED]
    if not again:
        return None
    said = [e.item for e in seen if e.kind is Kind.SAID and e.body == _TAKEN]
    counts = [said.count(each.item) for each in again]
    if max(counts) > 1 or not all(map(_accepted, again)):
        return False
    return True if min(counts) == 1 else None


def event_quick(seen: Sequence[Seen], _terms: Terms) -> bool | None:
    """An event is answered at once; what it asks for is done afterwards."""
    pushed = [each for each in seen if each.kind is Kind.PUSH]
    if not pushed:
        return None
    return all(each.status and each.answered - each.at <= QUICK for each in pushed)


RULES: Final[Mapping[str, Rule]] = {
    "auth.proof_once": proof_once,
    "auth.nonce": nonce,
    "auth.renewal": renewal,
    "auth.token_kept": token_kept,
    "errors.retry_after": retry_after,
    "errors.back_off": back_off,
    "errors.no_retry": no_retry,
    "paging.all_pages": all_pages,
    "paging.cursor": cursor_kept,
    "idempotency.lost_answer": lost_answer,
    "idempotency.key_body": key_body,
    "consents.ended": consent_ended,
    "consents.poll": consent_poll,
    "exports.start": export_start,
    "exports.poll": export_poll,
    "exports.resume": export_resume,
    "exports.checksum": export_checksum,
    "webhooks.signature": event_signature,
    "webhooks.once": event_once,
    "webhooks.quick": event_quick,
}


def _after(
    seen: Sequence[Seen], trial: Trial, good: Callable[[Seen, Sequence[Seen]], bool]
) -> bool | None:
    """Judge what followed a challenge: the same asked again, or nothing but other things."""
    put = next((each for each in seen if each.trial is trial), None)
    if put is None:
        return None
    then = list(_later(seen, put))
    return good(put, then) if then else _given_up(seen, put)


def _later(seen: Sequence[Seen], this: Seen) -> Sequence[Seen]:
    return [each for each in seen if each.same == this.same and each.at > this.at]


def _given_up(seen: Sequence[Seen], this: Seen) -> bool | None:
    """Not asked again: a fault once the client goes on with something else."""
    others = (Kind.QUERY, Kind.KICK_OFF, Kind.VERIFY)
    return False if any(e.at > this.at and e.kind in others for e in seen) else None


def _waited(this: Seen, then: Seen) -> bool:
    return then.at - this.answered >= this.wait - SLACK


def _patient(looks: Sequence[Seen]) -> bool:
    return all(_waited(this, then) for this, then in pairwise(looks))


def _answered(seen: Sequence[Seen]) -> Iterator[Seen] | list[Seen]:
    return [each for each in seen if each.kind is Kind.QUERY and each.status == _OK]


def _accepted(pushed: Seen) -> bool:
    return 200 <= pushed.status < 300
