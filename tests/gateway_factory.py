"""A whole gateway over real HTTP: policies, directory, releases, server, and clients that ask it.

The server is `gateway.app.create_app` under uvicorn in a thread; nothing in it is replaced but the
clock, which stands at a fixed day so that lags and look-backs do not depend on when tests run.
"""

from __future__ import annotations

import os
import shutil
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import yaml
from fastapi import FastAPI

from gateway.api.connection import GatewayProtocol, tls_options
from gateway.app import create_app
from gateway.codes.publishing import publish
from gateway.codes.sources import SHIPPED, read_source
from gateway.identity.boundaries import load_boundaries
from gateway.identity.desk import open_identity
from gateway.releases.build import Order, build
from gateway.settings import Settings
from sluice_client.proof import ProvenBy
from tests.directory_factory import empty_database
from tests.factories_identity import (
    Machine,
    add_client,
    add_grant,
    add_tenant,
    new_key,
    public,
    shown,
)
from tests.production_profile import caught_up, facts_of, opa_beside
from tests.release_warehouse import build_warehouse
from tests.waivers import INVENTED

POLICIES = Path(__file__).parents[1] / "policies"
TODAY = datetime(2025, 6, 2, 4, tzinfo=UTC)
DAY = timedelta(days=1)
VALID: Mapping[str, object] = {"valid_from": "2025-01-01", "valid_to": "2025-12-31"}
USCC = "91990100MA0000001G"  # of the invented region 990100, with the digit that checks it
LARGE = {
    "rps": 10_000,
    "calls_day": 10**8,
    "cells_day": 10**9,
    "cells_month": 10**9,
    "distinct_queries_day": 10**8,
}
COST: dict[str, Any] = {
    "purpose": "actuarial_pricing_and_reserving",
    "period": {"from": "2024Q1", "to": "2024Q4", "grain": "quarter"},
    "geo": ["990100"],
    "dims": ["insutype2", "benefit5"],
}
DRUGS: dict[str, Any] = {
    "purpose": "regional_market_and_access_analysis",
    "period": {"from": "2024-01", "to": "2024-03", "grain": "month"},
    "geo": ["990100"],
    "dims": ["atc"],
    "levels": {"atc": 1},
}


@dataclass
class RunningClock:
    """Starts at a fixed moment and runs on, so that no two requests share one."""

    started: datetime = TODAY
    real: datetime = field(default_factory=lambda: datetime.now(UTC))
    shift: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return self.started + (datetime.now(UTC) - self.real) + self.shift


def copy_policies(
    folder: Path,
    quota: Mapping[str, int] = LARGE,
    lookback_months: int = 60,
    source: Path = POLICIES,
) -> Path:
    """The project's policies with other quotas in every scenario."""
    shutil.copytree(source, folder)
    for path in (folder / "data" / "scenarios").glob("*.yaml"):
        document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        for scenario in document.values():
            scenario["quota"] = {**scenario.get("quota", {}), **quota}
            scenario["time"]["lookback_months"] = lookback_months
        path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, allow_unicode=True), "utf-8")
    return folder


def marking(policies: Path) -> Path:
    """The same policies of a bureau that marks licensed amounts."""
    path = policies / "data" / "limits.yaml"
    text = path.read_text("utf-8")
    assert text.count("mark_amounts: false") == 1
    path.write_text(text.replace("mark_amounts: false", "mark_amounts: true"), "utf-8")
    return policies


def build_home(home: Path) -> None:
    """Make a small warehouse of invented records, released for every service."""
    settings = Settings(home=home)
    build_warehouse(home, persons=700, visits=3500)
    build(settings, Order(waivers=INVENTED), TODAY)
    publish(settings.codes, read_source(SHIPPED), TODAY)


def copy_home(home: Path, copy: Path) -> Path:
    """The same releases and keys under another home; files are linked, not copied. Of the warehouse
    only what it says of itself is there."""
    for name in ("releases", "keys", "codes"):
        if (home / name).is_dir():
            shutil.copytree(home / name, copy / name, copy_function=os.link)
    for card in (home / "warehouse").glob("versions/*/manifest.json"):  # where it came from
        told = copy / card.relative_to(home)
        told.parent.mkdir(parents=True)
        os.link(card, told)
    return copy


def utc_now() -> datetime:
    """The clock of a server that is not given another one."""
    return datetime.now(UTC)


