"""HTTP of staff single sign-on: to the provider and back. The rules are `gateway.staff`'s."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import httpx
import orjson
from authlib.common.security import is_secure_transport
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.client import OAuth2Client
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.api.admin.cookies import arrival_cookie, with_cookies
from gateway.api.admin.office import Office
from gateway.api.admin.threads import in_thread
from gateway.api.presented import presented
from gateway.db.engine import reading, writing
from gateway.errors import OperatorError, Unavailable
from gateway.settings import Settings
from gateway.staff import sessions
from gateway.staff.signing_in import SignedIn, go_on
from gateway.staff.single_sign_on import (
    Departure,
    Expected,
    admit,
    arrive,
    depart,
    not_signed_on,
    read_identity,
    visits,
    without_role,
)
from gateway.staff.throttle import count_attempt, forgive, wait_of

CALLBACK = "/admin/v1/single-sign-on/callback"
_SECONDS = 5.0
_REMEMBERED = timedelta(minutes=10)
_LONGEST = 64 * 1024


@dataclass(frozen=True)
class Provider:
    """The provider as it described itself."""

    authorization_endpoint: str
    token_endpoint: str
    jwks: Mapping[str, Any]
    says_iss: bool
    read_at: datetime


class _Client(OAuth2Client):  # type: ignore[misc]  # Authlib has no types
    """Authlib's neutral client on httpx."""

    def _fetch_token(self, url: str, body: str = "", **rest: Any) -> Any:  # Any: Authlib's own form
        address, headers, text = rest["auth"].prepare("POST", url, rest["headers"], body)
        return self.parse_response_token(self.session.post(address, content=text, headers=headers))


@dataclass
class Upstream:
    """One configured provider and what was last read of it."""

    issuer: str
    client_id: str
    secret: str
    method: str
    redirect_uri: str
    provider: Provider | None = None
    reading: threading.Lock = field(default_factory=threading.Lock)

    def described(self, now: datetime) -> Provider:
        """The provider's metadata and keys, read again every ten minutes."""
        with self.reading:
            if self.provider is None or self.provider.read_at + _REMEMBERED <= now:
                self.provider = self._read(now)
            return self.provider

    def address(self, going: Departure, now: datetime) -> str:
        """Where the browser is sent."""
        with _http() as http:
            url, _ = self._client(http).create_authorization_url(
                self.described(now).authorization_endpoint,
                state=going.state,
                nonce=going.nonce,
                code_verifier=going.verifier,
            )
        return str(url)

    def identity_token(self, code: str, verifier: str, now: datetime) -> object:
        """Exchange the code; the identity token, not yet trusted."""
        try:
            with _http() as http:
                token = self._client(http).fetch_token(
                    self.described(now).token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                    redirect_uri=self.redirect_uri,
                )
        except OAuth2Error as error:
            raise not_signed_on() from error
        except (httpx.HTTPError, ValueError) as error:
            raise _unreachable() from error
        return token.get("id_token")

    def _client(self, http: httpx.Client) -> OAuth2Client:
        return _Client(
            http,
            client_id=self.client_id,
            client_secret=self.secret,
            token_endpoint_auth_method="client_secret_basic",  # noqa: S106 — a method's name
            scope="openid",
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
        )

    def _read(self, now: datetime) -> Provider:
        try:
            with _http() as http:
                said = _json(http, f"{self.issuer}/.well-known/openid-configuration")
                if said.get("issuer") != self.issuer:
                    raise ValueError("another issuer")
                names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
                asking, exchanging, keys = (str(said[name]) for name in names)
                if not all(map(is_secure_transport, (asking, exchanging, keys))):
                    raise ValueError("an endpoint without TLS")
                says_iss = bool(said.get("authorization_response_iss_parameter_supported"))
                return Provider(asking, exchanging, _json(http, keys), says_iss, now)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise _unreachable() from error


