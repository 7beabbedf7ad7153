"""What the person pages work with, put together once per application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, TypeAlias

import sqlalchemy as sa
from anyio import CapacityLimiter
from fastapi import Depends, Request

from gateway.api.person.audit import PersonAudit
from gateway.api.person.login import Login, open_login
from gateway.authserver.interaction import Interactions
from gateway.consent.desk import Consents
from gateway.consent.subjects import Subjects
from gateway.journal.looking import Looking, looking
from gateway.pages.browser import Cookies
from gateway.serving.ports import Books
from gateway.settings import Settings


@dataclass(frozen=True)
class Office:
    """Consents, the sign-in, the visits of the authorisation server, and where the journal is."""

    consents: Consents
    login: Login
    interactions: Interactions
    issuer: str
    journal: Looking
    cookies: Cookies
    audit: PersonAudit
    clock: Callable[[], datetime]
    # Signing in may wait for the provider: in threads of its own, so that it holds up nothing else.
    sign_in_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(4))

    @property
    def engine(self) -> sa.Engine:
        return self.consents.engine

    @property
    def subjects(self) -> Subjects:
        return self.consents.subjects


def open_office(
    settings: Settings,
    consents: Consents,
    interactions: Interactions,
    journal: Books,
    clock: Callable[[], datetime],
) -> Office:
    """The office of these settings."""
    return Office(
        consents=consents,
        login=open_login(settings, consents.subjects),
        interactions=interactions,
        issuer=settings.base_url,
        journal=looking(settings),
        cookies=Cookies(settings.base_url.startswith("https://")),
        audit=PersonAudit(journal, consents.subjects),
        clock=clock,
    )


def _office(request: Request) -> Office:
    found: Office = request.app.state.persons
    return found


PersonOffice: TypeAlias = Annotated[Office, Depends(_office)]
