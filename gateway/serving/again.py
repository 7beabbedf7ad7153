"""An answered question that is asked again: what of its answer cannot differ is not made again.

Kept of an answer are the question as it was pinned, the decision, and the parts of meta and record
that depend on nothing else. They are used again for the same caller, address, certificate, service
and body only, and only while everything they came from is the very same: the edition, its revision
of rules and directory (hence grants and stops), the organisation's grants, the release in force,
the day, and the span of time and counters within which the rules themselves said they would answer
alike. Otherwise the whole way is gone (`gateway.serving.answer`). Who asks is proven, the quota
reserved, cells charged, the watermark made and the answer recorded each time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import orjson

from gateway.editions.running import Running
from gateway.identity.model import Grant
from gateway.journal.charges import Claim
from gateway.journal.entry import Entry
from gateway.journal.spending import Commitment
from gateway.policy.cache import CachedPolicy, Recalled
from gateway.policy.port import Decision, Obligations
from gateway.policy.port import Usage as AskedUsage
from gateway.serving.asking import Size, commitment_of
from gateway.serving.charge import Delivery
from gateway.serving.entries import took
from gateway.serving.meta import charge_of, remaining
from gateway.serving.model import Call, Case, Decided
from metering.calendar import day_begins
from metering.usage import FIELDS, UsageEvent

MOST: Final = 1024
LONGEST: Final = 2048
"""Octets of a body that is kept."""
_DAY: Final = timedelta(days=1)
_EACH_AUDIT: Final = frozenset({"kind", "result", "tenant", "grant", "service", "actor"})
"""What the journal reads of an event when it checks it, and what is not the same each time."""
_EACH_DECISION: Final = frozenset({"decision_id", "allow", "deny", "input"})
_EACH_USAGE: Final = frozenset(
    {"event_id", "request_id", "decision_id", "billable_qty", "repeat_of", "time"}
)

_Json: TypeAlias = dict[str, Any]  # a JSON object, parts of which may be written already
_Key: TypeAlias = tuple[str | bytes | None, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What an answer stood on, and what of it is the same in the next one."""

    edition: Running
    policy: CachedPolicy
    recalled: Recalled
    grants: tuple[Grant, ...]
    since: datetime
    until: datetime
    decided: Decided
    obligations: Obligations
    media: str
    size: Size
    commitment: Commitment | None
    audit: _Json
    decision: _Json
    asked: _Json
    usage: _Json
    meta: _Json

    def serves(self, case: Case, edition: Running) -> bool:
        """Whether it stands on what is there now; release, decision and quota aside."""
        same = self.edition is edition and self.policy is edition.policy
        return (
            same
            and self.grants is edition.grants_for(case.caller.tenant_id)
            and self.since <= case.stamp.time < self.until
        )

    def entry(  # noqa: PLR0917 -- as of `entries.answered`: whose, decided how, delivered what
        self,
        case: Case,
        decision: Decision,
        usage: AskedUsage,
        claim: Claim,
        delivery: Delivery,
        sent: Mapping[str, object],
    ) -> Entry:
        """The record of this answer, as `entries.answered` would make it."""
        call, stamp, caller = case.call, case.stamp, case.caller
        request, moment = call.request_id, stamp.time.isoformat().replace("+00:00", "Z")
        actor = {
            **self.audit["actor"],
            "token": caller.token_id,
            "interaction_id": call.interaction_id,
            "trace_id": call.trace_id,
        }
        told = usage.model_dump(mode="json")
        asked = {**self.asked, "request_id": request, "time": moment, "usage": told}
        mark = decision.decision_id
        return Entry(
            request,
            stamp.event_id,
            stamp.time,
            {**self.decision, "decision_id": mark, "timestamp": moment, "input": asked},
            {**self.audit, "actor": actor, **took(case), **sent},
            UsageEvent(
                event_id=stamp.event_id,
                request_id=request,
                decision_id=mark,
                billable_qty=delivery.charged,
                repeat_of=delivery.repeat_of,
                time=stamp.time,
                **self.usage,
            ),
            charged=claim.cells,
            rests_on=claim.rests_on,
        )

    def describe(
        self, case: Case, decision: Decision, usage: AskedUsage, delivery: Delivery, mark: str
    ) -> _Json:
        """The meta of this answer, as `meta.describe` would make it."""
        return self.meta | {
            "charge": charge_of(delivery, self.obligations.tariff),
            "quota": remaining(self.obligations.quota, usage, delivery.cells),
            "watermark": mark,
            "decision_id": decision.decision_id,
            "request_id": case.call.request_id,
            "trace_id": case.call.trace_id,
            "time": case.stamp.time,
        }


