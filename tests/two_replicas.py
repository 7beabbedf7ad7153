"""A site of production on this machine: PostgreSQL, Valkey, two replicas of the program with an OPA
each, and a wire to every part that a test can slow or break.

The commands are those of the chart, in its order. `Site` is the servers; `World` is all of it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from gateway.identity.secrets import secret
from gateway.policy.opa_config import opa_config
from gateway.policy.packing import bundle_key
from gateway.settings import Settings
from tests.factories_identity import Machine
from tests.gateway_factory import (
    Gateway,
    copy_home,
    copy_policies,
    enter_parties,
    free_port,
    utc_now,
)
from tests.journal_wire import Wire, wire_to
from tests.opa_server import opa_binary, until
from tests.production_profile import FILES, Site, production_site

PROGRAM = str(Path(sys.executable).with_name("sluice"))
PATIENCE = 300.0  # ends only what would hang


class Behind(httpx.HTTPTransport):
    """Sends everything to one replica, as a load balancer would that keeps a client there."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        # Another request: who proves it again, after a nonce, proves the address it asked.
        there = httpx.Request(
            request.method,
            request.url.copy_with(port=self.port),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return super().handle_request(there)


@dataclass
class Program:
    """A process that can be started again, as whoever supervises it would."""

    command: list[str]
    env: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=self.env, stdout=log, stderr=log)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, what: int) -> None:
        assert self.process is not None
        self.process.send_signal(what)

    def end(self, how: int) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)


@dataclass
class Replica:
    """One `sluice serve`, the OPA beside it, and a client that stays with it."""

    node: str
    serve: Program
    opa: Program
    wire: Wire
    to_opa: Wire
    gateway: Gateway

    def start(self) -> None:
        self.serve.start()
        until(lambda: self.ready() or not self.serve.running, PATIENCE)
        assert self.serve.running, self.serve.log.read_text()[-2000:]

    def end(self, how: int) -> None:
        self.serve.end(how)

    def ready(self) -> bool:
        try:
            return self.gateway.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False


@dataclass
class World:
    """All of it."""

    site: Site
    settings: Settings
    replicas: tuple[Replica, Replica]
    to_postgres: Wire
    to_valkey: Wire
    database: str = field(init=False)

    def __post_init__(self) -> None:
        dsn = self.settings.database_dsn_file
        assert dsn is not None
        self.database = dsn.read_text().rsplit("/", 1)[1]

    def run(
        self, *words: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """One command of the program, with the settings of the first replica."""
        return subprocess.run(
            [PROGRAM, *words],
            env=env or self.replicas[0].serve.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the site's database as the superuser."""
        return self.site.postgres.sql(text, *values, database=self.database)

    def events(self) -> list[str]:
        """The requests on record in the central store, one for each usage event."""
        return [row[0] for row in self.sql("SELECT request_id FROM sluice_journal.usage_event")]


def _environment(node: str, settings: Settings, opa: int, port: int) -> dict[str, str]:
    given = {name: str(getattr(settings, name)) for name in FILES}
    given |= {
        "home": str(settings.home),
        "policies": str(settings.policies),
        "issuer": settings.base_url,
        "quota_store": "redis",
        "policy_engine": "opa",
        "opa_url": f"http://127.0.0.1:{opa}",
        "node": node,
        "port": str(port),
    }
    return {**os.environ, **{f"SLUICE_{key.upper()}": value for key, value in given.items()}}


def _replica(
    stack: ExitStack, node: str, settings: Settings, port: int, machines: dict[str, Machine]
) -> Replica:
    opa_port, folder = free_port(), settings.home.parent
    token = settings.policy_bundle_token_file
    assert token is not None
    key = bundle_key(secret(settings.keys, "policy_bundle"))
    config = folder / f"opa-{node}.json"
    config.write_text(json.dumps(opa_config(f"http://127.0.0.1:{port}", token, key)))
    command = [opa_binary(), "run", "--server", "--skip-version-check", "--log-level=error"]
    command += [f"--addr=127.0.0.1:{opa_port}", f"--config-file={config}"]
    opa = Program(command, dict(os.environ), folder / f"log-opa-{node}")
    to_opa, wire = stack.enter_context(wire_to(opa_port)), stack.enter_context(wire_to(port))
    env = _environment(node, settings, to_opa.port, port)
    serve = Program([PROGRAM, "serve", "--no-access-log"], env, folder / f"log-{node}")
    http = httpx.Client(base_url=settings.base_url, transport=Behind(wire.port), timeout=60)
    stack.callback(http.close)
    clock: Any = utc_now
    return Replica(
        node, serve, opa, wire, to_opa, Gateway(settings, FastAPI(), clock, machines, http)
    )


@contextmanager
def _temporary_files_in(folder: Path | None) -> Iterator[None]:
    """The servers' own folders lie there, e.g. on a disk that can be filled."""
    before = tempfile.tempdir
    tempfile.tempdir = before if folder is None else str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextmanager
def two_replicas(released: Path, folder: Path, disk: Path | None = None) -> Iterator[World]:
    """The site with OPAs running and the replicas not yet; `disk` is where the servers' data and
    the replicas' home go, by default wherever temporary files go."""
    with ExitStack() as stack:
        with _temporary_files_in(disk):
            site = stack.enter_context(production_site())
        home = copy_home(released, folder / "home")
        port = free_port()
        facts = site.settings(folder / "secrets", free_port())
        settings = Settings(
            home=home, policies=copy_policies(folder / "policies"), port=port, **facts
        )
        machines = enter_parties(settings, utc_now, always=True)
        to_postgres = stack.enter_context(wire_to(site.postgres.port))
        to_valkey = stack.enter_context(wire_to(site.valkey.port))
        for name, server, wire in (
            ("database_dsn_file", site.postgres, to_postgres),
            ("postgres_dsn_file", site.postgres, to_postgres),
            ("redis_url_file", site.valkey, to_valkey),
        ):
            text = facts[name].read_text()
            facts[name].write_text(text.replace(f":{server.port}/", f":{wire.port}/"))
        first = _replica(stack, "a", settings, port, machines)
        second = _replica(stack, "b", settings, free_port(), machines)
        world = World(site, settings, (first, second), to_postgres, to_valkey)
        for one in world.replicas:
            one.opa.start()
            stack.callback(one.opa.end, signal.SIGKILL)
            stack.callback(one.end, signal.SIGTERM)
        yield world


def opened(world: World) -> None:
    """Start the replicas once everything they need is there."""
    until(lambda: world.run("check", "--replicas").stdout.count("opa_unreachable") == 0, PATIENCE)
    for one in world.replicas:
        one.start()
