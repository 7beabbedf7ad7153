"""Attacks by a signed text used for what it was not made for: every kind, at every place.

Whatever the gateway or a client signs says what it is for; none of them passes for another kind,
although clients sign assertions, proofs and request objects with one and the same key.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest

from gateway.db.engine import writing
from gateway.identity.entries import ProductEntry
from gateway.identity.products import register_product
from gateway.identity.software_statement import issue_statement
from tests.consent_factory import ConsentServer, answer_of, consenting
from tests.factories_identity import act, make_proof, new_key, public, sign

CLIENT = "claims-app"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsentServer]:
    with consenting(tmp_path_factory.mktemp("confusion") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def texts(server: ConsentServer) -> Mapping[str, str]:
    """One good text of every kind there is, unused."""
    pushed, browser = server.push(server.asked()), server.browser()
    browser.visit(pushed, "adult")
    code = answer_of(browser.send("consent", decision="approve"))["code"]
    tokens = server.exchange(pushed, code).json()
    sets = server.http.post(
        "/v1/events/poll", json={"returnImmediately": True}, auth=server.auth()
    ).json()["sets"]
    machine, nonce = server.machines[CLIENT], server.identity.proofs.nonce(server.clock())
    address = f"{server.identity.issuer}/oauth/token"
    return {
        "access token": tokens["access_token"],
        "identity token": tokens["id_token"],
        "event": next(iter(sets.values())),
        "statement": statement(server),
        "introspection": introspection(server, tokens["access_token"]),
        "request object": request_object(server, typ="oauth-authz-req+jwt"),
        "proof": make_proof(machine.key, "POST", address, server.clock(), nonce=nonce),
        "assertion": machine.assertion(server.clock()),
        "refresh token": tokens["refresh_token"],
    }


def statement(server: ConsentServer) -> str:
    product = {
        "id": f"P-{secrets.token_hex(3)}",
        "tenant": "T-INS",
        "name_zh": "测试产品（虚构）",
        "name_en": "An invented product",
        "jwks": {"keys": [public(new_key())]},
        "security_contact": "test",
    }
    with writing(server.identity.engine) as session:
        register_product(session, act(), ProductEntry.model_validate(product))
        return issue_statement(
            session,
            act(at=server.clock()),
            str(product["id"]),
            ring=server.identity.ring(),
            issuer=server.identity.issuer,
        )


def introspection(server: ConsentServer, token: str) -> str:
    form = {**own(server), "token": token}
    accept = {"Accept": "application/token-introspection+jwt"}
    return server.http.post("/oauth/introspect", data=form, headers=accept).text


def request_object(server: ConsentServer, typ: str | None = None, **claims: object) -> str:
    machine, now = server.machines[CLIENT], int(server.clock().timestamp())
    content = {
        "iss": CLIENT,
        "aud": server.identity.issuer,
        "nbf": now,
        "exp": now + 60,
        "jti": secrets.token_hex(8),
        "client_id": CLIENT,
        "response_type": "code",
        "redirect_uri": server.redirect_uri,
        "scope": "openid",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **claims,
    }
    header = {"alg": "ES256", "kid": machine.key.kid} | ({"typ": typ} if typ else {})
    return sign(header, content, machine.key)


def own(server: ConsentServer) -> dict[str, str]:
    form = server.machines[CLIENT].form(server.clock())
    return {name: value for name, value in form.items() if name != "grant_type"}


def as_access_token(server: ConsentServer, text: str) -> httpx.Response:
    address = f"{server.identity.issuer}/v1/consents"
    nonce = server.identity.proofs.nonce(server.clock())
    key = server.machines[CLIENT].key
    proof = make_proof(key, "GET", address, server.clock(), nonce=nonce, access_token=text)
    headers = {"Authorization": f"DPoP {text}", "DPoP": proof}
    return server.http.get("/v1/consents", headers=headers)


def as_assertion(server: ConsentServer, text: str) -> httpx.Response:
    form = {**own(server), "grant_type": "client_credentials", "client_assertion": text}
    return server.http.post("/oauth/token", data=form, auth=server.plain(CLIENT))


def as_proof(server: ConsentServer, text: str) -> httpx.Response:
    form = {**own(server), "grant_type": "client_credentials"}
    return server.http.post("/oauth/token", data=form, headers={"DPoP": text})


def as_request_object(server: ConsentServer, text: str) -> httpx.Response:
    form = {**own(server), "request": text}
    return server.http.post("/oauth/par", data=form, auth=server.plain(CLIENT))


def as_statement(server: ConsentServer, text: str) -> httpx.Response:
    return server.http.post("/oauth/register", json={"software_statement": text})


def as_refresh_token(server: ConsentServer, text: str) -> httpx.Response:
    form = {**own(server), "grant_type": "refresh_token", "refresh_token": text}
    return server.http.post("/oauth/token", data=form, auth=server.plain(CLIENT))


def as_code(server: ConsentServer, text: str) -> httpx.Response:
    form = {
        **own(server),
        "grant_type": "authorization_code",
        "code": text,
        "redirect_uri": server.redirect_uri,
        "code_verifier": "v" * 43,
    }
    return server.http.post("/oauth/token", data=form, auth=server.plain(CLIENT))


PLACES: dict[str, Callable[[ConsentServer, str], httpx.Response]] = {
    "access token": as_access_token,
    "assertion": as_assertion,
    "proof": as_proof,
    "request object": as_request_object,
    "statement": as_statement,
    "refresh token": as_refresh_token,
    "code": as_code,
}
KINDS = (
    "access token",
    "identity token",
    "event",
    "statement",
    "introspection",
    "request object",
    "proof",
    "assertion",
    "refresh token",
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_text_of_one_kind_is_worth_nothing_as_another(
    server: ConsentServer, texts: Mapping[str, str], kind: str, place: str
) -> None:
    if kind == place:
        return  # its own place; that it works there is shown below
    reply = PLACES[place](server, texts[kind])
    assert reply.status_code in (400, 401), reply.text
    assert "access_token" not in reply.text


@pytest.mark.parametrize("typ", [None, "JWT", "oauth-authz-req+jwt"])
def test_a_request_object_that_could_be_an_assertion_is_refused(
    server: ConsentServer, typ: str | None
) -> None:
    """RFC 9101 §10.8: with `sub` it would name the client just as an assertion does."""
    text = request_object(server, typ, sub=CLIENT)
    reply = as_request_object(server, text)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request_object")


@pytest.mark.parametrize("typ", [None, "JWT", "oauth-authz-req+jwt"])
def test_a_request_object_is_no_assertion_whatever_it_calls_itself(
    server: ConsentServer, typ: str | None
) -> None:
    text = request_object(server, typ)
    assert as_assertion(server, text).status_code == 401
    assert as_request_object(server, text).status_code == 201


def test_each_text_works_where_it_belongs(server: ConsentServer, texts: Mapping[str, str]) -> None:
    """Else the refusals above would prove nothing."""
    good = ("access token", "assertion", "proof", "request object", "statement", "refresh token")
    answers = {kind: PLACES[kind](server, texts[kind]).status_code for kind in good}
    assert answers == {
        "access token": 403,  # a person's token: proved, and not for this address
        "assertion": 200,
        "proof": 200,
        "request object": 201,
        "statement": 201,
        "refresh token": 200,
    }
