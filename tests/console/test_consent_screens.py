"""The person pages in Chromium: approve, deny, expire, revoke, sensitive scope, guardian.

Each test walks as a person does, lets axe-core look at every screen, and photographs it for the
documents when SLUICE_SCREENS is set.
"""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from tests.consent_factory import certno, consenting
from tests.console_browser import NARROW, WIDE, camera, chromium, violations, window

pytestmark = pytest.mark.services

ALL_SCOPES = ["SETL", "DX", "FEE", "HIST", "DX_SENSITIVE"]
CAMERA = camera()
WIDTHS = [NARROW, WIDE] if CAMERA.folder else [NARROW]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with consenting(tmp_path_factory.mktemp("screens") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


def look(page, name):
    """No accessibility violation on this screen; a picture of it."""
    width = page.viewport_size["width"]
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    CAMERA.take(page, f"{name}-{width}")


def sign_in(page, person):
    page.check(f"input[value={person}]")
    page.check("input[value=ehic_face]")
    page.click("button.first")


def visit(server, page, person, **asked):
    consent = server.asked(**asked)
    page.goto(server.push(consent).address)
    sign_in(page, person)
    return consent


def home(server, page, person):
    page.goto(f"{server.identity.issuer}/person")
    sign_in(page, person)


def came_back(server, page):
    expect(page).to_have_url(re.compile(re.escape(f"{server.redirect_uri}?")))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_person_reads_and_approves(server, browser, width):
    with window(browser, width) as page:
        consent = server.asked(scopes=ALL_SCOPES)
        page.goto(server.push(consent).address)
        look(page, "sign-in")
        sign_in(page, "elder")
        look(page, "consent")
        for heading in ("谁要看", "看什么", "为什么", "怎样停止", "如果不同意"):
            expect(page.get_by_role("heading", name=heading)).to_be_visible()
        assert page.locator("input:checked").count() == 0
        page.check("input[value=DX]")
        page.click("button[value=approve]")
        look(page, "sensitive")
        page.click("button[value=skip]")
        came_back(server, page)
        assert "code=" in page.url
    assert server.read(consent["consent_id"]).json()["scopes"] == ["SETL", "DX"]


def test_a_person_denies(server, browser):
    with window(browser) as page:
        consent = visit(server, page, "adult")
        page.click("button[value=deny]")
        came_back(server, page)
        assert "error=access_denied" in page.url
    assert server.state(consent) == "REJECTED"


def test_the_sensitive_scope_takes_a_tick_and_a_click_of_its_own(server, browser):
    with window(browser) as page:
        consent = visit(server, page, "patient", scopes=ALL_SCOPES)
        page.click("button[value=approve]")
        expect(page.get_by_role("heading", level=1)).to_have_text("敏感诊断，请单独决定")
        assert page.locator("input:checked").count() == 0
        page.click("button[value=give]")
        expect(page.get_by_role("alert")).to_be_visible()
        assert server.state(consent) == "AWAITING_PERSON"
        look(page, "sensitive-unticked")
        page.check("input[name=read]")
        page.click("button[value=give]")
        came_back(server, page)
    assert server.read(consent["consent_id"]).json()["scopes"] == ["SETL", "DX_SENSITIVE"]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_guardian_decides_for_a_child(server, browser, width):
    with window(browser, width) as page:
        consent = visit(server, page, "parent", subject={"certno": certno("child")})
        look(page, "guardian")
        page.click("text=我是监护人")
        expect(page.get_by_text("为孩子作决定")).to_be_visible()
        page.click("button[value=approve]")
        came_back(server, page)
        home(server, page, "parent")
        expect(page.get_by_text("孩子：测**小").first).to_be_visible()
    assert server.state(consent) == "AUTHORISED"


def test_a_parent_says_whom_it_is_about(server, browser):
    with window(browser) as page:
        consent = visit(server, page, "parent")
        assert page.locator("input:checked").count() == 0
        look(page, "whose")
        page.locator("label.choice").nth(1).click()
        page.click("button.first")
        page.click("button[value=approve]")
        came_back(server, page)
    assert server.state(consent) == "AUTHORISED"


def test_a_child_is_sent_back(server, browser):
    with window(browser) as page:
        consent = visit(server, page, "child")
        look(page, "minor")
        page.click("button.first")
        came_back(server, page)
    assert server.state(consent) == "AWAITING_PERSON"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_person_sees_and_ends_a_consent_with_two_clicks(server, browser, width):
    with window(browser, width) as page:
        consent = visit(server, page, "elder", scopes=["SETL", "DX"])
        page.click("button[value=approve]")
        home(server, page, "elder")
        look(page, "my-consents")
        page.locator(f"a[href='/person/consents/{consent['consent_id']}/end']").click()
        look(page, "end")
        page.click("text=确认停止")
        expect(page.get_by_role("status")).to_be_visible()
        look(page, "ended")
        page.click("text=谁看过我的信息")
        look(page, "accesses")
    assert server.state(consent) == "REVOKED"


def test_pages_work_by_keyboard_and_without_scripts(server, browser):
    with window(browser, scripts=False) as page:
        consent = server.asked()
        page.goto(server.push(consent).address)
        page.keyboard.press("Tab")
        assert page.locator(":focus").inner_text() == "跳到正文"
        for _ in range(3):
            page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("请您决定是否同意")
        page.locator("button[value=approve]").focus()
        with page.expect_navigation():
            page.keyboard.press("Enter")
        came_back(server, page)
    assert server.state(consent) == "AUTHORISED"


def test_large_type_and_english_are_remembered_and_lose_nothing(server, browser):
    with window(browser) as page:
        visit(server, page, "elder", scopes=ALL_SCOPES)
        page.click("text=大字版")
        look(page, "consent-large")
        headings = page.get_by_role("heading").count()
        page.click("text=English")
        assert page.get_by_role("heading").count() == headings
        assert page.locator("html").get_attribute("class") == "large"
        page.click("text=Normal type")
        look(page, "consent-english")
        page.click("button[value=approve]")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Sensitive")


def test_a_page_is_not_shown_inside_another(server, browser):
    with window(browser, scripts=False) as page:
        address = f"{server.identity.issuer}/person/sign-in"
        page.route(
            "http://attacker.example/",
            lambda route: route.fulfill(
                content_type="text/html", body=f'<iframe src="{address}"></iframe>'
            ),
        )
        page.goto("http://attacker.example/")
        assert not re.search("请先登录", page.frames[-1].content())


def test_an_expired_request_says_so_and_leads_back(server, browser):
    """Last, because the clock only goes on."""
    consent = server.asked()
    server.clock.shift += timedelta(minutes=14)
    with window(browser) as page:
        page.goto(server.push(consent).address)
        sign_in(page, "adult")
        server.clock.shift += timedelta(minutes=2)
        page.click("button[value=approve]")
        look(page, "expired")
        page.click("text=返回原来的服务")
        came_back(server, page)
        assert "error=access_denied" in page.url
    assert server.state(consent) == "REJECTED"
