"""The console in Chromium: every page of an officer, and the office's daily tasks in few clicks.

Clicks are counted from the overview, as a person makes them; typing is not a click.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from gateway.db.engine import writing
from gateway.identity.grants import enter_grant
from gateway.identity.record import Act
from gateway.releases.publish import HELD, point
from gateway.releases.store import current
from gateway.settings import Settings
from tests.console_browser import NARROW, WIDE, camera, chromium, violations, window
from tests.console_world import MOST_CLICKS, Bureau, at, bureau
from tests.factories_identity import grant_entry, project_bounds
from tests.gateway_factory import copy_home
from tests.staff_factory import OFFICER_ROLES

pytestmark = pytest.mark.services
CAMERA = camera()
HUGE = 3840
PICTURES = ("overview", "grants", "releases", "stops")
"""Pages whose pictures the documents show."""


@pytest.fixture(scope="module")
def office(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    home = copy_home(released_home, tmp_path_factory.mktemp("console") / "home")
    with bureau(home, Settings().policies) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def test_an_application_is_entered_by_one_and_approved_by_two_in_few_clicks(
    office: Bureau, browser: Browser
) -> None:
    today = office.place.clock().date()
    entry = grant_entry(
        grant_id="G-CONSOLE", tenant_id="T-PHA", scenario="SC05",
        valid_from=today, valid_to=today + timedelta(days=90),
    )  # fmt: skip
    with writing(office.place.office.engine) as session:
        enter_grant(session, Act("测试庚二", office.place.clock()), entry, project_bounds())
    for number, role in enumerate(("policy_officer", "policy_officer2")):
        with window(browser, WIDE) as page:
            hand = at(office, page, role)
            hand.click("份场景申请待复核")
            hand.click("G-CONSOLE")
            hand.click("批准")
            assert "已完成：批准" in hand.says
            assert hand.clicks <= MOST_CLICKS
            assert ("有效" in page.inner_text(".facts")) == (number == 1), "two people approve"


def test_a_build_is_published_in_few_clicks(office: Bureau, browser: Browser) -> None:
    root = office.gateway.settings.releases
    chosen = current(root)
    service = min(chosen)
    rest = {each: release for each, release in chosen.items() if each != service}
    point(root, rest)  # replaces the file: another home has a link to it
    lies_ready = {"releases": {service: chosen[service]}, "beside": rest}
    (root / HELD).write_text(json.dumps(lies_ready), encoding="utf-8")
    with window(browser, WIDE) as page:
        hand = at(office, page, "catalogue_owner")
        hand.click("个服务的构建待发布")
        hand.click("待发布", "main nav.tabs")
        hand.click(chosen[service][:14])
        hand.click("发布（整批）")
        assert "已完成" in hand.says
        assert hand.clicks <= MOST_CLICKS
    assert current(root) == chosen


def test_why_a_call_was_refused_is_found_in_few_clicks(office: Bureau, browser: Browser) -> None:
    refused = office.gateway.ask("S02", client="pha-app")  # with an insurer's purpose
    assert refused.status_code == 403, refused.text
    with window(browser, WIDE) as page:
        hand = at(office, page, "auditor")
        hand.menu("解释判定")
        page.fill("#asked", refused.json()["request_id"])
        hand.click("查找")
        assert refused.json()["reasons"][0]["code"] in hand.says
        assert hand.clicks <= MOST_CLICKS
        CAMERA.take(page, f"console-decision-{WIDE}")
        hand.begin()
        hand.menu("审计事件")
        page.fill("input[type=search]", refused.json()["request_id"])
        page.locator("main form button").first.click()
        assert "已拒绝" in hand.says
        assert page.locator("main tbody tr").count() == 1
        assert hand.clicks + 1 <= MOST_CLICKS


def test_a_stop_is_raised_and_lifted_and_holds_meanwhile(office: Bureau, browser: Browser) -> None:
    with window(browser, WIDE) as page:
        hand = at(office, page, "security_officer")
        hand.click("紧急停用", "header")
        page.select_option("#f-kind", "tenant")
        page.fill("#f-target", "T-INS2")
        page.fill("#reason", "虚构演练")
        hand.send()
        assert hand.clicks == 2
        assert "T-INS2" in hand.says
        hand.begin()
        assert "1 项紧急停用正在生效" in hand.says
        hand.menu("紧急停用")
        hand.click("机构")
        hand.click("解除停用")
        assert page.input_value("#f-target") == "T-INS2"
        hand.send()
        assert hand.clicks <= MOST_CLICKS
        assert "T-INS2" not in hand.says


def look(office: Bureau, page: Page, name: str, width: int) -> None:
    """One page: answered, accessible, no wider than its window."""
    answer = page.goto(f"{office.address}/console/{name}")
    assert answer is not None
    assert answer.status == 200, (name, page.inner_text("main"))
    assert violations(page) == [], name
    assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def faults_of(page: Page) -> list[str]:
    """What the browser complains of from now on."""
    found: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            found.append(message.text)

    page.on("console", said)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def pages_of(office: Bureau, page: Page) -> list[str]:
    links = page.locator(".shell > nav a").all()
    return [str(each.get_attribute("href")).removeprefix("/console/") for each in links]


def test_every_page_of_the_auditor_is_whole_in_chinese_and_light(
    office: Bureau, browser: Browser
) -> None:
    with window(browser, WIDE) as page:
        faults = faults_of(page)
        at(office, page, "auditor")
        for name in pages_of(office, page):
            look(office, page, name, WIDE)
            if name in PICTURES:
                CAMERA.take(page, f"console-{name}-{WIDE}")
        assert faults == []


@pytest.mark.parametrize("asked", ["?lang=en", "?theme=dark"])
def test_the_first_pages_in_english_and_dark_and_narrow(
    office: Bureau, browser: Browser, asked: str
) -> None:
    with window(browser, NARROW) as page:
        at(office, page, "policy_officer")
        for name in (f"overview{asked}", "grants", "do/grant.enter", "grants/G-T-INS"):
            look(office, page, name, NARROW)
            CAMERA.take(page, f"console-{name.partition('?')[0].replace('/', '-')}-{asked[1:]}")


@pytest.mark.slow
@pytest.mark.parametrize("role", OFFICER_ROLES)
@pytest.mark.parametrize("taste", ["lang=zh&theme=light", "lang=en&theme=dark"])
@pytest.mark.parametrize("width", [360, WIDE, HUGE])
def test_every_page_of_every_role_in_both_languages_and_themes_at_every_width(
    office: Bureau, browser: Browser, role: str, taste: str, width: int
) -> None:
    with window(browser, width) as page:
        faults = faults_of(page)
        at(office, page, role)
        page.goto(f"{office.address}/console/overview?{taste}")
        for name in pages_of(office, page):
            look(office, page, name, width)
            for act in page.locator("main .actions a").all()[:3]:
                look(office, page, str(act.get_attribute("href")).removeprefix("/console/"), width)
                page.go_back()
        assert faults == []
