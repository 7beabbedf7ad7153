"""Refusals as values: which status they have at the edge and when to come back."""

from __future__ import annotations

from datetime import datetime, timedelta

from uuid_utils import uuid7

from gateway.policy.port import Decision
from gateway.serving.model import Refusal
from gateway.serving.reasons import status_of
from metering.calendar import day_begins

SDC = "D406"
NOT_COVERED = "D603"
_RATE = "D801"
_INTERNAL = "D000"
_CODES: dict[tuple[str, ...], str] = {
    (SDC,): "client_sdc_parameter",
    (_INTERNAL,): "policy_unavailable",
}


def attempt_decision(policy_version: str, code: str) -> Decision:
    """The refusal of an attempt that is no question to decide on."""
    return Decision(False, (code,), None, policy_version, str(uuid7()))


def undecided(policy_version: str) -> Decision:
    """What is recorded when the policy could not be asked: no."""
    return Decision(False, (_INTERNAL,), None, policy_version, str(uuid7()))


def _retry_after(deny: tuple[str, ...], now: datetime) -> int:
    """A rate passes in a second; a quota begins anew at midnight in China."""
    if deny == (_RATE,):
        return 1
    left = day_begins(now) + timedelta(days=1) - now
    return max(1, int(left.total_seconds()))


def refusal(decision: Decision, now: datetime) -> Refusal:
    """The recorded refusal as the edge shows it."""
    status = status_of(decision.deny)
    return Refusal(
        code=_CODES.get(decision.deny, "refused"),
        status=status,
        deny=decision.deny,
        decision_id=decision.decision_id,
        retry_after=_retry_after(decision.deny, now) if status == 429 else None,
    )
