"""Walks through the person pages that several tests begin with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.consent_factory import Browser, ConsentServer, Pushed, answer_of


def later(server: ConsentServer, pause: timedelta) -> None:
    """The journal's time never runs backwards, so the clock only goes on."""
    server.clock.shift += pause


def at_consent(
    server: ConsentServer, person: str = "adult", **changed: Any
) -> tuple[Browser, Pushed, dict[str, Any]]:
    """A browser on the first screen after sign-in, what was pushed, and the consent."""
    consent = server.asked(**changed)
    pushed, browser = server.push(consent), server.browser()
    browser.visit(pushed, person)
    return browser, pushed, consent


def at_home(server: ConsentServer, person: str = "adult") -> Browser:
    """A browser on a person's own pages."""
    browser = server.browser()
    browser.open("/person/sign-in")
    browser.sign_in(person)
    return browser


def given(
    server: ConsentServer, person: str = "adult", **changed: Any
) -> tuple[dict[str, str], Pushed, dict[str, Any]]:
    """What the client was answered, what it had pushed, and a consent in force."""
    browser, pushed, consent = at_consent(server, person, **changed)
    return answer_of(browser.send("consent", decision="approve")), pushed, consent
