"""The portal and the transparency page in Chromium: both languages and themes, narrow to wide."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console_browser import WIDE, camera, chromium, violations, window
from tests.portal_world import CLIENT, QUESTION, Portal, portal_world

pytestmark = pytest.mark.services
CAMERA = camera()
PICTURED = {360: "-en-dark", WIDE: "-zh-light"}
"""Which looks the documents show at a width."""
OPEN = {
    "landing": "/portal",
    "catalogue": "/portal/catalogue?q=fyjg",
    "service": "/portal/catalogue/S07",
    "person-service": "/portal/catalogue/S19",
    "reference": "/portal/api?q=jobs",
    "operation": "/portal/api/queryS02",
    "changelog": "/portal/changelog",
    "status": "/portal/status",
    "conformance": "/portal/conformance",
    "transparency": "/transparency",
    "sign-in": "/portal/sign-in",
    "stopped": "/portal/catalogue/S99",
}
BEHIND = {
    "own": "/portal/own",
    "try": "/portal/own/try?service=S02",
    "usage": "/portal/own/usage",
    "statements": "/portal/own/statements",
    "packs": "/portal/own/packs",
    "pack": "/portal/own/packs/outpatient",
    "jobs": "/portal/own/jobs",
}
EVERY = [
    pytest.param(language, theme, width, marks=pytest.mark.slow)
    for language in ("zh", "en")
    for theme in ("light", "dark")
    for width in (360, WIDE, 3840)
    if (language, theme, width) != ("en", "dark", 360)
]


@pytest.fixture(scope="module")
def portal(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with portal_world(released_home, tmp_path_factory.mktemp("portal")) as world:
        yield world


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def walk(page: Page, portal: Portal, language: str, theme: str) -> None:
    """Every page, then every page behind the door, each looked at."""
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{page.url} {message.text}"))
    page.on("pageerror", lambda error: said.append(f"{page.url} {error}"))
    page.goto(f"{portal.base}/portal?lang={language}&theme={theme}")
    for name, path in OPEN.items():
        look(page, f"{portal.base}{path}", f"portal-{name}-{language}-{theme}")
    page.goto(portal.link())
    look(page, page.url, f"portal-enter-{language}-{theme}")
    page.click("main button")
    expect(page).to_have_url(f"{portal.base}/portal/own")
    for name, path in BEHIND.items():
        look(page, f"{portal.base}{path}", f"portal-{name}-{language}-{theme}")
    page.goto(f"{portal.base}/portal/own/try?service=S02")
    page.fill("#question", json.dumps(QUESTION))
    page.click("main form.stack button")
    look(page, page.url, f"portal-answer-{language}-{theme}")
    page.goto(f"{portal.base}/portal/own/jobs")
    page.click("main table a")
    look(page, page.url, f"portal-job-{language}-{theme}")
    assert [each for each in said if "404" not in each] == []  # the page that is not there


def look(page: Page, address: str, name: str) -> None:
    """No accessibility violation, nothing wider than the window; a picture."""
    width = page.viewport_size["width"] if page.viewport_size else 0
    if page.url != address:
        page.goto(address)
    assert violations(page) == [], address
    assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    assert page.locator("h1").count() == 1
    if name.endswith(PICTURED.get(width, "-")):
        CAMERA.take(page, f"{name}-{width}")


@pytest.mark.parametrize(("language", "theme", "width"), [("en", "dark", 360), *EVERY])
def test_every_page_in_every_look_and_width(
    portal: Portal, browser: Browser, language: str, theme: str, width: int
) -> None:
    with window(browser, width) as page:
        walk(page, portal, language, theme)


def test_a_developer_finds_a_service_and_asks_it_by_keyboard_without_scripts(
    portal: Portal, browser: Browser
) -> None:
    with window(browser, WIDE, scripts=False) as page:
        page.goto(f"{portal.base}/portal?lang=zh")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # to the content
        page.goto(portal.link(CLIENT))
        page.locator("main button").press("Enter")
        page.goto(f"{portal.base}/portal/catalogue")
        page.fill("#q", "fyjg")
        page.locator("#q").press("Enter")
        page.locator("article h2 a").first.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("费用结构（精算）")
        page.get_by_text("在沙箱中试用").press("Enter")
        question = page.locator("#question").input_value()
        page.get_by_role("button", name="提问").press("Enter")  # the example is one it may ask
        expect(page.get_by_role("heading", name="回答")).to_be_visible()
        page.fill("#question", question.replace("development_and_testing", "marketing"))
        page.get_by_role("button", name="提问").press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("D301")
        page.get_by_role("button", name="退出").press("Enter")
        expect(page).to_have_url(f"{portal.base}/portal")
