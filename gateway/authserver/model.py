"""Values of the authorisation server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from gateway.identity.assertion import Assertion
from gateway.identity.model import Document

REQUEST_LIFE = timedelta(seconds=90)
"""How long a pushed request may wait for its browser; FAPI 2.0 wants less than 600 s."""
VISIT_LIFE = timedelta(minutes=15)
"""How long a person may take; an online consent waits as long (SPEC §8.1)."""
MOST_WAITING = 1000
"""Pushed requests of one client that may wait for their person at once."""
MOST_VISITS = 20
"""Times one pushed request may be opened; a person reloads, or changes browsers."""
CODE_LIFE = timedelta(seconds=60)
SIGN_IN_LIFE = timedelta(days=1)
"""Life of a refresh token that hangs on no consent."""
NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True)
class Reply:
    """An HTTP answer: a JSON object, or a text with its own content type in its stead."""

    status: int
    body: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=lambda: dict(NO_STORE))
    text: str | None = None


@dataclass(frozen=True)
class Event:
    """What the audit journal shall say about a request; nothing in it identifies a person."""

    result: str
    reason: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Answered:
    """A reply that may leave once its assertion is used up, for the first time, and its event is
    recorded; both durably."""

    reply: Reply
    event: Event | None = None
    assertion: Assertion | None = None
    client_id: str | None = None
    tenant_id: str | None = None


@dataclass(frozen=True)
class Pushed:
    """A pushed authorisation request, checked."""

    digest: str
    client_id: str
    parameters: Document
    dpop_jkt: str | None
    expires_at: datetime
    used: bool

    def text(self, name: str) -> str | None:
        """One parameter that is a string."""
        value = self.parameters.get(name)
        return value if isinstance(value, str) else None

    @property
    def details(self) -> tuple[Document, ...]:
        """Its authorization_details."""
        listed = self.parameters.get("authorization_details")
        return tuple(listed) if isinstance(listed, list) else ()

    @property
    def consent_id(self) -> str | None:
        """The consent it asks for; None when it only wants to know who the person is."""
        return str(self.details[0]["consent_id"]) if self.details else None


@dataclass(frozen=True)
class Authorisation:
    """What a person allowed a client."""

    id: str
    client_id: str
    tenant_id: str
    subject: str
    subject_ref: str
    consent_id: str | None
    scope: str
    details: tuple[Document, ...]
    nonce: str | None
    auth_time: datetime
    ended: bool


@dataclass(frozen=True)
class Code:
    """An authorisation code's record."""

    authorisation_id: str
    client_id: str
    redirect_uri: str
    challenge: str
    dpop_jkt: str | None
    expires_at: datetime


@dataclass(frozen=True)
class RefreshToken:
    """A refresh token's record."""

    digest: str
    authorisation_id: str
    client_id: str
    jkt: str | None
    expires_at: datetime
    ended: bool


@dataclass(frozen=True)
class Interaction:
    """A person's visit, as the pages need it."""

    id: str
    client_id: str
    tenant_id: str
    client_name: str
    redirect_uri: str
    scope: str
    consent_id: str | None
    authorization_details: tuple[Document, ...]
    expires_at: datetime


@dataclass(frozen=True)
class Opened:
    """A visit that begins: its public name, and the secret its browser keeps."""

    id: str
    browser: str


@dataclass(frozen=True)
class Approved:
    """The person signed in and allowed what was asked."""

    subject_ref: str
    auth_time: datetime


@dataclass(frozen=True)
class Denied:
    """The person said no, or may not say yes."""


Outcome: TypeAlias = Approved | Denied
