"""Refusals as values: what the edge shows of them, which status they have, when to come back.

Of a refusal by a service about single persons only the group of reasons is shown: that a consent
was revoked rather than missing is itself news about a person. The journal has the codes.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from uuid_utils import uuid7

from gateway.policy.port import Decision
from gateway.serving.model import Refusal
from gateway.serving.reasons import status_of
from metering.calendar import day_begins

SDC = "D406"
NOT_COVERED = "D603"
PERSON = "person"
"""The grain of a service about single persons."""
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


def shown(deny: tuple[str, ...], grain: str) -> tuple[str, ...]:
    """The codes a caller sees: "D6xx" for the whole consent group where one person is asked for."""
    if grain != PERSON or _INTERNAL in deny:
        return deny
    return tuple(sorted({f"{code[:2]}xx" for code in deny}))


def _retry_after(deny: tuple[str, ...], now: datetime) -> int:
    """A rate passes in a second; a quota begins anew at midnight in China."""
    if deny == (_RATE,):
        return 1
    left = day_begins(now) + timedelta(days=1) - now
    return max(1, int(left.total_seconds()))


def refusal(decision: Decision, now: datetime, *, grain: str = "aggregate") -> Refusal:
    """The recorded refusal as the edge shows it, for a service of this grain."""
    deny = shown(decision.deny, grain)
    status = status_of(deny)
    return Refusal(
        code=_CODES.get(deny, "refused"),
        status=status,
        deny=deny,
        decision_id=decision.decision_id,
        retry_after=_retry_after(deny, now) if status == 429 else None,
    )
