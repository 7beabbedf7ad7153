"""A person's own records, links to them, and the register of opting out (S21).

`/me/…` is for the signed-in person (the session of the person pages, a form token for changes);
`/person/shared-records` for whoever holds a link, whose secret travels in the body alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Annotated, Any, Final, TypeAlias

import anyio.from_thread
import orjson
from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from gateway.api.me import FormToken, SignedInPerson
from gateway.api.person.browser import check_form
from gateway.api.person.home import Home
from gateway.api.person.mine import my_consents
from gateway.api.person.office import Office, PersonOffice
from gateway.api.person.receiver import qr_of, receiving
from gateway.api.presented import presented
from gateway.claims.desk import ClaimDesk
from gateway.claims.own import ALL, SCENARIO, SENSITIVE, Own, OwnRecords, own_contract
from gateway.claims.paper import MEDIA as PDF
from gateway.claims.paper import paper
from gateway.consent import shares
from gateway.consent.own_use import count_look
from gateway.consent.people import Person
from gateway.consent.rules import ADULT
from gateway.consent.shares import WantedShare
from gateway.db.engine import reading, writing
from gateway.errors import Forbidden, NotFound, TooMany, Unauthenticated
from gateway.fhir.capability import MEDIA as FHIR
from gateway.fhir.owned import owned
from gateway.pages.browser import Fields, one, read_fields
from gateway.serving.accept import JSON, choose

router = APIRouter(tags=["person"], include_in_schema=False)
READING: Final = "/person/shared"
FORMS: Final = (JSON, FHIR, PDF)
"""In which own records are told."""
WINDOW: Final = timedelta(minutes=1)
MOST_MISSES: Final = 20
_MOST_ADDRESSES: Final = 10_000


class Probing:
    """Refuses an address that tried too many links that open nothing, whatever it tries next."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._misses: dict[str, tuple[datetime, int]] = {}

    def check(self, ip: str, now: datetime) -> None:
        """Raise `TooMany` for an address with too many misses in the window."""
        began, count = self._misses.get(ip, (now, 0))
        if count >= MOST_MISSES and now - began < WINDOW:
            raise TooMany(
                "too_many_links",
                "Too many links were tried from here; wait a minute.",
                "尝试次数过多，请一分钟后再试。",
                retry_after=int(WINDOW.total_seconds()),
            )

    def missed(self, ip: str, now: datetime) -> None:
        """Count one miss."""
        with self._lock:
            if len(self._misses) >= _MOST_ADDRESSES:
                live = {k: v for k, v in self._misses.items() if now - v[0] < WINDOW}
                self._misses = live if len(live) < _MOST_ADDRESSES else {}
            began, count = self._misses.get(ip, (now, 0))
            self._misses[ip] = (now, 1) if now - began >= WINDOW else (began, count + 1)


@dataclass(frozen=True)
class RecordDesk:
    """The reader of own records in the edition of the moment, and the guard of links."""

    reader: Callable[[], OwnRecords]
    probing: Probing


def install(app: FastAPI) -> None:
    """Add the routes; the claims desk and the person office are there already."""
    claims: ClaimDesk = app.state.claims

    def reader() -> OwnRecords:
        live = claims.desk.editions.live
        documents = live.prepared.edition.documents
        subjects = claims.book.subjects
        return OwnRecords(claims.source, subjects, live.catalogue, documents, claims.stopped())

    app.state.records = RecordDesk(reader, Probing())
    app.include_router(router)


def _desk(request: Request) -> RecordDesk:
    found: RecordDesk = request.app.state.records
    return found


Records: TypeAlias = Annotated[RecordDesk, Depends(_desk)]
PostedFields: TypeAlias = Annotated[Fields, Depends(read_fields)]
Accept: TypeAlias = Annotated[str | None, Header(max_length=1000)]


class SharedAsk(BaseModel):
    """A link's secret, as its receiver was handed it."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{20,100}$", repr=False)]


@router.get("/me/records")
def records(
    home: SignedInPerson, desk: Records, accept: Accept = None, about: str = "self"
) -> Response:
    """Own records but what is sensitive, or those of a child in one's care (`about=child-1`)."""
    return _mine(home, desk, choose(accept, FORMS), about, ALL)


