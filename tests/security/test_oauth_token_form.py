"""The token endpoint's form: one plain body, each name once, nothing in address or header."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.factories_identity import Served, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("home")) as running:
        yield running


def code_of(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, str(reply.json().get("code"))


@pytest.mark.parametrize(
    ("send", "status", "code"),
    [
        ({"params": {"grant_type": "client_credentials"}}, 400, "invalid_request"),
        ({"extra": {"scope": "everything"}}, 400, "scope"),
        ({"extra": {"resource": "https://elsewhere.example"}}, 400, "resource"),
        ({"extra": {"grant_type": "password"}}, 400, "unsupported_grant_type"),
        ({"extra": {"grant_type": ""}}, 400, "invalid_request"),
        ({"extra": {"client_id": "rsa-app"}}, 401, "assertion_subject"),
        ({"extra": {"client_assertion_type": "saml"}}, 401, "assertion_missing"),
        ({"auth": ("ins-app", "secret")}, 401, "client_method"),
        ({"extra": {"client_secret": "secret"}}, 401, "client_method"),
        ({"extra": {"client_secret": ""}}, 401, "client_method"),
        ({"extra": {"grant_type": "client_credentials\0"}}, 400, "unsupported_grant_type"),
        ({"extra": {"grant_type": " client_credentials"}}, 400, "unsupported_grant_type"),
        ({"extra": {"grant_type": "CLIENT_CREDENTIALS"}}, 400, "unsupported_grant_type"),
        ({"extra": {"scope": "\r\nSet-Cookie: a=b"}}, 400, "scope"),
    ],
)
def test_the_form_is_read_strictly(
    server: Served, send: dict[str, Any], status: int, code: str | None
) -> None:
    form = {**server.machine.form(server.clock()), **send.pop("extra", {})}

    reply = server.http.post("/oauth/token", data=form, **{"auth": server.prover} | send)

    assert reply.status_code == status
    assert reply.json().get("code") == code
    assert "access_token" not in reply.json()


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"grant_type=client_credentials&grant_type=client_credentials", "FORM"),
        (b'{"grant_type": "client_credentials"}', "application/json"),
        (b"grant_type=client_credentials", "multipart/form-data"),
        (b"grant_type=client_credentials&%67rant_type=client_credentials", "FORM"),
        ("grant_type=client_credentials".encode("utf-16"), "FORM; charset=utf-16"),
        (b"grant_type=client_credentials", "FORM, application/json"),
        (b"grant_type[]=client_credentials", "FORM"),
        (b"grant_type=%ff%fe", "FORM"),
        (b"grant_type=\xff", "FORM"),
        (b"a=" + b"x" * 40_000, "FORM"),
        (b"&".join(b"f%d=1" % n for n in range(50)), "FORM"),
        (b"", "FORM"),
    ],
)
def test_bodies_that_are_no_plain_form_are_refused(
    server: Served, content: bytes, media_type: str
) -> None:
    media_type = media_type.replace("FORM", "application/x-www-form-urlencoded")

    reply = server.http.post("/oauth/token", content=content, headers={"content-type": media_type})

    assert code_of(reply) == (400, "invalid_request")


def test_credentials_in_the_address_are_refused_even_with_a_good_body(server: Served) -> None:
    form = server.machine.form(server.clock())

    reply = server.http.post("/oauth/token", params=form, data=form)

    assert code_of(reply) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"])
def test_tokens_are_asked_for_by_post_alone(server: Served, method: str) -> None:
    form = server.machine.form(server.clock())
    reply = server.http.request(method, "/oauth/token", data=form, auth=server.prover)

    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"


def test_what_goes_around_the_framework_is_still_inside_the_outermost_ring(
    server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "sluice.access"):
        reply = server.post(server.machine.form(server.clock()))
    line = json.loads(caplog.messages[-1])

    assert (line["route"], line["status"], line["bytes"]) == (
        "/oauth/token",
        200,
        len(reply.content),
    )
    assert reply.headers["sluice-request-id"] == line["request_id"]
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    assert reply.headers["dpop-nonce"]


def test_a_body_over_the_limit_is_refused_before_it_is_read(server: Served) -> None:
    reply = server.http.post("/oauth/token", data={"grant_type": "x" * 70_000})

    assert code_of(reply) == (413, "body_too_large")
