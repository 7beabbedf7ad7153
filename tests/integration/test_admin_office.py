"""A day in the office by JSON: the same acts as the command line's, each with its record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from openapi_spec_validator import validate

from gateway.api.admin.document import admin_openapi_bytes
from gateway.api.admin.router import ENDPOINTS
from gateway.consent.chain import history
from gateway.db.engine import reading
from gateway.identity.record import DIRECTORY, broken_entries, read_entries
from gateway.identity.revocation import revoked_in
from gateway.staff.model import RECORD
from tests.consent_book import given
from tests.directory_factory import product_entry
from tests.factories_identity import grant_entry, new_key, public, tenant_entry
from tests.staff_factory import PASSWORD, Browser, Place, open_place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("office") / "home") as opened:
        yield opened


@pytest.fixture(scope="module")
def officer(place: Place) -> Browser:
    browser = place.signed_in("policy_officer", name="officer")
    tenant = tenant_entry("T-INS").model_dump(mode="json")
    assert browser.post("/tenants", **tenant, reason="new partner").status_code == 201
    return browser


@pytest.fixture(scope="module")
def others(place: Place) -> tuple[Browser, Browser]:
    return place.signed_in("policy_officer"), place.signed_in("policy_officer")


def last_entry(place: Place) -> dict[str, Any]:
    with reading(place.office.engine) as session:
        return read_entries(session, DIRECTORY, 0, 10_000)[-1]


def enter(officer: Browser, grant_id: str, **facts: Any) -> None:
    entry = grant_entry(grant_id).model_dump(mode="json")
    answer = officer.post("/grants", **{**entry, **facts})
    assert answer.status_code == 201, answer.text


def test_a_registered_tenant_is_listed_and_recorded(place: Place, officer: Browser) -> None:
    assert "T-INS" in {each["id"] for each in officer.get("/tenants").json()}
    with reading(place.office.engine) as session:
        entries = read_entries(session, DIRECTORY, 0, 99)
    entry = next(each for each in entries if each["entity"] == "tenant")
    assert (entry["actor"], entry["action"], entry["reason"]) == (
        "officer",
        "register",
        "new partner",
    )


def test_a_grant_goes_from_draft_to_its_end(
    place: Place, officer: Browser, others: tuple[Browser, Browser]
) -> None:
    enter(officer, "G-LIFE", draft=True)
    steps = [
        (officer, "submit", {}, "review"),
        (others[0], "approve", {}, "review"),
        (others[1], "approve", {}, "active"),
        (officer, "suspend", {"reason": "question"}, "suspended"),
        (officer, "resume", {}, "active"),
        (officer, "revoke", {"reason": "over"}, "revoked"),
    ]
    for browser, step, body, status in steps:
        answer = browser.post(f"/grants/G-LIFE/{step}", **body)
        assert (answer.status_code, answer.json().get("status")) == (200, status), answer.text
    assert last_entry(place)["reason"] == "over"
    again = officer.post("/grants/G-LIFE/resume")
    assert (again.status_code, again.json()["code"]) == (409, "state.not_allowed")


def test_the_author_of_a_grant_submits_it_and_does_not_approve_it(
    officer: Browser, others: tuple[Browser, Browser]
) -> None:
    enter(officer, "G-OWN", draft=True)
    taken = others[0].post("/grants/G-OWN/submit")
    assert (taken.status_code, taken.json()["code"]) == (422, "grant.submitter")
    assert officer.post("/grants/G-OWN/submit").status_code == 200
    refused = officer.post("/grants/G-OWN/approve")
    assert (refused.status_code, refused.json()["code"]) == (409, "grant.own_entry")


def test_where_reports_are_wanted_a_grant_is_approved_of_nobody_without_one(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text('{"keys": []}')
    with open_place(tmp_path / "home", conformance_keys=keys) as place:
        browser, other = (place.signed_in("policy_officer") for _ in range(2))
        browser.post("/tenants", **tenant_entry("T-INS").model_dump(mode="json"), reason="new")
        enter(browser, "G-1")
        refused = other.post("/grants/G-1/approve")
        assert (refused.status_code, refused.json()["code"]) == (422, "grant.conformance")


def test_a_widening_grant_is_refused_with_its_reasons(officer: Browser) -> None:
    entry = grant_entry("G-WIDE", services=["S02", "S01"]).model_dump(mode="json")
    answer = officer.post("/grants", **entry)
    assert (answer.status_code, answer.json()["code"]) == (422, "grant.widens")
    assert "S01" in answer.json()["detail"]


def test_a_product_gets_a_statement_that_registers_a_client(officer: Browser) -> None:
    product = product_entry("P-API").model_dump(mode="json")
    assert officer.post("/products", **product).status_code == 201
    issued = officer.post("/products/P-API/statements")
    assert issued.status_code == 201
    assert issued.json()["software_statement"].count(".") == 2
    assert officer.put("/products/P-OTHER", **product).status_code == 422
    changed = officer.put("/products/P-API", **{**product, "name_en": "Renamed"})
    assert changed.json()["name_en"] == "Renamed"
    assert officer.post("/products/P-API/suspend", reason="check").json()["status"] == "suspended"
    assert officer.post("/products/P-API/statements").status_code == 404
    assert officer.post("/products/P-API/resume").json()["status"] == "active"
    assert officer.post("/products/P-API/revoke", reason="over").json()["status"] == "revoked"
    assert {each["id"] for each in officer.get("/products").json()} == {"P-API"}


def test_a_client_is_registered_changed_and_ended(officer: Browser) -> None:
    key = public(new_key())
    made = officer.post("/clients", id="api-app", tenant="T-INS", name="测试", jwks=key)
    assert made.status_code == 201, made.text
    terms = {"redirect_uris": ["https://app.example/cb"], "grant_types": ["authorization_code"]}
    changed = officer.put("/clients/api-app", name="测试二", jwks=key, terms=terms)
    assert changed.json()["redirect_uris"] == ["https://app.example/cb"]
    ended = officer.post("/clients/api-app/disable", reason="lost key")
    assert ended.json()["status"] == "disabled"
    assert "registration_digest" not in officer.get("/clients").text


def test_a_leaving_tenant_is_limited_and_gets_its_last_day(officer: Browser) -> None:
    tenant = tenant_entry("T-LEAVES").model_dump(mode="json")
    officer.post("/tenants", **tenant)
    limit = {"cut_off_date": "2026-03-31", "strategy": "latest", "reason": "contract ends"}
    limited = officer.post("/tenants/T-LEAVES/limit", **limit)
    assert (limited.json()["status"], limited.json()["cut_off_strategy"]) == ("limited", "latest")
    dated = officer.post("/tenants/T-LEAVES/termination", day="2099-12-31", reason="contract ends")
    assert dated.json()["termination_date"] == "2099-12-31"
    undated = officer.post("/tenants/T-LEAVES/termination", day=None, reason="extended")
    assert "termination_date" not in undated.json()
    moved = officer.put("/tenants/T-LEAVES", contact="office@app.example")
    assert moved.json()["contact"] == "office@app.example"
    ended = officer.post("/tenants/T-LEAVES/revoke", reason="over")
    assert ended.json()["status"] == "revoked"


def test_stops_regions_and_keys_have_their_own_officers(place: Place, officer: Browser) -> None:
    guard, owner = place.signed_in("security_officer"), place.signed_in("catalogue_owner")
    raised = guard.post("/stops/raise", kind="region", target="990101", reason="leak suspected")
    assert raised.status_code == 200
    assert officer.get("/stops").json()[0]["reason"] == "leak suspected"
    assert guard.post("/stops/lift", kind="region", target="990101").status_code == 200
    assert officer.get("/stops").json() == []
    closed = owner.put("/regions/990101", data_open=False, reason="closed")
    assert closed.json()["data_open"] is False
    assert {"990101"} <= {each["admdvs"] for each in officer.get("/regions").json()}
    before = {key["kid"] for key in guard.get("/keys").json() if key["status"] == "current"}
    rotated = guard.post("/keys/rotate", reason="due").json()["kid"]
    assert {rotated} != before
    assert {key["kid"]: key["status"] for key in guard.get("/keys").json()}[rotated] == "current"


def test_a_suspended_tenants_clients_are_refused_by_the_running_directory(
    place: Place, officer: Browser
) -> None:
    officer.post("/tenants", **tenant_entry("T-STOP").model_dump(mode="json"))
    key = public(new_key())
    officer.post("/clients", id="stop-app", tenant="T-STOP", name="测试", jwks=key)
    directory = place.identity.directory
    directory.refresh()
    assert "stop-app" in directory.snapshot.live_clients
    officer.post("/tenants/T-STOP/suspend", reason="audit")
    directory.refresh()
    assert "stop-app" not in directory.snapshot.live_clients


def test_an_officer_halts_resumes_and_ends_a_consent(place: Place, officer: Browser) -> None:
    consent = given(place.office.engine, place.clock())
    for act, state in (("suspend", "SUSPENDED"), ("resume", "AUTHORISED"), ("revoke", "REVOKED")):
        answer = officer.post(f"/consents/{consent.id}/{act}", reason="测试")
        assert answer.json() == {"id": consent.id, "state": state}, answer.text
    with reading(place.office.engine) as session:
        assert revoked_in(session, token_id="t", client_id="c", consent_id=consent.id)
        entry = read_entries(session, RECORD, 0, 10_000)[-1]
        told = history(session, consent.id)[-1]
    assert (entry["actor"], entry["action"], entry["reason"]) == ("officer", "revoke", "测试")
    assert (told.actor_kind, told.act) == ("bureau", "revoke")
    again = officer.post(f"/consents/{consent.id}/suspend", reason="测试")
    assert again.status_code == 409
    assert officer.post("/consents/no-such/suspend", reason="测试").status_code == 404


def test_an_invited_person_chooses_password_and_factor_and_signs_in(place: Place) -> None:
    boss = place.signed_in("administrator", name="boss")
    entry = {"name": "newcomer", "display_name": "测试辛一（虚构）", "roles": ["auditor"]}
    made = boss.post("/staff", **entry)
    assert made.status_code == 201, made.text
    door, invitation = place.browser(), made.json()["invitation"]
    weak = door.post("/invitations/accept", invitation=invitation, password="short")
    assert (weak.status_code, weak.json()["code"]) == (422, "staff.password")
    given = door.post("/invitations/accept", invitation=invitation, password=PASSWORD).json()
    secret = given["totp"].partition("secret=")[2].partition("&")[0]
    assert len(given["recovery_codes"]) == 10
    early = door.post("/sign-in", name="newcomer", password=PASSWORD, code=place.code(secret))
    assert early.status_code == 401
    wrong = door.post("/invitations/confirm", invitation=invitation, code="000000")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "staff.code")
    code = place.code(secret)
    assert door.post("/invitations/confirm", invitation=invitation, code=code).status_code == 200
    assert door.post("/invitations/confirm", invitation=invitation, code=code).status_code == 422
    place.pass_time(seconds=60)
    form = {"name": "newcomer", "password": PASSWORD, "code": place.code(secret)}
    assert door.post("/sign-in", **form).status_code == 200
    assert door.get("/me").json()["roles"] == ["auditor"]
    taken = boss.post("/staff", **entry)
    assert (taken.status_code, taken.json()["code"]) == (409, "staff.exists")


def test_an_invitation_is_good_for_a_day(tmp_path: Path) -> None:
    with open_place(tmp_path / "home") as place:
        boss = place.signed_in("administrator")
        late = boss.post("/staff", name="late", display_name="测试", roles=["auditor"]).json()
        place.pass_time(hours=25)
        answer = place.browser().post(
            "/invitations/accept", invitation=late["invitation"], password=PASSWORD
        )
    assert (answer.status_code, answer.json()["code"]) == (422, "staff.invitation")


def test_a_person_invited_again_starts_anew(place: Place) -> None:
    boss = place.signed_in("administrator")
    anna = place.hire("anna", "auditor")
    browser = place.browser()
    browser.sign_in(anna)
    again = boss.post("/staff/anna/reset", reason="lost telephone")
    assert again.json()["state"] == "invited"
    assert browser.get("/me").status_code == 401
    place.pass_time(seconds=60)
    assert place.browser().sign_in(anna).status_code == 401
    assert place.browser().sign_in(anna, code=anna.recovery_codes[0]).status_code == 401


def test_the_last_who_can_invite_others_cannot_be_taken_away(tmp_path: Path) -> None:
    with open_place(tmp_path / "home") as small:
        boss = small.signed_in("administrator", name="boss")
        guard = small.signed_in("security_officer")
        answer = guard.post("/staff/boss/disable", reason="gone")
        assert (answer.status_code, answer.json()["code"]) == (409, "staff.last")
        assert boss.get("/me").status_code == 200


def test_the_records_can_be_read_in_parts_and_are_whole(place: Place) -> None:
    auditor = place.signed_in("auditor")
    first = auditor.get("/audit/directory?limit=2").json()["entries"]
    assert [entry["revision"] for entry in first] == [1, 2]
    then = auditor.get("/audit/directory?after=2&limit=1").json()["entries"]
    assert then[0]["prev"] == first[-1]["hash"]
    assert auditor.get("/audit/staff?limit=x").status_code == 400
    assert auditor.get("/audit/staff").json()["entries"]
    with reading(place.office.engine) as session:
        assert broken_entries(session) == broken_entries(session, RECORD) == ()
        read = read_entries(session, RECORD, 0, 10_000)[-1]
    assert (read["action"], read["entity_id"]) == ("read", "audit.staff")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (["a"], "malformed_json"),
        ({"reason": 1}, "entry.invalid"),
        ({"reason": "x" * 501}, "entry.invalid"),
        ({"reason": "  "}, "entry.invalid"),
        ({"reason": "a\x00b"}, "entry.invalid"),
        ({"reason": "ok", "more": 1}, "entry.invalid"),
        ({}, "entry.invalid"),
    ],
)
def test_a_body_of_another_form_is_refused(officer: Browser, body: object, says: str) -> None:
    answer = officer.ask("POST", "/tenants/T-INS/suspend", body)
    assert (answer.status_code, answer.json()["code"]) == (400, says)


def test_the_document_is_valid_and_names_every_operation_and_no_other() -> None:
    document = orjson.loads(admin_openapi_bytes(ENDPOINTS))
    validate(document)
    named = {
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    doors = {"signIn", "acceptInvitation", "confirmInvitation"}
    assert named == {endpoint.operation for endpoint in ENDPOINTS} | doors


def test_the_document_is_served(place: Place) -> None:
    answer = place.browser().get("/openapi.json")
    assert answer.content == admin_openapi_bytes(ENDPOINTS)
