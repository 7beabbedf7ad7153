"""`/person/interactions/{id}`: the screens on which a person answers a request for consent.

GET shows the next screen and changes nothing; every answer is a form of our own page, sent by POST
and followed by a 303. No screen can be skipped (see `gateway.consent.steps`).
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from gateway.api.person.login import Simulated
from gateway.api.person.office import PersonOffice
from gateway.api.person.screens import screen, send_upstream, sign_in_page, stopped
from gateway.api.person.upstream import Upstream
from gateway.api.person.visits import (
    Visit,
    approve,
    chosen_scopes,
    leave,
    note,
    open_visit,
    posted,
    refuse,
    session_cookie,
    sign_in,
)
from gateway.api.threads import in_thread
from gateway.authserver.interaction import InteractionGone
from gateway.consent.record import ConsentConflict, Document
from gateway.errors import BadRequest, SluiceError
from gateway.pages.browser import Fields, one, read_fields
from gateway.pages.drawing import go

router = APIRouter(prefix="/person/interactions", include_in_schema=False)

PostedFields: TypeAlias = Annotated[Fields, Depends(read_fields)]


@router.get("/{interaction_id}")
def next_screen(request: Request, office: PersonOffice, interaction_id: str) -> Response:
    """Whatever comes next for this person."""
    try:
        return screen(open_visit(request, office, interaction_id))
    except InteractionGone as error:
        return stopped(request, office, error)


@router.post("/{interaction_id}/{act}")
async def answer(
    request: Request, office: PersonOffice, fields: PostedFields, interaction_id: str, act: str
) -> Response:
    """One answer; everything unexpected becomes a page that says what to do."""
    if act == "sign-in":
        threads = office.sign_in_threads
        return await in_thread(threads, _answer, request, office, fields, interaction_id, act)
    return await run_in_threadpool(_answer, request, office, fields, interaction_id, act)


def _answer(
    request: Request, office: PersonOffice, fields: Fields, interaction_id: str, act: str
) -> Response:
    try:
        visit = open_visit(request, office, interaction_id)
        posted(visit, request, fields)
        return _ACTS[act](visit, fields) if act in _ACTS else screen(visit)
    except ConsentConflict:
        # What was asked has changed meanwhile: show how things stand.
        return go(f"/person/interactions/{interaction_id}")
    except SluiceError as error:
        return stopped(request, office, error)


def _sign_in(visit: Visit, fields: Fields) -> Response:
    login = visit.office.login
    if visit.over():
        return screen(visit)
    if isinstance(login, Upstream):
        return send_upstream(visit.office, login, visit.id, visit.now)
    if not isinstance(login, Simulated):
        return sign_in_page(visit)
    person = login.sign_in(one(fields, "person"), one(fields, "method"), visit.now)
    secret, away = sign_in(visit, person)
    response: Response = go(away or visit.path())
    for name, (value, life) in session_cookie(secret).items():
        visit.office.cookies.put(response, name, value, life)
    return response


def _whose(visit: Visit, fields: Fields) -> Response:
    subject = one(fields, "subject")
    if visit.held is None or subject not in visit.held.person.subjects(visit.rule.guardian_under):
        raise BadRequest("invalid_parameter", "Choose one of the people on the page.")
    said: Document = {"subject": subject}
    if visit.held.person.ward(subject):
        said["guardian_of"] = subject
    note(visit, said)
    return go(visit.path())


def _guardian(visit: Visit, fields: Fields) -> Response:
    step = visit.step()
    if step is None or step.screen != "guardian":
        return go(visit.path())
    note(visit, {"guardian_of": step.subject})
    return go(visit.path())


def _consent(visit: Visit, fields: Fields) -> Response:
    step = visit.step()
    if visit.over() or (visit.consent is not None and step is None):
        return screen(visit)
    if one(fields, "decision") != "approve":
        return go(refuse(visit))
    if step is None or step.screen == "again":
        return go(approve(visit))
    answerable = step.screen in ("consent", "sensitive", "ready")  # also once more, after "back"
    if not answerable or one(fields, "hash") != visit.notice.hash:
        return go(visit.path())
    scopes = chosen_scopes(visit, fields)
    said: Document = {"scopes": scopes, "hash": visit.notice.hash, "sensitive": None}
    return _go_on(note(visit, said))


def _sensitive(visit: Visit, fields: Fields) -> Response:
    step, choice = visit.step(), one(fields, "choice")
    if visit.over() or step is None or step.screen != "sensitive":
        return go(visit.path())
    if choice not in ("give", "skip") or (choice == "give" and one(fields, "read") != "yes"):
        return screen(visit, missing=True)
    return _go_on(note(visit, {"sensitive": choice == "give"}))


def _go_on(visit: Visit) -> Response:
    """The next question, or the end: nothing was given before the last one was answered."""
    step = visit.step()
    if step is None or step.screen != "ready":
        return go(visit.path())
    held = visit.held
    if held is not None and not held.answer.get("scopes") and not held.answer.get("sensitive"):
        return go(refuse(visit))  # every part was left out: that is a no
    return go(approve(visit))


def _leave(visit: Visit, fields: Fields) -> Response:
    return go(leave(visit))


_ACTS = {
    "sign-in": _sign_in,
    "whose": _whose,
    "guardian": _guardian,
    "consent": _consent,
    "sensitive": _sensitive,
    "leave": _leave,
}
