"""Attacks by many requests at once: whatever wins, there is one outcome and nothing outlives it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from gateway.api.person.mine import my_history
from gateway.consent import changes
from gateway.consent.record import ConsentConflict
from gateway.db.engine import writing
from gateway.identity.jose import parse_compact
from sluice_client.proof import ProvenBy
from tests.consent_factory import Browser, ConsentServer, answer_of, consenting

Outcome = TypeVar("Outcome")
_HIDDEN = re.compile(r'name="(form|hash)" value="([0-9a-f]+)"')


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsentServer]:
    with consenting(tmp_path_factory.mktemp("races") / "home") as running:
        running.auth()
        yield running


def at_once(acts: Sequence[Callable[[], Outcome]]) -> list[Outcome]:
    """What each act returned, all begun together."""
    start = Barrier(len(acts))

    def run(act: Callable[[], Outcome]) -> Outcome:
        start.wait(timeout=20)
        return act()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))


def own(server: ConsentServer) -> dict[str, str]:
    """What authenticates the first insurer's client."""
    machine = server.machines["claims-app"]
    return {k: v for k, v in machine.form(server.clock()).items() if k != "grant_type"}


def post(server: ConsentServer, path: str, **form: str) -> httpx.Response:
    auth = server.plain("claims-app")
    return server.http.post(path, data={**own(server), **form}, auth=auth)


def refresh(server: ConsentServer, tokens: dict[str, Any]) -> httpx.Response:
    held = tokens["refresh_token"]
    return post(server, "/oauth/token", grant_type="refresh_token", refresh_token=held)


def is_live(server: ConsentServer, token: str) -> bool:
    return bool(post(server, "/oauth/introspect", token=token).json()["active"])


def given(server: ConsentServer) -> tuple[dict[str, Any], dict[str, Any]]:
    """A consent a person has given, and the tokens for it."""
    consent = server.asked()
    pushed, browser = server.push(consent), server.browser()
    browser.visit(pushed, "adult")
    code = answer_of(browser.send("consent", decision="approve"))["code"]
    return consent, server.exchange(pushed, code).json()


def answering(server: ConsentServer, browser: Browser, **fields: str) -> Callable[[], str]:
    """The page's form, sent from a connection of its own with the browser's cookies."""
    hidden, path = dict(_HIDDEN.findall(browser.page.text)), browser.page.url.path
    cookies, act = dict(browser.http.cookies), "consent" if fields else "leave"

    def send() -> str:
        with httpx.Client(
            base_url=server.identity.issuer, cookies=cookies, timeout=30
        ) as connection:
            reply = connection.post(f"{path}/{act}", data={**hidden, **fields})
        assert reply.status_code < 500, reply.text
        return str(reply.headers.get("location", ""))

    return send


def codes_of(addresses: Sequence[str]) -> list[str]:
    told = [dict(parse_qsl(urlsplit(each).query)) for each in addresses]
    return [each["code"] for each in told if "code" in each]


@pytest.mark.parametrize("receiver_gives_up", [False, True])
def test_yes_no_and_leaving_at_once_have_one_outcome(
    server: ConsentServer, receiver_gives_up: bool
) -> None:
    consent = server.asked()
    pushed, browser = server.push(consent), server.browser()
    browser.visit(pushed, "adult")
    acts = [answering(server, browser, decision=each) for each in ("approve", "deny") * 4]
    acts += [answering(server, browser)] * 2
    address = f"/v1/consents/{consent['consent_id']}"
    if receiver_gives_up:
        acts.append(lambda: str(server.http.delete(address, auth=server.auth()).status_code))
    addresses = at_once(acts)
    ended = [each for each in addresses if "/callback?" in each]
    assert len(ended) <= 1
    codes, state = codes_of(addresses), server.state(consent)
    if not codes:
        assert state in ("REJECTED", "AWAITING_PERSON", "REVOKED")  # left, refused, given up
        return
    assert state == ("REVOKED" if receiver_gives_up else "AUTHORISED")
    granted = server.exchange(pushed, codes[0]).status_code == 200
    assert granted == (state == "AUTHORISED")


def test_one_pushed_request_answered_in_six_browsers_gives_one_code(
    server: ConsentServer,
) -> None:
    consent = server.asked()
    pushed, browsers = server.push(consent), [server.browser() for _ in range(6)]
    for browser in browsers:
        browser.visit(pushed, "adult")
    addresses = at_once([answering(server, each, decision="approve") for each in browsers])
    assert len(codes_of(addresses)) == 1
    assert server.state(consent) == "AUTHORISED"


