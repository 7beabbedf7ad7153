"""Four real `sluice serve` on one home, 64 connections, one quota; one of them is killed with a
lease in its hands. What counts as served is what the journals show."""

from __future__ import annotations

import http.client
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.quota.postgres import PostgresStore
from gateway.quota.valkey import ValkeyStore
from gateway.settings import Settings
from sluice_client.proof import make_proof
from tests.factories_identity import Machine
from tests.gateway_factory import COST, LARGE, copy_home, copy_policies, free_port, utc_now
from tests.integration.test_serving_kill import JSON_BODY, PATH, insurer_of
from tests.journal_store import Store
from tests.nursery import Nursery, nursery
from tests.quota_site import QUOTA, QuotaSite, functions_of, open_count, scripts_of

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(3600)]
_EVENTS = "SELECT event_id::text FROM usage_event"
BODY = json.dumps({**COST, "measures": ["persons", "medfee"]})


@dataclass(kw_only=True)
class Site(QuotaSite):
    """Gateways of one home under one name."""

    settings: Settings
    token: str
    machine: Machine
    store: dict[str, str]
    central: Callable[[], list[str]]
    stack: ExitStack
    nurseries: dict[int, Nursery] = field(default_factory=dict)

    def start(self, node: int) -> None:
        """Start a node, and wait until it could answer."""
        if node not in self.nurseries:
            self.nurseries[node] = self.stack.enter_context(
                nursery("gateway.cli", "gateway.cli.serve", **self._given(node))
            )
        log = self.settings.home / f"log-{node}"
        command = ["gateway.cli", "serve", "--no-access-log"]
        self.running[node] = self.nurseries[node].start(command, log)
        for _ in range(2400):
            with closing(http.client.HTTPConnection("127.0.0.1", self.ports[node])) as probe:
                try:
                    probe.request("GET", "/readyz")
                    if probe.getresponse().status == 200:
                        return
                except (ConnectionError, http.client.HTTPException):
                    pass
            time.sleep(0.05)
        raise AssertionError(log.read_text())

    def _given(self, node: int) -> dict[str, str]:
        return {
            "SLUICE_HOME": str(self.settings.home),
            "SLUICE_POLICIES": str(self.settings.policies),
            "SLUICE_ISSUER": self.settings.base_url,
            "SLUICE_TOKEN_TTL_SECONDS": "900",
            "SLUICE_PORT": str(self.ports[node]),
            "SLUICE_NODE": "main" if node == 0 else f"n{node}",
            **self.store,
        }

    def client(self, node: int, number: int) -> None:
        nonce, told = None, "200"
        with closing(http.client.HTTPConnection("127.0.0.1", self.ports[node])) as line:
            while told in {"200", "401"}:
                try:
                    line.request("POST", PATH, BODY, self._signed(nonce))
                    reply = line.getresponse()
                    body = json.loads(reply.read())
                except (ConnectionError, http.client.HTTPException):
                    return
                nonce = reply.headers["dpop-nonce"] or nonce
                told = str(reply.status) if reply.status in {200, 401} else _why(body)
                with self.lock:
                    self.replies[told] += 1

    def _signed(self, nonce: str | None) -> dict[str, str]:
        url = f"{self.settings.base_url}{PATH}"
        proof = make_proof(
            self.machine.key, "POST", url, utc_now(), nonce=nonce, access_token=self.token
        )
        return {"Authorization": f"DPoP {self.token}", "DPoP": proof, **JSON_BODY}

    @property
    def served(self) -> int:
        found = set(self.central())
        for path in self.settings.home.glob("journal*.db"):
            with closing(sqlite3.connect(path)) as db:
                found.update(row[0] for row in db.execute("SELECT event_id FROM usage_event"))
        return len(found)


def _why(body: dict[str, Any]) -> str:
    return "+".join(body.get("deny") or [body["code"]])


def nothing_central() -> list[str]:
    """Of nodes that keep their journals themselves."""
    return []


def events_of(both: Store) -> Callable[[], list[str]]:
    """What nodes recorded straight into their central store."""
    return lambda: [row[0] for row in both.ask(_EVENTS)]


@contextmanager
def site_of(
    request: pytest.FixtureRequest, kind: str, quota: int, released: Path, folder: Path
) -> Iterator[Site]:
    """Four nodes that serve, before a count that is open."""
    home = copy_home(released, folder / "home")
    policies = copy_policies(folder / "policies", {**LARGE, "calls_day": quota}, 1200)
    settings = Settings(home=home, policies=policies, port=free_port(), token_ttl_seconds=900)
    insurer = insurer_of(settings)
    named = home / "store"
    words: Callable[[], int]
    central: Callable[[], list[str]] = nothing_central
    if kind == "redis":
        url = request.getfixturevalue("valkey_url")
        words = scripts_of(url)
        open_count(ValkeyStore(url))
        given = {"SLUICE_QUOTA_STORE": "redis", "SLUICE_REDIS_URL_FILE": str(named)}
    else:  # the journals go there too
        both: Store = request.getfixturevalue("store")
        url, words, central = both.dsn, functions_of(both.server, both.owner), events_of(both)
        open_count(PostgresStore(both.owner), both.role)
        given = {"SLUICE_QUOTA_STORE": "postgres", "SLUICE_POSTGRES_DSN_FILE": str(named)}
    named.write_text(url)
    with ExitStack() as stack:
        site = Site(
            settings=settings,
            token=insurer._token,
            machine=insurer._machine,
            store=given,
            words=words,
            central=central,
            stack=stack,
        )
        with site.up():
            yield site


@pytest.mark.parametrize("quota", [1_000, QUOTA])
@pytest.mark.parametrize("kind", ["redis", "postgres"])
def test_exactly_the_quota_is_served_by_four_gateways_and_one_that_is_killed(
    request: pytest.FixtureRequest, released_home: Path, tmp_path: Path, kind: str, quota: int
) -> None:
    with site_of(request, kind, quota, released_home, tmp_path) as site:
        words = site.use_up(quota, patience=1800)
        assert set(site.replies) == {"200", "401", "D802"}
        asked = site.replies["200"] + site.replies["D802"]
        assert words <= (0.02 if quota >= QUOTA else 0.2) * asked
