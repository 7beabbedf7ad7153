"""A gateway whose console officers can use: people of every role, and a browser to sign them in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from playwright.sync_api import Page

from gateway.api import problems
from gateway.api.admin.office import open_office
from gateway.api.admin.router import admin_router
from gateway.api.edge import Edge
from gateway.console.routes import open_console
from gateway.identity.desk import open_identity
from tests.gateway_factory import Gateway, serving
from tests.staff_factory import CHEAP, PASSWORD, Person, Place, open_place

MOST_CLICKS = 6
"""From the overview to a daily task done."""


@dataclass
class Bureau:
    """A running gateway and its officers, one of each role."""

    gateway: Gateway
    place: Place
    officers: dict[str, Person] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return self.gateway.settings.base_url

    def officer(self, role: str) -> Person:
        """The officer of a role, hired when first asked for; `role2` is another of the same."""
        if role not in self.officers:
            self.officers[role] = self.place.hire(role.replace("_", "-"), role.rstrip("2"))
        return self.officers[role]

    def enter(self, page: Page, role: str) -> Page:
        """Sign the officer of a role in, as a person does."""
        person = self.officer(role)
        self.place.pass_time(seconds=31)  # a code is good once
        page.goto(f"{self.address}/console/sign-in")
        page.fill("#name", person.name)
        page.fill("#password", PASSWORD)
        page.fill("#code", self.place.code(person.secret))
        page.click("main button[type=submit]")
        return page


@dataclass
class Hand:
    """Somebody at the console: clicks are counted."""

    office: Bureau
    page: Page
    clicks: int = 0

    def begin(self) -> None:
        self.page.goto(f"{self.office.address}/console/overview")
        self.clicks = 0

    def click(self, text: str, within: str = "main") -> None:
        self.page.locator(f"{within} >> text={text}").first.click()
        self.clicks += 1

    def menu(self, text: str) -> None:
        self.click(text, ".shell > nav")

    def send(self) -> None:
        self.page.locator("main form.stack button[type=submit]").click()
        self.clicks += 1

    @property
    def says(self) -> str:
        return self.page.inner_text("main")


def at(office: Bureau, page: Page, role: str) -> Hand:
    """An officer of this role at the overview, nothing clicked yet."""
    office.enter(page, role)
    assert "概况" in page.inner_text("h1"), page.inner_text("main")
    return Hand(office, page)


class Window:
    """A browser window without scripts: keeps cookies, follows redirects where asked to."""

    def __init__(self, place: Place) -> None:
        self.app, self.base = place.app, place.office.issuer
        self.cookies = httpx.Cookies()

    def get(self, path: str, *, follow: bool = True) -> httpx.Response:
        return asyncio.run(self._ask("GET", path, follow=follow))

    def post(self, path: str, *, follow: bool = False, **sent: Any) -> httpx.Response:
        return asyncio.run(self._ask("POST", path, follow=follow, **sent))

    async def _ask(self, method: str, path: str, *, follow: bool, **sent: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=("192.0.2.7", 50_000))
        async with httpx.AsyncClient(
            transport=transport, base_url=self.base, cookies=self.cookies
        ) as client:
            answer = await client.request(method, path, follow_redirects=follow, **sent)
            self.cookies = client.cookies
        return answer


@contextmanager
def bureau(home: Path, policies: Path) -> Iterator[Bureau]:
    """The whole gateway on a home that has releases, and officers beside it."""
    with serving(home, policies) as gateway:
        identity = open_identity(gateway.settings, clock=gateway.clock)
        office = open_office(gateway.settings, identity, hasher=CHEAP)
        place = Place(identity, office, gateway.app, gateway.clock)
        try:
            yield Bureau(gateway, place)
        finally:
            identity.close()


@contextmanager
def console_place(home: Path) -> Iterator[Place]:
    """An office on a fresh home with administration and console, and nothing else."""
    with open_place(home) as place:
        app = FastAPI(openapi_url=None)
        app.state.identity = place.identity
        app.include_router(admin_router(place.office))
        app.include_router(open_console(place.office, "prod"))
        problems.install(app)
        app.add_middleware(Edge)
        place.app = app
        yield place
