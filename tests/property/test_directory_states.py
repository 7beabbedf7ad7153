"""State machines: whatever is tried in whatever order, only the arrows of the tables are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from itertools import count
from typing import Any, TypeAlias

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from gateway.db.engine import reading, writing
from gateway.errors import OperatorError
from gateway.identity import changes, grants, organisations, products
from gateway.identity.entries import LimitEntry
from gateway.identity.model import (
    CLIENT_TRANSITIONS,
    GRANT_TRANSITIONS,
    PRODUCT_TRANSITIONS,
    TENANT_TRANSITIONS,
)
from gateway.identity.record import broken_entries
from gateway.identity.states import Transitions, allow, diagram
from gateway.identity.store import read_contents
from gateway.staff.model import STAFF_TRANSITIONS
from tests.directory_factory import BOUNDS, empty_directory, product_entry
from tests.factories_identity import TODAY, act, grant_entry, new_key, public, tenant_entry

Step: TypeAlias = Callable[[Session, str], object]

PEOPLE = ("测试己一", "测试己二", "测试己三")
KEY = public(new_key())
LIMIT = LimitEntry(cut_off_date=date(2026, 1, 1))
TABLES = {
    "tenants": TENANT_TRANSITIONS,
    "products": PRODUCT_TRANSITIONS,
    "clients": CLIENT_TRANSITIONS,
    "grants": GRANT_TRANSITIONS,
    "staff": STAFF_TRANSITIONS,
}


def _to_tenant(status: str) -> Step:
    return lambda session, key: organisations.set_tenant_status(session, act(), key, status)


def _to_product(status: str) -> Step:
    return lambda session, key: products.set_product_status(session, act(), key, status)


def _to_grant(status: str) -> Step:
    return lambda session, key: grants.set_grant_status(session, act(), key, status)


def _approve(person: str) -> Step:
    return lambda session, key: grants.approve_grant(session, act(person), key, BOUNDS)


def _expire(day: date) -> Step:
    return lambda session, _key: grants.expire_grants(session, act(), day)


STEPS: dict[str, list[Step]] = {
    "tenants": [
        *map(_to_tenant, (*TENANT_TRANSITIONS, "unheard-of")),
        lambda session, key: organisations.limit_tenant(session, act(), key, LIMIT),
        lambda session, key: organisations.set_termination(session, act(), key, TODAY),
    ],
    "products": [*map(_to_product, (*PRODUCT_TRANSITIONS, "unheard-of"))],
    "clients": [lambda session, key: changes.disable_client(session, act(), key)],
    "grants": [
        *map(_to_grant, (*GRANT_TRANSITIONS, "unheard-of")),
        *map(_approve, (*PEOPLE, "测试戊一")),
        lambda session, key: grants.submit_grant(session, act(), key, BOUNDS),
        _expire(TODAY),
        _expire(TODAY + timedelta(days=4000)),
    ],
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    with empty_directory(tmp_path_factory.mktemp("states")) as opened:
        yield opened


NUMBER = count()


def begin(engine: sa.Engine, kind: str) -> str:
    """A new thing of this kind, in its first state."""
    key = f"{kind}-{next(NUMBER)}"
    with writing(engine) as session:
        tenant = f"t-{key}" if kind != "tenants" else key
        changes.register_tenant(session, act(), tenant_entry(tenant))
        if kind == "products":
            products.register_product(session, act(), product_entry(key, tenant))
        elif kind == "clients":
            changes.register_client(
                session, act(), client_id=key, tenant_id=tenant, name="测试", jwks=KEY
            )
        elif kind == "grants":
            entry = grant_entry(key, tenant, services=["S02"])
            grants.enter_grant(session, act(), entry, BOUNDS, draft=True)
    return key


def state(engine: sa.Engine, kind: str, key: str) -> str:
    with reading(engine) as session:
        found: Any = getattr(read_contents(session), kind)[key]
    return str(found.status)


@pytest.mark.parametrize("kind", STEPS)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_other_change_of_state_is_possible(
    engine: sa.Engine, kind: str, data: st.DataObject
) -> None:
    key, table = begin(engine, kind), TABLES[kind]
    for step in data.draw(st.lists(st.sampled_from(STEPS[kind]), max_size=12)):
        before = state(engine, kind, key)
        with suppress(OperatorError), writing(engine) as session:
            step(session, key)
        after = state(engine, kind, key)
        assert after == before or after in table[before]


def _limit(session: Session, key: str) -> object:
    return organisations.limit_tenant(session, act(), key, LIMIT)


def _submit(session: Session, key: str) -> object:
    return grants.submit_grant(session, act(), key, BOUNDS)


def _roads(make: Callable[[str], Step], *roads: str) -> list[list[Step]]:
    return [[make(status) for status in road.split()] for road in roads]


ACTIVE = [_submit, _approve(PEOPLE[0]), _approve(PEOPLE[1])]
OVER = _expire(TODAY + timedelta(days=4000))
ROADS: dict[str, list[list[Step]]] = {
    "tenants": [
        *_roads(_to_tenant, "suspended active revoked", "suspended revoked"),
        [_limit, _to_tenant("suspended"), _limit, _to_tenant("active")],
        [_limit, _to_tenant("revoked")],
    ],
    "products": _roads(_to_product, "suspended active revoked", "suspended revoked"),
    "clients": [STEPS["clients"]],
    "grants": [
        [_submit, _to_grant("draft"), _to_grant("revoked")],
        [_submit, _to_grant("revoked")],
        [_submit, OVER],
        [*ACTIVE, _to_grant("suspended"), _to_grant("active"), _to_grant("revoked")],
        [*ACTIVE, _to_grant("suspended"), _to_grant("revoked")],
        [*ACTIVE, OVER],
        [*ACTIVE, _to_grant("suspended"), OVER],
    ],
}


@pytest.mark.parametrize("kind", ROADS)
def test_every_arrow_of_the_table_can_be_taken(engine: sa.Engine, kind: str) -> None:
    taken = set[tuple[str, str]]()
    for road in ROADS[kind]:
        key = begin(engine, kind)
        for step in road:
            before = state(engine, kind, key)
            with writing(engine) as session:
                step(session, key)
            taken.add((before, state(engine, kind, key)))
    wanted = {(before, after) for before, to in TABLES[kind].items() for after in to}
    assert {(before, after) for before, after in taken if before != after} == wanted


@pytest.mark.parametrize("name", TABLES)
def test_a_table_leads_only_to_its_own_states_and_all_can_be_reached(name: str) -> None:
    table = TABLES[name]
    first = {"grants": "draft", "staff": "invited"}.get(name, "active")
    reached, new = {first}, {first}
    while new:
        new = {after for before in new for after in table[before]} - reached
        reached |= new
    assert reached == set(table)


@pytest.mark.parametrize("name", TABLES)
def test_the_diagram_has_exactly_the_arrows_of_the_table(name: str) -> None:
    table: Transitions = TABLES[name]
    lines = diagram(table, "first").splitlines()
    arrows = {
        tuple(line.strip().split(" --> ")) for line in lines if "[*]" not in line and "->" in line
    }
    assert arrows == {(before, after) for before, to in table.items() for after in to}


def test_a_state_nobody_knows_allows_nothing() -> None:
    with pytest.raises(OperatorError, match="cannot become"):
        allow(GRANT_TRANSITIONS, "lost", "active", "Grant G-1")


def test_after_all_this_the_record_is_whole(engine: sa.Engine) -> None:
    with reading(engine) as session:
        assert broken_entries(session) == ()
