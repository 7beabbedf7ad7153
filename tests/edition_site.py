"""A gateway in use while editions of its policy come and go, and the crowd that asks it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson

from gateway.editions.office import PolicyOffice
from gateway.editions.stage import Stage
from gateway.policy.bundle import edition_of
from tests.edition_factory import Press, coarse_regions, short_memory, variant
from tests.gateway_factory import Gateway
from tests.opa_server import until


@dataclass
class Site:
    """A gateway in use, the press beside it, and folders to make editions of."""

    gateway: Gateway
    press: Press
    folder: Path

    @property
    def stage(self) -> Stage:
        found: Stage = self.gateway.app.state.desk.editions
        return found

    @property
    def policies(self) -> Path:
        return self.gateway.settings.policies

    def reaches(self, name: str) -> None:
        """Wait until the gateway has followed."""
        until(lambda: self.stage.live.name == name)

    def bring_live(self, folder: Path) -> str:
        name = self.press.bring_live(folder, "T-INS")
        self.reaches(name)
        return name

    def execute(self, statement: str, *values: object) -> None:
        """What somebody with the database's file could do."""
        with closing(sqlite3.connect(self.gateway.settings.database, timeout=20)) as db:
            db.execute(statement, values)
            db.commit()


def short(site: Site) -> Path:
    return variant(site.policies, site.folder / "short", short_memory)


def coarse(site: Site) -> Path:
    return coarse_regions(site.policies, site.folder / "coarse")


def edition_in(reply: httpx.Response) -> str:
    return edition_of(reply.json()["meta"]["policy_version"])


@dataclass
class Crowd:
    """Clients that ask all the time, and everything they were told."""

    site: Site
    replies: list[httpx.Response] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def ask_until_over(self) -> None:
        while not self._over.is_set():
            self.replies.append(self.site.gateway.ask())

    def during(self, clients: int, work: Callable[[], None]) -> None:
        """Do the work while the clients ask."""
        self.site.gateway.ask()
        with ThreadPoolExecutor(clients) as threads:
            asking = [threads.submit(self.ask_until_over) for _ in range(clients)]
            try:
                work()
            finally:
                self._over.set()
            for each in asking:
                each.result()


def revisions(site: Site) -> dict[str, str]:
    """Which edition made which recorded decision."""
    with closing(sqlite3.connect(site.gateway.settings.journal)) as db:
        rows = [orjson.loads(body) for (body,) in db.execute("SELECT body FROM decision")]
    return {
        row["decision_id"]: edition_of(row["bundles"]["sluice"]["revision"])
        for row in rows
        if "bundles" in row
    }


def told(reply: httpx.Response) -> tuple[int, Any]:
    """What an answer comes to, without what is new each time."""
    body = reply.json()
    return reply.status_code, body["data"] if reply.status_code == 200 else body["deny"]


def swap_under_load(site: Site, clients: int, swaps: int) -> Crowd:
    """Let three editions take turns while clients ask; check every answer against its edition."""
    first = site.stage.live.name
    says = {first: told(site.gateway.ask())}
    names, folders = [first], (coarse(site), short(site))
    for folder in folders:
        names.append(site.bring_live(folder))
        says[names[-1]] = told(site.gateway.ask())
    assert [status for status, _ in says.values()] == [200, 200, 403]
    assert says[first][1] != says[names[1]][1]
    crowd = Crowd(site)

    def swap() -> None:
        for number in range(swaps):
            if number % 2:  # what was gone back from comes again, the whole way
                site.bring_live(folders[1])
            else:
                site.press.roll_back()
                site.reaches(names[1])

    crowd.during(clients, swap)
    made = revisions(site)
    for reply in crowd.replies:
        assert reply.status_code in {200, 403}, reply.text
        if reply.status_code == 200:
            decided_by = made[reply.json()["meta"]["decision_id"]]
            assert edition_in(reply) == decided_by
        else:
            decided_by = made[reply.headers["sluice-decision"]]
        assert told(reply) == says[decided_by]
    assert set(made.values()) == set(names)
    return crowd


def site_of(gateway: Gateway, folder: Path) -> Site:
    """The press beside a running gateway."""
    settings, engine = gateway.settings, gateway.app.state.identity.engine
    office = PolicyOffice(settings.keys, settings.policies)
    return Site(gateway, Press(engine, office, gateway.clock), folder)
