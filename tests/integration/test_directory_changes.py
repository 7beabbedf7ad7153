"""Acts on the directory: audited in their own transaction, two people for a grant, seen in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.db.engine import reading, writing
from gateway.db.tables import DirectoryAuditRow, RevisionRow
from gateway.errors import OperatorError
from gateway.identity.changes import (
    disable_client,
    lift_stop,
    new_act,
    raise_stop,
    register_client,
    register_tenant,
    set_region,
)
from gateway.identity.desk import Identity
from gateway.identity.directory import Directory, Snapshot
from gateway.identity.entries import RegionEntry
from gateway.identity.grants import approve_grant, enter_grant, set_grant_status
from gateway.identity.model import CLIENT_TRANSITIONS, GRANT_TRANSITIONS, TENANT_TRANSITIONS
from gateway.identity.organisations import set_tenant_status
from gateway.identity.record import broken_entries
from tests.factories_identity import (
    NOON,
    act,
    add_client,
    add_grant,
    add_tenant,
    grant_entry,
    new_key,
    open_at,
    project_bounds,
    public,
    tenant_entry,
)


@pytest.fixture
def identity(tmp_path: Path) -> Iterator[Identity]:
    opened, _ = open_at(tmp_path / "home")
    yield opened
    opened.close()


def entries(identity: Identity) -> list[DirectoryAuditRow]:
    with reading(identity.engine) as session:
        return list(session.scalars(sa.select(DirectoryAuditRow)))


def revision(identity: Identity) -> int:
    with reading(identity.engine) as session:
        return session.scalars(sa.select(RevisionRow.revision)).one()


def faults(identity: Identity) -> tuple[str, ...]:
    with reading(identity.engine) as session:
        return broken_entries(session)


def refused(code: str, work: Any, *args: Any, **named: Any) -> None:
    with pytest.raises(OperatorError) as caught:
        work(*args, **named)
    assert caught.value.code == code


def test_every_change_has_one_entry_that_says_who_and_what(identity: Identity) -> None:
    before = revision(identity)
    with writing(identity.engine) as session:
        register_tenant(session, act("测试戊二", reason="new partner"), tenant_entry())
    with writing(identity.engine) as session:
        set_tenant_status(session, act("测试戊三"), "T-INS", "suspended")

    registered, suspended = entries(identity)[-2:]
    assert revision(identity) == before + 2
    assert (registered.actor, registered.action, registered.entity_id, registered.reason) == (
        "测试戊二",
        "register",
        "T-INS",
        "new partner",
    )
    assert registered.before_hash == "0" * 64
    assert registered.after_hash == suspended.before_hash != suspended.after_hash
    assert suspended.prev_hash == registered.hash
    assert faults(identity) == ()


def test_a_change_that_fails_leaves_neither_change_nor_entry(identity: Identity) -> None:
    before = (revision(identity), len(entries(identity)))
    with suppress(RuntimeError), writing(identity.engine) as session:
        register_tenant(session, act(), tenant_entry())
        raise RuntimeError

    assert (revision(identity), len(entries(identity))) == before
    identity.directory.refresh()
    assert identity.directory.policy_data()["tenants"] == {}


def test_the_record_of_changes_cannot_be_edited(identity: Identity) -> None:
    for act_sql in ("UPDATE directory_audit SET actor = 'x'", "DELETE FROM directory_audit"):
        with (
            pytest.raises(sa.exc.IntegrityError, match="append-only"),
            identity.engine.begin() as connection,
        ):
            connection.exec_driver_sql(act_sql)


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        ("UPDATE directory_audit SET actor = 'nobody' WHERE revision = 2", "entry 2 was altered"),
        ("DELETE FROM directory_audit WHERE revision = 2", "entries 2 to 2 are missing"),
        ("DELETE FROM directory_audit WHERE revision = 3", "entries 3 to 3 are missing"),
    ],
)
def test_whoever_gets_round_the_trigger_is_found_out(
    identity: Identity, tamper: str, says: str
) -> None:
    add_tenant(identity)
    assert revision(identity) == 3  # two signing keys, one tenant
    with closing(identity.engine.raw_connection()) as connection:
        for verb in ("update", "delete"):
            connection.cursor().execute(f"DROP TRIGGER directory_audit_no_{verb}")
        connection.cursor().execute(tamper)

    assert says in faults(identity)


def test_a_grant_needs_two_different_people(identity: Identity) -> None:
    add_tenant(identity)
    bounds = project_bounds()
    with writing(identity.engine) as session:
        assert enter_grant(session, act(), grant_entry(), bounds).status == "review"
        refused("grant.state", set_grant_status, session, act(), "G-1", "active")
    with writing(identity.engine) as session:
        assert approve_grant(session, act("测试己一"), "G-1", bounds).status == "review"
    for same in ("测试己一", " 测试己一 "):
        with writing(identity.engine) as session:
            refused("grant.same_approver", approve_grant, session, act(same), "G-1", bounds)
    with writing(identity.engine) as session:
        grant = approve_grant(session, act("测试己二"), "G-1", bounds)

    assert (grant.status, grant.approved_by) == ("active", ("测试己一", "测试己二"))
    with writing(identity.engine) as session:
        refused("grant.state", approve_grant, session, act("测试己三"), "G-1", bounds)


def test_a_widening_grant_is_refused_with_every_reason(identity: Identity) -> None:
    add_tenant(identity)
    wide = grant_entry(
        regions=["990104"], services=["S02", "S01"], valid_to=NOON.date() + timedelta(days=4000)
    )
    with writing(identity.engine) as session, pytest.raises(OperatorError) as caught:
        enter_grant(session, act(), wide, project_bounds())

    assert caught.value.code == "grant.widens"
    assert caught.value.extra["fields"] == ["regions", "services", "valid_to"]


def test_a_tenant_without_the_scenarios_qualifications_is_not_approved(identity: Identity) -> None:
    add_tenant(identity, qualifications=[])
    with writing(identity.engine) as session:
        enter_grant(session, act(), grant_entry(), project_bounds())
    with writing(identity.engine) as session:
        refused(
            "grant.qualification_missing",
            approve_grant,
            session,
            act("测试己一"),
            "G-1",
            project_bounds(),
        )


def test_a_scenario_tightened_later_leaves_its_wider_grants_out(identity: Identity) -> None:
    add_tenant(identity)
    add_grant(identity)
    bounds = project_bounds()
    tighter = {**bounds.scenarios["SC01"], "validity_days": 30}
    tightened = replace(bounds, scenarios={**bounds.scenarios, "SC01": tighter})

    loose, tight = Directory(identity.engine, bounds), Directory(identity.engine, tightened)

    assert [grant.id for grant in loose.grants_for("T-INS")] == ["G-1"]
    assert tight.grants_for("T-INS") == ()
    assert "T-INS" not in tight.policy_data()["grants"]  # type: ignore[operator] # a mapping
    assert [fault.field for fault in tight.snapshot.rejected["G-1"]] == ["valid_to"]


@pytest.mark.parametrize(
    ("status", "next_status", "allowed"),
    [
        ("active", "suspended", True),
        ("active", "revoked", True),
        ("active", "review", False),
        ("active", "draft", False),
        ("suspended", "active", True),
        ("suspended", "revoked", True),
        ("revoked", "active", False),
        ("revoked", "suspended", False),
    ],
)
def test_grants_change_state_as_the_table_says(
    identity: Identity, status: str, next_status: str, allowed: bool
) -> None:
    add_tenant(identity)
    add_grant(identity)
    if status != "active":
        with writing(identity.engine) as session:
            set_grant_status(session, act(), "G-1", status)
    with writing(identity.engine) as session:
        if allowed:
            assert set_grant_status(session, act(), "G-1", next_status).status == next_status
        else:
            refused("state.not_allowed", set_grant_status, session, act(), "G-1", next_status)


def test_every_state_is_in_its_table_and_leads_only_to_states_of_it() -> None:
    for table in (TENANT_TRANSITIONS, CLIENT_TRANSITIONS, GRANT_TRANSITIONS):
        assert {state for reached in table.values() for state in reached} <= set(table)


def test_what_is_not_there_or_there_already_is_said_so(identity: Identity) -> None:
    add_tenant(identity)
    key = public(new_key())
    add_client(identity, "app", "T-INS", key)
    with writing(identity.engine) as session:
        named = {"tenant_id": "T-INS", "name": "n", "jwks": key}
        refused("tenant.exists", register_tenant, session, act(), tenant_entry())
        refused("tenant.unknown", set_tenant_status, session, act(), "nobody", "suspended")
        refused("client.exists", register_client, session, act(), client_id="app", **named)
        refused("client.unknown", disable_client, session, act(), "nobody")
        refused("grant.unknown", set_grant_status, session, act(), "nobody", "revoked")
        refused("stop.kind", raise_stop, session, act(), "planet", "earth")
        refused("stop.unknown", lift_stop, session, act(), "tenant", "T-INS")
    refused("act.actor", new_act, "  ", NOON)


def test_the_policy_sees_the_documents_of_the_specification(identity: Identity) -> None:
    add_tenant(identity)
    add_grant(identity)
    with writing(identity.engine) as session:
        raise_stop(session, act(reason="leak suspected"), "region", "990101")
    identity.directory.refresh()

    data: Any = identity.directory.policy_data()
    assert set(data) == {"tenants", "grants", "regions", "stops"}
    tenant, grant = data["tenants"]["T-INS"], data["grants"]["T-INS"]["G-1"]
    assert (tenant["type"], tenant["status"], tenant["source_ips"]) == (
        "insurer",
        "active",
        ["127.0.0.0/8", "::1/128"],
    )
    assert tenant["qualifications"][0] == {
        "code": "licensed_health_or_life_insurer",
        "valid_to": "2099-12-31",
        "evidence_hash": "0" * 64,
    }
    assert (grant["dims"], grant["valid_from"], grant["status"]) == (["*"], "2026-06-01", "active")
    assert data["regions"]["990100"]["level"] == "city"
    assert data["stops"] == {
        "tenant": {},
        "scenario": {},
        "service": {},
        "region": {"990101": {"reason": "leak suspected", "since": NOON.isoformat()}},
        "brake": {},
    }


def test_a_lifted_stop_is_gone(identity: Identity) -> None:
    for change in (raise_stop, lift_stop):
        with writing(identity.engine) as session:
            change(session, act(), "service", "S02")
    identity.directory.refresh()

    stops: Any = identity.directory.policy_data()["stops"]
    assert stops["service"] == {}


def test_the_bureau_opens_closes_and_adds_regions(identity: Identity) -> None:
    bounds = project_bounds()
    new = RegionEntry(level="city", parent="990000", insured=60_000, title_zh="测试市（虚构）")
    with writing(identity.engine) as session:
        set_region(session, act(), "990300", new, bounds)
        set_region(session, act(), "990300", RegionEntry(data_open=True), bounds)
        set_region(session, act(), "990100", RegionEntry(data_open=False), bounds)
        for code, entry in (
            ("region.code", ("9903", new)),
            ("region.incomplete", ("990301", RegionEntry(level="city"))),
            ("region.parent", ("990301", new.model_copy(update={"parent": "123456"}))),
            ("region.parent", ("990301", new.model_copy(update={"parent": None}))),
        ):
            refused(code, set_region, session, act(), *entry, bounds)
    identity.directory.refresh()

    regions: Any = identity.directory.policy_data()["regions"]
    assert regions["990300"]["data_open"] is True
    assert regions["990300"]["insured"] == 60_000
    assert (regions["990100"]["data_open"], regions["990100"]["level"]) == (False, "city")
    add_tenant(identity)
    assert add_grant(identity, regions=["990300"]).status == "active"


def test_a_running_directory_hears_of_changes_by_itself(identity: Identity) -> None:
    heard = threading.Event()

    def listen(snapshot: Snapshot) -> None:
        if "T-INS" in snapshot.tenants:
            heard.set()

    identity.directory.on_change(listen)
    identity.start()
    add_tenant(identity)

    assert heard.wait(timeout=20)


def test_a_listener_that_fails_is_told_again(identity: Identity) -> None:
    told: list[int] = []

    def stumble_once(snapshot: Snapshot) -> None:
        told.append(snapshot.revision)
        if len(told) == 2:
            raise RuntimeError

    identity.directory.on_change(stumble_once)
    add_tenant(identity)
    with pytest.raises(RuntimeError):
        identity.directory.refresh()

    assert identity.directory.refresh() is True
    assert identity.directory.refresh() is False
    assert told == [2, 3, 3]
