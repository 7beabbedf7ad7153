"""A real browser for the person pages: Chromium as installed, driven by Playwright.

Without Chromium the tests are skipped with a reason; where the whole suite must run (SLUICE_CI)
they fail instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENS = Path(__file__).parents[1] / "docs" / "screens"
NARROW, WIDE = 390, 1280


def find_chromium() -> str:
    """Where Chromium is; skips where it may be missing, fails where it may not."""
    found = shutil.which("chromium")
    if found:
        return found
    reason = "chromium is not installed (`make services` says how to get it)"
    if os.environ.get("SLUICE_CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=find_chromium(), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def window(browser: Browser, width: int = NARROW, *, scripts: bool = True) -> Iterator[Page]:
    """A window with no history. Pages work without scripts; axe itself is one."""
    context = browser.new_context(
        viewport={"width": width, "height": 844 if width == NARROW else 900},
        locale="zh-CN",
        java_script_enabled=scripts,
        bypass_csp=scripts,  # axe is injected; the policy itself is tested without scripts
        reduced_motion="reduce",
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    try:
        yield page
    finally:
        context.close()


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page, rule and place."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {', '.join(str(node['target']) for node in each['nodes'])}"
        for each in found
    ]


@dataclass(frozen=True)
class Camera:
    """Takes pictures for the documents where asked to, so that a test run changes no file."""

    folder: Path | None

    def take(self, page: Page, name: str) -> None:
        """The whole page as a PNG; `python -m tests.png_palette` makes it small afterwards."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=self.folder / f"{name}.png", full_page=True, scale="css")


def camera() -> Camera:
    """A camera that works when SLUICE_SCREENS is set (`make screens`)."""
    return Camera(SCREENS if os.environ.get("SLUICE_SCREENS") else None)