def test_a_consent_four_people_say_yes_to_at_once_is_of_one(server: ConsentServer) -> None:
    consent, people = server.asked(), ("adult", "elder", "patient", "teenager")
    browsers = []
    for person in people:
        browser = server.browser()
        browser.visit(server.push(consent), person)
        browsers.append(browser)
    addresses = at_once([answering(server, each, decision="approve") for each in browsers])
    assert len(codes_of(addresses)) == 1
    kept = server.consents.read(consent["consent_id"], "T-INS")
    acts = [each.act for each in my_history(server.consents, kept)]
    assert acts.count("authorise") == 1


@pytest.mark.parametrize("ends", ["the receiver gives up", "the client revokes"])
def test_no_token_refreshed_while_it_ends_outlives_the_end(
    server: ConsentServer, ends: str
) -> None:
    consent, tokens = given(server)
    end: Callable[[], httpx.Response]
    if ends == "the client revokes":

        def end() -> httpx.Response:
            return post(server, "/oauth/revoke", token=tokens["refresh_token"])
    else:

        def end() -> httpx.Response:
            address = f"/v1/consents/{consent['consent_id']}"
            return server.http.delete(address, auth=server.auth())

    replies = at_once(
        [lambda: refresh(server, tokens)] * 8 + [end] * 2 + [lambda: refresh(server, tokens)] * 8
    )
    refreshed = [each.json().get("access_token") for each in replies if each.status_code == 200]
    alive = [each for each in refreshed if each and is_live(server, each)]
    assert alive == []
    assert refresh(server, tokens).status_code == 400
    assert not is_live(server, tokens["access_token"])


def test_a_consent_of_three_uses_is_used_three_times_by_twenty(server: ConsentServer) -> None:
    consent = server.asked(uses_max=3)
    pushed, browser = server.push(consent), server.browser()
    browser.visit(pushed, "adult")
    browser.send("consent", decision="approve")

    def use() -> str:
        try:
            with writing(server.identity.engine) as session:
                changes.use(session, consent["consent_id"], "T-INS", server.clock())
        except ConsentConflict:
            return "refused"
        return "used"

    assert Counter(at_once([use] * 20)) == {"used": 3, "refused": 17}
    assert server.state(consent) == "CONSUMED"


def test_an_idempotency_key_names_one_consent_and_one_organisations_only(
    server: ConsentServer,
) -> None:
    replies = at_once([lambda: server.ask(key="the-same-key")] * 8)
    assert {each.status_code for each in replies} == {201}
    made = {each.json()["consent_id"] for each in replies}
    assert len(made) == 1
    others = server.ask("claims2-app", key="the-same-key").json()["consent_id"]
    assert others not in made
    again = server.ask(key="the-same-key", claim_ref="CLM-2026-0002")
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_conflict")


def test_one_assertion_at_every_endpoint_at_once_is_good_once(server: ConsentServer) -> None:
    form, auth = own(server), server.plain("claims-app")

    def send(path: str, **more: str) -> Callable[[], int]:
        return lambda: server.http.post(path, data={**form, **more}, auth=auth).status_code

    acts = [
        send("/oauth/token", grant_type="client_credentials"),
        send("/oauth/introspect", token="none"),
        send("/oauth/revoke", token="none"),
    ]
    assert Counter(at_once(acts * 4)) == {200: 1, 401: 11}


def test_answers_worked_out_together_go_each_to_who_asked(server: ConsentServer) -> None:
    """Requests that change nothing share a batch; none gets another's token or another's news."""
    names = ("claims-app", "claims2-app")
    held = {name: own_token(server, name) for name in names}

    def ask(number: int) -> bool:
        name, kind = names[number % 2], number % 3
        machine = server.machines[name]
        form, proven = machine.form(server.clock()), ProvenBy(machine.key, server.clock)
        if kind == 0:
            form["client_assertion"] = f"{form['client_assertion'][:-4]}AAAA"
            return server.http.post("/oauth/token", data=form, auth=proven).status_code == 401
        if kind == 1:
            about = names[number // 2 % 2]
            sent = {k: v for k, v in form.items() if k != "grant_type"} | {"token": held[about]}
            said = server.http.post("/oauth/introspect", data=sent).json()
            return bool(said["active"] == (about == name))
        reply = server.http.post("/oauth/token", data=form, auth=proven).json()
        said = parse_compact(reply["access_token"]).claims
        bound = said["cnf"]["jkt"] == machine.key.thumbprint()
        return bool(bound and said["client_id"] == name)

    with ThreadPoolExecutor(24) as threads:
        assert all(threads.map(ask, range(120)))


def own_token(server: ConsentServer, name: str) -> str:
    """A machine token of this client."""
    machine = server.machines[name]
    proven = ProvenBy(machine.key, server.clock)
    reply = server.http.post("/oauth/token", data=machine.form(server.clock()), auth=proven)
    return str(reply.json()["access_token"])
