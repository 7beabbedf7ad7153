"""`/person/callback`: where the upstream provider sends the browser back after a sign-in."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request, Response

from gateway.api.person.home import signed_in
from gateway.api.person.office import Office, PersonOffice
from gateway.api.person.pending import unseal
from gateway.api.person.screens import stopped
from gateway.api.person.upstream import CALLBACK, SignInRefused, Upstream
from gateway.api.person.visits import open_visit, session_cookie, sign_in
from gateway.api.presented import presented
from gateway.api.threads import in_thread
from gateway.consent.sessions import HOME
from gateway.errors import Forbidden, SluiceError
from gateway.pages.drawing import go

router = APIRouter(include_in_schema=False)


@router.get(CALLBACK)
async def callback(request: Request, office: PersonOffice) -> Response:
    """Take the answer if this browser began the sign-in; once, and for what it was begun."""
    return await in_thread(office.sign_in_threads, _answered, request, office)


def _answered(request: Request, office: Office) -> Response:
    try:
        return _callback(request, office)
    except SignInRefused:
        office.audit.not_signed_in(presented(request).ip, office.clock())
        refused = Forbidden("person_sign_in", "The sign-in did not succeed.", "登录没有成功。")
        return stopped(request, office, refused)
    except SluiceError as error:
        return stopped(request, office, error)


def _callback(request: Request, office: Office) -> Response:
    login, told = office.login, request.query_params
    now = office.clock()
    pending = unseal(office.cookies.get(request, "login"), office.subjects, now)
    if not isinstance(login, Upstream) or pending is None or not told.get("code"):
        raise SignInRefused
    if not hmac.compare_digest(told.get("state", "").encode(), pending.state.encode()):
        raise SignInRefused
    person = login.finish(told["code"], told.get("iss"), pending, now)
    if pending.purpose == HOME:
        response = signed_in(office, person, presented(request).ip, now)
        office.cookies.drop(response, "login")
        return response
    visit = open_visit(request, office, pending.purpose)
    secret, away = sign_in(visit, person)
    response = go(away or visit.path())
    office.cookies.drop(response, "login")
    for name, (value, life) in session_cookie(secret).items():
        office.cookies.put(response, name, value, life)
    return response
