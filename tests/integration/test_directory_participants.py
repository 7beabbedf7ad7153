"""Organisations, products and their statements: what a status ends, and from when."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.db.engine import reading, writing
from gateway.errors import OperatorError
from gateway.identity.caretaker import settle_dates, something_ends
from gateway.identity.changes import disable_client, register_client, update_client
from gateway.identity.entries import ClientTerms, LimitEntry, TenantUpdate
from gateway.identity.grants import approve_grant, enter_grant, set_grant_status
from gateway.identity.organisations import (
    limit_tenant,
    set_tenant_status,
    set_termination,
    update_tenant,
)
from gateway.identity.products import register_product, set_product_status, update_product
from gateway.identity.record import DIRECTORY, is_recorded, read_entries
from tests.directory_factory import (
    BOUNDS,
    add_client,
    add_grant,
    add_product,
    add_tenant,
    empty_directory,
    product_entry,
    snapshot,
)
from tests.factories_identity import NOON, TODAY, act, grant_entry, new_key, public, tenant_entry

CUT_OFF = date(2026, 3, 31)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    with empty_directory(tmp_path) as opened:
        add_tenant(opened)
        yield opened


def refused(code: str, engine: sa.Engine, work: Any, *args: Any, **named: Any) -> None:
    with writing(engine) as session, pytest.raises(OperatorError) as caught:
        work(session, *args, **named)
    assert caught.value.code == code


def do(engine: sa.Engine, work: Any, *args: Any, **named: Any) -> Any:
    with writing(engine) as session:
        return work(session, *args, **named)


@pytest.mark.parametrize(
    ("status", "heard"),
    [("active", True), ("suspended", False), ("limited", True), ("revoked", False)],
)
def test_only_clients_of_active_and_limited_tenants_are_heard(
    engine: sa.Engine, status: str, heard: bool
) -> None:
    add_client(engine)
    if status == "limited":
        do(engine, limit_tenant, act(), "T-INS", LimitEntry(cut_off_date=CUT_OFF))
    elif status != "active":
        do(engine, set_tenant_status, act(), "T-INS", status)
    assert ("app" in snapshot(engine).live_clients) is heard


def test_the_policy_is_told_how_far_a_limited_tenant_may_ask(engine: sa.Engine) -> None:
    limit = LimitEntry(cut_off_date=CUT_OFF, strategy="latest", termination_date=date(2026, 12, 1))
    do(engine, limit_tenant, act(), "T-INS", limit)
    told: Any = snapshot(engine).policy_data["tenants"]["T-INS"]  # type: ignore[index,call-overload]  # JSON
    assert (told["status"], told["cut_off_date"], told["cut_off_strategy"]) == (
        "limited",
        "2026-03-31",
        "latest",
    )
    assert told["termination_date"] == "2026-12-01"


def test_an_active_tenant_has_no_dates_in_its_document(engine: sa.Engine) -> None:
    told: Any = snapshot(engine).policy_data["tenants"]["T-INS"]  # type: ignore[index,call-overload]  # JSON
    assert not {"cut_off_date", "termination_date"} & set(told)


def test_a_limit_outlives_a_suspension(engine: sa.Engine) -> None:
    do(engine, limit_tenant, act(), "T-INS", LimitEntry(cut_off_date=CUT_OFF))
    do(engine, set_tenant_status, act(), "T-INS", "suspended")
    resumed = do(engine, set_tenant_status, act(), "T-INS", "active")
    assert (resumed.status, resumed.cut_off_date) == ("limited", CUT_OFF)
    restored = do(engine, set_tenant_status, act(), "T-INS", "active")
    assert (restored.status, restored.cut_off_date) == ("active", None)


def test_a_tenant_is_limited_only_with_a_cut_off(engine: sa.Engine) -> None:
    refused("tenant.limit", engine, set_tenant_status, act(), "T-INS", "limited")


def test_a_revoked_tenant_stays_as_it_is(engine: sa.Engine) -> None:
    do(engine, set_tenant_status, act(), "T-INS", "revoked")
    limit, change = LimitEntry(cut_off_date=CUT_OFF), TenantUpdate(name="测试（虚构）")
    refused("state.not_allowed", engine, set_tenant_status, act(), "T-INS", "active")
    refused("tenant.state", engine, limit_tenant, act(), "T-INS", limit)
    refused("tenant.state", engine, set_termination, act(), "T-INS", CUT_OFF)
    refused("tenant.state", engine, update_tenant, act(), "T-INS", change)
    refused("tenant.state", engine, enter_grant, act(), grant_entry(services=["S02"]), BOUNDS)
    refused("tenant.unknown", engine, register_product, act(), product_entry())
    named = {"client_id": "new", "tenant_id": "T-INS", "name": "测试", "jwks": public(new_key())}
    refused("tenant.revoked", engine, register_client, act(), **named)


def test_facts_left_out_of_an_update_stay(engine: sa.Engine) -> None:
    change = TenantUpdate(contact="office@app.example", source_ips=("192.0.2.0/24",))
    after = do(engine, update_tenant, act(), "T-INS", change)
    assert (after.contact, after.source_ips) == ("office@app.example", ("192.0.2.0/24",))
    assert len(after.qualifications) == 4
    cleared = do(engine, update_tenant, act(), "T-INS", TenantUpdate(qualifications=()))
    assert cleared.qualifications == ()
    assert snapshot(engine).tenants["T-INS"] == cleared


def test_a_mistyped_number_is_not_registered() -> None:
    assert tenant_entry(uscc="91990100MA0000001G").uscc == "91990100MA0000001G"
    with pytest.raises(ValueError, match="does not check"):
        tenant_entry(uscc="91990100MA0000001H")


def test_on_its_day_a_tenant_is_revoked_and_a_grant_expires(engine: sa.Engine) -> None:
    add_grant(engine)
    do(engine, set_termination, act(), "T-INS", TODAY + timedelta(days=400))
    eve = NOON + timedelta(days=364)  # the grant's last day
    assert not something_ends(snapshot(engine), eve)
    assert something_ends(snapshot(engine), eve + timedelta(days=1))
    assert do(engine, settle_dates, eve) == ()
    assert do(engine, settle_dates, eve + timedelta(days=1)) == ("G-1",)
    assert do(engine, settle_dates, eve + timedelta(days=40)) == ("T-INS",)
    seen = snapshot(engine)
    assert seen.tenants["T-INS"].status == "revoked"
    assert [grant.status for grant in seen.grants["T-INS"]] == ["expired"]
    assert not something_ends(seen, eve + timedelta(days=40))


def test_the_day_begins_at_the_bureaus_midnight(engine: sa.Engine) -> None:
    do(engine, set_termination, act(), "T-INS", date(2026, 7, 1))
    midnight = NOON.replace(month=6, day=30, hour=16)
    assert not something_ends(snapshot(engine), midnight - timedelta(seconds=1))
    assert something_ends(snapshot(engine), midnight)


def test_clients_of_a_suspended_product_are_not_heard(engine: sa.Engine) -> None:
    add_product(engine)
    add_client(engine, product_id="P-1")
    add_client(engine, "machine")
    do(engine, set_product_status, act(), "P-1", "suspended")
    assert set(snapshot(engine).live_clients) == {"machine"}
    do(engine, set_product_status, act(), "P-1", "active")
    assert set(snapshot(engine).live_clients) == {"app", "machine"}


def test_a_client_can_name_only_an_active_product_of_its_own_tenant(engine: sa.Engine) -> None:
    add_tenant(engine, "T-PHA", kind="pharma")
    add_product(engine)
    add_client(engine, "foreign", "T-PHA")
    terms, key = ClientTerms(product_id="P-1"), public(new_key())
    named = {"client_id": "new", "tenant_id": "T-PHA", "name": "测试", "jwks": key}
    refused("product.unknown", engine, register_client, act(), **named, terms=terms)
    named = {"name": "测试", "jwks": key, "terms": terms}
    refused("product.unknown", engine, update_client, act(), "foreign", **named)


def test_a_product_keeps_its_tenant_and_state_when_it_changes(engine: sa.Engine) -> None:
    add_tenant(engine, "T-PHA", kind="pharma")
    add_product(engine)
    do(engine, set_product_status, act(), "P-1", "suspended")
    changed = do(engine, update_product, act(), product_entry(name_en="Another name"))
    assert (changed.name_en, changed.status) == ("Another name", "suspended")
    refused("product.state", engine, update_product, act(), product_entry(tenant_id="T-PHA"))
    refused("product.exists", engine, register_product, act(), product_entry())


def test_a_client_that_is_changed_keeps_its_registration_token(engine: sa.Engine) -> None:
    add_client(engine, registration_digest="ab" * 32)
    named = {"name": "另一个", "jwks": public(new_key()), "terms": ClientTerms()}
    after = do(engine, update_client, act(), "app", **named)
    assert (after.name, after.registration_digest) == ("另一个", "ab" * 32)
    do(engine, disable_client, act(), "app")
    refused("client.state", engine, update_client, act(), "app", **named)


@pytest.mark.parametrize("name", ["", "x" * 201, "a\x00b", "\u202egnitset"])
def test_a_clients_name_is_one_that_people_can_read(engine: sa.Engine, name: str) -> None:
    key = public(new_key())
    named = {"client_id": "new", "tenant_id": "T-INS", "name": name, "jwks": key}
    refused("client.name", engine, register_client, act(), **named)
    add_client(engine)
    changed = {"name": name, "jwks": key, "terms": ClientTerms()}
    refused("client.name", engine, update_client, act(), "app", **changed)


def test_keys_come_from_one_place(engine: sa.Engine) -> None:
    uri = ClientTerms(jwks_uri="https://app.example/keys")
    named = {"client_id": "new", "tenant_id": "T-INS", "name": "测试"}
    key = public(new_key())
    refused("client.jwks_twice", engine, register_client, act(), **named, jwks=key, terms=uri)
    refused("client.jwks_missing", engine, register_client, act(), **named)


@pytest.mark.parametrize("name", ["测试戊一", " 测试戊一 ", "测试戊一　"])
def test_whoever_entered_a_grant_does_not_approve_it(engine: sa.Engine, name: str) -> None:
    do(engine, enter_grant, act(), grant_entry(services=["S02"]), BOUNDS)
    refused("grant.own_entry", engine, approve_grant, act(name), "G-1", BOUNDS)


def test_one_name_in_two_spellings_is_one_person(engine: sa.Engine) -> None:
    do(engine, enter_grant, act(), grant_entry(services=["S02"]), BOUNDS)
    do(engine, approve_grant, act("Ｏfficer  One"), "G-1", BOUNDS)
    refused("grant.same_approver", engine, approve_grant, act("officer one"), "G-1", BOUNDS)


def test_of_two_approvals_at_once_by_one_person_one_counts(engine: sa.Engine) -> None:
    do(engine, enter_grant, act(), grant_entry(services=["S02"]), BOUNDS)

    def approve(_: int) -> bool:
        try:
            do(engine, approve_grant, act("测试己一"), "G-1", BOUNDS)
        except OperatorError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(approve, range(8))) == 1
    grant = snapshot(engine).grants["T-INS"][0]
    assert (grant.status, grant.approved_by) == ("review", ("测试己一",))


def test_a_grant_sent_back_has_to_be_approved_anew(engine: sa.Engine) -> None:
    do(engine, enter_grant, act(), grant_entry(services=["S02"]), BOUNDS)
    do(engine, approve_grant, act("测试己一"), "G-1", BOUNDS)
    assert do(engine, set_grant_status, act(), "G-1", "draft").approved_by == ()


def test_every_act_says_what_was_before_and_after(engine: sa.Engine) -> None:
    with writing(engine) as session:
        assert not is_recorded(session)
        limit_tenant(
            session, act("测试壬一", reason="left"), "T-INS", LimitEntry(cut_off_date=CUT_OFF)
        )
        assert is_recorded(session)
    with reading(engine) as session:
        first, last = read_entries(session, DIRECTORY, 0, 10)
    assert (last["actor"], last["action"], last["entity_id"]) == ("测试壬一", "limited", "T-INS")
    assert last["before"] == first["after"] != last["after"]
