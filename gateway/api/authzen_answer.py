"""What an AuthZEN answer says besides yes or no: reasons, obligations, revision and decision id.

Of a service about single persons only the group of a reason is told, as at the service itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from gateway.api.authzen_mapping import NOT_OF_THE_FORM, Unanswerable
from gateway.policy.port import Decision, Obligations
from gateway.serving.reasons import reason
from gateway.serving.refusals import shown

Json: TypeAlias = dict[str, Any]  # a JSON object

NOT_AN_EVALUATION = 400


def decided(decision: Decision, grain: str) -> Json:
    """The answer to a question that the rules decided."""
    context = _origin(decision)
    if decision.obligations is not None:
        return {"decision": True, "context": context | {"obligations": _told(decision.obligations)}}
    return {"decision": False, "context": context | _reasons(shown(decision.deny, grain))}


def unanswered(refusal: Decision, why: Unanswerable) -> Json:
    """The answer where no question could be made: no, and which attributes it needs."""
    spoken = reason("invalid_parameter" if why.code == NOT_OF_THE_FORM else why.code)
    found = {
        "deny": list(refusal.deny),
        "reasons": [{"code": why.code, "en": spoken.en, "zh": spoken.zh}],
        "reason": why.reason,
        "attributes": list(why.attributes),
    }
    return {"decision": False, "context": _origin(refusal) | found}


def no_evaluation(why: str) -> Json:
    """An item of a batch that is not of the form, in its place (AuthZEN §7.2.1)."""
    error = {"status": NOT_AN_EVALUATION, "message": why}
    return {"decision": False, "context": {"error": error}}


def _origin(decision: Decision) -> Json:
    return {"decision_id": decision.decision_id, "revision": decision.policy_version}


def _reasons(deny: Sequence[str]) -> Json:
    told = [{"code": code, "en": reason(code).en, "zh": reason(code).zh} for code in deny]
    return {"deny": list(deny), "reasons": told}


def _told(obligations: Obligations) -> Json:
    """What whoever asked must see to; the profile by its name and figures."""
    tariff = obligations.tariff
    return {
        "profile": dict(obligations.profile),
        "columns": [
            {"field": rule.field, "item": rule.item, "level": rule.level, "mask": rule.mask}
            for rule in obligations.columns
        ],
        "rows": [
            {"column": rule.column, "op": rule.op, "value": rule.value} for rule in obligations.rows
        ],
        "sensitive_dx": obligations.sensitive_dx,
        "max_cells": obligations.max_cells,
        "watermark": obligations.watermark,
        "log_level": obligations.log_level,
        "notify_person": obligations.notify_person,
        "tariff": {"unit": tariff.unit, "price_ref": tariff.price_ref, "free": tariff.free},
        "ttl": obligations.ttl,
    }
