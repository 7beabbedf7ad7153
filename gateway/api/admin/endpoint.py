"""One way for every call of the administration: who asks, may they, record it, then answer.

An endpoint is a row of a table. `serve` finds the visitor, asks the table of operations, runs the
act in one transaction with its record, and refuses to commit a change nobody recorded. There is no
other way to route an operation, and an operation the table does not name cannot be routed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy.orm import Session

from gateway.api.admin.office import Office
from gateway.db.engine import reading, writing
from gateway.errors import (
    BadRequest,
    Forbidden,
    NotFound,
    OperatorError,
    SluiceError,
    Unauthenticated,
    Unprocessable,
)
from gateway.identity.entries import Entry, check_entry, plain_fault
from gateway.identity.model import Document
from gateway.identity.record import UNKNOWN, Act, Source, append, is_recorded
from gateway.staff import sessions
from gateway.staff.model import RECORD, Visitor

Method: TypeAlias = Literal["GET", "POST", "PUT", "DELETE"]


@dataclass(frozen=True)
class File:
    """An answer that is kept as a file."""

    name: str
    media_type: str
    content: bytes


Answer: TypeAlias = Document | list[Document] | File | None

_CONFLICTS = (
    ".exists",
    ".state",
    ".same_approver",
    ".own_entry",
    ".last",
    ".oneself",
    "month_closed",
    "booked_before",
)
_LONGEST_REASON = 500


class Conflict(SluiceError):
    """The thing is not in a state in which this can be done."""

    status = 409
    title = "Not possible in the present state"


@dataclass(frozen=True)
class Call:
    """What an act is given."""

    office: Office
    session: Session
    visitor: Visitor
    act: Act
    at: Mapping[str, str]  # parts of the address
    query: Mapping[str, str]
    form: Any  # an instance of the endpoint's form
    found: Any = None  # what the endpoint's `finds` found


Run: TypeAlias = Callable[[Call], Answer]


@dataclass(frozen=True)
class Endpoint:
    """One operation and how it is reached below /admin/v1."""

    operation: str
    method: Method
    path: str
    run: Run
    form: type[Entry] | None = None
    says_why: bool = False  # a reason has to be given
    status: int = 200
    first: Callable[[Office, Visitor, Entry | None], None] | None = None  # outside a transaction
    # What takes long and changes nothing, outside a transaction too; `Call.found` is its result.
    finds: Callable[[Office, Mapping[str, str], Entry | None], object] | None = None
    tells_failures: bool = False  # an act that was not done for a fault of its own is recorded too
    heavy: bool = False  # it takes minutes on a large home, and waits for its own kind alone
    query: Mapping[str, str] = field(default_factory=dict)  # parameters it reads, with meanings
    summary: str = ""  # for the document, Chinese first


@dataclass(frozen=True)
class Ask:
    """What a request brought, read from HTTP."""

    token: str
    csrf: str
    at: Mapping[str, str]
    query: Mapping[str, str]
    body: object = None
    source: Source = UNKNOWN


def serve(office: Office, endpoint: Endpoint, ask: Ask) -> Answer:
    """The whole path of one call; blocking, so call it in a worker thread."""
    found = _prepare(office, endpoint, ask)
    try:
        return _serve(office, endpoint, ask, found)
    except SluiceError as error:
        if endpoint.tells_failures and not isinstance(error, Forbidden | Unauthenticated):
            _tell_failure(office, endpoint, ask, error)
        raise


def _serve(office: Office, endpoint: Endpoint, ask: Ask, found: object) -> Answer:
    now = office.clock()
    answer: Answer = None
    with writing(office.engine) as session:
        visitor = _visitor(office, endpoint, ask, session, now)
        refusal = _refusal(office, endpoint, visitor, now)
        sessions.touch(session, ask.token, sealer=office.sealer, now=now)
        if refusal:
            act = Act(visitor.name, now, "", _source(endpoint, ask, visitor))
            _note(session, act, "refused", endpoint.operation, deny_codes=[refusal.code])
        else:
            answer = _run(endpoint, ask, session, visitor, office=office, found=found)
    if refusal:
        raise refusal
    return answer


def _tell_failure(office: Office, endpoint: Endpoint, ask: Ask, error: SluiceError) -> None:
    """What was undone leaves no entry of its own; that it was tried does."""
    now = office.clock()
    with writing(office.engine) as session:
        visitor = _visitor(office, endpoint, ask, session, now)
        act = Act(visitor.name, now, "", _source(endpoint, ask, visitor))
        _note(session, act, "refused", endpoint.operation, deny_codes=[error.code])


def _prepare(office: Office, endpoint: Endpoint, ask: Ask) -> object:
    """Before the transaction: strangers are sent away, and what may take long is done."""
    now = office.clock()
    with reading(office.engine) as session:
        visitor = _visitor(office, endpoint, ask, session, now)
    if not (endpoint.first or endpoint.finds) or _refusal(office, endpoint, visitor, now):
        return None
    try:
        form = _read(endpoint, ask.body)[1]
        if endpoint.first is not None:
            endpoint.first(office, visitor, form)
        # Parts of the address win over parameters of the same name.
        asked = {**ask.query, **ask.at}
        return endpoint.finds(office, asked, form) if endpoint.finds else None
    except OperatorError as error:
        raise as_http(error) from error


def as_http(error: OperatorError) -> SluiceError:
    """An error of the acts as the HTTP error it is."""
    kind: type[SluiceError] = Unprocessable
    zh = "请求已理解但不被接受，原因见 detail。"
    if error.code.endswith((".unknown", "_unknown")):
        kind, zh = NotFound, "没有该对象。"
    elif error.code.endswith(_CONFLICTS) or error.code.startswith("state."):
        kind, zh = Conflict, "当前状态下不能执行该操作，原因见 detail。"
    elif error.code == "entry.invalid":
        kind, zh = BadRequest, "请求内容格式不正确，见 detail。"
    return kind(error.code, error.message, error.zh or zh, **error.extra)


def check_visitor(office: Office, endpoint: Endpoint, ask: Ask) -> None:
    """Raise unless somebody signed in asks, before anything they sent is read."""
    with reading(office.engine) as session:
        _visitor(office, endpoint, ask, session, office.clock())


def no_visitor() -> Unauthenticated:
    """The refusal for everybody who is not signed in, or no longer."""
    return Unauthenticated(
        "staff_session",
        "Sign in first; this session is not or no longer good.",
        "请先登录；当前会话无效或已过期。",
        www_authenticate='Session realm="sluice-admin"',
    )


def _visitor(
    office: Office, endpoint: Endpoint, ask: Ask, session: Session, now: datetime
) -> Visitor:
    found = sessions.visitor(
        session, ask.token, sealer=office.sealer, guarded=office.operations.guarded, now=now
    )
    if found is None:
        raise no_visitor()
    if endpoint.method != "GET" and not sessions.csrf_fits(ask.token, ask.csrf, office.sealer):
        raise Forbidden(
            "csrf",
            "Send the session's csrf token in the header Sluice-Csrf.",
            "请在请求头 Sluice-Csrf 中携带会话的 csrf 令牌。",
        )
    return found


def _refusal(
    office: Office, endpoint: Endpoint, visitor: Visitor, now: datetime
) -> SluiceError | None:
    if not office.operations.allows(endpoint.operation, visitor.roles):
        return Forbidden(
            "staff_role",
            f"None of your roles may do {endpoint.operation}.",
            f"您的角色无权执行 {endpoint.operation}。",
        )
    if endpoint.operation in office.operations.fresh and visitor.since + sessions.FRESH <= now:
        return Forbidden(
            "staff_sign_in_again",
            f"Sign in again to do {endpoint.operation}: your session is not fresh enough.",
            f"执行 {endpoint.operation} 需重新登录。",
        )
    return None


def _run(
    endpoint: Endpoint,
    ask: Ask,
    session: Session,
    visitor: Visitor,
    *,
    office: Office,
    found: object,
) -> Answer:
    now = office.clock()
    try:
        reason, form = _read(endpoint, ask.body)
        call = Call(
            office=office,
            session=session,
            visitor=visitor,
            act=Act(visitor.name, now, reason, _source(endpoint, ask, visitor)),
            at=ask.at,
            query=ask.query,
            form=form,
            found=found,
        )
        answer = endpoint.run(call)
    except OperatorError as error:
        raise as_http(error) from error
    if endpoint.method == "GET":
        _note(session, call.act, "read", endpoint.operation)
    if not is_recorded(session):
        raise RuntimeError(f"{endpoint.operation} changed something without a record")
    return answer


def _read(endpoint: Endpoint, body: object) -> tuple[str, Entry | None]:
    """The reason given, and the rest of the body as the endpoint's form."""
    if endpoint.method in {"GET", "DELETE"}:
        return "", None
    if not isinstance(body, dict):
        raise BadRequest("malformed_json", "The body is a JSON object.")
    content = dict(body)
    reason = content.pop("reason", "")
    if not isinstance(reason, str) or len(reason) > _LONGEST_REASON:
        raise BadRequest(
            "entry.invalid", f"reason is a text of at most {_LONGEST_REASON} characters."
        )
    if plain_fault(reason.replace("\n", " ")):
        raise BadRequest("entry.invalid", "reason has invisible characters.")
    if endpoint.says_why and not reason.strip():
        raise BadRequest("entry.invalid", "Say why: reason is missing.", "请填写 reason。")
    if endpoint.form is None and content:
        raise BadRequest("entry.invalid", "Nothing but a reason can be said here.")
    form = None if endpoint.form is None else check_entry(endpoint.form, content, "body")
    return reason.strip(), form


def _source(endpoint: Endpoint, ask: Ask, visitor: Visitor) -> Source:
    """Where an act comes from: the request, the visitor's roles, the operation."""
    return replace(ask.source, roles=visitor.roles, operation=endpoint.operation)


def _note(session: Session, act: Act, action: str, operation: str, **facts: object) -> None:
    entity = ("operation", operation)
    append(session, RECORD, act, action, entity, before=None, after=None, facts=facts)
