"""What each check looks at, broken in the record of a run that passed: the rule has to see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from gateway.conformance.seen import Kind, Seen, Trial

Run = Sequence[Seen]


def put(seen: Run, trial: Trial) -> int:
    """Where a challenge was put first."""
    return next(n for n, each in enumerate(seen) if each.trial is trial)


def after(seen: Run, trial: Trial) -> int:
    """Where the same was asked again after it."""
    first = put(seen, trial)
    same = range(first + 1, len(seen))
    return next(n for n in same if seen[n].same == seen[first].same)


def edit(seen: Run, place: int, /, **facts: object) -> list[Seen]:
    return [e.with_facts(**facts) if n == place else e for n, e in enumerate(seen)]


def again(seen: Run, at: int) -> list[Seen]:
    """The same exchange once more, at the end."""
    return [*seen, seen[at].with_facts(at=seen[-1].at + 1)]


def too_soon(seen: Run, trial: Trial) -> list[Seen]:
    first, then = put(seen, trial), after(seen, trial)
    return edit(seen, then, at=seen[first].answered + 0.3)


def pages(seen: Run) -> list[int]:
    return [n for n, each in enumerate(seen) if each.cursor and each.status == 200]


def said(seen: Run, trial: Trial) -> int:
    item = seen[put(seen, trial)].item
    return next(n for n, e in enumerate(seen) if e.kind is Kind.SAID and e.item == item)


def first_of(seen: Run, kind: Kind) -> int:
    return next(n for n, each in enumerate(seen) if each.kind is kind)


def steady(seen: Run) -> list[Seen]:
    """The second pause after a 503 as long as the first."""
    same = [n for n, e in enumerate(seen) if e.same == seen[put(seen, Trial.DOWN)].same]
    pauses = [seen[b].at - seen[a].answered for a, b in pairwise(same[:3])]
    return edit(seen, same[2], at=seen[same[1]].answered + pauses[0])


BROKEN: Mapping[str, Callable[[Run], list[Seen]]] = {
    "auth.proof_once": lambda s: edit(s, 1, proof=s[0].proof),
    "auth.nonce": lambda s: edit(s, after(s, Trial.NONCE), proof=s[put(s, Trial.NONCE)].proof),
    "auth.renewal": lambda s: again(s, put(s, Trial.ENDED)),
    "auth.token_kept": lambda s: [
        e.with_facts(token=str(n), at=s[0].at) if e.token else e for n, e in enumerate(s)
    ],
    "errors.retry_after": lambda s: too_soon(s, Trial.BUSY),
    "errors.back_off": steady,
    "errors.no_retry": lambda s: again(s, next(n for n, e in enumerate(s) if e.status == 403)),
    "paging.all_pages": lambda s: [e for n, e in enumerate(s) if n != pages(s)[-1]],
    "paging.cursor": lambda s: edit(s, pages(s)[0], cursor="made up"),
    "idempotency.lost_answer": lambda s: edit(s, after(s, Trial.LOST), key="another"),
    "idempotency.key_body": lambda s: [e.with_facts(key="one") if e.key else e for e in s],
    "consents.ended": lambda s: again(s, put(s, Trial.REFUSED)),
    "consents.poll": lambda s: too_soon(s, Trial.PENDING),
    "exports.start": lambda s: edit(s, first_of(s, Kind.KICK_OFF), asynchronous=False),
    "exports.poll": lambda s: too_soon(s, Trial.WORKING),
    "exports.resume": lambda s: edit(s, after(s, Trial.BROKEN), begins_at=0),
    "exports.checksum": lambda s: edit(s, said(s, Trial.DAMAGED), body="taken"),
    "webhooks.signature": lambda s: edit(s, put(s, Trial.FORGED), status=202),
    "webhooks.once": lambda s: again(s, said(s, Trial.GOOD)),
    "webhooks.quick": lambda s: edit(s, put(s, Trial.GOOD), answered=s[-1].at + 9),
}
