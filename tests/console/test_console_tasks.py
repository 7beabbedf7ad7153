"""A month closed, an output reviewed and a leak traced in Chromium, in clicks from the overview.

Clicks are counted as a person makes them; typing and choosing a file are not clicks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from gateway.settings import Settings
from tests.console_browser import WIDE, camera, chromium, window
from tests.console_world import MOST_CLICKS, Bureau, at, bureau
from tests.gateway_factory import COST, copy_home, copy_policies, marking
from tests.jobs_site import CODE, SPEC, World, jobs_site
from tests.watermark_world import AMOUNTS, DIMS, write_world

pytestmark = pytest.mark.services
CAMERA = camera()
MONTH = "2025-06"  # in which the gateway's clock stands


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    """An office whose gateway marks thousands of amounts."""
    folder = tmp_path_factory.mktemp("leaky")
    world = write_world(folder / "home")
    with bureau(world.home, marking(copy_policies(folder / "policies"))) as opened:
        yield opened


def test_a_leaked_file_names_its_organisation_in_few_clicks(
    leaky: Bureau, browser: Browser, tmp_path: Path
) -> None:
    asked = {**COST, "dims": list(DIMS), "measures": ["persons", *AMOUNTS]}
    leak = tmp_path / "leak.json"
    leak.write_text(json.dumps({"data": leaky.gateway.everything("S02", asked, client="ins2-app")}))
    with window(browser, WIDE) as page:
        hand = at(leaky, page, "security_officer")
        hand.menu("水印追踪")
        hand.click("追踪泄露文件")
        page.set_input_files("#f-content", leak)
        page.fill("#reason", "虚构：论坛上发现的文件")
        hand.send()
        assert "T-INS2" in hand.says
        assert hand.clicks <= MOST_CLICKS
        CAMERA.take(page, f"console-trace-{WIDE}")


@pytest.fixture(scope="module")
def asked(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    """An office whose gateway has answered a few questions, some days into the next month."""
    home = copy_home(released_home, tmp_path_factory.mktemp("asked") / "home")
    with bureau(home, Settings().policies) as opened:
        opened.gateway.everything("S02", {**COST, "dims": ["benefit5"]})
        opened.place.pass_time(days=40)
        yield opened


def test_a_month_is_proposed_by_one_and_closed_by_another_in_few_clicks(
    asked: Bureau, browser: Browser
) -> None:
    with window(browser, WIDE) as page:
        hand = at(asked, page, "billing_officer")
        hand.menu("月结")
        hand.click(MONTH)
        hand.click("提议关账", "main .actions")
        assert hand.clicks <= MOST_CLICKS
        assert "待复核" in page.inner_text(".facts")
    with window(browser, WIDE) as page:
        hand = at(asked, page, "billing_officer2")
        hand.click("个月份待确认关账")
        hand.click(MONTH)
        CAMERA.take(page, f"console-month-{WIDE}")
        hand.click("确认关账", "main .actions")
        hand.send()
        assert hand.clicks <= MOST_CLICKS
        assert "已关账" in page.inner_text(".facts")
        charged = page.inner_text(".facts")
        asked.gateway.everything("S02", {**COST, "dims": ["benefit5", "gend"]})
        hand.begin()
        assert "个月份待确认关账" not in hand.says
        told = figures(page)
        income = told["2025 年已入账收入"]
        assert income in charged
        assert income != "¥0.00"
        assert 0 < float(told["抑制占比（单元格）"].rstrip("%")) < 100
        assert told["未解除的告警"] == "0"


def figures(page: Page) -> dict[str, str]:
    """What the first page tells in figures, by their titles."""
    labels, values = (page.locator(f".figure {each}").all_inner_texts() for each in ("dt", "dd"))
    return {label: value.strip() for label, value in zip(labels, values, strict=True)}


@pytest.fixture(scope="module")
def jobs(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with jobs_site(released_home, tmp_path_factory.mktemp("jobs")) as opened:
        yield opened


@pytest.mark.slow
def test_a_validation_run_is_approved_and_its_output_leaves_by_two_in_few_clicks(
    jobs: World, browser: Browser
) -> None:
    run = jobs.propose(jobs.done(CODE, **SPEC)).json()["result"]["validation_id"]
    office = Bureau(jobs.gateway, jobs.place)
    for role, act in (("catalogue_owner", "初审通过"), ("policy_officer", "批准运行")):
        with window(browser, WIDE) as page:
            hand = at(office, page, role)
            hand.click("个验证运行待审批")
            hand.click(run[:13])
            hand.click(act, "main .actions")
            assert hand.clicks <= MOST_CLICKS
    jobs.work()
    for role, act in (("output_reviewer", "初审通过"), ("output_reviewer2", "放行出域")):
        with window(browser, WIDE) as page:
            hand = at(office, page, role)
            hand.click("份出域文件待审核")
            hand.click("metrics.json")
            assert '+{"auc": 0.56}' in hand.says, "the difference to the pack's result"
            CAMERA.take(page, f"console-output-{WIDE}")
            hand.click(act, "main .actions")
            assert hand.clicks <= MOST_CLICKS
            assert f"已完成：{act}" in hand.says
