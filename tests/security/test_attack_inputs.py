"""Attacks by what is sent: text that cannot be stored, forms that mean two things, odd HTTP.

Nothing of it is an error of ours, nothing of it is repeated in an answer, a log or a file.
"""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from gateway.identity.jose import sign_es256
from gateway.identity.metadata import CONSENT_TYPE
from tests.consent_factory import ConsentServer, answer_of, certno, consenting

CLIENT = "claims-app"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
LONE = "\ud800"  # half a pair: JSON can say it, UTF-8 cannot
JUNK: tuple[object, ...] = (
    None,
    True,
    -1,
    2**63,
    10**30,
    1e308,
    LONE,
    "\0",
    "",
    "x" * 5000,
    "0001-01-01",
    "9999-12-31",
    [],
    {},
    [[]],
    [LONE],
    {"a": {LONE: [1]}},
    ["S18"] * 2000,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsentServer]:
    with consenting(tmp_path_factory.mktemp("inputs") / "home") as running:
        running.auth()
        yield running


def own(server: ConsentServer) -> dict[str, str]:
    form = server.machines[CLIENT].form(server.clock())
    return {name: value for name, value in form.items() if name != "grant_type"}


def push(server: ConsentServer, **form: str) -> httpx.Response:
    auth = server.plain(CLIENT)
    return server.http.post("/oauth/par", data={**own(server), **form}, auth=auth)


def parameters(server: ConsentServer, **changed: object) -> dict[str, object]:
    return {
        "client_id": CLIENT,
        "response_type": "code",
        "redirect_uri": server.redirect_uri,
        "scope": "openid",
        "state": "s",
        "nonce": "n",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changed,
    }


def signed(server: ConsentServer, **changed: object) -> str:
    """A request object with claims that a JWT library would not write."""
    key, now = server.machines[CLIENT].key, int(server.clock().timestamp())
    envelope = {"iss": CLIENT, "aud": server.identity.issuer, "nbf": now, "exp": now + 60}
    header = {"alg": "ES256", "kid": key.kid, "typ": "oauth-authz-req+jwt"}
    content = {**parameters(server), **envelope, **changed}
    return sign_es256(key.private_key, header, content)  # type: ignore[attr-defined]


@pytest.mark.parametrize("member", ["consent_id", "scenario", "purpose", "services", "type"])
@pytest.mark.parametrize("value", [LONE, f"c{LONE}", [LONE], {LONE: 1}, None, 10**400])
def test_details_of_any_content_are_refused_not_stumbled_over(
    server: ConsentServer, member: str, value: object
) -> None:
    detail = {"type": CONSENT_TYPE, "consent_id": "c-1", member: value}
    plain = {name: str(each) for name, each in parameters(server).items()}
    reply = push(server, **plain, authorization_details=json.dumps([detail]))
    assert reply.status_code == 400
    assert push(server, request=signed(server, authorization_details=[detail])).status_code == 400


@pytest.mark.parametrize("member", ["consent_id", "type", "services"])
def test_details_that_name_a_member_twice_are_refused(server: ConsentServer, member: str) -> None:
    consent = server.asked()
    names = {"type": CONSENT_TYPE, "consent_id": consent["consent_id"], "services": ["S18", "S19"]}
    plain = {name: str(each) for name, each in parameters(server).items()}
    once = json.dumps(names)[1:-1]
    twice = f"{once}, {json.dumps({member: names[member]})[1:-1]}"

    assert push(server, **plain, authorization_details=f"[{{{once}}}]").status_code == 201
    reply = push(server, **plain, authorization_details=f"[{{{twice}}}]")
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_authorization_details")


@pytest.mark.parametrize("name", ["state", "nonce", "scope", "dpop_jkt", "redirect_uri"])
@pytest.mark.parametrize("value", [LONE, f"a{LONE}b", [LONE], 1, {"a": 1}, 10**400])
def test_parameters_that_cannot_be_kept_are_refused_where_they_come_in(
    server: ConsentServer, name: str, value: object
) -> None:
    assert push(server, request=signed(server, **{name: value})).status_code == 400


