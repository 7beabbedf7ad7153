"""The office of a test: people with roles, their authenticators, and browsers to sign in with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pyotp
from argon2 import PasswordHasher
from fastapi import FastAPI

from gateway.api import problems
from gateway.api.admin.office import Office, open_office
from gateway.api.admin.router import admin_router
from gateway.api.admin.upstream import Upstream
from gateway.api.edge import Edge
from gateway.db.engine import writing
from gateway.identity.desk import Identity
from gateway.identity.record import Act
from gateway.staff.accounts import StaffEntry, accept, confirm, invite
from tests.directory_factory import empty_database
from tests.factories_identity import MovableClock, open_at

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "a quiet river, invented"
OFFICER_ROLES = (
    "catalogue_owner",
    "policy_officer",
    "billing_officer",
    "auditor",
    "output_reviewer",
    "security_officer",
    "administrator",
    "regulator",
)


@dataclass
class Person:
    """Somebody with an account and an authenticator."""

    name: str
    secret: str
    recovery_codes: tuple[str, ...]
    password: str = PASSWORD


@dataclass
class Place:
    """An office with its application and a clock that can be moved."""

    identity: Identity
    office: Office
    app: FastAPI
    clock: MovableClock
    people: dict[str, Person] = field(default_factory=dict)

    def hire(self, name: str, *roles: str) -> Person:
        """Give somebody an account, by invitation; the code of the moment is used up by it."""
        office, act = self.office, Act("测试庚一", self.clock())
        entry = StaffEntry(name=name, display_name=f"测试 {name}（虚构）", roles=roles)
        with writing(office.engine) as session:
            _, token = invite(
                session, act, entry, office.operations, office.sealer, on_machine=True
            )
        with writing(office.engine) as session:
            factor = accept(
                session, act, token, PASSWORD, sealer=office.sealer, passwords=office.passwords
            )
        with writing(office.engine) as session:
            confirm(session, act, token, self.code(factor.secret), office.sealer)
        person = Person(name, factor.secret, factor.recovery_codes)
        self.people[name] = person
        self.pass_time(seconds=60)
        return person

    def code(self, secret: str) -> str:
        """What the authenticator shows now."""
        return pyotp.TOTP(secret).at(self.clock())

    def pass_time(self, **time: float) -> None:
        """Let time go by."""
        self.clock.shift += timedelta(**time)

    def browser(self, ip: str = "192.0.2.7") -> Browser:
        """A browser nobody has signed in with."""
        return Browser(self, ip)

    def signed_in(self, *roles: str, name: str = "") -> Browser:
        """A browser of a new person with these roles, signed in."""
        person = self.hire(name or f"person{len(self.people)}", *roles)
        browser = self.browser()
        answer = browser.sign_in(person)
        assert answer.status_code == 200, answer.text
        return browser


class Browser:
    """Keeps cookies and says the csrf token, as a page would."""

    def __init__(self, place: Place, ip: str) -> None:
        self.place = place
        self.ip = ip
        self.cookies = httpx.Cookies()
        self.csrf = ""

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """One request below /admin/v1."""
        return asyncio.run(self._ask(method, path, body, headers))

    async def _ask(
        self, method: str, path: str, body: object, headers: dict[str, str]
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.place.app, client=(self.ip, 50_000))
        said = {"sluice-csrf": self.csrf} if self.csrf and method != "GET" else {}
        async with httpx.AsyncClient(
            transport=transport, base_url=self.place.office.issuer, cookies=self.cookies
        ) as client:
            answer = await client.request(
                method,
                f"/admin/v1{path}",
                json=body,
                headers={
                    k.replace("_", "-"): v.encode("latin-1") for k, v in (said | headers).items()
                },
            )
            self.cookies = client.cookies
        return answer

    def get(self, path: str) -> httpx.Response:
        return self.ask("GET", path)

    def post(self, path: str, **body: object) -> httpx.Response:
        return self.ask("POST", path, body)

    def put(self, path: str, **body: object) -> httpx.Response:
        return self.ask("PUT", path, body)

    def sign_in(self, person: Person, **changes: Any) -> httpx.Response:
        """Sign in as the person, with the code of the moment."""
        form = {
            "name": person.name,
            "password": person.password,
            "code": self.place.code(person.secret),
            **changes,
        }
        answer = self.ask("POST", "/sign-in", form)
        if answer.status_code == 200:
            self.csrf = answer.json()["csrf"]
        return answer


@contextmanager
def open_place(home: Path, **settings: Any) -> Iterator[Place]:
    """An office on a fresh home, its administration in an application of its own."""
    clock = MovableClock()
    empty_database(home)
    identity, made = open_at(home, clock=clock, **settings)
    office = open_office(made, identity, hasher=CHEAP)
    yield Place(identity, office, admin_app(identity, office), clock)
    identity.close()


def admin_app(identity: Identity, office: Office, upstream: Upstream | None = None) -> FastAPI:
    """The administration in an application of its own."""
    app = FastAPI(openapi_url=None)
    app.state.identity = identity
    app.include_router(admin_router(office, upstream))
    problems.install(app)
    app.add_middleware(Edge)
    return app
