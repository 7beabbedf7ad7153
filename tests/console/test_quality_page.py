"""The quality report in Chromium: readable by everybody, narrow and wide, without a script."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from gateway.quality.duties import read_duties
from gateway.quality.page import render
from gateway.quality.report import make_report
from gateway.settings import Settings
from synthetic.bureau import simulate
from synthetic.integrity.appraisal import appraise
from tests.console_browser import NARROW, WIDE, camera, chromium, violations, window

pytestmark = pytest.mark.services
CAMERA = camera()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged")
    simulate(folder, "mini", 5, defects="heavy")
    return folder


@pytest.mark.parametrize("view", ["office", "public"])
def test_a_report_has_no_fault_of_accessibility_at_any_width(
    browser: Browser, damaged: Path, tmp_path: Path, view: str
) -> None:
    public = view == "public"
    report = make_report(
        appraise(damaged, public=public),
        "20260101T000000Z-0123456789ab",
        read_duties(Settings().policies),
        date(2026, 1, 1),
        since=date(2025, 12, 31),
        public=public,
        synthetic=True,
    )
    file = tmp_path / "report.html"
    file.write_text(render(report), encoding="utf-8")
    for width in (NARROW, WIDE):
        with window(browser, width) as page:
            page.goto(file.as_uri())
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            if public:
                CAMERA.take(page, f"quality-{width}")
