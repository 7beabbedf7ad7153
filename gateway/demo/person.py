"""One scene of the tour: a person agrees on our pages, ends it later, and the token is dead."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx

from gateway.demo.browser import Browser
from gateway.demo.claims import Claims, SceneError
from gateway.demo.client import Participant
from gateway.demo.show import Screen

PERSON, METHOD = "adult", "ehic_face"
NAME = "测试甲一"
KNOWN_WITHIN = 5.0  # seconds in which a revocation reaches every process


def play(base_url: str, insurer: Participant, day: date, screen: Screen) -> None:
    """Ask, answer, use, end, and see it refused; against a running server."""
    with (
        httpx.Client(base_url=base_url, timeout=30) as http,
        httpx.Client(base_url=base_url, timeout=30) as window,
    ):
        claims, browser = Claims(http, insurer, insurer.sign_in(http)), Browser(window)
        consent = _ask(claims, day, screen)
        token = _agree(claims, browser, consent, screen)
        screen.request("GET", "/v1/services")
        screen.told(_expect(claims.use(token["access_token"]), 200).status_code, "the token works")
        _end(browser, str(consent["consent_id"]), screen)
        _dead(claims, token, str(consent["consent_id"]), screen)


def _ask(claims: Claims, day: date, screen: Screen) -> Any:  # the parsed JSON of the server
    consent = claims.ask(day)
    asked = ("scenario", "purpose", "services", "scopes_asked", "claim_ref", "valid_days")
    screen.request("POST", "/v1/consents", {name: consent[name] for name in asked})
    screen.told(201, f"{consent['consent_id']}  {consent['state']}")
    return consent


def _agree(claims: Claims, browser: Browser, consent: Any, screen: Screen) -> Any:
    """The person reads, agrees, and the insurer gets tokens that hang on the consent."""
    pushed = claims.push(consent)
    screen.line(f"  {NAME} 在模拟的电子凭证应用登录 [dim]signs in, simulated: {METHOD}[/]")
    browser.open(pushed.address)
    visit = browser.address.path
    browser.send(f"{visit}/sign-in", person=PERSON, method=METHOD)
    screen.page("授权页面 · consent page", browser.lines())
    browser.send(f"{visit}/consent", decision="approve")
    screen.line("  点击“同意” [dim]agrees; what was not ticked is not given[/]")
    token = claims.exchange(pushed, browser.address)
    given = claims.read(str(consent["consent_id"]))
    screen.request("POST", "/oauth/token")
    screen.told(
        200,
        f"token of {token['expires_in']} s, bound to the insurer's key; the consent is "
        f"{given['state']} for {', '.join(given['scopes'])} until {given['valid_to'][:10]}",
    )
    return token


def _end(browser: Browser, consent_id: str, screen: Screen) -> None:
    """The person's own pages: sign in, the list, two clicks."""
    browser.open("/person/sign-in")
    browser.send("/person/sign-in", person=PERSON, method=METHOD)
    screen.line("  数日后在“我的授权”中点两下结束 [dim]later, on their own pages: two clicks[/]")
    browser.open(f"/person/consents/{consent_id}/end")
    browser.send(f"/person/consents/{consent_id}/end")
    screen.page("我的授权 · my consents", browser.lines())


def _dead(claims: Claims, token: Any, consent_id: str, screen: Screen) -> None:
    """Everything that hung on the consent is refused, and the insurer is told."""
    reply = _soon(lambda: claims.use(token["access_token"]), 401)
    screen.request("GET", "/v1/services")
    screen.problem(401, reply.json())
    refreshed = _expect(claims.refresh(token["refresh_token"]), 400).json()
    screen.request("POST", "/oauth/token", {"grant_type": "refresh_token"})
    screen.told(400, f"{refreshed['error']}  {refreshed.get('code', '')}")
    heard = [name for each in claims.events() for name in _about(each, consent_id)]
    screen.request("POST", "/v1/events/poll")
    screen.told(200, f"signed events of this consent: {', '.join(heard)}")
    if heard[-1:] != ["revoked"]:
        raise SceneError(f"the insurer heard {heard}, not that the consent was revoked")


def _about(event: Any, consent_id: str) -> list[str]:
    """Short names of an event that is about this consent."""
    return [
        name.rpartition(":")[2]
        for name, told in event["events"].items()
        if told.get("consent_id") == consent_id
    ]


def _soon(call: Callable[[], httpx.Response], status: int) -> httpx.Response:
    """The answer, once every process has heard; raises when it comes too late."""
    ends = time.monotonic() + KNOWN_WITHIN
    while (reply := call()).status_code != status and time.monotonic() < ends:
        time.sleep(0.1)
    return _expect(reply, status)


def _expect(reply: httpx.Response, status: int) -> httpx.Response:
    if reply.status_code != status:
        raise SceneError(
            f"{reply.url.path} answered {reply.status_code}, not {status}: {reply.text[:300]}"
        )
    return reply
