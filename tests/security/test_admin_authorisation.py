"""Who may do what: each role against each operation, and what a session alone does not allow."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import yaml

from gateway.api.admin import endpoint as admin_endpoint
from gateway.api.admin.endpoint import Ask, Call, Endpoint, serve
from gateway.api.admin.router import ENDPOINTS, admin_router
from gateway.db.engine import reading
from gateway.db.staff_tables import StaffAuditRow
from gateway.db.tables import TenantRow
from gateway.errors import Forbidden, OperatorError, Unauthenticated
from gateway.settings import Settings
from gateway.staff import sessions
from gateway.staff.operations import load_operations
from tests.factories_identity import tenant_entry
from tests.staff_factory import OFFICER_ROLES, Browser, Place, open_place

TABLE = yaml.safe_load((Settings().policies / "staff" / "operations.yaml").read_text())
OPERATIONS = {endpoint.operation: endpoint for endpoint in ENDPOINTS}
ON_THE_MACHINE = {"watermark.rotate"}  # a verb of `sluice`
ABOUT_ONESELF = {"me.sign_out", "me.password"}  # they end the session the matrix is asked with


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("office") / "home") as opened:
        yield opened


@pytest.fixture(scope="module")
def officers(place: Place) -> dict[str, Browser]:
    return {role: place.signed_in(role) for role in OFFICER_ROLES}


def ask(browser: Browser, asked: Endpoint, **changes: Any) -> httpx.Response:
    """The operation on things that do not exist: authorised, it is refused for that reason."""
    path = re.sub(r"{(\w+)}", r"no-such-\1", asked.path)
    body = None if asked.method == "GET" else {"reason": "matrix", "unknown": 1}
    return browser.ask(asked.method, path, body, **changes)


def test_every_endpoint_has_a_row_and_every_row_an_endpoint_or_a_verb() -> None:
    assert {*OPERATIONS, *ON_THE_MACHINE} == set(TABLE["operations"])
    assert not ON_THE_MACHINE & set(OPERATIONS)
    assert len(OPERATIONS) == len(ENDPOINTS)


@pytest.mark.parametrize("role", OFFICER_ROLES)
def test_a_role_may_do_what_the_table_says_and_nothing_else(
    officers: dict[str, Browser], role: str
) -> None:
    browser = officers[role]
    for name, asked in OPERATIONS.items():
        if name in ABOUT_ONESELF:
            continue
        answer = ask(browser, asked)
        allowed = {"any", role} & set(TABLE["operations"][name])
        if allowed:
            # Refused, if at all, for what does not exist: a paper, a line, a journal.
            assert answer.status_code in {200, 400, 404, 422}, (role, name, answer.text)
        else:
            assert answer.status_code == 403, (role, name, answer.text)
            assert answer.json()["code"] == "staff_role"


def test_nobody_may_do_anything_without_a_session(place: Place) -> None:
    stranger = place.browser()
    for asked in ENDPOINTS:
        answer = ask(stranger, asked)
        assert answer.status_code == 401, asked.operation
        assert answer.json()["code"] == "staff_session"


def test_strangers_never_take_the_lock_that_writers_wait_for(place: Place) -> None:
    taken: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "IMMEDIATE" in statement:
            taken.append(statement)

    sa.event.listen(place.office.engine, "before_cursor_execute", hear)
    stranger = place.browser()
    for asked in ENDPOINTS:
        ask(stranger, asked)
    for step in ("accept", "confirm"):
        form = {"invitation": "x" * 43, "password": "a quiet river", "code": "000000"}
        kept = {"accept": ("invitation", "password"), "confirm": ("invitation", "code")}[step]
        body = {name: form[name] for name in kept}
        assert stranger.post(f"/invitations/{step}", **body).status_code == 422
    sa.event.remove(place.office.engine, "before_cursor_execute", hear)
    assert taken == []


@pytest.mark.parametrize("token", ["", "x", "0" * 43, "é", "a" * 5000])
def test_a_made_up_session_is_none(place: Place, token: str) -> None:
    asked = Ask(token=token, csrf="", at={}, query={})
    with pytest.raises(Unauthenticated):
        serve(place.office, OPERATIONS["me.read"], asked)


@pytest.mark.slow  # waits for the lock as long as a server would: ten seconds
def test_a_locked_database_is_said_to_be_away(place: Place, officers: dict[str, Browser]) -> None:
    with sqlite3.connect(str(place.office.engine.url.database), isolation_level=None) as holder:
        holder.execute("BEGIN IMMEDIATE")
        answer = officers["auditor"].get("/tenants")
        holder.execute("ROLLBACK")
    holder.close()
    assert (answer.status_code, answer.json()["code"]) == (503, "identity_unavailable")


def test_an_operation_without_a_row_cannot_be_routed(place: Place) -> None:
    table = {name: to for name, to in place.office.operations.table.items() if name != "key.rotate"}
    office = replace(place.office, operations=replace(place.office.operations, table=table))
    with pytest.raises(OperatorError, match=r"key\.rotate is in no row"):
        admin_router(office)


def test_an_operation_without_a_row_is_nobodys(place: Place, officers: dict[str, Browser]) -> None:
    operations = place.office.operations
    assert not any(operations.allows("tenant.destroy", [role]) for role in OFFICER_ROLES)
    browser = officers["administrator"]
    made = Ask(token=browser.cookies["sluice-staff"], csrf=browser.csrf, at={}, query={}, body={})
    with pytest.raises(Forbidden):
        serve(place.office, Endpoint("tenant.destroy", "POST", "/x", lambda _: None), made)


def test_a_change_nobody_recorded_is_not_committed(
    place: Place, officers: dict[str, Browser]
) -> None:
    def careless(call: Call) -> None:
        row = tenant_entry("T-CARELESS").model_dump()
        values = {name: row[name] for name in ("id", "type", "name", "uscc", "env", "crypto")}
        rest = {"status": "active", "data_security_officer": "", "contact": "", "created_at": now}
        lists = {key: [] for key in ("qualifications", "source_ips", "cert_thumbprints")}
        call.session.add(TenantRow(**values, **rest, **lists, cut_off_strategy="latest"))

    now = place.clock()
    browser = officers["policy_officer"]
    made = Ask(token=browser.cookies["sluice-staff"], csrf=browser.csrf, at={}, query={}, body={})
    with pytest.raises(RuntimeError, match="without a record"):
        serve(place.office, Endpoint("tenant.register", "POST", "/x", careless), made)
    with reading(place.office.engine) as session:
        assert session.get(TenantRow, "T-CARELESS") is None


def test_a_refusal_is_recorded_with_who_and_what(
    place: Place, officers: dict[str, Browser]
) -> None:
    assert ask(officers["auditor"], OPERATIONS["tenant.revoke"]).status_code == 403
    with reading(place.office.engine) as session:
        last = session.scalars(sa.select(StaffAuditRow).order_by(-StaffAuditRow.revision)).first()
        assert last is not None
        assert (last.action, last.entity_id) == ("refused", "tenant.revoke")
        assert last.actor.startswith("person")


CHANGES = [each for each in ENDPOINTS if each.method != "GET"]


def test_without_the_csrf_token_nothing_changes(officers: dict[str, Browser]) -> None:
    browser = officers["administrator"]
    said, browser.csrf = browser.csrf, ""
    for token in ("", "0" * 64, "\u00e9" * 64, officers["auditor"].csrf):
        for asked in CHANGES:
            answer = ask(browser, asked, sluice_csrf=token)
            assert (answer.status_code, answer.json()["code"]) == (403, "csrf"), asked.operation
    browser.csrf = said


@pytest.mark.parametrize(
    "header",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_what_another_site_causes_is_refused_even_with_the_token(
    officers: dict[str, Browser], header: dict[str, str]
) -> None:
    answer = ask(officers["security_officer"], OPERATIONS["key.rotate"], **header)
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")


@pytest.mark.parametrize("path", ["/sign-in", "/invitations/accept", "/invitations/confirm"])
def test_another_site_can_sign_nobody_in(place: Place, path: str) -> None:
    answer = place.browser().ask("POST", path, {}, origin="https://evil.example")
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "", "json"])
def test_a_body_that_a_foreign_form_could_send_is_not_read(
    place: Place, officers: dict[str, Browser], media: str
) -> None:
    browser = officers["policy_officer"]

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(place.app)
        base = place.office.issuer
        async with httpx.AsyncClient(
            transport=transport, base_url=base, cookies=browser.cookies
        ) as client:
            headers = {"content-type": media, "sluice-csrf": browser.csrf}
            return await client.post("/admin/v1/tenants", content=b"{}", headers=headers)

    assert asyncio.run(send()).status_code == 415


def test_what_opens_doors_to_others_needs_a_fresh_session(place: Place) -> None:
    browser = place.signed_in("security_officer")
    place.pass_time(minutes=16)
    answer = browser.post("/keys/rotate")
    assert (answer.status_code, answer.json()["code"]) == (403, "staff_sign_in_again")
    assert browser.get("/keys").status_code == 200


def test_roles_taken_away_are_gone_with_the_next_call(place: Place) -> None:
    boss = place.signed_in("administrator")
    browser = place.signed_in("policy_officer", name="mover")
    boss_answer = boss.put("/staff/mover/roles", roles=["auditor"], reason="moved")
    assert boss_answer.status_code == 200, boss_answer.text
    assert browser.get("/tenants").status_code == 401  # sessions of before are ended


def test_nobody_changes_their_own_account(place: Place) -> None:
    boss = place.signed_in("administrator", name="chief")
    for path in ("disable", "reset"):
        answer = boss.post(f"/staff/chief/{path}", reason="test")
        assert (answer.status_code, answer.json()["code"]) == (409, "staff.oneself")
    answer = boss.put("/staff/chief/roles", roles=["administrator", "auditor"], reason="test")
    assert (answer.status_code, answer.json()["code"]) == (409, "staff.oneself")


def test_one_person_cannot_see_or_end_anothers_session(place: Place) -> None:
    anna, bert = place.signed_in("auditor"), place.signed_in("auditor")
    theirs = bert.get("/me/sessions").json()[0]["id"]
    assert theirs not in {each["id"] for each in anna.get("/me/sessions").json()}
    foreign = anna.post(f"/me/sessions/{theirs}/end")
    unknown = anna.post("/me/sessions/0000000000000000/end")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["detail"] == unknown.json()["detail"]
    assert bert.get("/me").status_code == 200


def test_a_guard_can_end_anybodys_sessions(place: Place) -> None:
    guard, anna = place.signed_in("security_officer"), place.signed_in("auditor", name="absent")
    ended = guard.post("/staff-sessions/end", name="absent", reason="screen left open")
    assert ended.status_code == 200
    assert (anna.get("/me").status_code, guard.get("/me").status_code) == (401, 200)


def test_signing_out_ends_this_session_and_no_other(place: Place) -> None:
    person = place.hire("twice", "auditor")
    here, there = place.browser(), place.browser()
    here.sign_in(person)
    place.pass_time(seconds=60)
    there.sign_in(person)
    assert here.post("/me/sign-out").status_code == 200
    assert (here.get("/me").status_code, there.get("/me").status_code) == (401, 200)


@pytest.mark.parametrize(
    "change",
    [
        {"operations": {"tenant.list": ["emperor"]}},
        {"soon_after_sign_in": ["tenant.destroy"]},
        {"single_sign_on": {"claim": "groups", "roles": {"all": ["emperor"]}}},
        {"operations": {"Tenant.List": ["auditor"]}},
        {"more": 1},
    ],
)
def test_a_table_that_contradicts_itself_stops_the_start(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    (tmp_path / "staff").mkdir()
    (tmp_path / "staff" / "operations.yaml").write_text(yaml.safe_dump({**TABLE, **change}))
    with pytest.raises(OperatorError):
        load_operations(tmp_path)


def test_the_table_gives_single_sign_on_no_role_by_default() -> None:
    operations = load_operations(Settings().policies)
    assert operations.roles_of({"groups": ["administrator", "admins", "*"]}) == ()


def test_the_csrf_token_is_the_sessions_own(place: Place) -> None:
    sealer = place.office.sealer
    assert sessions.csrf_fits("one", sessions.csrf_token("one", sealer), sealer)
    assert not sessions.csrf_fits("two", sessions.csrf_token("one", sealer), sealer)
    assert admin_endpoint.no_visitor().status == 401