class Known:
    """The questions answered last. To be used within one event loop."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[_Key, Kept] = OrderedDict()

    def find(self, case: Case, edition: Running) -> Kept | None:
        """What is kept of this question, if that stands on what is there now."""
        if case.call.idempotency or case.call.query:
            return None
        key = _key(case)
        kept = self._kept.get(key)
        if kept is None:
            return None
        if not kept.serves(case, edition):
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return kept

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()

    def keep(  # noqa: PLR0917 -- what was asked, decided, delivered and told
        self, decided: Decided, edition: Running, media: str, size: Size, entry: Entry, meta: _Json
    ) -> None:
        """Keep what can serve again of an answer that is recorded."""
        case, policy = decided.case, edition.policy
        if not isinstance(policy, CachedPolicy) or not _is_plain(decided):
            return
        recalled, usage, told = policy.recall(decided.asked), entry.usage, entry.decision
        obligations = decided.decision.obligations
        if recalled is None or obligations is None or usage is None or told is None:
            return
        asked = told["input"]
        if "erased" in told or "masked" in told or not isinstance(asked, dict):
            return
        service, now = decided.pinned.question.service, case.stamp.time
        since = day_begins(now).astimezone(UTC)
        self._kept[_key(case)] = Kept(
            edition,
            policy,
            recalled,
            edition.grants_for(case.caller.tenant_id),
            since,
            since + _DAY,
            decided,
            obligations,
            media,
            size,
            commitment_of(service.id, service.tariff, now) if size.cells else None,
            _written(entry.audit, _EACH_AUDIT),
            _written(told, _EACH_DECISION),
            _written(asked, ()),
            {name: getattr(usage, name) for name in FIELDS if name not in _EACH_USAGE},
            _worded(meta),
        )
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)


def _is_plain(decided: Decided) -> bool:
    """Whether all of an answer is known from what `Kept` compares: no person stands behind the
    caller, the page is the first, and the cells are of a release."""
    call, caller, pinned = decided.case.call, decided.case.caller, decided.pinned
    by_itself = caller.gid is None and caller.authorization_details is None
    first = pinned.question.cursor is None and not call.idempotency
    return by_itself and first and not pinned.own and len(call.body) <= LONGEST


def _key(case: Case) -> _Key:
    """Everything of a request that its answer depends on."""
    call: Call = case.call
    caller = case.caller
    return (
        caller.tenant_id, caller.client_id, caller.gid, caller.ip, caller.cert_thumbprint,
        call.service, call.body, call.accept, call.content_type,
    )  # fmt: skip


def _written(told: Mapping[str, Any], each: Iterable[str]) -> _Json:
    """An object of the record, whose members that are objects or lists are written already."""
    return {
        name: orjson.Fragment(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
        if name not in each and isinstance(value, dict | list)
        else value
        for name, value in told.items()
    }


def _worded(meta: Mapping[str, Any]) -> _Json:
    """The same of meta, whose members keep their order."""
    return {
        name: orjson.Fragment(orjson.dumps(value)) if isinstance(value, dict | list) else value
        for name, value in meta.items()
    }
