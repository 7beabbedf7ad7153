"""A single sign-on of staff to test with: a provider that really answers, honestly or otherwise."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import RSAKey

from gateway.api.admin.upstream import CALLBACK, open_upstream
from gateway.identity.jose import encode_json, encode_segment
from gateway.settings import Settings
from tests.staff_factory import Browser, Place, admin_app, open_place

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
    reads: int = 0  # of its metadata
    publishes: list[Any] = field(default_factory=lambda: [KEY])
    exchanged: list[dict[str, str]] = field(default_factory=list)
    authorization: str = ""

    def be_honest(self) -> None:
        """Forget every bend."""
        self.describes, self.claims, self.header = {}, {}, {}
        self.key, self.publishes = KEY, [KEY]
        self.exchanged.clear()

    def metadata(self) -> dict[str, Any]:
        self.reads += 1
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


@contextmanager
def running_provider() -> Iterator[Provider]:
    """The provider, listening."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            jwks = {"keys": [key.as_dict(private=False) for key in made.publishes]}
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


@contextmanager
def open_sso_place(
    folder: Path, provider: Provider, claimed: Mapping[str, tuple[str, ...]]
) -> Iterator[Place]:
    """An office whose people may come by this provider, with these roles by group."""
    (folder / "secret").write_text(SECRET)
    with open_place(folder / "home") as opened:
        operations = replace(opened.office.operations, claimed_roles=claimed)
        office = replace(opened.office, operations=operations)
        settings = Settings(
            home=folder / "home",
            staff_sso_issuer=provider.issuer,
            staff_sso_client_id=CLIENT,
            staff_sso_secret_file=folder / "secret",
        )
        opened.office = office
        opened.app = admin_app(opened.identity, office, open_upstream(settings, office))
        provider.place = opened
        yield opened


def depart(place: Place, provider: Provider) -> Browser:
    """Begin a sign-on; the provider remembers what it was asked."""
    browser = place.browser()
    answer = browser.get("/single-sign-on")
    assert answer.status_code == 303
    ask_provider(provider, answer.headers["location"])
    return browser


def ask_provider(provider: Provider, address: str) -> None:
    """The browser follows an address to the provider."""
    query = parse_qs(urlsplit(address).query)
    provider.asked = {name: values[0] for name, values in query.items()}


def come_back(
    browser: Browser, provider: Provider, accept: str = "*/*", **changes: str | None
) -> httpx.Response:
    """The provider sends the browser back."""
    said = {"code": "the-code", "state": provider.asked["state"], "iss": provider.issuer, **changes}
    path = CALLBACK.removeprefix("/admin/v1")
    pairs = [(name, value) for name, value in said.items() if value is not None]
    return browser.ask("GET", add_params_to_uri(path, pairs), accept=accept)
