"""What the journal keeps of an evaluation: who asked about whom, the decision, and a free use."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from gateway.api.authzen_mapping import PROGRAM
from gateway.identity.caller import Caller
from gateway.journal.entry import Entry
from gateway.journal.stamp import Stamp
from gateway.policy.decision_log import brief, event
from gateway.policy.port import Decision, PolicyInput
from metering.usage import UsageEvent

GRANT = "access-evaluation"
"""Stands in the books where a grant would: the asking system has none, and pays nothing."""
FREE = "free"
_SHAPE = {"service", "version", "op", "period", "geo", "dims", "measures", "fields", "grant_id"}


@dataclass(frozen=True)
class Asking:
    """A call of the decision point, from whom and under which ids."""

    caller: Caller
    request_id: str
    interaction_id: str


@dataclass(frozen=True)
class Moment:
    """One evaluation of a call: its id and its stamp."""

    request_id: str
    stamp: Stamp


def attempt(asking: Asking, moment: Moment, decision: Decision, about: str | None) -> Entry:
    """What never became a question to the rules; `about` is the organisation, if one is known."""
    return _entry(asking, moment, brief(decision), _audit(asking, decision, {"tenant": about}))


def evaluated(asking: Asking, moment: Moment, question: PolicyInput, decision: Decision) -> Entry:
    """A question the rules decided, or could not."""
    about = {
        "tenant": question.tenant.id,
        "client": _client(question),
        "grant": question.grant_id,
        "op": question.op,
        "purpose": question.purpose_code,
    }
    audit = _audit(asking, decision, about) | {"service": question.service}
    used = _usage(asking, moment, question, decision) if decision.allow else None
    if used is not None:
        audit |= {"grant": GRANT, "cells": used.qty}
    return _entry(asking, moment, event(question, decision), audit, used)


def _client(question: PolicyInput) -> str | None:
    """The program it is about; a person in a role is nobody's business here."""
    user, tenant = question.user, question.tenant
    return user.id if user.role == PROGRAM and user.id != tenant.id else None


def _entry(
    asking: Asking,
    moment: Moment,
    decision: dict[str, object],
    audit: dict[str, object],
    used: UsageEvent | None = None,
) -> Entry:
    stamp = moment.stamp
    return Entry(moment.request_id, stamp.event_id, stamp.time, decision, audit, used)


def _audit(
    asking: Asking, decision: Decision, about: Mapping[str, str | None]
) -> dict[str, object]:
    caller = asking.caller
    return {
        "kind": "decision",
        "result": "answered" if decision.allow else "refused",
        "tenant": caller.tenant_id,
        "actor": {
            "client": caller.client_id,
            "ip": caller.ip,
            "token": caller.token_id,
            "cert": caller.cert_thumbprint,
            "interaction_id": asking.interaction_id,
        },
        "about": dict(about),
        "deny_codes": list(decision.deny),
    }


def _usage(asking: Asking, moment: Moment, question: PolicyInput, decision: Decision) -> UsageEvent:
    """A use of price zero and no cells; its hash tells shapes apart, never persons."""
    shape = orjson.dumps(question.model_dump(mode="json", include=_SHAPE))
    return UsageEvent(
        event_id=moment.stamp.event_id,
        request_id=moment.request_id,
        decision_id=decision.decision_id,
        grant=GRANT,
        tenant=asking.caller.tenant_id,
        service=question.service,
        version=question.version,
        release=question.release or "",
        unit=FREE,
        qty=0,
        billable_qty=0,
        repeat_of=None,
        price_ref=FREE,
        price_micro=0,
        providers_ref="",
        purpose=question.purpose_code,
        query_hash=hashlib.sha256(shape).hexdigest(),
        page="",
        time=moment.stamp.time,
    )
