"""Production on this machine: PostgreSQL, Valkey, and two replicas of the program with an OPA each.

The commands are those of the chart, in its order. The API's own tests run against the same parts by
`make test-production`; here is what only two replicas can show.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway.identity.secrets import secret
from gateway.policy.opa_config import opa_config
from gateway.policy.packing import bundle_key
from gateway.settings import Settings
from tests.gateway_factory import (
    COST,
    Gateway,
    copy_home,
    copy_policies,
    enter_parties,
    free_port,
    utc_now,
)
from tests.opa_server import opa_process, until
from tests.production_profile import FILES, Site, production_site

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(1800)]

PROGRAM = str(Path(sys.executable).with_name("sluice"))
PATIENCE = 300.0  # ends only what would hang
FEW = {**COST, "dims": []}


class Behind(httpx.HTTPTransport):
    """Sends everything to one replica, as a load balancer would that keeps a client there."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        # Another request: who proves it again, after a nonce, proves the address it asked.
        there = httpx.Request(
            request.method,
            request.url.copy_with(port=self._port),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return super().handle_request(there)


@dataclass
class Replica:
    """One `sluice serve`, and a client that stays with it."""

    node: str
    port: int
    env: dict[str, str]
    gateway: Gateway
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        with (Path(self.env["SLUICE_HOME"]) / f"log-{self.node}").open("ab") as log:
            command = [PROGRAM, "serve", "--no-access-log"]
            self.processes.append(subprocess.Popen(command, env=self.env, stderr=log))
        until(self.ready, PATIENCE)

    def ready(self) -> bool:
        try:
            return self.gateway.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def end(self, how: int) -> None:
        self.processes[-1].send_signal(how)
        self.processes[-1].wait(60)


@dataclass
class World:
    """All of it."""

    site: Site
    settings: Settings
    replicas: tuple[Replica, Replica]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command of the program, with the settings of the first replica."""
        env = self.replicas[0].env
        return subprocess.run(
            [PROGRAM, *words], env=env, capture_output=True, text=True, timeout=300, check=False
        )

    def events(self) -> list[str]:
        """The requests on record in the central store, one for each usage event."""
        dsn = self.settings.database_dsn_file
        assert dsn is not None
        name = dsn.read_text().rsplit("/", 1)[1]
        asked = "SELECT request_id FROM sluice_journal.usage_event"
        return [row[0] for row in self.site.postgres.sql(asked, database=name)]


def replica_of(node: str, settings: Settings, opa: int, machines: Any, port: int) -> Replica:
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
    env = {**os.environ, **{f"SLUICE_{key.upper()}": value for key, value in given.items()}}
    http = httpx.Client(base_url=settings.base_url, transport=Behind(port), timeout=60)
    clock: Any = utc_now
    return Replica(node, port, env, Gateway(settings, FastAPI(), clock, machines, http))


@pytest.fixture(scope="module")
def world(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("production")
    home = copy_home(released_home, folder / "home")
    with ExitStack() as stack:
        site = stack.enter_context(production_site())
        ports, opas = (free_port(), free_port()), (free_port(), free_port())
        facts = site.settings(folder / "secrets", opas[0])
        policies = copy_policies(folder / "policies")
        settings = Settings(home=home, policies=policies, port=ports[0], **facts)
        machines = enter_parties(settings, utc_now, always=True)
        token = settings.policy_bundle_token_file
        assert token is not None
        key = bundle_key(secret(settings.keys, "policy_bundle"))
        replicas = []
        for node, port, opa in zip(("a", "b"), ports, opas, strict=True):
            one = replica_of(node, settings, opa, machines, port)
            stack.callback(one.gateway.http.close)
            config = opa_config(f"http://127.0.0.1:{port}", token, key)
            stack.enter_context(opa_process(opa, config))
            replicas.append(one)
        built = World(site, settings, (replicas[0], replicas[1]))
        until(
            lambda: built.run("check", "--replicas").stdout.count("opa_unreachable") == 0, PATIENCE
        )
        for one in replicas:
            one.start()
            stack.callback(one.end, signal.SIGTERM)
        yield built


def test_the_check_finds_everything_there_and_then_what_is_not(world: World) -> None:
    found = world.run("check", "--replicas")
    assert (found.returncode, found.stdout) == (0, "everything the settings name is there\n")
    broken = {**world.replicas[0].env, "SLUICE_OPA_URL": "http://127.0.0.1:1"}
    done = subprocess.run(
        [PROGRAM, "check"], env=broken, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    assert "[opa_unreachable]" in done.stdout


@pytest.mark.parametrize("path", ["/v1/services", "/v1/usage", "/v1/statements", "/v1/jobs"])
def test_a_token_of_one_replica_is_good_at_the_other(world: World, path: str) -> None:
    first, second = (replica.gateway for replica in world.replicas)
    second._tokens["ins-app"] = (utc_now(), first.token())
    assert first.get(path).status_code == second.get(path).status_code == 200


def test_an_answered_key_is_answered_again_by_the_other_replica(world: World) -> None:
    first, second = (replica.gateway for replica in world.replicas)
    key = {"Idempotency-Key": "two-replicas-1"}
    one, other = first.ask("S02", FEW, headers=key), second.ask("S02", FEW, headers=key)
    assert (one.status_code, other.status_code) == (200, 200), other.text
    assert one.json()["data"] == other.json()["data"]
    assert "Idempotent-Replayed" in other.headers


def test_a_stop_on_the_command_line_holds_at_every_replica(world: World) -> None:
    asked = [replica.gateway for replica in world.replicas]
    words = ("stop", "raise", "tenant", "T-PHA", "--reason", "drill")
    done = world.run(*words)
    assert done.returncode == 0, done.stderr
    until(
        lambda: all(one.ask("S02", FEW, client="pha-app").status_code != 200 for one in asked),
        PATIENCE,
    )
    assert all(one.ask("S02", FEW).status_code == 200 for one in asked)


def test_a_killed_replica_loses_and_doubles_nothing(world: World) -> None:
    first, _ = world.replicas
    for one in world.replicas:
        one.gateway.token()
        one.gateway.auth()

    def load(replica: Replica) -> Sequence[str]:
        answered = []
        for _ in range(60):
            try:
                reply = replica.gateway.ask("S02", FEW)
            except httpx.TransportError:
                break
            if reply.status_code == 200:
                answered.append(reply.headers["sluice-request-id"])
        return answered

    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(load, replica) for replica in world.replicas]
        time.sleep(1)
        first.end(signal.SIGKILL)
        answered = {name for one in asked for name in one.result()}
    first.start()
    until(lambda: answered <= set(world.events()), PATIENCE)
    recorded = world.events()
    assert len(recorded) == len(set(recorded))
    assert len(answered) >= 60
    assert first.gateway.ask("S02", FEW).status_code == 200
    done = world.run("audit", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