@router.post("/me/records/sensitive")
def sensitive(
    request: Request,
    home: SignedInPerson,
    desk: Records,
    *,
    accept: Accept = None,
    about: str = "self",
    token: FormToken = "",
) -> Response:
    """The second confirmation: own records with sensitive diagnoses and what implies them."""
    check_form(request, token, home.form())
    return _mine(home, desk, choose(accept, FORMS), about, (*ALL, SENSITIVE))


@router.get("/me/shares")
def my_shares(home: SignedInPerson) -> Response:
    """Links one has made, newest first; no link's secret is shown again."""
    person = _person(home)
    with reading(home.office.engine) as session:
        found = shares.of_persons(session, person.subjects(ADULT))
        listed = [shares.document(each, home.now) for each in found]
    return _json({"shares": listed, "csrf_token": home.form()})


@router.post("/me/shares")
def share(
    request: Request, home: SignedInPerson, wanted: WantedShare, token: FormToken = ""
) -> Response:
    """Make a link for one receiver and purpose; its secret is in this answer and nowhere else."""
    check_form(request, token, home.form())
    person = _person(home)
    subject, office = subject_of(person, wanted.about), home.office
    office.audit.refuse_when_down()
    with writing(office.engine) as session:
        row, secret = shares.make(session, office.subjects, wanted, subject, home.now)
        told = shares.document(row, home.now)
    office.audit.decided("share", subject, person, home.ip, home.now)
    where = f"{office.issuer}/person/shared-records"
    code = qr_of(f"{office.issuer}{READING}#{secret}")  # browsers keep what follows # to themselves
    return _json({**told, "token": secret, "open_at": where, "qr": code}, 201)


@router.post("/me/shares/{share_id}/revoke")
def revoke(
    request: Request, home: SignedInPerson, share_id: str, token: FormToken = ""
) -> Response:
    """End a link at once."""
    check_form(request, token, home.form())
    person, office = _person(home), home.office
    with writing(office.engine) as session:
        row = shares.end(session, share_id, person.subjects(ADULT), home.now)
        subject, told = row.subject_ref, shares.document(row, home.now)
    office.audit.decided("share_revoked", subject, person, home.ip, home.now)
    return _json(told)


@router.get("/me/opt-out")
def opted_out(home: SignedInPerson, about: str = "self") -> Response:
    """Whether one takes no part in joint modelling (SC08), and since when."""
    return _register(home, subject_of(_person(home), about))


@router.put("/me/opt-out")
def opt_out(
    request: Request, home: SignedInPerson, about: str = "self", token: FormToken = ""
) -> Response:
    """Enter the register: no part in joint modelling from now on."""
    check_form(request, token, home.form())
    subject = subject_of(_person(home), about)
    return _entered(home, subject, "opt_out", lambda at: shares.opt_out(at, subject, home.now))


@router.delete("/me/opt-out")
def opt_in(
    request: Request, home: SignedInPerson, about: str = "self", token: FormToken = ""
) -> Response:
    """Leave the register."""
    check_form(request, token, home.form())
    subject = subject_of(_person(home), about)
    return _entered(home, subject, "opt_in", lambda at: shares.opt_in(at, subject))


@router.post("/person/shared-records")
def shared(
    request: Request, office: PersonOffice, desk: Records, ask: SharedAsk, accept: Accept = None
) -> Response:
    """What a link opens. One that is wrong, expired, used up or ended is answered alike."""
    return _opened(request, office, desk, ask.token, choose(accept, FORMS))


@router.get(READING)
def reading_page(request: Request, office: PersonOffice) -> Response:
    """Where the receiver of a link enters its code; without scripts nothing can do it for them."""
    return receiving(request, office)


@router.post(READING)
async def read_shared(
    request: Request, office: PersonOffice, desk: Records, fields: PostedFields
) -> Response:
    """What a link opens, as a PDF; a link that opens nothing is a page that says so."""
    return await run_in_threadpool(_read_on_paper, request, office, desk, fields)


def _read_on_paper(request: Request, office: Office, desk: RecordDesk, fields: Fields) -> Response:
    try:
        return _opened(request, office, desk, one(fields, "token").strip(), PDF)
    except (NotFound, TooMany) as error:
        return receiving(request, office, error)


