"""Attacks on the person pages: each must fail, and a refusal says no more than it may."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from gateway.api.person.login import open_login
from gateway.consent.subjects import Subjects
from gateway.errors import OperatorError
from gateway.settings import Settings
from tests.consent_factory import consenting
from tests.consent_walk import at_consent, at_home, given, later

MINUTE = timedelta(minutes=1)
INPUT = re.compile(r"<input[^>]*>")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with consenting(tmp_path_factory.mktemp("pages") / "home") as running:
        yield running


@pytest.mark.parametrize("act", ["sign-in", "consent", "sensitive", "leave", "whose", "guardian"])
def test_a_form_without_our_token_changes_nothing(server, act):
    browser, _, consent = at_consent(server)
    path = browser.page.url.path
    for forged in ({}, {"form": "0" * 64}, {"form": ["a", "b"]}):
        reply = browser.http.post(
            f"{path}/{act}", data={**forged, "decision": "approve", "person": "adult"}
        )
        assert reply.status_code == 403
        assert "<form" not in reply.text
    assert server.state(consent) == "AWAITING_PERSON"


def test_a_token_of_another_visit_or_another_browser_does_not_fit(server):
    browser, _, consent = at_consent(server)
    other, _, _ = at_consent(server)
    foreign = re.search(r'name="form" value="(\w+)"', other.page.text)[1]
    reply = browser.http.post(
        f"{browser.page.url.path}/consent", data={"form": foreign, "decision": "approve"}
    )
    assert reply.status_code == 403
    assert server.state(consent) == "AWAITING_PERSON"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_form_sent_from_another_site_is_refused_even_with_the_token(server, site):
    browser, _, consent = at_consent(server)
    token = re.search(r'name="form" value="(\w+)"', browser.page.text)[1]
    reply = browser.http.post(
        f"{browser.page.url.path}/consent",
        data={"form": token, "decision": "approve"},
        headers={"Sec-Fetch-Site": site},
    )
    assert reply.status_code == 403
    assert server.state(consent) == "AWAITING_PERSON"


def test_no_page_may_be_framed_scripted_remembered_or_referred_from(server):
    browser, _, _ = at_consent(server)
    pages = [browser.page, browser.open("/person/sign-in")]
    pages += [at_home(server).open(path) for path in ("/person/consents", "/person/accesses")]
    pages.append(browser.open("/person/interactions/none"))
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script|\sstyle=|\son\w+=|javascript:", page.text)


def test_a_form_may_only_lead_to_ourselves_and_to_the_clients_registered_address(server):
    browser, _, _ = at_consent(server)
    target = urlsplit(server.redirect_uri)
    action = re.search(r"form-action ([^;]*)", browser.page.headers["content-security-policy"])[1]
    assert action == f"'self' {target.scheme}://{target.netloc}"


def test_the_session_secret_is_new_after_sign_in(server):
    browser = server.browser()
    browser.http.cookies.set("sluice-me", "planted", domain="127.0.0.1", path="/")
    browser.open("/person/sign-in")
    browser.sign_in("adult")
    assert browser.page.url.path == "/person/consents"
    values = [c.value for c in browser.http.cookies.jar if c.name == "sluice-me"]
    assert "planted" not in values[-1:]
    stranger = server.browser()
    stranger.http.cookies.set("sluice-me", "planted", domain="127.0.0.1", path="/")
    assert stranger.open("/person/consents").url.path == "/person/sign-in"


def test_a_visit_opened_in_one_browser_is_not_there_in_another(server):
    browser, _, consent = at_consent(server)
    path, victim = browser.page.url.path, server.browser()
    assert victim.open(path).status_code == 404
    token = re.search(r'name="form" value="(\w+)"', browser.page.text)[1]
    reply = victim.http.post(f"{path}/consent", data={"form": token, "decision": "approve"})
    assert reply.status_code == 404
    assert server.state(consent) == "AWAITING_PERSON"


def test_a_session_of_one_visit_does_not_open_another_nor_the_persons_own_pages(server):
    browser, _, _ = at_consent(server)
    assert browser.open("/person/consents").url.path == "/person/sign-in"
    assert browser.http.get("/me/consents").status_code == 401
    browser.open(server.push(server.asked()).address)
    assert "请先登录" in browser.page.text


def test_a_session_ends_after_a_quarter_of_an_hour(server):
    browser = at_home(server)
    later(server, 16 * MINUTE)
    assert browser.open("/person/consents").url.path == "/person/sign-in"


def test_signing_out_ends_the_session_everywhere(server):
    browser = at_home(server)
    secret = browser.http.cookies["sluice-me"]
    browser.send("/person/sign-out")
    browser.http.cookies.set("sluice-me", secret, domain="127.0.0.1", path="/")
    assert browser.open("/person/consents").url.path == "/person/sign-in"


def test_another_persons_consent_is_answered_like_none(server):
    _, _, consent = given(server, "elder")
    thief = at_home(server, "adult")
    token = thief.http.get("/me/consents").json()["csrf_token"]
    for wanted in (consent["consent_id"], "c-none"):
        assert thief.open(f"/person/consents/{wanted}").status_code == 404
        assert thief.open(f"/person/consents/{wanted}/end").status_code == 404
        reply = thief.http.post(f"/me/consents/{wanted}/revoke", headers={"X-CSRF-Token": token})
        assert reply.status_code == 404
        assert (
            thief.http.post(f"/person/consents/{wanted}/end", data={"form": token}).status_code
            == 404
        )
    assert server.state(consent) == "AUTHORISED"


def test_revoking_needs_the_token_of_this_browser(server):
    _, _, consent = given(server)
    browser = at_home(server)
    path = f"/me/consents/{consent['consent_id']}/revoke"
    for headers in ({}, {"X-CSRF-Token": "0" * 64}):
        assert browser.http.post(path, headers=headers).status_code == 403
    assert server.state(consent) == "AUTHORISED"
    token = browser.http.get("/me/consents").json()["csrf_token"]
    assert browser.http.post(path, headers={"X-CSRF-Token": token}).json()["state"] == "REVOKED"


@pytest.mark.parametrize(
    "path",
    [
        "/person/sign-in?next=https://evil.example",
        "/person/consents?return_to=//evil.example",
        "/person//evil.example",
        "/person/interactions/..%2f..%2fevil",
    ],
)
def test_no_page_sends_the_browser_to_an_address_from_the_request(server, path):
    reply = server.browser().http.get(path)
    assert "evil.example" not in reply.headers.get("location", "")
    assert "evil.example" not in reply.text


def test_language_and_size_take_listed_values_only(server):
    browser = server.browser()
    browser.open('/person/sign-in?lang="><script>&size=<b>')
    assert 'class="normal"' in browser.page.text
    assert "<script" not in browser.page.text


def test_the_simulated_sign_in_refuses_to_serve_the_public():
    facts = {"person_login": "simulated", "issuer": "https://data.example"}
    subjects = Subjects(b"k" * 32)
    with pytest.raises(OperatorError, match="sandbox"):
        open_login(Settings(**facts), subjects)
    assert open_login(Settings(**facts, env="sandbox"), subjects).kind == "simulated"


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(server):
    browser = server.browser()
    cookies = browser.open("/person/sign-in").headers.get_list("set-cookie")
    reply = browser.http.post(
        "/person/sign-in",
        data={
            "form": re.search(r'name="form" value="(\w+)"', browser.page.text)[1],
            "person": "adult",
            "method": "ehic_face",
        },
    )
    cookies += reply.headers.get_list("set-cookie")
    assert len(cookies) >= 2
    assert all("HttpOnly" in each and "SameSite=lax" in each for each in cookies)
    assert all("Path=/" in each for each in cookies)


def test_every_page_says_that_the_sign_in_is_simulated(server):
    browser, _, _ = at_consent(server, scopes=["SETL", "DX_SENSITIVE"])
    seen = [server.browser().open("/person/sign-in"), browser.page]
    seen.append(browser.send("consent", decision="approve"))
    seen.append(at_home(server).page)
    assert all("模拟环境" in page.text for page in seen)
