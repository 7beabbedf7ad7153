"""Signing in: one refusal for everything wrong, codes used once, waits, sessions that end."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from gateway.db.engine import reading
from gateway.db.staff_tables import StaffAuditRow, StaffRow, StaffSessionRow
from gateway.errors import SluiceError
from gateway.identity.record import broken_entries
from gateway.staff import signing_in
from gateway.staff.model import RECORD
from gateway.staff.secrets import Passwords
from gateway.staff.signing_in import Attempt
from tests.staff_factory import PASSWORD, Place, open_place

WRONG = "not the password, invented"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with open_place(tmp_path / "home") as opened:
        yield opened


def entries(place: Place) -> list[tuple[str, str, str]]:
    with reading(place.office.engine) as session:
        rows = session.scalars(sa.select(StaffAuditRow).order_by(StaffAuditRow.revision))
        return [(row.actor, row.action, row.entity_id) for row in rows]


def test_whatever_is_wrong_the_refusal_is_the_same(place: Place) -> None:
    anna = place.hire("anna", "auditor")
    gone = place.hire("gone", "auditor")
    boss = place.signed_in("administrator", name="boss")
    assert boss.post("/staff/gone/disable", reason="left").status_code == 200
    answers = [
        place.browser().sign_in(anna, password=WRONG),
        place.browser().sign_in(anna, code="000000"),
        place.browser().sign_in(anna, code=gone.recovery_codes[0]),
        place.browser().sign_in(anna, name="nobody"),
        place.browser().sign_in(gone),
    ]
    assert {answer.status_code for answer in answers} == {401}
    bodies = [answer.json() for answer in answers]
    for body in bodies:
        del body["request_id"]
    assert all(body == bodies[0] for body in bodies)
    assert all("set-cookie" not in answer.headers for answer in answers)


class Counting(PasswordHasher):
    """Counts how often it was made to work."""

    checks = 0

    def verify(self, *args: Any, **named: Any) -> Any:
        type(self).checks += 1
        return super().verify(*args, **named)


def test_an_unknown_name_costs_as_much_work_as_a_known_one(place: Place) -> None:
    place.hire("anna", "auditor")
    passwords = Passwords(Counting(time_cost=1, memory_cost=8, parallelism=1))
    door = replace(place.office.door, passwords=passwords)
    work = []
    for name in ("anna", "nobody"):
        before = Counting.checks
        with pytest.raises(SluiceError):
            door.sign_in(Attempt(name, WRONG, "000000", ip="192.0.2.1"))
        work.append(Counting.checks - before)
    assert work == [1, 1]


def test_a_code_is_accepted_once(place: Place) -> None:
    anna = place.hire("anna", "auditor")
    code = place.code(anna.secret)
    assert place.browser().sign_in(anna, code=code).status_code == 200
    assert place.browser().sign_in(anna, code=code).status_code == 401


def test_of_many_at_once_with_one_code_one_gets_in(place: Place) -> None:
    anna = place.hire("anna", "auditor")
    code = place.code(anna.secret)

    def attempt(number: int) -> bool:
        try:
            place.office.door.sign_in(Attempt("anna", PASSWORD, code, ip=f"192.0.2.{number}"))
        except SluiceError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(20))) == 1


def test_a_wrong_password_does_not_use_up_the_right_code(place: Place) -> None:
    anna = place.hire("anna", "auditor")
    code = place.code(anna.secret)
    assert place.browser().sign_in(anna, code=code, password=WRONG).status_code == 401
    assert place.browser().sign_in(anna, code=code).status_code == 200


def test_a_recovery_code_works_once_and_only_for_its_person(place: Place) -> None:
    anna, bert = place.hire("anna", "auditor"), place.hire("bert", "auditor")
    code = anna.recovery_codes[3].lower().replace("-", " ")
    assert place.browser().sign_in(bert, code=code).status_code == 401
    assert place.browser().sign_in(anna, code=code).status_code == 200
    assert place.browser().sign_in(anna, code=code).status_code == 401


def test_five_failures_make_a_stranger_wait_and_the_right_code_does_not_help(place: Place) -> None:
    anna = place.hire("anna", "auditor")
    thief = place.browser("203.0.113.5")
    for _ in range(5):
        assert thief.sign_in(anna, password=WRONG).status_code == 401
    waiting = thief.sign_in(anna)
    assert waiting.status_code == 429
    assert 1 <= int(waiting.headers["retry-after"]) <= 16
    place.pass_time(seconds=16)
    assert thief.sign_in(anna).status_code == 200


def test_many_guesses_at_once_get_no_more_tries_than_one_after_another(place: Place) -> None:
    place.hire("anna", "auditor")

    def guess(number: int) -> int:
        try:
            place.office.door.sign_in(Attempt("anna", WRONG, f"{number:06}", ip="203.0.113.5"))
        except SluiceError as error:
            return error.status
        return 200

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(guess, range(40)))
    assert results.count(401) == 5
    assert results.count(429) == 35


def test_trying_during_a_wait_does_not_prolong_it(place: Place) -> None:
    anna = place.hire("anna", "auditor")
    thief = place.browser("203.0.113.5")
    for _ in range(5):
        thief.sign_in(anna, password=WRONG)
    for _ in range(20):
        assert thief.sign_in(anna, password=WRONG).status_code == 429
    place.pass_time(seconds=16)
    assert thief.sign_in(anna, password=WRONG).status_code == 401


def test_who_holds_a_whole_site_of_networks_is_one_stranger(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_in, "_FREE_ALL", 5)
    place.hire("anna", "auditor")
    statuses = []
    for number in range(22):  # names and networks that are new each time
        browser, guess = place.browser(f"2001:db8:7:{number:x}::1"), {"name": f"name{number}"}
        statuses.append(browser.sign_in(place.people["anna"], **guess).status_code)
    assert statuses == [401] * 20 + [429] * 2
    assert place.browser("2001:db8:8::1").sign_in(place.people["anna"]).status_code == 200


def test_strangers_cannot_keep_a_known_browser_out(place: Place) -> None:
    anna = place.hire("anna", "auditor")
    own = place.browser()
    assert own.sign_in(anna).status_code == 200
    place.pass_time(seconds=60)
    for number in range(60):  # from ever new networks, more than an account forgives
        place.browser(f"203.0.113.{number}").sign_in(anna, password=WRONG)
    assert place.browser("198.51.100.9").sign_in(anna).status_code == 429
    assert own.sign_in(anna).status_code == 200


def test_a_recovery_code_gets_the_right_person_past_a_flood_of_strangers(place: Place) -> None:
    anna = place.hire("anna", "auditor")
    for number in range(60):
        place.browser(f"203.0.113.{number}").sign_in(anna, password=WRONG)
    elsewhere = place.browser("198.51.100.9")
    assert elsewhere.sign_in(anna).status_code == 429
    assert elsewhere.sign_in(anna, code=anna.recovery_codes[0]).status_code == 200


def test_a_known_browser_of_one_person_is_a_stranger_to_another(place: Place) -> None:
    anna, bert = place.hire("anna", "auditor"), place.hire("bert", "auditor")
    shared = place.browser("203.0.113.5")
    shared.sign_in(bert)
    for _ in range(5):
        shared.sign_in(anna, password=WRONG)
    assert shared.sign_in(anna).status_code == 429


def test_the_session_of_before_is_never_taken_over(place: Place) -> None:
    anna = place.hire("anna", "auditor")
    browser = place.browser()
    browser.cookies.set("sluice-staff", "chosen-by-an-attacker", domain="127.0.0.1")
    browser.sign_in(anna)
    first = browser.cookies["sluice-staff"]
    place.pass_time(seconds=60)
    old = place.browser()
    old.cookies.set("sluice-staff", first)
    assert old.get("/me").status_code == 200
    browser.sign_in(anna)
    assert browser.cookies["sluice-staff"] not in ("chosen-by-an-attacker", first)
    assert old.get("/me").status_code == 401


def test_cookies_are_out_of_reach_of_scripts_and_of_other_sites(place: Place) -> None:
    answer = place.browser().sign_in(place.hire("anna", "auditor"))
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie


def test_with_tls_cookies_insist_on_it(tmp_path: Path) -> None:
    with open_place(tmp_path / "tls", issuer="https://office.example") as secured:
        answer = secured.browser().sign_in(secured.hire("anna", "auditor"))
        for cookie in answer.headers.get_list("set-cookie"):
            assert cookie.startswith("__Host-sluice-")
            assert "Secure" in cookie


@pytest.mark.parametrize(("idle", "status"), [(29, 200), (31, 401)])
def test_a_session_nobody_uses_ends_after_half_an_hour(
    place: Place, idle: int, status: int
) -> None:
    browser = place.signed_in("auditor")
    place.pass_time(minutes=idle)
    assert browser.get("/me").status_code == status


def test_a_session_in_constant_use_ends_after_twelve_hours(place: Place) -> None:
    browser = place.signed_in("auditor")
    for _ in range(36):
        assert browser.get("/me").status_code == 200
        place.pass_time(minutes=20)
    assert browser.get("/me").status_code == 401


def test_a_new_password_ends_every_session_and_the_old_password(place: Place) -> None:
    anna = place.hire("anna", "auditor")
    here, there = place.browser(), place.browser()
    here.sign_in(anna)
    place.pass_time(seconds=60)
    there.sign_in(anna)
    place.pass_time(seconds=60)
    code, new = place.code(anna.secret), "another river, invented"
    changed = here.post("/me/password", password=PASSWORD, code=code, new_password=new)
    assert changed.status_code == 200, changed.text
    assert here.get("/me").status_code == there.get("/me").status_code == 401
    place.pass_time(seconds=60)
    assert place.browser().sign_in(anna).status_code == 401
    place.pass_time(seconds=60)
    assert place.browser().sign_in(anna, password=new).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"password": WRONG}, 401),
        ({"code": "000000"}, 401),
        ({"new_password": "short"}, 422),
    ],
)
def test_a_password_is_changed_only_by_who_proves_to_be_its_person(
    place: Place, changes: dict[str, str], status: int
) -> None:
    anna = place.hire("anna", "auditor")
    browser = place.browser()
    browser.sign_in(anna)
    place.pass_time(seconds=60)
    form = {"password": PASSWORD, "code": place.code(anna.secret), "new_password": "a new river ok"}
    assert browser.post("/me/password", **{**form, **changes}).status_code == status
    assert browser.get("/me").status_code == 200


def test_guessing_the_password_of_an_open_session_is_slowed_down(place: Place) -> None:
    browser = place.signed_in("auditor")
    form = {"password": WRONG, "code": "000000", "new_password": "a new river ok"}
    statuses = [browser.post("/me/password", **form).status_code for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2


def test_an_account_that_is_ended_is_ended_at_once(place: Place) -> None:
    boss, anna = place.signed_in("administrator"), place.hire("anna", "auditor")
    browser = place.browser()
    browser.sign_in(anna)
    assert boss.post("/staff/anna/disable", reason="left").status_code == 200
    assert browser.get("/me").status_code == 401


def test_signing_in_and_being_refused_are_recorded_without_what_was_typed(place: Place) -> None:
    anna = place.hire("anna", "auditor")
    place.browser().sign_in(anna, password=WRONG)
    place.browser().sign_in(anna, name="mistyped-password")
    place.browser().sign_in(anna)
    assert entries(place)[-3:] == [
        ("nobody", "sign_in_refused", "anna"),
        ("nobody", "sign_in_refused", "unknown"),
        ("anna", "sign_in", "anna"),
    ]
    with reading(place.office.engine) as session:
        assert broken_entries(session, RECORD) == ()


def test_nothing_that_proves_somebody_lies_in_the_database_in_clear(place: Place) -> None:
    anna = place.hire("anna", "auditor")
    browser = place.browser()
    browser.sign_in(anna)
    with reading(place.office.engine) as session:
        row = session.get_one(StaffRow, "anna")
        kept = [row.password_hash, row.totp_sealed]
        kept += session.scalars(sa.select(StaffSessionRow.digest)).all()
    home = Path(str(place.office.engine.url.database)).parent
    octets = b"".join(path.read_bytes() for path in home.glob("sluice.db*"))
    secrets = [anna.password, anna.secret, *anna.recovery_codes, browser.cookies["sluice-staff"]]
    assert kept
    for secret in secrets:
        assert secret.encode() not in octets
