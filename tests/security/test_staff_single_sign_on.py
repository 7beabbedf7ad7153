"""Single sign-on of staff against a provider that really answers, honestly and otherwise."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import yaml
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import RSAKey

from gateway.api.admin.upstream import CALLBACK, open_upstream, sso_router
from gateway.errors import OperatorError
from gateway.identity.jose import encode_json, encode_segment
from gateway.settings import Settings
from gateway.staff.operations import load_operations
from tests.staff_factory import Browser, Place, open_place

KEY = RSAKey.generate_key(2048, {"kid": "provider", "alg": "RS256", "use": "sig"})
CLIENT, SECRET = "sluice-office", "an invented client secret"


def by_hand(header: dict[str, Any], claims: dict[str, Any], key: bytes) -> str:
    """A JWT no library would make: a public key as HMAC secret, or no signature."""
    signed = f"{encode_json(header)}.{encode_json(claims)}"
    made = hmac.new(key, signed.encode(), hashlib.sha256).digest() if key else b""
    return f"{signed}.{encode_segment(made)}"


@dataclass
class Provider:
    """An OpenID provider on the loopback; what it says can be bent."""

    issuer: str
    place: Place | None = None
    describes: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    key: Any = field(default_factory=lambda: KEY)
    asked: dict[str, str] = field(default_factory=dict)
    exchanged: list[dict[str, str]] = field(default_factory=list)
    authorization: str = ""

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "authorization_response_iss_parameter_supported": True,
            **self.describes,
        }

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Exchange a code as RFC 6749 and 7636 ask for."""
        self.exchanged.append(form)
        challenge = create_s256_code_challenge(form.get("code_verifier", ""))
        if challenge != self.asked["code_challenge"] or form.get("code") != "the-code":
            return 400, {"error": "invalid_grant"}
        assert self.place is not None
        now = int(self.place.clock().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "upstream-7",
            "iat": now,
            "exp": now + 300,
            "nonce": self.asked["nonce"],
            "groups": ["auditors"],
            "amr": ["pwd", "mfa"],
            **self.claims,
        }
        said = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "RS256", "kid": "provider", **self.header}
        signed = (
            by_hand(header, said, self.key)
            if isinstance(self.key, bytes)
            else jwt.encode(header, said, self.key, algorithms=[header["alg"]])
        )
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": signed}


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            jwks = {"keys": [KEY.as_dict(private=False)]}
            self._send(200, jwks if self.path == "/jwks" else made.metadata())

        def do_POST(self) -> None:
            made.authorization = self.headers.get("Authorization", "")
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._send(*made.token({name: values[0] for name, values in parse_qs(body).items()}))

        def _send(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Provider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def provider(running: Provider) -> Provider:
    """The provider, honest again."""
    running.describes, running.claims, running.header, running.key = {}, {}, {}, KEY
    running.exchanged.clear()
    return running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, running: Provider) -> Iterator[Place]:
    tmp_path, provider = tmp_path_factory.mktemp("office"), running
    (tmp_path / "secret").write_text(SECRET)
    with open_place(tmp_path / "home") as opened:
        given = load_operations(Settings().policies)
        operations = type(given)(**{**vars(given), "claimed_roles": {"auditors": ("auditor",)}})
        office = type(opened.office)(**{**vars(opened.office), "operations": operations})
        settings = Settings(
            home=tmp_path / "home",
            staff_sso_issuer=provider.issuer,
            staff_sso_client_id=CLIENT,
            staff_sso_secret_file=tmp_path / "secret",
        )
        upstream = open_upstream(settings, office)
        assert upstream is not None
        opened.app.include_router(sso_router(office, upstream))
        provider.place = opened
        yield opened


def depart(place: Place, provider: Provider) -> Browser:
    """Begin a sign-on; the provider remembers what it was asked."""
    browser = place.browser()
    answer = browser.get("/single-sign-on")
    assert answer.status_code == 303
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    provider.asked = {name: values[0] for name, values in query.items()}
    return browser


def come_back(browser: Browser, provider: Provider, **changes: str | None) -> httpx.Response:
    """The provider sends the browser back."""
    said = {"code": "the-code", "state": provider.asked["state"], "iss": provider.issuer, **changes}
    path = CALLBACK.removeprefix("/admin/v1")
    pairs = [(name, value) for name, value in said.items() if value is not None]
    return browser.get(add_params_to_uri(path, pairs))


def test_somebody_the_table_knows_is_signed_in_with_its_roles(
    place: Place, provider: Provider
) -> None:
    browser = depart(place, provider)
    answer = come_back(browser, provider)
    assert answer.status_code == 200, answer.text
    me = browser.get("/me").json()
    assert (me["name"], me["roles"], me["via"]) == (
        "sso:upstream-7",
        ["auditor"],
        "single_sign_on",
    )
    assert browser.get("/audit/staff").status_code == 200
    assert browser.get("/keys").status_code == 200
    browser.csrf = answer.json()["csrf"]
    assert browser.post("/keys/rotate").status_code == 403


