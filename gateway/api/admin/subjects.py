"""Operations on who stands behind a pseudonym of the audit: asked, agreed or refused, looked at."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.api.admin.endpoint import Answer, Call, Endpoint
from gateway.audit import subjects
from gateway.consent.subjects import open_subjects
from gateway.errors import OperatorError
from gateway.identity.entries import Entry
from gateway.policy.packing import BundleKey


class QuestionForm(Entry):
    """The pseudonym, as an audit event has it in `subject_token`."""

    subject_token: Annotated[str, Field(pattern=f"^{subjects.TOKEN.pattern}$")]


def _key(call: Call) -> BundleKey:
    return subjects.question_key(call.office.keys)


def _list(call: Call) -> Answer:
    now = call.act.at
    return [one.shown(now) for one in subjects.read_questions(call.session, _key(call))]


def _ask(call: Call) -> Answer:
    form: QuestionForm = call.form
    if not call.office.journal.of_subjects([form.subject_token], 1):
        raise OperatorError(
            "subject.unknown", "No audit event has this pseudonym.", "没有审计事件使用该假名。"
        )
    return subjects.ask(call.session, call.act, _key(call), form.subject_token).document()


def _agree(call: Call) -> Answer:
    return subjects.agree(call.session, call.act, _key(call), call.at["question"]).document()


def _refuse(call: Call) -> Answer:
    return subjects.refuse(call.session, call.act, _key(call), call.at["question"]).document()


def _look(call: Call) -> Answer:
    token_of = open_subjects(call.office.keys).audit_token
    return subjects.resolve(call.session, call.act, _key(call), call.at["question"], token_of)


_ALL = "/audit/subjects"
_ONE = f"{_ALL}/{{question}}"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "subject.list",
        "GET",
        _ALL,
        _list,
        summary="还原假名的请求 / Questions of who stands behind a pseudonym",
    ),
    Endpoint(
        "subject.ask",
        "POST",
        _ALL,
        _ask,
        QuestionForm,
        says_why=True,
        tells_failures=True,
        status=201,
        summary="请求还原审计假名，须他人批准 / Ask who stands behind a pseudonym of the audit; "
        "another officer of another role has to agree",
    ),
    Endpoint(
        "subject.agree",
        "POST",
        f"{_ONE}/agree",
        _agree,
        says_why=True,
        tells_failures=True,
        summary="批准还原，一小时内有效 / Agree to a question; who asked may look for an hour",
    ),
    Endpoint(
        "subject.refuse",
        "POST",
        f"{_ONE}/refuse",
        _refuse,
        says_why=True,
        tells_failures=True,
        summary="拒绝还原 / Refuse a question",
    ),
    Endpoint(
        "subject.look",
        "POST",
        f"{_ONE}/look",
        _look,
        says_why=True,
        tells_failures=True,
        summary="查看已批准的还原结果，留痕为紧急访问 / Look at what was agreed to: recorded as "
        "break-glass",
    ),
)
