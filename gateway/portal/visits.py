"""One visit to the portal: what the browser asks, who is signed in, what surrounds the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final, TypeVar
from urllib.parse import urlencode

import anyio
from starlette.requests import Request

from gateway.api.presented import presented
from gateway.api.threads import in_thread
from gateway.conformance.book import Book
from gateway.errors import SluiceError
from gateway.identity.binding import Presented
from gateway.identity.desk import Identity
from gateway.identity.directory import Snapshot
from gateway.jobs.desk import JobDesk
from gateway.journal.looking import Looking
from gateway.pages.browser import Cookies, Language, Taste, taste
from gateway.pages.words import Words
from gateway.portal.frame import HOME, Frame, Link, told
from gateway.portal.pages import ChangelogPage
from gateway.portal.public import Public
from gateway.portal.sessions import Member, Sessions
from gateway.portal.trying import Trying
from gateway.serving.reasons import reason, reasons

Made = TypeVar("Made")
COOKIE: Final = "portal"
_MENU: Final = ("", "catalogue", "api", "conformance", "changelog", "status")
_OWN: Final = (
    "own",
    "own/try",
    "own/usage",
    "own/statements",
    "own/jobs",
    "own/packs",
    "own/conformance",
)
_THREADS: Final = 8
"""Pages drawn at once."""


@dataclass(frozen=True)
class Portal:
    """The portal of this process."""

    public: Public
    identity: Identity
    sessions: Sessions
    trying: Trying
    looking: Looking
    jobs: JobDesk
    cookies: Cookies
    changelog: ChangelogPage
    conformance: Book | None  # the suite's runs, in the sandbox

    @property
    def snapshot(self) -> Snapshot:
        """The directory as it is now."""
        return self.identity.directory.snapshot

    async def in_thread(self, act: Callable[[], Made]) -> Made:
        """Draw a page in a worker thread; so many at once."""
        return await in_thread(_limiter(), act)

    @staticmethod
    def sentence(error: SluiceError) -> tuple[str, str]:
        """What is wrong, in Chinese and English."""
        code = error.code if error.code in reasons() else ""
        fallback = reason(code or ("internal_error" if error.status >= 500 else "bad_request"))
        return error.zh or fallback.zh, error.message or fallback.en


@cache
def _limiter() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(_THREADS)


@dataclass(frozen=True)
class Visit:
    """A request, and on whose behalf it comes, if anybody's."""

    portal: Portal
    taste: Taste
    path: str
    query: Mapping[str, str]
    at: Mapping[str, str]
    presented: Presented
    token: str
    member: Member | None
    now: datetime

    @property
    def language(self) -> Language:
        return self.taste.language

    @property
    def words(self) -> Words:
        return told(self.taste)

    @property
    def form(self) -> str:
        """What a form of this session has to say; empty for strangers."""
        return self.portal.sessions.form(self.token) if self.member else ""

    def asked(self, name: str) -> str:
        """A parameter of the address; empty where it has none."""
        return self.query.get(name, "")

    def frame(self) -> Frame:
        """What surrounds the page."""
        own = _links(_OWN, self) if self.member else ()
        kept = {k: v for k, v in self.query.items() if k not in ("lang", "theme", "size")}
        return Frame(
            taste=self.taste,
            path=self.path,
            kept=f"&{urlencode(kept)}" if kept else "",
            menu=(*_links(_MENU, self), _link("/transparency", "transparency", self)),
            own=own,
            signed_in=self._who(),
            form=self.form,
            simulated=self.portal.trying.open,
        )

    def _who(self) -> str:
        if self.member is None:
            return ""
        tenant = self.portal.snapshot.tenants[self.member.tenant_id]
        return f"{tenant.name} · {self.member.client_id}"


def open_visit(portal: Portal, request: Request) -> Visit:
    """Who asks for what; blocks."""
    now = portal.identity.clock()
    token = portal.cookies.get(request, COOKIE)
    shown = presented(request)
    return Visit(
        portal=portal,
        taste=taste(request, portal.cookies),
        path=request.url.path,
        query=dict(request.query_params),
        at=request.path_params,
        presented=shown,
        token=token,
        member=portal.sessions.member(token, shown, now),
        now=now,
    )


def _links(names: tuple[str, ...], visit: Visit) -> tuple[Link, ...]:
    return tuple(_link(f"{HOME}/{name}".rstrip("/"), name, visit) for name in names)


def _link(address: str, name: str, visit: Visit) -> Link:
    title = visit.words[f"menu_{name.replace('/', '_') or 'home'}"]
    inside = visit.path.startswith(f"{address}/") and name not in ("", "own")
    return Link(address, title, visit.path == address or inside)
