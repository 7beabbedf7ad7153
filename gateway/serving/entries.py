"""What the journal keeps of a call: the decision's event, shapes and counts, never a person."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

from gateway.journal.charges import Claim
from gateway.journal.entry import Entry, Keyed
from gateway.policy.decision_log import brief, event
from gateway.policy.port import Decision, Obligations
from gateway.policy.profiles import profile_key
from gateway.serving.charge import Delivery
from gateway.serving.model import Case, Decided, Pinned
from metering.usage import UsageEvent


def _decision(decided: Decided) -> dict[str, object]:
    """The decision with the question, so that it can be explained and asked again."""
    return event(decided.asked, decided.decision, decided.pinned.manifest.domains)


def actor_of(case: Case) -> dict[str, object]:
    """Who asks, as the audit keeps it: client, address, token and certificate; never a name."""
    call, caller = case.call, case.caller
    return {
        "client": caller.client_id,
        "ip": caller.ip,
        "token": caller.token_id,
        "cert": caller.cert_thumbprint,
        "interaction_id": call.interaction_id,
        "trace_id": call.trace_id,
    }


def took(case: Case) -> dict[str, object]:
    """How long the call has taken so far, in milliseconds; nothing where no request began it."""
    begun = case.call.started
    return {} if begun is None else {"latency_ms": round((perf_counter() - begun) * 1000)}


def _asked(pinned: Pinned) -> dict[str, object]:
    """The shape of the query: dims, measures, regions; no filter value."""
    question = pinned.question
    return {
        "grain": question.grain,
        "periods": [question.periods[0], question.periods[-1]],
        "geo": list(question.geo),
        "dims": list(question.dims),
        "where": sorted(question.where),
        "measures": list(pinned.measures),
        "page": f"{pinned.offset}+{question.page_size}",
    }


def _entry(case: Case, decision: dict[str, object], audit: dict[str, object]) -> Entry:
    stamp = case.stamp
    return Entry(case.call.request_id, stamp.event_id, stamp.time, decision, audit, None)


def attempt(case: Case, service: str, decision: Decision) -> Entry:
    """An attempt at what is never decided on, such as setting disclosure control."""
    audit: dict[str, object] = {
        "kind": "read",
        "result": "refused",
        "tenant": case.caller.tenant_id,
        "actor": actor_of(case),
        "service": service,
        "deny_codes": list(decision.deny),
        **took(case),
    }
    return _entry(case, brief(decision), audit)


def _audit(decided: Decided, result: str) -> dict[str, object]:
    case, pinned, service = decided.case, decided.pinned, decided.pinned.question.service
    return {
        "kind": "read",
        "result": result,
        "tenant": case.caller.tenant_id,
        "actor": actor_of(case),
        "grant": pinned.grant_id,
        "service": service.id,
        "version": service.version,
        "release": pinned.manifest.release_id,
        "purpose": pinned.question.purpose,
        "query_shape": _asked(pinned),
        "deny_codes": list(decided.decision.deny),
        **took(case),
    }


def unanswered(decided: Decided, result: str) -> Entry:
    """A refusal of the policy, or an allowed question whose answer failed."""
    return _entry(decided.case, _decision(decided), _audit(decided, result))


def repeated(
    decided: Decided,
    obligations: Obligations,
    delivery: Delivery,
    sent: Mapping[str, object],
    event_id: str,
) -> Entry:
    """An answer about to leave once more under its key: event `event_id` counted and charged it."""
    audit = _delivered(decided, obligations, delivery, sent, "repeated") | {"repeats": event_id}
    return _entry(decided.case, _decision(decided), audit)


def answered(
    decided: Decided,
    obligations: Obligations,
    delivery: Delivery,
    sent: Mapping[str, object],
    claim: Claim,
    *,
    keyed: Keyed | None = None,
) -> Entry:
    """An answer about to leave, with what it is charged for. `sent`: bytes, hash, watermark."""
    case = decided.case
    audit = _delivered(decided, obligations, delivery, sent, "answered")
    if keyed is not None:
        audit["idempotency_key"] = keyed.key.hex()
    decision, usage = _decision(decided), _usage(decided, obligations, delivery)
    request, stamp = case.call.request_id, case.stamp
    return Entry(
        request,
        stamp.event_id,
        stamp.time,
        decision,
        audit,
        usage,
        charged=claim.cells,
        rests_on=claim.rests_on,
        keyed=keyed,
    )


def _delivered(
    decided: Decided,
    obligations: Obligations,
    delivery: Delivery,
    sent: Mapping[str, object],
    result: str,
) -> dict[str, object]:
    """The audit event of cells that leave."""
    return {
        **_audit(decided, result),
        "columns": [
            {"field": rule.field, "item": rule.item, "level": rule.level, "mask": rule.mask}
            for rule in obligations.columns
        ],
        "rows": delivery.rows,
        "cells": delivery.cells,
        "cells_suppressed": delivery.suppressed,
        "input_hash": decided.pinned.digest,
        **sent,
    }


def _usage(decided: Decided, obligations: Obligations, delivery: Delivery) -> UsageEvent:
    case, pinned, service = decided.case, decided.pinned, decided.pinned.question.service
    tariff = obligations.tariff
    return UsageEvent(
        event_id=case.stamp.event_id,
        request_id=case.call.request_id,
        decision_id=decided.decision.decision_id,
        grant=pinned.grant_id,
        tenant=case.caller.tenant_id,
        service=service.id,
        version=service.version,
        release=pinned.manifest.release_id,
        unit=delivery.unit,
        qty=delivery.cells,
        billable_qty=delivery.charged,
        repeat_of=delivery.repeat_of,
        price_ref=tariff.price_ref,
        price_micro=0 if tariff.free else service.tariff.first_unit_micro(tariff.price_ref),
        providers_ref=f"{pinned.manifest.release_id}/{profile_key(obligations.profile)}",
        purpose=pinned.question.purpose,
        query_hash=pinned.digest,
        page=delivery.page,
        time=case.stamp.time,
    )
