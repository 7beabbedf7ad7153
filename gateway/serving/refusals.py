"""Refusals as values: what the edge shows of them, which status they have, when to come back.

Of a refusal by a service about single persons only the group of reasons is shown: that a consent
was revoked rather than missing is itself news about a person. The journal has the codes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from uuid_utils import uuid7

from gateway.policy.port import Decision, PolicyInput
from gateway.quota.windows import day_window, seconds_left
from gateway.serving.model import Refusal
from gateway.serving.quotas import CELLS, COUNTED, window_of
from gateway.serving.reasons import status_of

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


def _retry_after(decision: Decision, now: datetime, asked: PolicyInput | None) -> int:
    """A rate passes in a second; a quota begins anew with the bureau's day or month. With several
    used up, the last of them is waited for."""
    if decision.deny == (_RATE,):
        return 1
    windows = [day_window(now)]
    if asked is not None:
        windows += [window_of(name, now) for name in _used_up(decision.quota, asked)]
    return max(1, *(seconds_left(window, now) for window in windows))


def _used_up(quota: Mapping[str, int], asked: PolicyInput) -> Iterator[str]:
    """The quotas into which the call does not fit."""
    for name in COUNTED & quota.keys():
        own = asked.qty_estimate if name in CELLS else 1
        if getattr(asked.usage, name) + own > quota[name]:
            yield name


def _remaining(decision: Decision, asked: PolicyInput | None) -> dict[str, dict[str, int]]:
    """Each quota with what is left of it, where one of them refuses."""
    if asked is None:
        return {}
    usage = {name: getattr(asked.usage, name) for name in COUNTED}
    return {
        name: {"limit": limit, "remaining": max(0, limit - usage[name])}
        for name, limit in decision.quota.items()
        if name in usage
    }


def refusal(
    decision: Decision,
    now: datetime,
    *,
    grain: str = "aggregate",
    asked: PolicyInput | None = None,
) -> Refusal:
    """The recorded refusal as the edge shows it, for a service of this grain; `asked` is the
    question, if the policy was asked one."""
    deny = shown(decision.deny, grain)
    if deny != decision.deny:  # neither the wait nor the quotas may tell the codes apart
        decision, asked = replace(decision, deny=deny), None
    status = status_of(deny)
    return Refusal(
        code=_CODES.get(deny, "refused"),
        status=status,
        deny=deny,
        decision_id=decision.decision_id,
        retry_after=_retry_after(decision, now, asked) if status == 429 else None,
        quota=_remaining(decision, asked) if status == 429 else {},
    )
