"""What the journal keeps of a question about one person: shapes, counts and a pseudonym.

The event names the person by the journal's own pseudonym (`subject`), so it is at once what the
person is shown of who looked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.catalogue.person import PersonContract
from gateway.journal.entry import Entry, Keyed
from gateway.policy.decision_log import event
from gateway.policy.port import Decision, Obligations, PolicyInput
from gateway.serving.entries import actor_of, took
from gateway.serving.model import Case
from metering.usage import UsageEvent

NO_LOAD = "none"


@dataclass(frozen=True)
class Judged:
    """A question about a person with the policy's word on it; repr shows nobody."""

    case: Case
    contract: PersonContract
    asked: PolicyInput
    decision: Decision
    token: str  # the person's pseudonym in the journal
    locked: bool

    def __repr__(self) -> str:
        return "Judged(…)"


def digest_of(service: str) -> str:
    """All questions of a service are one: who is meant tells the books nothing."""
    return hashlib.sha256(f"{service}/one person".encode()).hexdigest()


def unanswered(judged: Judged, result: str) -> Entry:
    """A refusal of the policy, or an allowed question whose answer failed."""
    return _entry(judged, _audit(judged, result), None)


def answered(
    judged: Judged, told: Obligations, load: str, sent: Mapping[str, object], keyed: Keyed
) -> Entry:
    """An answer about to leave, charged as one. `sent`: bytes, hash, watermark, rows."""
    audit = _delivered(judged, told, load, sent, "answered")
    audit["idempotency_key"] = keyed.key.hex()
    return _entry(judged, audit, _usage(judged, told, load), keyed)


def repeated(
    judged: Judged, told: Obligations, load: str, sent: Mapping[str, object], event_id: str
) -> Entry:
    """An answer about to leave once more under its key: event `event_id` counted and charged it."""
    audit = _delivered(judged, told, load, sent, "repeated")
    return _entry(judged, audit | {"repeats": event_id}, None)


def _entry(
    judged: Judged,
    audit: dict[str, object],
    usage: UsageEvent | None,
    keyed: Keyed | None = None,
) -> Entry:
    case, stamp = judged.case, judged.case.stamp
    kept = event(judged.asked, judged.decision)
    return Entry(case.call.request_id, stamp.event_id, stamp.time, kept, audit, usage, keyed=keyed)


def _audit(judged: Judged, result: str) -> dict[str, object]:
    case, asked = judged.case, judged.asked
    return {
        "kind": "read",
        "result": result,
        "tenant": case.caller.tenant_id,
        "actor": actor_of(case),
        "grant": asked.grant_id,
        "service": judged.contract.id,
        "version": judged.contract.version,
        "purpose": asked.purpose_code,
        "subject": judged.token,
        "consent_id": asked.consent_id,
        "query_shape": {
            "periods": [asked.period.start, asked.period.to],
            "geo": list(asked.geo),
            "given": sorted(asked.params),
        },
        "deny_codes": list(judged.decision.deny),
        **took(case),
        **({"locked": True} if judged.locked else {}),
    }


def _delivered(
    judged: Judged, told: Obligations, load: str, sent: Mapping[str, object], result: str
) -> dict[str, object]:
    return {
        **_audit(judged, result),
        "release": load,
        "columns": [
            {"field": rule.field, "item": rule.item, "level": rule.level, "mask": rule.mask}
            for rule in told.columns
        ],
        "notify_person": told.notify_person,
        "cells": 1,
        **sent,
    }


def _usage(judged: Judged, told: Obligations, load: str) -> UsageEvent:
    case, contract, tariff = judged.case, judged.contract, told.tariff
    return UsageEvent(
        event_id=case.stamp.event_id,
        request_id=case.call.request_id,
        decision_id=judged.decision.decision_id,
        grant=judged.asked.grant_id,
        tenant=case.caller.tenant_id,
        service=contract.id,
        version=contract.version,
        release=load,
        unit="free" if tariff.free else tariff.unit,
        qty=1,
        billable_qty=1,
        repeat_of=None,
        price_ref=tariff.price_ref,
        price_micro=0 if tariff.free else contract.tariff.first_unit_micro(tariff.price_ref),
        providers_ref=load,
        purpose=judged.asked.purpose_code,
        query_hash=digest_of(contract.id),
        page="0+1",
        time=case.stamp.time,
    )
