"""`/me`: the person's own consents and accesses as JSON, with the session of the person pages."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import orjson
from fastapi import APIRouter, Depends, Header, Request, Response

from gateway.api.person.browser import check_form
from gateway.api.person.home import Home, at_home
from gateway.api.person.mine import end_consent, my_accesses, my_consents
from gateway.api.person.office import PersonOffice
from gateway.consent.people import Person
from gateway.consent.record import Consent, Document
from gateway.errors import Unauthenticated
from gateway.serving.accept import JSON

router = APIRouter(prefix="/me", tags=["person"], include_in_schema=False)


def _signed_in(request: Request, office: PersonOffice) -> Home:
    """The person at home; raises when nobody is."""
    home = at_home(request, office)
    if home.held is None:
        raise Unauthenticated(
            "person_signed_out",
            "Sign in at /person/sign-in first.",
            "请先在 /person/sign-in 登录。",
            www_authenticate='Cookie realm="person"',
        )
    return home


SignedInPerson: TypeAlias = Annotated[Home, Depends(_signed_in)]
FormToken: TypeAlias = Annotated[str, Header(alias="x-csrf-token", max_length=100)]


@router.get("/consents")
def consents(home: SignedInPerson) -> Response:
    """Own consents, newest first, and the token that `revoke` wants."""
    person = _person(home)
    found = my_consents(home.office.consents, person)
    listed = [_document(home, person, each) for each in found]
    return _json({"consents": listed, "csrf_token": home.form()})


@router.post("/consents/{consent_id}/revoke")
def revoke(
    request: Request, home: SignedInPerson, consent_id: str, token: FormToken = ""
) -> Response:
    """End a consent; effective everywhere within five seconds."""
    check_form(request, token, home.form())
    ended = end_consent(home.office, _person(home), consent_id, home.ip, home.now)
    return _json(_document(home, _person(home), ended))


@router.get("/access-events")
def access_events(home: SignedInPerson) -> Response:
    """Who looked at one's own record, newest first."""
    found = my_accesses(home.office, _person(home))
    return _json({"access_events": [each.document() for each in found]})


def _person(home: Home) -> Person:
    if home.held is None:
        raise Unauthenticated("person_signed_out", "Sign in first.")
    return home.held.person


def _document(home: Home, person: Person, consent: Consent) -> Document:
    """A consent as its own person sees it."""
    receiver = home.office.consents.receiver(consent)
    return {
        **consent.for_receiver(home.now),
        "receiver": {
            "name": receiver.name,
            "product": receiver.product,
            "contact": receiver.contact,
        },
        "about": "self" if consent.subject_ref == person.ref else "child",
        "ended_by": consent.ended_by,
        "evidence": consent.evidence,
    }


def _json(document: Document) -> Response:
    return Response(orjson.dumps(document), media_type=JSON)
