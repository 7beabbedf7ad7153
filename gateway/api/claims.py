"""`POST /v1/services/{service}/verify`: questions about one person, by that person's consent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import FastAPI
from starlette.routing import Route

from gateway.adjudication.terms import read_terms
from gateway.api.queries import Answering
from gateway.authserver.office import Office as OAuth
from gateway.claims.book import Book
from gateway.claims.decisions import Decisions
from gateway.claims.desk import ClaimDesk
from gateway.claims.levelling import levelled
from gateway.claims.proving import Proofs
from gateway.claims.refunds import Refunds
from gateway.consent.subjects import open_subjects
from gateway.identity.desk import Identity
from gateway.persons.opening import open_source
from gateway.rules.submissions import rules_key
from gateway.serving.answer import Desk
from gateway.settings import Settings

PATH = "/v1/services/{service}/verify"


def install(app: FastAPI, settings: Settings, desk: Desk, clock: Callable[[], datetime]) -> None:
    """Add the route; identity and authorisation server are there already."""
    identity: Identity = app.state.identity
    oauth: OAuth = app.state.oauth
    book = Book(identity.engine, open_subjects(settings.keys))
    claims = ClaimDesk(
        desk=desk,
        source=open_source(settings),
        book=book,
        decisions=Decisions(book, rules_key(settings.keys), lambda: read_terms(settings.policies)),
        proofs=Proofs(
            oauth.parts.sign,
            identity.gm_ring,
            tenants=lambda: identity.directory.snapshot.tenants,
            clients=lambda: identity.directory.snapshot.clients,
        ),
        issuer=identity.issuer,
        stopped=lambda: identity.directory.snapshot.stopped_persons,
    )
    app.state.claims, app.state.refunds = claims, Refunds(claims.book, claims.source, clock)

    def meant(key: str) -> str | None:
        found = desk.catalogue.person(key)
        return found.id if found else None

    endpoint = Answering(PATH, levelled(claims.answer), meant, clock)
    app.router.routes.append(Route(PATH, endpoint, methods=["POST"]))
