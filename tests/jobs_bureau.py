"""A bureau that takes part in SC08: policies, a simulated warehouse, and one grant for jobs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from gateway.identity.boundaries import load_boundaries
from gateway.identity.desk import open_identity
from gateway.settings import Settings
from gateway.warehouse.store import publish
from synthetic.bureau import simulate
from synthetic.bureau.settings import Size
from tests.directory_factory import empty_database
from tests.factories_identity import add_grant, add_tenant, shown
from tests.gateway_factory import USCC, copy_policies

GRANT = "G-LAB"


def pilot_policies(folder: Path) -> Path:
    """The project's policies where every open region takes part in the pilot."""
    policies = copy_policies(folder)
    regions = policies / "data" / "regions.yaml"
    text = regions.read_text("utf-8")
    regions.write_text(text.replace("data_open: true, pilot: []", "data_open: true, pilot: [SC08]"))
    return policies


def bureau(folder: Path, size: Size, seed: int, clock: Callable[[], datetime]) -> Settings:
    """A home under `folder` with a warehouse, and a grant for S17 and S28 that runs now."""
    settings = Settings(home=folder / "home", policies=pilot_policies(folder / "policies"))
    simulate(folder / "tables", size, seed)
    (settings.warehouse / "versions").mkdir(parents=True)
    publish(settings.warehouse, folder / "tables", {"kind": "simulate"}, clock())
    empty_database(settings.database.parent)
    identity = open_identity(settings, clock=clock)
    bounds, today = load_boundaries(settings.policies), clock().date()
    wanted = bounds.scenarios["SC08"]["qualification"]
    add_tenant(identity, "T-LAB", kind="research", uscc=USCC, qualifications=shown(wanted))
    grant = {"grant_id": GRANT, "tenant_id": "T-LAB", "scenario": "SC08"}
    runs = {"valid_from": today - timedelta(days=30), "valid_to": today + timedelta(days=90)}
    add_grant(identity, bounds, **grant, services=["S17", "S28"], **runs)
    identity.close()
    return settings
