"""What accompanies an answer about one person: service, load, charge, quota, decision."""

from __future__ import annotations

from gateway.claims.entries import Judged
from gateway.journal.counters import Hold
from gateway.policy.port import Obligations
from gateway.serving.answer import Desk
from gateway.serving.meta import made_up, remaining
from gateway.serving.watermark import tag


def meta_of(
    desk: Desk, judged: Judged, told: Obligations, load: str, hold: Hold, *, repeat: bool
) -> dict[str, object]:
    """The `meta` of an answer; `repeat`: it was given and charged before."""
    case, contract, decision = judged.case, judged.contract, judged.decision
    tenant, tariff = case.caller.tenant_id, told.tariff
    return made_up(case.caller.env) | {
        "service": {"id": contract.id, "code": contract.code, "version": contract.version},
        "release": load,
        "profile": str(told.profile.get("name", "")),
        "consent_id": judged.asked.consent_id,
        "charge": {
            "unit": "free" if tariff.free else tariff.unit,
            "price_ref": tariff.price_ref,
            "repeat": repeat,
        },
        "quota": remaining(told.quota, desk.quotas.seen(hold), 1),
        "watermark": tag(desk.mark, tenant, decision.decision_id, case.stamp.time),
        "decision_id": decision.decision_id,
        "policy_version": decision.policy_version,
        "request_id": case.call.request_id,
        "trace_id": case.call.trace_id,
        "time": case.stamp.time,
    }
