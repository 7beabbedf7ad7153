"""One visit to the console: who it is, and the operations on their behalf.

Pages read and act through `serve` alone, the path of `/admin/v1`: the same table says who may, the
same record is written. Everything here blocks; routes call it in worker threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request

from gateway.api.admin.asking import source_of
from gateway.api.admin.cookies import session_cookie
from gateway.api.admin.endpoint import Answer, Ask, as_http, serve
from gateway.api.admin.office import Office
from gateway.console.site import Site
from gateway.db.engine import reading
from gateway.errors import OperatorError
from gateway.identity.record import Source
from gateway.pages.browser import Cookies, Taste, taste
from gateway.pages.words import Words
from gateway.staff import sessions
from gateway.staff.model import Visitor

HOME = "/console"


@dataclass(frozen=True)
class Desk:
    """The console of this process."""

    office: Office
    env: str
    upstream: str  # where single sign-on begins; empty without one
    site: Site
    sentences: Mapping[str, Mapping[str, str]]

    @property
    def cookies(self) -> Cookies:
        return Cookies(self.office.secure)


@dataclass(frozen=True)
class Visit:
    """A request by somebody, signed in or not."""

    desk: Desk
    token: str
    taste: Taste
    path: str
    query: Mapping[str, str]
    visitor: Visitor | None
    now: datetime
    source: Source

    @property
    def words(self) -> Words:
        return Words(self.desk.sentences, self.taste.language)

    @property
    def csrf(self) -> str:
        """What a form of this session has to say; empty for strangers."""
        return sessions.csrf_token(self.token, self.desk.office.sealer) if self.visitor else ""

    def may(self, operation: str) -> bool:
        """Whether a button for it makes sense; the operation itself is what decides."""
        roles = self.visitor.roles if self.visitor else ()
        return self.desk.office.operations.allows(operation, roles)

    def read(
        self,
        operation: str,
        at: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """What the operation answers this visitor; raises what it refuses with."""
        return self._serve(operation, Ask(self.token, "", at or {}, query or {}, None, self.source))

    def act(
        self, operation: str, at: Mapping[str, str], body: Mapping[str, object], csrf: str
    ) -> Answer:
        """Do it; the csrf token is the one the form said."""
        return self._serve(operation, Ask(self.token, csrf, at, {}, body, self.source))

    def _serve(self, operation: str, ask: Ask) -> Answer:
        try:
            endpoint = self.desk.site.endpoint(operation)
        except OperatorError as error:
            raise as_http(error) from error
        return serve(self.desk.office, endpoint, ask)


def open_visit(desk: Desk, request: Request) -> Visit:
    """Who asks; a stranger's visit has no visitor."""
    office, now = desk.office, desk.office.clock()
    token = request.cookies.get(session_cookie(office), "")
    visitor = None
    if token:
        with reading(office.engine) as session:
            visitor = sessions.visitor(
                session,
                token,
                sealer=office.sealer,
                guarded=office.operations.guarded,
                now=now,
            )
    return Visit(
        desk=desk,
        token=token,
        taste=taste(request, desk.cookies),
        path=request.url.path,
        query=dict(request.query_params),
        visitor=visitor,
        now=now,
        source=source_of(request),
    )