def open_upstream(settings: Settings, office: Office) -> Upstream | None:
    """The configured provider, if there is one; half a configuration stops the start."""
    issuer, file = settings.staff_sso_issuer, settings.staff_sso_secret_file
    given = (issuer, settings.staff_sso_client_id, file)
    if not any(given):
        return None
    if file is None or not all(given) or not is_secure_transport(issuer):
        raise OperatorError(
            "settings.staff_sso",
            "Single sign-on needs staff_sso_issuer (https), staff_sso_client_id and "
            "staff_sso_secret_file, or none of them.",
        )
    return Upstream(
        issuer=issuer.rstrip("/"),
        client_id=settings.staff_sso_client_id,
        secret=file.read_text(encoding="utf-8").strip(),
        method=settings.staff_sso_amr,
        redirect_uri=f"{office.issuer}{CALLBACK}",
    )


def sso_router(office: Office, upstream: Upstream) -> APIRouter:
    """Two addresses: where a sign-on begins, and where the provider sends the browser back."""
    router = APIRouter()
    router.add_route("/admin/v1/single-sign-on", partial(_begin, office, upstream), ["GET"])
    router.add_route(CALLBACK, partial(_finish, office, upstream), ["GET"])
    return router


async def _begin(office: Office, upstream: Upstream, request: Request) -> Response:
    ip = presented(request).ip
    going, address = await in_thread(office.door_threads, _departed, office, upstream, ip)
    response = RedirectResponse(address, 303)
    response.set_cookie(
        arrival_cookie(office),
        going.browser,
        max_age=600,
        httponly=True,
        samesite="lax",  # the provider's redirect has to bring it back
        secure=office.secure,
    )
    return response


def _departed(office: Office, upstream: Upstream, ip: str) -> tuple[Departure, str]:
    now, origins = office.clock(), visits(office.sealer, ip)
    with reading(office.engine) as session:
        go_on(wait_of(session, origins, now))
    upstream.described(now)  # before anything is written: the provider may be away
    with writing(office.engine) as session:
        count_attempt(session, origins, now)
        going = depart(session, office.sealer, now)
    return going, upstream.address(going, now)


async def _finish(office: Office, upstream: Upstream, request: Request) -> Response:
    said = request.query_params
    if any(len(said.getlist(name)) > 1 for name in ("code", "state", "iss", "error")):
        raise not_signed_on()
    browser = request.cookies.get(arrival_cookie(office), "")
    ip = presented(request).ip
    signed_in = await in_thread(
        office.door_threads, _arrived, office, upstream, dict(said), browser=browser, ip=ip
    )
    body = orjson.dumps({"csrf": sessions.csrf_token(signed_in.session, office.sealer)})
    response = with_cookies(office, body, signed_in)
    response.delete_cookie(arrival_cookie(office), secure=office.secure, httponly=True)
    return response


def _arrived(
    office: Office, upstream: Upstream, said: Mapping[str, str], *, browser: str, ip: str
) -> SignedIn:
    now = office.clock()
    with writing(office.engine) as session:
        arrival = arrive(session, office.sealer, said.get("state", ""), browser, now)
    provider, issuer = upstream.described(now), said.get("iss")
    mixed_up = issuer != upstream.issuer if provider.says_iss or issuer is not None else False
    if mixed_up or "code" not in said:
        raise not_signed_on()
    token = upstream.identity_token(said["code"], arrival.verifier, now)
    expected = Expected(upstream.issuer, upstream.client_id, arrival.nonce, upstream.method)
    claims = read_identity(token, provider.jwks, expected, now)
    with writing(office.engine) as session:
        forgive(session, visits(office.sealer, ip), now)
        opened = admit(session, claims, office.operations, sealer=office.sealer, now=now)
    if opened is None:
        raise without_role()
    return SignedIn(opened, "")


def _http() -> httpx.Client:
    return httpx.Client(timeout=_SECONDS, follow_redirects=False, trust_env=False)


def _json(http: httpx.Client, address: str) -> dict[str, Any]:
    answer = http.get(address)
    answer.raise_for_status()
    if answer.status_code != httpx.codes.OK or len(answer.content) > _LONGEST:
        raise ValueError("no document")
    content = answer.json()
    if not isinstance(content, dict):
        raise ValueError("no object")
    return content


def _unreachable() -> Unavailable:
    return Unavailable(
        "staff_sso_unavailable",
        "The single sign-on provider does not answer as it should; try again or sign in locally.",
        "单点登录服务暂不可用，请稍后重试或使用本地账号登录。",
    )
