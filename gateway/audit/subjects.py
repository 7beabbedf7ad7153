"""Who stands behind a pseudonym of the audit: one officer asks, another of another role agrees.

The journals name a person by a keyed hash of the internal token. To go back is an act of its own:
asked with a reason, agreed within a day by somebody else whose role may not ask, open to who asked
for an hour, and each step, every look included, is an audit event of the kind break-glass.
Questions lie under a seal by a key that is not in the database: an edited approval is refused.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.consent_tables import ConsentRow
from gateway.db.oauth_tables import AuthorisationRow
from gateway.db.share_tables import PersonOptOutRow, PersonShareRow
from gateway.db.subject_tables import SubjectQuestionRow
from gateway.errors import OperatorError
from gateway.identity.model import Document
from gateway.identity.record import Act, keep_row, record_change
from gateway.identity.secrets import secret
from gateway.identity.spelling import one_spelling
from gateway.identity.states import Transitions, allow
from gateway.policy.packing import BundleKey, bundle_key

QUESTION_TRANSITIONS: Transitions = {
    "asked": frozenset({"agreed", "refused"}),
    "agreed": frozenset(),
    "refused": frozenset(),
}
TO_AGREE: Final = timedelta(hours=24)
"""Within which a question is agreed to, or not at all."""
TO_LOOK: Final = timedelta(hours=1)
"""For which the answer may be looked at, from the agreement on."""
MOST_OPEN: Final = 20
TOKEN: Final = re.compile(r"a[0-9a-f]{40}")
_ENTITY: Final = "subject"


@dataclass(frozen=True)
class Question:
    """One question and how far it has come."""

    id: str
    token: str
    reason: str
    state: str
    asked_by: str
    asked_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None

    def document(self) -> Document:
        """The question for records, seals and lists."""
        decided = self.decided_at
        return {
            "question": self.id,
            "subject_token": self.token,
            "reason": self.reason,
            "state": self.state,
            "asked_by": self.asked_by,
            "asked_at": self.asked_at.astimezone(UTC).isoformat(),
            "decided_by": self.decided_by,
            "decided_at": decided.astimezone(UTC).isoformat() if decided else None,
        }

    def shown(self, now: datetime) -> Document:
        """The same with what time has made of it."""
        return {**self.document(), "state": "ended" if self.has_ended(now) else self.state}

    def has_ended(self, now: datetime) -> bool:
        """Whether nobody can agree to it, or look at its answer, any more."""
        if self.state == "asked":
            return now >= self.asked_at + TO_AGREE
        return self.decided_at is not None and now >= self.decided_at + TO_LOOK


def question_key(keys: Path) -> BundleKey:
    """What seals questions; the same on every replica that shares the key folder."""
    return bundle_key(secret(keys, "subject_question"))


def ask(session: Session, act: Act, key: BundleKey, token: str) -> Question:
    """Put a question down; it tells nothing until somebody else agrees."""
    if not act.reason.strip():
        raise OperatorError("subject.reason", "Say why (reason).", "请说明理由（reason）。")
    mine = sa.select(sa.func.count()).where(
        SubjectQuestionRow.state == "asked", SubjectQuestionRow.asked_at > act.at - TO_AGREE
    )
    if session.scalars(mine).one() >= MOST_OPEN:
        raise OperatorError(
            "subject.state", f"{MOST_OPEN} questions wait already.", "待批准的请求已达上限。"
        )
    made = Question(
        f"Q-{secrets.token_hex(5)}", token, act.reason.strip(), "asked", act.actor, act.at
    )
    return _keep(session, act, "ask", None, made, key=key)


def agree(session: Session, act: Act, key: BundleKey, question_id: str) -> Question:
    """Agree to a question that somebody else asked; who asked may look, for an hour."""
    return _decide(session, act, key, question_id, "agreed")


def refuse(session: Session, act: Act, key: BundleKey, question_id: str) -> Question:
    """Refuse a question for good."""
    return _decide(session, act, key, question_id, "refused")


def resolve(
    session: Session, act: Act, key: BundleKey, question_id: str, token_of: Callable[[str], str]
) -> Document:
    """Whom the pseudonym stands for, told to who asked: the internal token and the consents. The
    token is null where the person has no consent, link, authorisation or objection on record.

    `token_of` makes the pseudonym of an internal token. Errors: `subject.state` where it is not
    agreed or the hour is over, `subject.asker` for anybody else.
    """
    question = read_question(session, key, question_id)
    if one_spelling(act.actor) != one_spelling(question.asked_by):
        raise OperatorError(
            "subject.asker", "Only who asked may look.", "只有提出请求的人员可以查看。"
        )
    if question.state != "agreed" or question.has_ended(act.at):
        raise OperatorError(
            "subject.state",
            f"Question {question_id} is not agreed to, or its hour is over: ask again.",
            "该请求未获批准或已过有效期，请重新提出。",
        )
    facts = {"subject_token": question.token}
    entity = (_ENTITY, question.id)
    record_change(session, act, "look", entity, before=None, after=None, facts=facts)
    reference = next((one for one in _references(session) if token_of(one) == question.token), None)
    consents = sa.select(ConsentRow.id).where(ConsentRow.subject_ref == reference)
    return {
        **question.document(),
        "subject_ref": reference,
        "consents": sorted(session.scalars(consents)),
    }


def read_questions(session: Session, key: BundleKey, most: int = 200) -> list[Question]:
    """The questions, newest first."""
    table = SubjectQuestionRow
    order = (table.asked_at.desc(), table.question_id)
    rows = session.scalars(sa.select(table).order_by(*order).limit(most))
    return [_opened(row, key) for row in rows]


def read_question(session: Session, key: BundleKey, question_id: str) -> Question:
    """One question."""
    row = session.get(SubjectQuestionRow, question_id)
    if row is None:
        raise OperatorError("subject.unknown", f"There is no question {question_id}.")
    return _opened(row, key)


def _decide(session: Session, act: Act, key: BundleKey, question_id: str, state: str) -> Question:
    before = read_question(session, key, question_id)
    allow(QUESTION_TRANSITIONS, before.state, state, f"Question {question_id}")
    if one_spelling(act.actor) == one_spelling(before.asked_by):
        raise OperatorError(
            "subject.same_approver",
            f"{act.actor} asked this question; another person agrees to it.",
            "提出请求的人员不能自行批准。",
        )
    if before.has_ended(act.at):
        raise OperatorError(
            "subject.state", "The question was not agreed to in time; it is asked anew.",
            "该请求已超过批准时限，请重新提出。",
        )  # fmt: skip
    after = replace(before, state=state, decided_by=act.actor, decided_at=act.at)
    return _keep(session, act, "agree" if state == "agreed" else "refuse", before, after, key=key)


def _keep(
    session: Session,
    act: Act,
    action: str,
    before: Question | None,
    after: Question,
    *,
    key: BundleKey,
) -> Question:
    row = session.get(SubjectQuestionRow, after.id) or SubjectQuestionRow(question_id=after.id)
    row.token, row.reason, row.state = after.token, after.reason, after.state
    row.asked_by, row.asked_at = after.asked_by, after.asked_at
    row.decided_by, row.decided_at = after.decided_by, after.decided_at
    row.seal = key.sign(_account(after))
    entity = (_ENTITY, after.id)
    facts = {"subject_token": after.token}
    keep_row(session, act, action, entity, row, before=before, after=after, facts=facts)
    return after


def _opened(row: SubjectQuestionRow, key: BundleKey) -> Question:
    question = Question(
        row.question_id,
        row.token,
        row.reason,
        row.state,
        row.asked_by,
        row.asked_at,
        row.decided_by,
        row.decided_at,
    )
    if key.signed(row.seal) != _account(question):
        raise OperatorError(
            "subject.tampered",
            f"The row of question {row.question_id} was altered, or sealed with another key.",
        )
    return question


def _account(question: Question) -> bytes:
    return orjson.dumps(question.document(), option=orjson.OPT_SORT_KEYS)


def _references(session: Session) -> set[str]:
    """The internal tokens of everybody this installation has on record."""
    columns = (
        ConsentRow.subject_ref,
        AuthorisationRow.subject_ref,
        PersonShareRow.subject_ref,
        PersonOptOutRow.subject_ref,
    )
    found = (session.scalars(sa.select(column).distinct()) for column in columns)
    return {each for some in found for each in some if each}
