"""The values a request becomes on its way: call, pinned question, answer or refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gateway.identity.binding import Presented
from gateway.identity.caller import Caller
from gateway.journal.stamp import Stamp
from gateway.policy.port import Decision, PolicyInput
from gateway.releases.manifest import Manifest
from gateway.serving.questions import Question


@dataclass(frozen=True)
class Call:
    """One request as the edge hands it over: texts and bytes, nothing believed yet."""

    request_id: str
    interaction_id: str
    trace_id: str
    now: datetime
    presented: Presented
    authorization: str | None
    service: str
    query: tuple[str, ...]  # names of parameters in the address; none is allowed
    accept: str | None
    content_type: str | None
    body: bytes
    idempotency: tuple[str, ...] = ()  # values of Idempotency-Key
    started: float | None = None  # by the process's own clock; of no request, none


@dataclass(frozen=True)
class Pinned:
    """A question with everything the caller left open decided: grant, measures, release, place."""

    question: Question
    grant_id: str
    measures: tuple[str, ...]
    available: tuple[str, ...]  # measures a cell of these dims can have
    manifest: Manifest
    offset: int
    digest: str  # of the canonical question; the same for all its pages
    own: bool = False  # asked is an institution's own data; whose, the decision says


@dataclass(frozen=True)
class Case:
    """A call whose caller is proven and whose moment is stamped."""

    call: Call
    caller: Caller
    stamp: Stamp


@dataclass(frozen=True)
class Decided:
    """A case with its question, as the policy was asked it, and the policy's word on it."""

    case: Case
    pinned: Pinned
    decision: Decision
    asked: PolicyInput


@dataclass(frozen=True)
class Answer:
    """Rendered and recorded; the edge only has to send it."""

    body: bytes
    media_type: str
    meta: Mapping[str, object]
    next_cursor: str | None
    replayed: bool = False


@dataclass(frozen=True)
class Refusal:
    """A recorded no, with its reasons."""

    code: str
    status: int
    deny: tuple[str, ...]
    decision_id: str
    retry_after: int | None
    quota: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # limit and what remains