def _opened(request: Request, office: Office, desk: RecordDesk, token: str, media: str) -> Response:
    now, ip = office.clock(), presented(request).ip
    desk.probing.check(ip, now)
    office.audit.refuse_when_down()
    with writing(office.engine) as session:
        row = shares.take(session, office.subjects, token, now)
        link = None if row is None else shares.document(row, now)
        about = None if row is None else (row.id, row.subject_ref, tuple(row.scopes))
    if link is None or about is None:
        desk.probing.missed(ip, now)
        office.audit.share_refused(ip, now)
        raise NotFound(
            "share_not_open",
            "This link opens nothing: it is wrong, over or used up.",
            "该链接无效、已过期或次数已用完。",
        )
    share_id, subject, scopes = about
    own = _read(desk, subject, scopes, now)
    facts = _facts(own, media) | {"reason": "share_opened", "share_id": share_id}
    office.audit.records_told(subject, facts, {"ip": ip}, now)
    said = {name: link[name] for name in ("receiver", "purpose", "scopes", "expires_at")}
    told_to = f"{said['receiver']} · {said['purpose']}"
    return _answer(
        desk, own, media, share_id, now, more={"shared": said}, consents=(), notes=(told_to,)
    )


def subject_of(person: Person, about: str) -> str:
    """Whose records are meant; raises where that is nobody this person may answer for."""
    wards = [ward.ref for ward in person.wards if ward.age < ADULT]
    meant = {f"child-{number}": ref for number, ref in enumerate(wards, 1)}
    if person.age >= ADULT:
        meant["self"] = person.ref
    if about not in meant:
        raise Forbidden(
            "records_not_yours",
            "These are not records you may see. A child under 14 is asked for by a guardian.",
            "您无权查看该档案。未满14周岁的由监护人查询。",
        )
    return meant[about]


def _mine(
    home: Home, desk: RecordDesk, media: str, about: str, scopes: Collection[str]
) -> Response:
    person, office = _person(home), home.office
    subject = subject_of(person, about)
    quota = desk.reader().documents["scenarios"][SCENARIO]["quota"]
    with writing(office.engine) as session:
        count_look(session, person.ref, quota, home.now, download=media != JSON)
    own = _read(desk, subject, scopes, home.now)
    actor = {"person": office.subjects.audit_token(person.ref), "ip": home.ip}
    facts = _facts(own, media) | {"reason": "own_records"}
    office.audit.records_told(subject, facts, actor, home.now)
    found = my_consents(office.consents, person) if media == FHIR else ()
    given = [each.for_receiver(home.now) for each in found if each.subject_ref == subject]
    more = {"csrf_token": home.form()}
    return _answer(desk, own, media, about, home.now, more=more, consents=given)


def _read(desk: RecordDesk, subject: str, scopes: Collection[str], now: datetime) -> Own:
    return anyio.from_thread.run(desk.reader().read, subject, scopes, now.date())


def _facts(own: Own, media: str) -> dict[str, object]:
    """What the journal keeps of it: fields and their classes, never a value."""
    columns = [
        {"field": one.field, "item": one.item, "level": one.level, "mask": one.mask}
        for one in own.columns
    ]
    return {"release": own.load, "columns": columns, "format": media, "tenant": ""}


def _answer(
    desk: RecordDesk,
    own: Own,
    media: str,
    subject: str,
    now: datetime,
    *,
    more: dict[str, Any],
    consents: Collection[dict[str, Any]],
    notes: Sequence[str] = (),
) -> Response:
    headers = {"Cache-Control": "no-store"}
    if media == PDF:
        headers["Content-Disposition"] = 'attachment; filename="records.pdf"'
        body = paper(own, own_contract(desk.reader().catalogue), now, notes)
        return Response(body, 200, headers, PDF)
    if media == FHIR:
        bundle = owned(own.data, list(consents), subject=subject, made=now)
        return Response(orjson.dumps(bundle), 200, headers, FHIR)
    said = {"data": own.data, "load": own.load, **more}
    return Response(orjson.dumps(said), 200, headers, JSON)


def _entered(home: Home, subject: str, what: str, change: Callable[[Session], None]) -> Response:
    with writing(home.office.engine) as session:
        change(session)
    home.office.audit.decided(what, subject, _person(home), home.ip, home.now)
    return _register(home, subject)


def _register(home: Home, subject: str) -> Response:
    with reading(home.office.engine) as session:
        since = shares.opted_out_since(session, subject)
    told = {"opted_out": since is not None, "since": since, "csrf_token": home.form()}
    return _json(told)


def _person(home: Home) -> Person:
    if home.held is None:
        raise Unauthenticated("person_signed_out", "Sign in first.")
    return home.held.person


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, {"Cache-Control": "no-store"}, JSON)
