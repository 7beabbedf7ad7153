"""What an alarm does: facts of the directory, which every replica's policy obeys within seconds.

`throttle` puts the brake on a tenant (a stop of kind `brake`: a part of its quotas is left), `deny`
suspends its grants, `stop` is the emergency stop. An effect is written as `kind:target`, so that
lifting an alarm finds what was done. Every function wants a session of `writing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.tables import GrantRow, StopRow
from gateway.detection.engine import Finding
from gateway.identity.changes import lift_stop, raise_stop
from gateway.identity.grants import set_grant_status
from gateway.identity.model import BRAKE, OF_ALARM
from gateway.identity.record import Act

GRANT: Final = "grant"


def respond(session: Session, act: Act, finding: Finding) -> list[str]:
    """Do what the rule says; what was done. `act` is by `OF_ALARM`."""
    rule = finding.rule
    if rule.response == "throttle":
        return _stop(session, act, BRAKE, finding.who)
    if rule.response == "stop":
        return _stop(session, act, rule.who, finding.who)
    if rule.response == "deny":
        return _suspend(session, act, finding)
    return []


def _stop(session: Session, act: Act, kind: str, target: str) -> list[str]:
    if session.get(StopRow, (kind, target)) is None:
        raise_stop(session, act, kind, target)
    return [f"{kind}:{target}"]


def _suspend(session: Session, act: Act, finding: Finding) -> list[str]:
    """The tenant's grants that the evidence names; where it names none, all of them."""
    active = session.scalars(
        sa.select(GrantRow.id).where(GrantRow.tenant_id == finding.who, GrantRow.status == "active")
    ).all()
    done = []
    for grant in sorted(set(active) & set(finding.grants) or active):
        set_grant_status(session, act, grant, "suspended")
        done.append(f"{GRANT}:{grant}")
    return done


def undo(session: Session, act: Act, effects: Sequence[str], kept: Sequence[str]) -> None:
    """Take back what was done, but for what other open alarms still ask for (`kept`), and for what
    somebody has changed by hand since."""
    for effect in effects:
        kind, _, target = effect.partition(":")
        if effect in kept:
            continue
        if kind == GRANT:
            _resume(session, act, target)
            continue
        row = session.get(StopRow, (kind, target))
        if row is not None and row.set_by == OF_ALARM:
            lift_stop(session, act, kind, target, of_alarm=True)


def _resume(session: Session, act: Act, grant: str) -> None:
    row = session.get(GrantRow, grant)
    if row is not None and row.status == "suspended":
        set_grant_status(session, act, grant, "active")