def enter_parties(
    settings: Settings, clock: Callable[[], datetime], *, always: bool = False
) -> dict[str, Machine]:
    """Two insurers' and one pharma firm's machines with a grant each, two of them of one tenant."""
    today = clock().date()
    valid = {"valid_from": today - DAY, "valid_to": today + 300 * DAY} if always else VALID
    if settings.database_dsn_file is None and not settings.database.exists():
        empty_database(settings.database.parent)
    identity = open_identity(settings, clock=clock)
    bounds = load_boundaries(settings.policies)
    machines = {}
    try:
        for tenant, kind, scenario, clients in (
            ("T-INS", "insurer", "SC01", ("ins-app", "ins-batch")),
            ("T-INS2", "insurer", "SC01", ("ins2-app",)),
            ("T-PHA", "pharma", "SC05", ("pha-app",)),
        ):
            add_tenant(identity, tenant, kind=kind, uscc=USCC)
            grant = {"grant_id": f"G-{tenant}", "tenant_id": tenant, "scenario": scenario}
            add_grant(identity, bounds, **grant, **valid)
            for client in clients:
                key = new_key()
                add_client(identity, client, tenant, public(key))
                machines[client] = Machine(client, key, settings.base_url)
    finally:
        identity.close()
    return machines


@dataclass
class Gateway:
    """A running gateway and those who may ask it."""

    settings: Settings
    app: FastAPI
    clock: RunningClock
    machines: Mapping[str, Machine]
    http: httpx.Client
    _tokens: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    _provers: dict[tuple[str, str | None], ProvenBy] = field(default_factory=dict)

    def token(self, client: str = "ins-app") -> str:
        """A token that is still good for a while."""
        now = self.clock()
        got = self._tokens.get(client)
        if got is None or now - got[0] > timedelta(seconds=200):
            reply = self.http.post(
                "/oauth/token", data=self.machines[client].form(now), auth=self._prover(client)
            )
            assert reply.status_code == 200, reply.text
            got = self._tokens[client] = (now, str(reply.json()["access_token"]))
        return got[1]

    def auth(self, client: str = "ins-app") -> httpx.Auth:
        """What proves who asks: the client's token, and a proof of each request."""
        return self._prover(client, self.token(client))

    def _prover(self, client: str, token: str | None = None) -> ProvenBy:
        key = (client, token)
        if key not in self._provers:
            self._provers[key] = ProvenBy(self.machines[client].key, self.clock, token)
        return self._provers[key]

    def admit(self, client: str, tenant: str, kind: str, scenario: str, **facts: object) -> str:
        """Let the client of one more tenant in, with a grant for a scenario; harmless twice."""
        if client not in self.machines:
            identity, key = self.app.state.identity, new_key()
            bounds = load_boundaries(self.settings.policies)
            wanted = bounds.scenarios[scenario]["qualification"]
            add_tenant(identity, tenant, kind=kind, uscc=USCC, qualifications=shown(wanted))
            grant = {"grant_id": f"G-{tenant}", "tenant_id": tenant, "scenario": scenario}
            add_grant(identity, bounds, **grant, **{**VALID, **facts})
            add_client(identity, client, tenant, public(key))
            identity.directory.refresh()
            caught_up(self.app)
            machine = Machine(client, key, self.settings.base_url)
            self.machines = {**self.machines, client: machine}
        return client

    def get(self, path: str, client: str = "ins-app") -> httpx.Response:
        """A reading request."""
        return self.http.get(path, auth=self.auth(client))

    def ask(
        self,
        service: str = "S02",
        body: object = None,
        client: str = "ins-app",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One query."""
        return self.http.post(
            f"/v1/services/{service}/queries",
            json=COST if body is None else body,
            headers=headers,
            auth=self.auth(client),
        )

    def everything(self, service: str, body: Mapping[str, Any], **asked: Any) -> list[Any]:
        """All rows of a question, page by page."""
        rows: list[Any] = []
        cursor = None
        while True:
            reply = self.ask(service, {**body, "cursor": cursor}, **asked)
            assert reply.status_code == 200, reply.text
            rows += reply.json()["data"]
            cursor = reply.json()["next_cursor"]
            if cursor is None:
                return rows


def free_port() -> int:
    """A port nobody listens on."""
    config = uvicorn.Config(FastAPI(), host="127.0.0.1", port=0)
    socket = config.bind_socket()
    port = int(socket.getsockname()[1])
    socket.close()
    return port


@contextmanager
def running(
    app: FastAPI, settings: Settings, trust: ssl.SSLContext | None = None
) -> Iterator[httpx.Client]:
    """The application under uvicorn as `sluice serve` sets it up, in a thread."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=GatewayProtocol,
            **tls_options(settings.tls_cert, settings.tls_key, settings.client_ca),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        thread.join(0.02)
    try:
        with httpx.Client(base_url=settings.base_url, timeout=60, verify=trust or True) as http:
            yield http
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def serving(home: Path, policies: Path, **facts: Any) -> Iterator[Gateway]:
    """A gateway on a home that has releases; parties are entered when it is new."""
    facts = {**facts_of(home), **facts}
    settings = Settings(home=home, policies=policies, port=free_port(), **facts)
    clock = RunningClock()
    machines = enter_parties(settings, clock)
    app = create_app(settings, clock)
    with running(app, settings) as http, opa_beside(settings, http):
        yield Gateway(settings, app, clock, machines, http)
