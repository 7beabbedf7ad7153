"""Who owes a minimum: grants in force for a whole month under a price with a commitment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.billing.commitments import commitments
from gateway.catalogue.tariff import Tariff
from gateway.db.engine import reading, writing
from gateway.identity.grants import set_grant_status
from gateway.identity.organisations import set_tenant_status
from gateway.identity.record import Act
from tests.directory_factory import act, add_grant, add_tenant, empty_directory, later

PRICE = {
    "ref": "s02/1",
    "valid_from": date(2024, 1, 1),
    "valid_to": date(2027, 3, 31),
    "price_fen": 100,
    "minimum_fen": 9000,
}
TARIFFS = {"S02": Tariff(unit="per_1000_cells", prices=(PRICE,))}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    with empty_directory(tmp_path) as opened:
        add_tenant(opened)
        add_grant(opened, valid_from="2026-05-01", valid_to="2027-04-30")
        yield opened


def owed(engine: sa.Engine, month: str, *, free: bool = False, tariffs=TARIFFS) -> list[str]:
    with reading(engine) as session:
        found = commitments(session, month, tariffs, lambda *_: free)
    assert all(line == key.line_id and key.month == month for line, key in found.items())
    return [key.grant for key in found.values()]


def month_of_entry(engine: sa.Engine) -> str:
    return f"{later():%Y-%m}"


def after(months: int) -> str:
    moment = later(days=31 * months)
    return f"{moment:%Y-%m}"


def test_a_grant_commits_from_the_first_whole_month_on(engine):
    assert owed(engine, month_of_entry(engine)) == []
    assert owed(engine, after(1)) == ["G-1"]
    assert owed(engine, after(2)) == ["G-1"]


def test_what_is_free_or_has_no_minimum_commits_nobody(engine):
    assert owed(engine, after(1), free=True) == []
    plain = {**PRICE, "minimum_fen": 0}
    unbound = {"S02": Tariff(unit="per_1000_cells", prices=(plain,))}
    assert owed(engine, after(1), tariffs=unbound) == []
    assert owed(engine, after(1), tariffs={}) == []


def test_a_price_that_has_ended_commits_nobody(engine):
    assert owed(engine, "2027-03") == ["G-1"]
    assert owed(engine, "2027-04") == []
    longer = {**PRICE, "valid_to": date(2027, 12, 31)}
    lasting = {"S02": Tariff(unit="per_1000_cells", prices=(longer,))}
    assert owed(engine, "2027-04", tariffs=lasting) == ["G-1"]
    assert owed(engine, "2027-05", tariffs=lasting) == []


def test_a_stop_within_a_month_frees_that_month(engine):
    stopped = later(days=45)
    with writing(engine) as session:
        set_grant_status(session, Act("officer", stopped, "x"), "G-1", "suspended")
    resumed = later(days=110)
    with writing(engine) as session:
        set_grant_status(session, Act("officer", resumed, "x"), "G-1", "active")
    assert owed(engine, f"{stopped:%Y-%m}") == []
    assert owed(engine, f"{later(days=75):%Y-%m}") == []
    assert owed(engine, f"{resumed:%Y-%m}") == []
    assert owed(engine, f"{later(days=145):%Y-%m}") == ["G-1"]


def test_a_suspended_organisation_owes_no_minimum(engine):
    stopped = later(days=45)
    with writing(engine) as session:
        set_tenant_status(session, Act(act().actor, stopped, "x"), "T-INS", "suspended")
    assert owed(engine, f"{later(days=80):%Y-%m}") == []
