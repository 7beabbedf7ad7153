"""A city of twenty thousand with planted truths, released for every service and served for real.

`sluice serve` is a process of its own; who asks is a program as a participant would write it
(`gateway.demo.client`). Truths are computed from the cells of answers alone, by value and flag.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from gateway.catalogue.load import load_catalogue
from gateway.demo.client import Participant
from gateway.demo.server import Server, start
from gateway.identity.boundaries import load_boundaries
from gateway.identity.desk import open_identity
from gateway.identity.keyring import write_private
from gateway.releases.build import Order, build
from gateway.releases.keys import FILE
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.bureau import simulate
from synthetic.bureau.settings import Size
from tests.factories_identity import add_client, add_grant, add_tenant, new_key, public, shown
from tests.gateway_factory import POLICIES, USCC, copy_policies, free_port
from tests.made_once import made_once

SEED = 1
BUILT = datetime(2026, 1, 31, tzinfo=UTC)  # a fixed day: of the four years nothing is too fresh
WHO = {
    "SC01": "insurer", "SC02": "insurer", "SC05": "pharma", "SC06": "health_mgmt",
    "SC09": "hospital", "SC11": "insurer",
}  # fmt: skip
"""A kind of firm that may ask in each scenario."""
SHOWN = ("ok", "r", "e")
ALONE = ("S01", "S05", "S10", "S11", "S13", "S15", "S25", "S26")
"""Services that are in no way linked with one another, or that can be built without the others."""
Row = Mapping[str, Any]


def build_city(home: Path, size: Size = "ci", alone: tuple[str, ...] = ()) -> None:
    """Simulate the city and release every service of it, or these alone; sound data need no
    waiver."""
    settings = Settings(home=home)
    settings.keys.mkdir(mode=0o700, parents=True)
    # Which cells the guard hides besides can depend on how counts are rounded: always by this key.
    (settings.keys / FILE).write_bytes(bytes([1]) * 32)
    folder = settings.warehouse / "versions" / "draft"
    folder.mkdir(parents=True)
    simulate(folder, size, SEED)
    store.publish(settings.warehouse, folder, {"kind": "simulate"}, BUILT)
    build(settings, Order(alone, alone=bool(alone)), BUILT)


def alone_home(factory: pytest.TempPathFactory) -> Path:
    """The city with these services released, made once for all tests of a run."""
    return made_once(factory, "planted-alone", partial(build_city, alone=ALONE))


def value(row: Row, measure: str) -> float | None:
    """What a cell says; nothing where it is withheld."""
    cell = row[measure]
    return float(cell["value"]) if cell["flag"] in SHOWN and cell["value"] is not None else None


def added(rows: Sequence[Row], measure: str) -> float:
    """Cells added up; all of them must be shown."""
    found = [value(row, measure) for row in rows]
    assert found, measure
    assert None not in found, (measure, [row[measure] for row in rows])
    return sum(one for one in found if one is not None)


@dataclass
class City:
    """A running server, and a client of each scenario."""

    server: Server
    settings: Settings
    http: httpx.Client
    participants: Mapping[str, Participant]
    purposes: Mapping[str, str]
    refused: list[str] = field(default_factory=list)

    def ask(
        self, scenario: str, service: str, grain: str, first: str, last: str, **asked: Any
    ) -> list[Row]:
        """All rows of a question about the city, page by page, each answer a 200."""
        body: dict[str, Any] = {
            "purpose": self.purposes[scenario],
            "period": {"from": first, "to": last, "grain": grain},
            "geo": ["990100"],
            **asked,
        }
        session = self.participants[scenario].sign_in(self.http)
        rows: list[Row] = []
        cursor = None
        while True:
            reply = session.ask(service, body | ({"cursor": cursor} if cursor else {}))
            assert reply.status_code == 200, f"{service} {reply.status_code}: {reply.text}"
            told = reply.json()
            rows += told["data"]
            cursor = told["next_cursor"]
            if cursor is None:
                return rows

    def status(self, scenario: str, service: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """One question whatever comes of it."""
        told = {"purpose": self.purposes[scenario], "geo": ["990100"], **body}
        reply = self.participants[scenario].sign_in(self.http).ask(service, told)
        return reply.status_code, reply.json()


def _policies(folder: Path) -> Path:
    """The project's, looking back as far as the city goes whatever day it is, with large quotas."""
    return copy_policies(folder, lookback_months=600)


def _enter(settings: Settings, folder: Path) -> dict[str, Participant]:
    """A firm, a grant for all its scenario's services and a program of each scenario."""
    now = datetime.now(UTC)
    bounds = load_boundaries(settings.policies)
    every = load_catalogue(settings.policies).services.values()
    identity = open_identity(settings, clock=lambda: datetime.now(UTC))
    made = {}
    try:
        for scenario, kind in WHO.items():
            tenant, client, key = f"T-{scenario}", f"{scenario.lower()}-app", new_key()
            wanted = bounds.scenarios[scenario]["qualification"]
            add_tenant(identity, tenant, kind=kind, uscc=USCC, qualifications=shown(wanted))
            facts = {"enrolment_list_hash": "5f" * 32} if scenario == "SC06" else {}
            add_grant(
                identity,
                bounds,
                grant_id=f"G-{scenario}",
                tenant_id=tenant,
                scenario=scenario,
                services=[one.id for one in every if scenario in one.scenarios],
                valid_from=now.date() - timedelta(days=1),
                valid_to=now.date() + timedelta(days=300),
                **facts,
            )
            add_client(identity, client, tenant, public(key))
            path = folder / f"{client}.jwk.json"
            write_private(path, key.as_dict(private=True))
            made[scenario] = Participant(client, path, settings.base_url)
    finally:
        identity.close()
    return made


@contextmanager
def served(home: Path, scratch: Path) -> Iterator[City]:
    """`sluice serve` on a home with releases, entered participants, and a client's connection."""
    policies = _policies(scratch / "policies")
    port = free_port()
    settings = Settings(home=home, policies=policies, port=port)
    participants = _enter(settings, scratch)
    environment = {
        **os.environ,
        "SLUICE_HOME": str(home),
        "SLUICE_PORT": str(port),
        "SLUICE_POLICIES": str(policies),
    }
    server = start(home, port, environment)
    purposes = {
        name: str(document["purpose"])
        for path in (POLICIES / "data" / "scenarios").glob("*.yaml")
        for name, document in yaml.safe_load(path.read_text(encoding="utf-8")).items()
    }
    try:
        with httpx.Client(base_url=server.base_url, timeout=120) as http:
            yield City(server, settings, http, participants, purposes)
    finally:
        server.stop()
