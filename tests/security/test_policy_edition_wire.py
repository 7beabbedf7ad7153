"""Pushing an edition over a real connection: too much is answered, strangers keep theirs."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from gateway.api.connection import MESSAGE_LIMIT
from gateway.policy.contents import LARGEST_ARCHIVE
from gateway.settings import Settings
from tests.gateway_factory import free_port, running
from tests.staff_factory import Browser, Place, open_place

PATH = "/admin/v1/policies"
HEAD = b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
LONGEST = (LARGEST_ARCHIVE + 2) // 3 * 4


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("wire") / "home", port=free_port())


@pytest.fixture(scope="module")
def place(settings: Settings) -> Iterator[Place]:
    with open_place(settings.home, port=settings.port) as opened:
        yield opened


@pytest.fixture(scope="module")
def officer(place: Place) -> Browser:
    return place.signed_in("policy_officer", name="wang")


@pytest.fixture(scope="module")
def http(place: Place, settings: Settings) -> Iterator[httpx.Client]:
    with running(place.app, settings) as client:
        yield client


@pytest.mark.parametrize(
    ("letters", "status", "code"),
    [
        (LONGEST - LONGEST % 4 - 4, 422, "edition.archive"),  # taken and opened: no gzip
        (LONGEST + 4, 400, "entry.invalid"),
        (800 * 1024, 413, "body_too_large"),
        (MESSAGE_LIMIT - 1024, 413, "body_too_large"),
        (3 * MESSAGE_LIMIT, 413, "body_too_large"),
    ],
)
def test_a_push_of_any_size_gets_its_documented_answer(
    http: httpx.Client, officer: Browser, letters: int, status: int, code: str
) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in officer.cookies.items())
    answer = http.post(
        PATH,
        json={"archive": "A" * letters},
        headers={"sluice-csrf": officer.csrf, "cookie": cookies},
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_chunks_beyond_the_limit_are_answered_too(
    http: httpx.Client, settings: Settings, officer: Browser
) -> None:
    """Not a byte more is sent than is read: unread ones would cost the answer its connection."""
    cookies = "; ".join(f"{name}={value}" for name, value in officer.cookies.items())
    said = f"Cookie: {cookies}\r\nsluice-csrf: {officer.csrf}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((settings.host, settings.port), timeout=20) as raw:
        raw.sendall(HEAD + said.encode())
        for chunk in [b"A" * 65_536] * 12 + [b"A"]:
            raw.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        head, _, body = raw.recv(65_536).partition(b"\r\n\r\n")
        while not body:
            body = raw.recv(65_536)
    assert head.startswith(b"HTTP/1.1 413 ")
    assert json.loads(body)["code"] == "body_too_large"


@pytest.mark.parametrize("length", [b"Content-Length: 700000", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("cookie", [b"", b"Cookie: sluice-staff=invented\r\n"])
def test_a_stranger_is_sent_away_before_any_large_body_has_come(
    http: httpx.Client, settings: Settings, length: bytes, cookie: bytes
) -> None:
    with socket.create_connection((settings.host, settings.port), timeout=20) as raw:
        raw.sendall(HEAD + cookie + length + b"\r\n\r\n")  # and nothing of the body
        head, _, body = raw.recv(65_536).partition(b"\r\n\r\n")
        while not body:
            body = raw.recv(65_536)
    assert head.startswith(b"HTTP/1.1 401 ")
    assert json.loads(body)["code"] == "staff_session"
