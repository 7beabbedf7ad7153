"""A call repeated under its Idempotency-Key: the same cells again, counted and charged once.

The question is put to the policy anew, so nothing leaves that may no longer leave; but it uses
nothing up, and it reads the release that was answered from. What cannot be answered alike any more
is refused rather than answered otherwise.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

from gateway.errors import BadRequest, SluiceError
from gateway.journal.charges import Claim
from gateway.journal.counters import Hold
from gateway.journal.entry import Keyed
from gateway.journal.idempotency import KeyName, Remembered, key_name, keyed
from gateway.journal.port import KeyTaken
from gateway.policy.port import Usage as AskedUsage
from gateway.serving.asking import Size
from gateway.serving.charge import Delivery
from gateway.serving.model import Call, Case, Pinned
from gateway.serving.ports import Books, Releases
from gateway.serving.reasons import Conflict
from gateway.serving.render import Finish

HEADER, REPLAYED = "Idempotency-Key", "Idempotent-Replayed"
PATTERN = "[A-Za-z0-9._~:+/=-]{8,128}"
_KEY = re.compile(f'(?P<quote>"?)(?P<key>{PATTERN})(?P=quote)')


class KeyReused(SluiceError):
    status: ClassVar[int] = 409
    title: ClassVar[str] = "The key belongs to another request"

    def __init__(self) -> None:
        super().__init__("idempotency_key_reused", "")


@dataclass(frozen=True)
class KeyUse:
    """A key as this call uses it, and what was answered under it before."""

    name: KeyName
    request: bytes
    before: Remembered | None

    def kept(self, case: Case, answer: bytes) -> Keyed:
        """What is recorded with the answer."""
        return keyed(self.name, self.request, answer, case.stamp.time)


def read_key(values: tuple[str, ...]) -> str | None:
    """The key a call was sent with: a string of RFC 8941, or the same without quotes."""
    if not values:
        return None
    found = _KEY.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        raise BadRequest("idempotency_key_invalid", "")
    return found["key"]


def request_hash(service: str, media: str, call: Call) -> bytes:
    """What must be the same for a call to be a repeat: service, format and body."""
    return hashlib.sha256(b"\0".join((service.encode(), media.encode(), call.body))).digest()


@asynccontextmanager
async def arriving(
    journal: Books, case: Case, service: str, media: str, hashed: bytes | None = None
) -> AsyncIterator[KeyUse | None]:
    """The key of a call while it is being answered; None without one. One call at a time. `hashed`
    stands for the request where its body names a person: a keyed hash."""
    key = read_key(case.call.idempotency)
    if key is None:
        yield None
        return
    name = key_name(case.caller.tenant_id, case.caller.client_id, key)
    if not journal.answering.take(name):
        raise KeyTaken
    try:
        request = hashed or request_hash(service, media, case.call)
        before = await journal.remembered(name)
        if before is not None and before.expires <= case.stamp.time:
            before = None
        if before is not None and before.request != request:
            raise KeyReused
        yield KeyUse(name, request, before)
    finally:
        journal.answering.release(name)


def is_repeat(use: KeyUse | None) -> bool:
    """Whether the call was answered before."""
    return use is not None and use.before is not None


def as_before(pinned: Pinned, use: KeyUse | None, releases: Releases) -> Pinned:
    """A repeat reads the release that was answered from."""
    if use is None or use.before is None or use.before.release == pinned.manifest.release_id:
        return pinned
    manifest = releases.find(use.before.release)
    if manifest is None:
        raise Conflict("release_changed", "")
    return replace(pinned, manifest=manifest)


def to_reserve(size: Size, use: KeyUse | None) -> Size:
    """A repeat reserves nothing: it was counted when it was answered."""
    return replace(size, cells=0, fen=0) if is_repeat(use) else size


def uses_nothing(hold: Hold) -> AskedUsage:
    """What a repeat is judged by: no budget but the rate per second."""
    return AskedUsage(rps=hold.usage.rps)


def digest(media: str, finish: Finish) -> bytes:
    """What an answer's cells come to, without meta and cursor."""
    return hashlib.sha256(media.encode() + b"\0" + finish({}, None)).digest()


def free_of_charge(case: Case, release: str) -> Claim:
    """The claim of a repeat: nothing."""
    return Claim(case.caller.tenant_id, release, case.stamp.time, case.stamp.event_id, {}, None)


def as_charged(delivery: Delivery, before: Remembered) -> Delivery:
    """The page as it was charged when it was answered."""
    repeats = before.event_id if before.qty and not before.billable_qty else None
    return replace(delivery, charged=before.billable_qty, repeat_of=repeats)
