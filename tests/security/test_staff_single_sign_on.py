"""Single sign-on of staff against a provider that really answers, honestly and otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import yaml
from joserfc.jwk import RSAKey

from gateway.api.admin.upstream import CALLBACK, open_upstream
from gateway.db.engine import reading
from gateway.db.metadata import all_tables
from gateway.errors import OperatorError
from gateway.identity.record import read_entries
from gateway.settings import Settings
from gateway.staff.model import RECORD
from tests.sso_provider import (
    CLIENT,
    KEY,
    SECRET,
    Provider,
    come_back,
    depart,
    open_sso_place,
    running_provider,
)
from tests.staff_factory import Browser, Place


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with running_provider() as made:
        yield made


@pytest.fixture
def provider(running: Provider) -> Provider:
    """The provider, honest again."""
    running.be_honest()
    return running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, running: Provider) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("office")
    with open_sso_place(folder, running, {"auditors": ("auditor",)}) as opened:
        yield opened


def test_somebody_the_table_knows_is_signed_in_with_its_roles(
    place: Place, provider: Provider
) -> None:
    browser = depart(place, provider)
    answer = come_back(browser, provider)
    assert answer.status_code == 200, answer.text
    me = browser.get("/me").json()
    assert (me["name"], me["roles"], me["via"]) == (
        "sso:upstream-7",
        ["auditor"],
        "single_sign_on",
    )
    assert browser.get("/audit/staff").status_code == 200
    assert browser.get("/keys").status_code == 200
    browser.csrf = answer.json()["csrf"]
    assert browser.post("/keys/rotate").status_code == 403


def test_a_browser_goes_on_to_the_console_with_its_session(
    place: Place, provider: Provider
) -> None:
    browser = depart(place, provider)
    answer = come_back(browser, provider, accept="text/html,application/xhtml+xml")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/entered")
    assert "csrf" not in answer.text
    assert browser.get("/me").json()["via"] == "single_sign_on"


def test_the_provider_is_asked_for_a_code_with_pkce_state_and_nonce(
    place: Place, provider: Provider
) -> None:
    browser = depart(place, provider)
    asked = provider.asked
    assert (asked["response_type"], asked["scope"], asked["client_id"]) == (
        "code",
        "openid",
        CLIENT,
    )
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{place.office.issuer}{CALLBACK}"
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43
    come_back(browser, provider)
    assert provider.exchanged[0]["redirect_uri"] == asked["redirect_uri"]
    assert provider.authorization.startswith("Basic ")
    assert SECRET not in json.dumps(provider.exchanged)


@pytest.mark.parametrize("groups", [[], ["others"], None, "auditor", {"auditors": 1}])
def test_somebody_the_table_does_not_know_gets_no_role(
    place: Place, provider: Provider, groups: object
) -> None:
    provider.claims = {"groups": groups}
    browser = depart(place, provider)
    answer = come_back(browser, provider)
    assert (answer.status_code, answer.json()["code"]) == (403, "staff_sso_role")
    assert browser.get("/me").status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "another-client"},
        {"aud": ["another-client", CLIENT]},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\nb"},
        {"exp": 1},
        {"exp": None},
        {"iat": 1},
        {"iat": None},
        {"amr": ["pwd"]},
        {"amr": None},
        {"amr": "mfa"},
    ],
)
def test_an_identity_token_that_says_anything_else_is_refused(
    place: Place, provider: Provider, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    browser = depart(place, provider)
    answer = come_back(browser, provider)
    assert (answer.status_code, answer.json()["code"]) == (401, "staff_sso"), answer.text
    assert browser.get("/me").status_code == 401


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ({"alg": "HS256"}, KEY.as_pem(private=False)),
        ({"alg": "none"}, b""),
        ({}, RSAKey.generate_key(2048)),
        ({"kid": "unknown"}, KEY),
    ],
)
def test_an_identity_token_signed_otherwise_is_refused(
    place: Place, provider: Provider, header: dict[str, Any], key: Any
) -> None:
    provider.header, provider.key = header, key
    answer = come_back(depart(place, provider), provider)
    assert (answer.status_code, answer.json()["code"]) == (401, "staff_sso")


def test_an_answer_that_proves_nobody_is_on_the_record(place: Place, provider: Provider) -> None:
    provider.claims = {"nonce": "another"}
    come_back(depart(place, provider), provider)
    with reading(place.office.engine) as session:
        last = read_entries(session, RECORD, 0, 10_000)[-1]
    assert (last["actor"], last["action"], last["entity_id"]) == (
        "nobody",
        "sign_in_refused",
        "unknown",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "another"},
        {"state": None},
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"code": None, "error": "access_denied"},
        {"code": "another-code"},
    ],
)
def test_an_answer_that_does_not_fit_the_question_is_refused(
    place: Place, provider: Provider, changes: dict[str, str | None]
) -> None:
    answer = come_back(depart(place, provider), provider, **changes)
    assert (answer.status_code, answer.json()["code"]) == (401, "staff_sso")


def test_a_sign_on_belongs_to_the_browser_that_began_it(place: Place, provider: Provider) -> None:
    began = depart(place, provider)
    assert come_back(place.browser(), provider).status_code == 401
    assert come_back(began, provider).status_code == 200


def test_a_sign_on_is_used_once_and_not_for_long(place: Place, provider: Provider) -> None:
    browser = depart(place, provider)
    arrival = browser.cookies["sluice-arrival"]
    assert come_back(browser, provider).status_code == 200
    browser.cookies.set("sluice-arrival", arrival)
    assert come_back(browser, provider).status_code == 401
    late = depart(place, provider)
    place.pass_time(minutes=11)
    assert come_back(late, provider).status_code == 401


def rows(place: Place) -> int:
    """Rows of the whole database."""
    with reading(place.office.engine) as session:
        counts = (
            session.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in all_tables().sorted_tables
        )
        return sum(counts)


def test_a_stranger_who_begins_and_never_finishes_leaves_nothing_behind(
    place: Place, provider: Provider
) -> None:
    depart(place, provider)
    before, read = rows(place), provider.reads
    flood = Browser(place, "203.0.113.77")
    assert {flood.get("/single-sign-on").status_code for _ in range(80)} == {303}
    assert rows(place) == before
    assert provider.reads == read


def test_a_network_that_keeps_bringing_bad_answers_has_to_wait(
    place: Place, provider: Provider
) -> None:
    statuses = []
    for _ in range(62):
        browser = depart(place, provider)
        browser.ip = "203.0.113.78"
        statuses.append(come_back(browser, provider, code="another-code").status_code)
    assert (statuses.count(401), statuses[-1]) == (60, 429)
    assert come_back(depart(place, provider), provider).status_code == 200


@pytest.mark.parametrize("cookie", ["", "x", "AAAA", "A" * 60, "A" * 3000])
def test_a_made_up_cookie_is_no_begun_sign_on(
    place: Place, provider: Provider, cookie: str
) -> None:
    browser = depart(place, provider)
    browser.cookies = httpx.Cookies({"sluice-arrival": cookie})
    assert come_back(browser, provider).status_code == 401


def test_keys_the_provider_has_changed_are_read_again(place: Place, provider: Provider) -> None:
    assert come_back(depart(place, provider), provider).status_code == 200
    newer = RSAKey.generate_key(2048, {"kid": "newer", "alg": "RS256", "use": "sig"})
    provider.key, provider.publishes, provider.header = newer, [newer], {"kid": "newer"}
    place.pass_time(minutes=1)
    assert come_back(depart(place, provider), provider).status_code == 200
    place.pass_time(minutes=11)


def test_a_provider_that_falls_silent_is_used_as_last_read_for_an_hour(
    place: Place, provider: Provider
) -> None:
    depart(place, provider)
    provider.describes = {"issuer": "https://elsewhere.example"}
    place.pass_time(minutes=30)
    read = provider.reads
    assert come_back(depart(place, provider), provider).status_code == 200
    assert provider.reads == read + 1  # and the failure is remembered
    place.pass_time(minutes=31)
    assert place.browser().get("/single-sign-on").status_code == 503
    place.pass_time(seconds=6)


@pytest.mark.parametrize(
    "describes",
    [{"issuer": "https://elsewhere.example"}, {"token_endpoint": "http://192.0.2.1/token"}],
)
def test_a_provider_that_describes_itself_wrongly_is_not_used(
    place: Place, provider: Provider, describes: dict[str, Any]
) -> None:
    provider.describes = describes
    place.pass_time(minutes=61)  # what was read before is not used any more
    answer = place.browser().get("/single-sign-on")
    assert (answer.status_code, answer.json()["code"]) == (503, "staff_sso_unavailable")
    place.pass_time(seconds=6)  # and the failure is forgotten


def test_people_of_single_sign_on_have_no_password_here(place: Place, provider: Provider) -> None:
    browser = depart(place, provider)
    browser.csrf = come_back(browser, provider).json()["csrf"]
    form = {"password": "x", "code": "000000", "new_password": "a new river ok"}
    assert browser.post("/me/password", **form).status_code == 409


def test_half_a_configuration_stops_the_start(place: Place, tmp_path: Path) -> None:
    for given in (
        {"staff_sso_issuer": "https://idp.example"},
        {"staff_sso_client_id": "x"},
        {
            "staff_sso_issuer": "http://idp.example",
            "staff_sso_client_id": "x",
            "staff_sso_secret_file": tmp_path / "secret",
        },
    ):
        with pytest.raises(OperatorError, match="Single sign-on needs"):
            open_upstream(Settings(home=tmp_path, **given), place.office)  # type: ignore[arg-type]  # mixed
    assert open_upstream(Settings(home=tmp_path), place.office) is None


def test_the_shipped_table_maps_nobody() -> None:
    shipped = yaml.safe_load((Settings().policies / "staff" / "operations.yaml").read_text())
    assert shipped["single_sign_on"]["roles"] == {}
