"""Alarms on record: raised with their evidence and effects, listed, shown, lifted with a reason.

An alarm that stopped or suspended somebody is lifted by two people: one asks, another agrees.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.detection_tables import AlarmRow, DetectionStateRow, DetectionTurnRow
from gateway.detection.engine import Finding, new_state
from gateway.detection.responses import respond, undo
from gateway.detection.signal import moment
from gateway.errors import OperatorError
from gateway.identity.model import OF_ALARM, Document
from gateway.identity.record import Act, record_change
from gateway.identity.spelling import one_spelling

OPEN, LIFTING, LIFTED = "open", "lifting", "lifted"
BY_TWO: Final = frozenset({"stop", "deny"})
MOST: Final = 500


@dataclass(frozen=True)
class Alarm:
    """An alarm as it is shown; `evidence` are ids of audited events, the last one raised it."""

    id: str
    rule: str
    kind: str
    who: str
    severity: str
    response: str
    value: float
    threshold: float
    evidence: tuple[str, ...]
    effects: tuple[str, ...]
    event_time: str
    raised_at: str
    state: str
    lift_asked_by: str
    lifted_by: str
    lifted_at: str | None
    lift_reason: str
    usual: float | None

    def document(self) -> Document:
        return asdict(self)


def alarm_id(finding: Finding) -> str:
    """The same for the same event and rule, however often it is found."""
    named = f"{finding.rule.id}\0{finding.rule.who}\0{finding.who}\0{finding.evidence[-1]}"
    return f"al-{hashlib.sha256(named.encode()).hexdigest()[:20]}"


def raise_alarm(session: Session, finding: Finding, now: datetime, *, acts: bool) -> Alarm | None:
    """Put an alarm down with its response, once; None where it is there, or where one of the same
    rule about the same is open. `acts` is false for what happened so long ago that it is told only.
    """
    name, rule = alarm_id(finding), finding.rule
    if session.get(AlarmRow, name) is not None or _is_open(session, finding, acts=acts):
        return None
    act = Act(OF_ALARM, now, f"alarm {name}: {rule.title_en}")
    effects = respond(session, act, finding) if acts else []
    row = AlarmRow(
        id=name,
        rule=rule.id,
        kind=rule.who,
        who=finding.who,
        severity=rule.severity,
        response=rule.response if acts else "alert",
        value=round(finding.value, 4),
        threshold=round(finding.threshold, 4),
        evidence=list(finding.evidence),
        effects=effects,
        event_time=moment(finding.at),
        raised_at=now,
        state=OPEN,
        lift_asked_by="",
        lifted_by="",
        lifted_at=None,
        lift_reason="",
        usual=None,
        recorded=False,
    )
    session.add(row)
    session.flush()
    alarm = _alarm(row)
    record_change(session, act, "raise", ("alarm", name), before=None, after=alarm.document())
    return alarm


def _is_open(session: Session, finding: Finding, *, acts: bool) -> bool:
    rule = finding.rule
    about = (AlarmRow.rule == rule.id, AlarmRow.kind == rule.who, AlarmRow.who == finding.who)
    wanted = sa.select(AlarmRow.response).where(*about, AlarmRow.state != LIFTED)
    # One that was told only does not stand in the way of one that acts.
    return any(not acts or done == rule.response for done in session.scalars(wanted))


def lift_alarm(session: Session, act: Act, name: str, usual: float | None = None) -> Alarm:
    """End an alarm and what it did; where it stopped or suspended, the second person's word does
    it. `usual`: from which value on the rule speaks again about the same, whatever it has learnt.
    Raises `alarm.unknown`, `alarm.state`, `alarm.same_approver`, `alarm.reason`."""
    row = _row(session, name)
    before = _alarm(row)
    if row.state == LIFTED:
        raise OperatorError("alarm.state", f"Alarm {name} is lifted already.")
    if not act.reason.strip():
        raise OperatorError("alarm.reason", "Say why the alarm is lifted.", "请填写解除理由。")
    if row.response in BY_TWO and row.state == OPEN:
        row.state, row.lift_asked_by = LIFTING, act.actor
        row.lift_reason, row.usual = act.reason, usual
        return _kept(session, act, "ask_to_lift", before, row)
    if row.state == LIFTING and one_spelling(act.actor) == one_spelling(row.lift_asked_by):
        raise OperatorError(
            "alarm.same_approver",
            f"{act.actor} asked to lift {name}; another person has to agree.",
            "须由另一人同意解除。",
        )
    row.state, row.lifted_by, row.lifted_at = LIFTED, act.actor, act.at
    row.lift_reason = row.lift_reason or act.reason
    row.usual = row.usual if usual is None else usual
    if row.usual is not None:
        _call_usual(session, row, row.usual)
    undo(session, act, row.effects, _asked_for_by_others(session, name))
    return _kept(session, act, "lift", before, row)


def _call_usual(session: Session, row: AlarmRow, usual: float) -> None:
    """Tell the rules, and all who follow that what they have in memory is not the last word."""
    kept = session.get(DetectionStateRow, (row.kind, row.who))
    states = {} if kept is None else orjson.loads(kept.state)
    states.setdefault(row.rule, new_state())["usual"] = usual
    text = orjson.dumps(states).decode()
    session.merge(DetectionStateRow(kind=row.kind, name=row.who, state=text))
    session.execute(sa.update(DetectionTurnRow).values(number=DetectionTurnRow.number + 1))


def _asked_for_by_others(session: Session, name: str) -> list[str]:
    still = sa.select(AlarmRow.effects).where(AlarmRow.state != LIFTED, AlarmRow.id != name)
    return [effect for effects in session.scalars(still) for effect in effects]


def _kept(session: Session, act: Act, action: str, before: Alarm, row: AlarmRow) -> Alarm:
    session.flush()
    after = _alarm(row)
    record_change(
        session, act, action, ("alarm", row.id), before=before.document(), after=after.document()
    )
    return after


def read_alarms(session: Session, *, everything: bool = False) -> list[Alarm]:
    """The newest alarms first; those that are lifted only if `everything` is asked for."""
    wanted = sa.select(AlarmRow).order_by(AlarmRow.raised_at.desc(), AlarmRow.id).limit(MOST)
    if not everything:
        wanted = wanted.where(AlarmRow.state != LIFTED)
    return [_alarm(row) for row in session.scalars(wanted)]


def read_alarm(session: Session, name: str) -> Alarm:
    """One alarm; raises `alarm.unknown`."""
    return _alarm(_row(session, name))


def unrecorded(session: Session) -> list[Alarm]:
    """Alarms the journal has not heard of yet, oldest first."""
    wanted = sa.select(AlarmRow).where(AlarmRow.recorded.is_(False)).order_by(AlarmRow.raised_at)
    return [_alarm(row) for row in session.scalars(wanted.limit(MOST))]


def mark_recorded(session: Session, name: str) -> None:
    """The journal has it."""
    _row(session, name).recorded = True


def _row(session: Session, name: str) -> AlarmRow:
    row = session.get(AlarmRow, name)
    if row is None:
        raise OperatorError("alarm.unknown", f"There is no alarm {name}.")
    return row


def _alarm(row: AlarmRow) -> Alarm:
    return Alarm(
        id=row.id,
        rule=row.rule,
        kind=row.kind,
        who=row.who,
        severity=row.severity,
        response=row.response,
        value=row.value,
        threshold=row.threshold,
        evidence=tuple(row.evidence),
        effects=tuple(row.effects),
        event_time=row.event_time.isoformat(),
        raised_at=row.raised_at.isoformat(),
        state=row.state,
        lift_asked_by=row.lift_asked_by,
        lifted_by=row.lifted_by,
        lifted_at=None if row.lifted_at is None else row.lifted_at.isoformat(),
        lift_reason=row.lift_reason,
        usual=row.usual,
    )
