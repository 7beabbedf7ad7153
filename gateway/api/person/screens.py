"""From a visit to the page that is due: what to show, never what to do."""

from __future__ import annotations

from datetime import datetime

from fastapi import Request, Response
from starlette.responses import HTMLResponse

from gateway.api.person import pages
from gateway.api.person.login import METHODS, Login, Simulated
from gateway.api.person.office import Office
from gateway.api.person.pages import Choice, Frame, told
from gateway.api.person.pending import LIFE_SECONDS, seal
from gateway.api.person.upstream import Upstream
from gateway.api.person.visits import Visit
from gateway.consent.notice import Language, moment_text, relation_text
from gateway.consent.people import Person
from gateway.errors import SluiceError
from gateway.pages.browser import taste
from gateway.pages.drawing import go

_REASONS = {
    "interaction_gone": "gone",
    "request_unknown": "gone",
    "request_used": "gone",
    "request_malformed": "gone",
    "person_signed_out": "gone",
    "person_sign_in": "sign_in",
    "form_not_ours": "form",
}


def screen(visit: Visit, *, missing: bool = False) -> HTMLResponse:
    """The page that comes next."""
    if visit.over():
        return _show(visit, pages.Stopped("over", visit.path("leave"), visit.form()), 409)
    if visit.held is None:
        return sign_in_page(visit)
    page = _page(visit, visit.held.person, missing)
    return _show(visit, page, 400 if missing else 200)


def _show(visit: Visit, page: pages.Page, status: int = 200) -> HTMLResponse:
    return pages.show(page, visit.frame(status), visit.office.cookies)


def _page(visit: Visit, person: Person, missing: bool) -> pages.Page:
    step, form = visit.step(), visit.form()
    if step is None or visit.consent is None:
        return pages.IdentityPage(visit.path("consent"), form, visit.receiver)
    match step.screen:
        case "whose":
            return pages.Whose(visit.path("whose"), form, _choices(visit, person))
        case "guardian":
            return _guardian_page(visit, person, step.subject)
        case "sensitive":
            return pages.SensitivePage(
                visit.path("sensitive"), form, visit.notice, visit.notice.hash, missing
            )
        case "consent" | "again" | "ready":
            return _consent_page(visit, person, step.subject)
        case "stranger" | "minor":
            return pages.Stopped(step.screen, visit.path("leave"), form)


def _guardian_page(visit: Visit, person: Person, subject: str | None) -> pages.Page:
    ward, leave = person.ward(subject or ""), visit.path("leave")
    if ward is None:
        return pages.Stopped("stranger", leave, visit.form())
    relation = relation_text(ward.relation, visit.taste.language)
    return pages.GuardianPage(visit.path("guardian"), visit.form(), ward, relation, leave)


def _consent_page(visit: Visit, person: Person, subject: str | None) -> pages.ConsentPage:
    consent = visit.consent
    ward = person.ward(subject or "")
    given = consent.valid_from if consent and consent.state == "AUTHORISED" else None
    return pages.ConsentPage(
        visit.path("consent"),
        visit.form(),
        visit.notice,
        visit.notice.hash,
        ward.shown if ward else "",
        moment_text(given, visit.taste.language) if given else "",
    )


def _choices(visit: Visit, person: Person) -> list[Choice]:
    """Themselves and their children, none chosen for them."""
    language, w = visit.taste.language, told(visit.taste.language)
    found = []
    for ref in person.subjects(visit.rule.guardian_under):
        ward = person.ward(ref)
        if ward is None:
            found.append(Choice(ref, w.myself, person.shown))
        else:
            title = f"{w.my_child} {ward.shown}"
            note = w.child_note.format(
                age=ward.age, relation=relation_text(ward.relation, language)
            )
            found.append(Choice(ref, title, note))
    return found


def sign_in_page(visit: Visit) -> HTMLResponse:
    """Prove who you are, for this visit."""
    allowed = visit.rule.evidence if visit.consent else frozenset(METHODS)
    page = pages.SignIn(
        action=visit.path("sign-in"),
        form=visit.form(),
        kind=visit.office.login.kind,
        receiver=visit.receiver,
        people=people(visit.office.login, visit.taste.language),
        methods=methods(visit.taste.language, allowed),
        leave=visit.path("leave"),
    )
    return _show(visit, page)


def people(login: Login, language: Language) -> list[Choice]:
    """The invented people of the simulated app."""
    if not isinstance(login, Simulated):
        return []
    return [
        Choice(each.id, each.name, each.note_zh if language == "zh" else each.note_en)
        for each in login.people
    ]


def methods(language: Language, allowed: frozenset[str]) -> list[Choice]:
    """Ways to prove who you are."""
    w = told(language)
    titles = {"ehic_face": w.by_face, "ehic_pin": w.by_pin}
    return [Choice(each, titles[each], "") for each in METHODS if each in allowed]


def send_upstream(office: Office, login: Upstream, purpose: str, now: datetime) -> Response:
    """Off to the provider; what its answer must fit goes along in the browser's own cookie."""
    address, pending = login.begin(purpose, now)
    response = go(address)
    office.cookies.put(response, "login", seal(pending, office.subjects), LIFE_SECONDS)
    return response


def stopped(request: Request, office: Office, error: SluiceError) -> HTMLResponse:
    """A page for an error: what happened in words, never what was sent."""
    reason = _REASONS.get(error.code, "down" if error.status >= 500 else "error")
    frame = Frame(
        taste=taste(request, office.cookies),
        path="",
        simulated=office.login.kind == "simulated",
        status=error.status,
    )
    return pages.show(pages.Stopped(reason), frame, office.cookies)
