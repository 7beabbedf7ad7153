"""A sandbox gateway with a developer's organisation that has used it: answers, jobs, a pack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from gateway.db.billing_tables import BillingMonthRow
from gateway.db.engine import writing
from gateway.identity.boundaries import load_boundaries
from gateway.identity.changes import raise_stop
from gateway.identity.record import Act
from gateway.jobs.book import open_book
from sandbox.jobs.book import Wish
from sandbox.jobs.spec import JobSpec
from tests.factories_identity import (
    Machine,
    add_client,
    add_grant,
    add_tenant,
    new_key,
    public,
    shown,
)
from tests.gateway_factory import COST, USCC, VALID, Gateway, copy_home, copy_policies, serving

QUESTION: dict[str, Any] = {
    **COST,
    "purpose": "development_and_testing",
    "dims": [],
    "measures": ["persons", "settlements", "medfee", "fund", "pmpm"],
}
CLIENT, OTHER = "dev-app", "dev2-app"
CLOSED = "2025-06"  # the month in which all of it happens


@dataclass
class Portal:
    """The gateway, and how a developer gets in."""

    gateway: Gateway
    _browsers: ExitStack = field(default_factory=ExitStack)

    @property
    def base(self) -> str:
        return self.gateway.settings.base_url

    def link(self, client: str = CLIENT) -> str:
        """A link the client asked for."""
        reply = self.gateway.http.post("/v1/portal/sessions", auth=self.gateway.auth(client))
        assert reply.status_code == 201, reply.text
        return str(reply.json()["url"])

    def visitor(self, client: str = "") -> httpx.Client:
        """A browser without scripts; signed in on behalf of a client where one is named."""
        browser = self._browsers.enter_context(httpx.Client(base_url=self.base, timeout=60))
        if client:
            entered = browser.post(self.link(client))
            assert (entered.status_code, entered.headers["location"]) == (303, "/portal/own")
        return browser


def form_of(page: str) -> str:
    """What a form of this page has to say."""
    found = re.search(r'name="form" value="([0-9a-f]+)"', page)
    assert found is not None
    return found[1]


@contextmanager
def portal_world(released: Path, folder: Path) -> Iterator[Portal]:
    """A gateway of the sandbox on a copy of a home that has releases."""
    home = copy_home(released, folder / "home")
    _make_pack(home / "packs" / "outpatient")
    with serving(home, copy_policies(folder / "policies"), env="sandbox") as gateway:
        for tenant, client in (("T-DEV", CLIENT), ("T-DEV2", OTHER)):
            admit(gateway, tenant, client)
        for _ in range(31):
            assert gateway.ask("S02", QUESTION, CLIENT).status_code == 200
        gateway.ask("S02", {**QUESTION, "purpose": "marketing"}, CLIENT)
        _work(gateway)
        world = Portal(gateway)
        with world._browsers:
            yield world


def admit(gateway: Gateway, tenant: str, client: str) -> None:
    """One more developer's organisation of the sandbox, with a client."""
    identity, key = gateway.app.state.identity, new_key()
    bounds = load_boundaries(gateway.settings.policies)
    wanted = bounds.scenarios["SC12"]["qualification"]
    facts = {"kind": "insurer", "env": "sandbox", "uscc": USCC, "qualifications": shown(wanted)}
    add_tenant(identity, tenant, **facts)
    grant = {"grant_id": f"G-{tenant}", "tenant_id": tenant, "scenario": "SC12"}
    add_grant(identity, bounds, **grant, services=["S02", "S18", "S28"], **VALID)
    add_client(identity, client, tenant, public(key))
    identity.directory.refresh()
    machine = Machine(client, key, gateway.settings.base_url)
    gateway.machines = {**gateway.machines, client: machine}


def _work(gateway: Gateway) -> None:
    """A job in the queue, a stop, and a month whose books are closed."""
    engine, clock = gateway.app.state.identity.engine, gateway.clock
    book = open_book(engine, "T-DEV", clock)
    spec = JobSpec(name="risk-model", entry=("train.py",), inputs=("outpatient",))
    book.submit("T-DEV", CLIENT, Wish(spec, "0" * 64), 20)
    act = Act("测试己一", clock(), "test")
    with writing(engine) as session:
        raise_stop(session, act, "service", "S13")
        raise_stop(session, act, "tenant", "T-PHA")
        session.add(closed_month(CLOSED))
    gateway.app.state.identity.directory.refresh()


def closed_month(month: str) -> BillingMonthRow:
    """The row of a month whose books are closed."""
    empty: dict[str, Any] = {
        name: {} for name in ("heads", "terms", "tariffs", "labels", "committed")
    }
    at = datetime(2025, 5, 3, tzinfo=UTC)
    return BillingMonthRow(
        month=month, closed_at=at, closed_by="测试己一", ledger_head="0" * 64, **empty
    )


def _make_pack(folder: Path) -> None:
    folder.mkdir(parents=True)
    card = {
        "name": "outpatient",
        "title": {"zh": "门诊合成数据", "en": "Outpatient visits, made up"},
        "note": "Every row is made up.",
        "source": {"size": "mini", "seed": 7},
        "rows": 700,
        "left_out": 3,
        "k": 11,
        "columns": {"gend": "none", "brdy": "start_of_year"},
        "files": {"visits.parquet": "1" * 64},
    }
    (folder / "card.json").write_text(json.dumps(card, ensure_ascii=False), "utf-8")
    (folder / "report.json").write_text('{"verdict": "release"}', "utf-8")
