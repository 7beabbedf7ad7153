"""What the journal keeps of cleaned texts: who asked and how much, never a text, an id."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.catalogue.text import TextContract
from gateway.journal.entry import Entry
from gateway.policy.decision_log import event
from gateway.policy.port import Decision, PolicyInput
from gateway.serving.entries import actor_of
from gateway.serving.model import Case
from gateway.texts.asking import Question
from metering.usage import UsageEvent

FREE: Final = "free"


@dataclass(frozen=True)
class Decided:
    """A call with the policy's word on it; `weights` names what finds the names."""

    case: Case
    service: TextContract
    question: Question
    asked: PolicyInput
    decision: Decision
    weights: str


def digest_of(service: str) -> str:
    """All calls are one question: what stands in a text is nobody's business here."""
    return hashlib.sha256(f"{service}/deidentify".encode()).hexdigest()


def unanswered(decided: Decided, result: str) -> Entry:
    """A refusal of the policy, or an allowed call whose answer failed."""
    return _entry(decided, _audit(decided, result), None)


def answered(decided: Decided, sent: Mapping[str, object]) -> Entry:
    """An answer about to leave, counted at price zero: a usage counts cells, and there are none.

    Its characters are in the audit. `sent`: bytes, hash, watermark.
    """
    audit = {**_audit(decided, "answered"), "columns": [], "rows": 0, "cells": 0, **sent}
    return _entry(decided, audit, _usage(decided))


def _entry(decided: Decided, audit: dict[str, object], usage: UsageEvent | None) -> Entry:
    case, stamp = decided.case, decided.case.stamp
    kept = event(decided.asked, decided.decision)
    return Entry(case.call.request_id, stamp.event_id, stamp.time, kept, audit, usage)


def _audit(decided: Decided, result: str) -> dict[str, object]:
    return {
        "kind": "read",
        "result": result,
        "tenant": decided.case.caller.tenant_id,
        "actor": actor_of(decided.case),
        "grant": decided.asked.grant_id,
        "service": decided.service.id,
        "version": decided.service.version,
        "release": decided.weights,
        "purpose": decided.asked.purpose_code,
        "query_shape": {
            "operation": "deidentify",
            "given": list(decided.question.given),
            "texts": len(decided.question.documents),
            "characters": decided.question.characters,
        },
        "deny_codes": list(decided.decision.deny),
    }


def _usage(decided: Decided) -> UsageEvent:
    case, service = decided.case, decided.service
    return UsageEvent(
        event_id=case.stamp.event_id,
        request_id=case.call.request_id,
        decision_id=decided.decision.decision_id,
        grant=decided.asked.grant_id,
        tenant=case.caller.tenant_id,
        service=service.id,
        version=service.version,
        release=decided.weights,
        unit=FREE,
        qty=0,
        billable_qty=0,
        repeat_of=None,
        price_ref=FREE,
        price_micro=0,
        providers_ref="",
        purpose=decided.asked.purpose_code,
        query_hash=digest_of(service.id),
        page="",
        time=case.stamp.time,
    )
