"""A provider that hangs, and strangers who press "sign in" meanwhile: nobody else is held up."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from gateway.api import provider as provider_module
from gateway.api.provider import Provider, ProviderSilent
from gateway.identity.keyring import write_private
from tests.consent_factory import Browser, ConsentServer, consenting
from tests.factories_identity import NOON, new_key

PRESSES = 60  # more than the threads all routes of a server share


@dataclass
class Hanging:
    """A provider that answers when it is let go, and counts who asked."""

    issuer: str
    asked: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)
    reads: list[str] = field(default_factory=list)
    status: int = 200
    body: bytes = b""

    def answer(self, path: str) -> bytes:
        self.reads.append(path)
        self.asked.set()
        self.let_go.wait(60)
        if self.body or path == "/jwks":
            return self.body or b'{"keys": []}'
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        told = {name: f"{self.issuer}/{name.partition('_')[0]}" for name in names}
        return json.dumps({"issuer": self.issuer, **told}).encode()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = made.answer(self.path)
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Hanging(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    made.let_go.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(
    tmp_path: Path, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ConsentServer]:
    monkeypatch.setattr(provider_module, "SECONDS", 60.0)
    write_private(tmp_path / "person.jwk.json", new_key().as_dict(private=True))
    facts = {
        "person_login": "oidc",
        "person_issuer": hanging.issuer,
        "person_client_id": "sluice-persons",
        "person_key": tmp_path / "person.jwk.json",
    }
    with consenting(tmp_path / "home", **facts) as opened:
        yield opened


def press(browser: Browser) -> int:
    """Press the button; the provider's address is not followed."""
    form = browser.page.text.partition('name="form" value="')[2].partition('"')[0]
    site, cookies = browser.http.base_url, dict(browser.http.cookies)
    with httpx.Client(base_url=site, cookies=cookies, timeout=90) as line:
        return line.post("/person/sign-in", data={"form": form}).status_code


def test_a_hanging_provider_holds_up_nobody_but_those_who_sign_in(
    server: ConsentServer, hanging: Hanging
) -> None:
    browser = server.browser()
    browser.open("/person/sign-in")
    with ThreadPoolExecutor(PRESSES) as strangers:
        pressed = [strangers.submit(press, browser) for _ in range(PRESSES)]
        assert hanging.asked.wait(60)
        for path in ("/person/sign-in", "/person/static/person.css"):
            assert browser.http.get(path).status_code == 200
        assert server.ask().status_code == 201
        assert not any(each.done() for each in pressed)
        hanging.let_go.set()
        assert {each.result() for each in pressed} == {303}
    assert hanging.reads == ["/.well-known/openid-configuration", "/jwks"]


def test_a_failure_is_remembered_so_that_strangers_do_not_ask_again(
    server: ConsentServer, hanging: Hanging
) -> None:
    hanging.let_go.set()
    hanging.status = 500
    browser = server.browser()
    browser.open("/person/sign-in")
    assert {press(browser) for _ in range(5)} == {503}
    assert len(hanging.reads) == 1
    hanging.status = 200
    server.clock.shift += provider_module.SILENCE
    assert press(browser) == 303


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"issuer": "https://elsewhere.example"}',
        b"{}" + b" " * 70_000,
    ],
)
def test_a_description_that_is_none_is_refused(hanging: Hanging, body: bytes) -> None:
    hanging.let_go.set()
    hanging.body = body
    with pytest.raises(ProviderSilent):
        Provider(hanging.issuer).described(NOON)


def test_an_issuer_with_a_path_or_a_slash_is_compared_as_it_stands(hanging: Hanging) -> None:
    hanging.let_go.set()
    hanging.issuer += "/realm/"
    told = Provider(hanging.issuer).described(NOON)
    assert hanging.reads[0] == "/realm/.well-known/openid-configuration"
    assert told.token_endpoint.startswith(hanging.issuer)


def test_who_waited_for_a_reading_does_not_read_again(hanging: Hanging) -> None:
    provider = Provider(hanging.issuer)
    with ThreadPoolExecutor(4) as threads:
        found = [threads.submit(provider.described, NOON) for _ in range(4)]
        assert hanging.asked.wait(60)
        hanging.let_go.set()
        assert len({id(each.result()) for each in found}) == 1
    assert len(hanging.reads) == 2


def test_old_knowledge_is_used_while_another_thread_reads(hanging: Hanging) -> None:
    provider = Provider(hanging.issuer)
    hanging.let_go.set()
    first = provider.described(NOON)
    hanging.let_go.clear()
    hanging.asked.clear()
    later = NOON + provider_module.REMEMBERED
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(provider.described, later)
        assert hanging.asked.wait(60)
        assert provider.described(later) is first
        hanging.let_go.set()
        assert reading.result() is not first