@pytest.mark.parametrize("name", ["sub", "jti", "kid"])
def test_an_assertion_with_text_that_cannot_be_kept_is_only_wrong(
    server: ConsentServer, name: str
) -> None:
    key, now = server.machines[CLIENT].key, int(server.clock().timestamp())
    kid = LONE if name == "kid" else key.kid
    subject = LONE if name == "sub" else CLIENT
    claims = {"iss": subject, "sub": subject, "aud": server.identity.issuer, "exp": now + 60}
    claims["jti"] = LONE if name == "jti" else f"of {name}"
    text = sign_es256(key.private_key, {"alg": "ES256", "kid": kid}, claims)  # type: ignore[attr-defined]
    form = {**own(server), "grant_type": "client_credentials", "client_assertion": text}
    reply = server.http.post("/oauth/token", data=form, auth=server.plain(CLIENT))
    assert reply.status_code in (200, 401)


def places(document: object, at: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Every place inside a JSON document."""
    if at:
        yield at
    if isinstance(document, dict):
        for name, value in document.items():
            yield from places(value, (*at, name))


def with_junk(document: Mapping[str, object]) -> Iterator[bytes]:
    """The document with each value replaced by each piece of junk."""
    for place in places(document):
        for junk in JUNK:
            changed = json.loads(json.dumps(document))
            inner = changed
            for name in place[:-1]:
                inner = inner[name]
            inner[place[-1]] = junk
            yield json.dumps(changed).encode()


def test_a_request_for_a_consent_is_refused_whatever_is_wrong_with_it(
    server: ConsentServer,
) -> None:
    good = server.wanted(subject={"certno": certno("adult")}, grant_id="G-T-INS", language="en")
    headers = {"Content-Type": "application/json"}
    for number, body in enumerate(with_junk(good)):
        sent = {**headers, "Idempotency-Key": f"junk-{number:06d}"}
        reply = server.http.post("/v1/consents", content=body, headers=sent, auth=server.auth())
        assert reply.status_code in (201, 400, 403, 413), body[:200]
        assert certno("adult") not in reply.text


BODIES = (b"", b"{", b"null", b'"', b"\xff\xfe", b"[" * 60_000, b'{"a":' * 9_000, b"1" * 5_000)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/consents"),
        ("POST", "/v1/events/poll"),
        ("PUT", "/v1/events/stream"),
        ("POST", "/oauth/register"),
        ("POST", "/oauth/token"),
        ("POST", "/oauth/par"),
        ("POST", "/person/sign-in"),
        ("POST", "/person/interactions/x/consent"),
        ("POST", "/me/consents/x/revoke"),
    ],
)
@pytest.mark.parametrize("media", ["application/json", "application/x-www-form-urlencoded", "a/b"])
def test_no_body_is_an_error_of_ours(
    server: ConsentServer, method: str, path: str, media: str
) -> None:
    for body in BODIES:
        headers = {"Content-Type": media, "Idempotency-Key": "any-body"}
        auth = server.auth() if path.startswith("/v1/") else None
        reply = server.http.request(method, path, content=body, headers=headers, auth=auth)
        assert 400 <= reply.status_code < 500, (media, body[:20])


def spoken(server: ConsentServer, message: bytes) -> bytes:
    """What the server says to these octets before it, or the silence, ends the connection."""
    port = urlsplit(server.identity.issuer).port
    heard = b""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as line:
        line.sendall(message)
        line.shutdown(socket.SHUT_WR)
        while piece := line.recv(65_536):
            heard += piece
    return heard


HEAD = (
    b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
)
FORM = b"grant_type=client_credentials"
LENGTH = b"Content-Length: %d\r\n" % len(FORM)


@pytest.mark.parametrize(
    "message",
    [
        HEAD + LENGTH + b"Content-Length: 5\r\n\r\n" + FORM,
        HEAD + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        HEAD + LENGTH + b"Transfer-Encoding : chunked\r\n\r\n" + FORM,
        HEAD + LENGTH + b"X-A: a\r\n b\r\n\r\n" + FORM,
        HEAD + LENGTH + b"X-A: a\rb\r\n\r\n" + FORM,
        HEAD + LENGTH + b"X-A: a\0b\r\n\r\n" + FORM,
        HEAD + b"Content-Length: -1\r\n\r\n" + FORM,
        HEAD + b"Content-Length: +5\r\n\r\n" + FORM,
        HEAD + b"Content-Length: 99999999999999999999\r\n\r\n" + FORM,
    ],
)
def test_a_message_whose_end_could_be_read_in_two_ways_is_refused(
    server: ConsentServer, message: bytes
) -> None:
    heard = spoken(server, message)
    assert heard.startswith(b"HTTP/1.1 400 ")
    assert heard.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "header",
    [
        b"X-Forwarded-Host: evil.example",
        b"Forwarded: host=evil.example;proto=https",
        b"X-Forwarded-Proto: https",
        b"X-Original-URL: /admin",
    ],
)
def test_no_header_makes_an_address_of_ours_another(server: ConsentServer, header: bytes) -> None:
    for path in (b"/person", b"/person/sign-in", b"/.well-known/openid-configuration"):
        message = b"GET " + path + b" HTTP/1.1\r\nHost: evil.example\r\n" + header
        heard = spoken(server, message + b"\r\nConnection: close\r\n\r\n")
        assert b"evil.example" not in heard


def whole_life(server: ConsentServer) -> dict[str, str]:
    """A consent from asking to revoking; everything on the way that nobody else may learn."""
    number = certno("adult")
    consent = server.asked(subject={"certno": number})
    pushed, browser = server.push(consent), server.browser()
    browser.visit(pushed, "adult")
    code = answer_of(browser.send("consent", decision="approve"))["code"]
    tokens = server.exchange(pushed, code).json()
    home = server.browser()
    home.open("/person/sign-in")
    home.sign_in("adult")
    csrf = home.http.get("/me/consents").json()["csrf_token"]
    revoke = f"/me/consents/{consent['consent_id']}/revoke"
    assert home.http.post(revoke, headers={"X-CSRF-Token": csrf}).status_code == 200
    request_uri = dict(parse_qsl(urlsplit(pushed.address).query))["request_uri"]
    cookies = [*browser.http.cookies.items(), *home.http.cookies.items()]
    return {
        "certificate number": number,
        "name": "测试甲一",
        "birthday": "1985-03-12",
        "code": code,
        "verifier": pushed.verifier,
        "request_uri": request_uri.rpartition(":")[2],
        "csrf": csrf,
        **{name: tokens[name] for name in ("access_token", "refresh_token", "id_token")},
        **{f"cookie {name}": value for name, value in cookies if "lang" not in name},
    }


def mistakes(server: ConsentServer) -> None:
    """Requests that carry a person's number where it does not belong."""
    number = certno("elder")
    server.ask(claim_ref=f"bad {number}")
    server.ask(subject={"certno": number * 3})
    assert number not in server.ask(**{number: 1}).text
    addresses: tuple[Callable[[], httpx.Response], ...] = (
        lambda: server.http.get(f"/v1/consents/{number}", auth=server.auth()),
        lambda: server.http.get(f"/person/consents/{number}"),
        lambda: server.http.get("/oauth/authorize", params={"client_id": number}),
        lambda: server.http.request("PATCH", f"/nowhere/{number}"),
        lambda: server.http.post("/oauth/token", data={"grant_type": number}),
    )
    for ask in addresses:
        assert 300 <= ask().status_code < 500


def test_no_log_and_no_file_holds_a_secret_or_a_person(tmp_path: Path) -> None:
    written = io.StringIO()
    handler, root = logging.StreamHandler(written), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for client in ("httpx", "httpcore"):  # the test's own side
        logging.getLogger(client).setLevel(logging.WARNING)
    try:
        with consenting(tmp_path / "home") as server:
            secrets = whole_life(server)
            mistakes(server)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    secrets["another's number"] = certno("elder")
    kept = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    in_log = [name for name, value in secrets.items() if value in written.getvalue()]
    in_files = [name for name, value in secrets.items() if value.encode() in kept]
    assert (in_log, in_files) == ([], [])