def test_the_provider_is_asked_for_a_code_with_pkce_state_and_nonce(
    place: Place, provider: Provider
) -> None:
    browser = depart(place, provider)
    asked = provider.asked
    assert (asked["response_type"], asked["scope"], asked["client_id"]) == (
        "code",
        "openid",
        CLIENT,
    )
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{place.office.issuer}{CALLBACK}"
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43
    come_back(browser, provider)
    assert provider.exchanged[0]["redirect_uri"] == asked["redirect_uri"]
    assert provider.authorization.startswith("Basic ")
    assert SECRET not in json.dumps(provider.exchanged)


@pytest.mark.parametrize("groups", [[], ["others"], None, "auditor", {"auditors": 1}])
def test_somebody_the_table_does_not_know_gets_no_role(
    place: Place, provider: Provider, groups: object
) -> None:
    provider.claims = {"groups": groups}
    browser = depart(place, provider)
    answer = come_back(browser, provider)
    assert (answer.status_code, answer.json()["code"]) == (403, "staff_sso_role")
    assert browser.get("/me").status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "another-client"},
        {"aud": ["another-client", CLIENT]},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\nb"},
        {"exp": 1},
        {"exp": None},
        {"iat": 1},
        {"iat": None},
        {"amr": ["pwd"]},
        {"amr": None},
        {"amr": "mfa"},
    ],
)
def test_an_identity_token_that_says_anything_else_is_refused(
    place: Place, provider: Provider, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    browser = depart(place, provider)
    answer = come_back(browser, provider)
    assert (answer.status_code, answer.json()["code"]) == (401, "staff_sso"), answer.text
    assert browser.get("/me").status_code == 401


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ({"alg": "HS256"}, KEY.as_pem(private=False)),
        ({"alg": "none"}, b""),
        ({}, RSAKey.generate_key(2048)),
        ({"kid": "unknown"}, KEY),
    ],
)
def test_an_identity_token_signed_otherwise_is_refused(
    place: Place, provider: Provider, header: dict[str, Any], key: Any
) -> None:
    provider.header, provider.key = header, key
    answer = come_back(depart(place, provider), provider)
    assert (answer.status_code, answer.json()["code"]) == (401, "staff_sso")


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "another"},
        {"state": None},
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"code": None, "error": "access_denied"},
        {"code": "another-code"},
    ],
)
def test_an_answer_that_does_not_fit_the_question_is_refused(
    place: Place, provider: Provider, changes: dict[str, str | None]
) -> None:
    answer = come_back(depart(place, provider), provider, **changes)
    assert (answer.status_code, answer.json()["code"]) == (401, "staff_sso")


def test_a_sign_on_belongs_to_the_browser_that_began_it(place: Place, provider: Provider) -> None:
    began = depart(place, provider)
    assert come_back(place.browser(), provider).status_code == 401
    assert come_back(began, provider).status_code == 200


def test_a_sign_on_is_used_once_and_not_for_long(place: Place, provider: Provider) -> None:
    browser = depart(place, provider)
    arrival = browser.cookies["sluice-arrival"]
    assert come_back(browser, provider).status_code == 200
    browser.cookies.set("sluice-arrival", arrival)
    assert come_back(browser, provider).status_code == 401
    late = depart(place, provider)
    place.pass_time(minutes=11)
    assert come_back(late, provider).status_code == 401


def test_a_network_that_begins_and_never_finishes_has_to_wait(
    place: Place, provider: Provider
) -> None:
    flood = Browser(place, "203.0.113.77")
    statuses = [flood.get("/single-sign-on").status_code for _ in range(62)]
    assert (statuses.count(303), statuses[-1]) == (60, 429)
    assert come_back(depart(place, provider), provider).status_code == 200


@pytest.mark.parametrize(
    "describes",
    [{"issuer": "https://elsewhere.example"}, {"token_endpoint": "http://192.0.2.1/token"}],
)
def test_a_provider_that_describes_itself_wrongly_is_not_used(
    place: Place, provider: Provider, describes: dict[str, Any]
) -> None:
    provider.describes = describes
    place.pass_time(minutes=11)  # what was read before is read again
    answer = place.browser().get("/single-sign-on")
    assert (answer.status_code, answer.json()["code"]) == (503, "staff_sso_unavailable")


def test_people_of_single_sign_on_have_no_password_here(place: Place, provider: Provider) -> None:
    browser = depart(place, provider)
    browser.csrf = come_back(browser, provider).json()["csrf"]
    form = {"password": "x", "code": "000000", "new_password": "a new river ok"}
    assert browser.post("/me/password", **form).status_code == 409


def test_half_a_configuration_stops_the_start(place: Place, tmp_path: Path) -> None:
    for given in (
        {"staff_sso_issuer": "https://idp.example"},
        {"staff_sso_client_id": "x"},
        {
            "staff_sso_issuer": "http://idp.example",
            "staff_sso_client_id": "x",
            "staff_sso_secret_file": tmp_path / "secret",
        },
    ):
        with pytest.raises(OperatorError, match="Single sign-on needs"):
            open_upstream(Settings(home=tmp_path, **given), place.office)  # type: ignore[arg-type]  # mixed
    assert open_upstream(Settings(home=tmp_path), place.office) is None


def test_the_shipped_table_maps_nobody() -> None:
    shipped = yaml.safe_load((Settings().policies / "staff" / "operations.yaml").read_text())
    assert shipped["single_sign_on"]["roles"] == {}
