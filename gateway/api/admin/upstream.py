"""HTTP of staff single sign-on: to the provider and back. The rules are `gateway.staff`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
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

from gateway.api.admin.asking import JSON, read_ask
from gateway.api.admin.cookies import arrival_cookie, set_cookies, with_cookies
from gateway.api.admin.endpoint import Answer, Call, Endpoint, as_http, serve
from gateway.api.admin.office import Office
from gateway.api.presented import presented
from gateway.api.provider import Described, Provider, ProviderSilent
from gateway.api.threads import in_thread
from gateway.db.engine import reading, writing
from gateway.errors import OperatorError, Unauthenticated, Unavailable
from gateway.identity.entries import Entry
from gateway.identity.record import append
from gateway.settings import Settings
from gateway.staff import sessions
from gateway.staff.model import RECORD, Visitor
from gateway.staff.signing_in import SignedIn, go_on
from gateway.staff.single_sign_on import (
    LIFE,
    Departure,
    Expected,
    admit,
    arrive,
    depart,
    kept_by_browser,
    not_signed_on,
    read_identity,
    unproved,
    use_up,
    visits,
    without_role,
)
from gateway.staff.throttle import count_attempt, forgive, wait_of

CALLBACK = "/admin/v1/single-sign-on/callback"
ENTERED = "/console/entered"
"""Where a browser goes next: a page that goes on by itself, since a strict cookie is not sent along
on a way that began at the provider."""


class _Client(OAuth2Client):  # type: ignore[misc]  # Authlib has no types
    """Authlib's neutral client on httpx."""

    def _fetch_token(self, url: str, body: str = "", **rest: Any) -> Any:  # Any: Authlib's own form
        address, headers, text = rest["auth"].prepare("POST", url, rest["headers"], body)
        return self.parse_response_token(self.session.post(address, content=text, headers=headers))


@dataclass(frozen=True)
class Upstream:
    """One configured provider."""

    provider: Provider
    client_id: str
    secret: str = field(repr=False)
    method: str
    redirect_uri: str

    @property
    def issuer(self) -> str:
        return self.provider.issuer

    def described(self, now: datetime) -> Described:
        """What the provider says of itself."""
        try:
            return self.provider.described(now)
        except ProviderSilent as error:
            raise _unreachable() from error

    def newer(self, now: datetime) -> Described | None:
        """Read again for a token that fits no key of ours."""
        try:
            return self.provider.with_newer_keys(now)
        except ProviderSilent:
            return None

    def address(self, going: Departure, now: datetime) -> str:
        """Where the browser is sent."""
        url, _ = self._client(None).create_authorization_url(
            self.described(now).authorization_endpoint,
            state=going.state,
            nonce=going.nonce,
            code_verifier=going.verifier,
        )
        return str(url)

    def identity_token(self, code: str, verifier: str, now: datetime) -> object:
        """Exchange the code; the identity token, not yet trusted."""
        told = self.described(now)
        try:
            with self.provider.line() as http:
                token = self._client(http).fetch_token(
                    told.token_endpoint,
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

    def _client(self, http: httpx.Client | None) -> OAuth2Client:
        return _Client(
            http,
            client_id=self.client_id,
            client_secret=self.secret,
            token_endpoint_auth_method="client_secret_basic",  # noqa: S106 — a method's name
            scope="openid",
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
        )


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
        provider=Provider(issuer),
        client_id=settings.staff_sso_client_id,
        secret=file.read_text(encoding="utf-8").strip(),
        method=settings.staff_sso_amr,
        redirect_uri=f"{office.issuer}{CALLBACK}",
    )


def sso_router(office: Office, upstream: Upstream) -> APIRouter:
    """Where a sign-on begins, also one that links an account, and where the browser comes back."""
    router = APIRouter()
    router.add_route("/admin/v1/single-sign-on", partial(_begin, office, upstream), ["GET"])
    router.add_route(CALLBACK, partial(_finish, office, upstream), ["GET"])
    router.add_route(f"/admin/v1{LINK.path}", partial(_begin_link, office, upstream), ["POST"])
    return router


async def _begin(office: Office, upstream: Upstream, request: Request) -> Response:
    """Send the browser off. Nothing is written down: strangers may come here."""
    now = office.clock()
    going = depart(now)
    address = await in_thread(office.upstream_threads, upstream.address, going, now)
    return _remembering(RedirectResponse(address, 303), office, going)


async def _begin_link(office: Office, upstream: Upstream, request: Request) -> Response:
    """Send a signed-in person off to the provider, to come back as the person of this account."""
    ask = await read_ask(office, LINK, request)
    endpoint = replace(LINK, run=_recorded_link)
    answer = await in_thread(office.threads, serve, office, endpoint, ask)
    now = office.clock()
    going = depart(now, link=str(answer["name"])) if isinstance(answer, dict) else depart(now)
    address = await in_thread(office.upstream_threads, upstream.address, going, now)
    response = Response(orjson.dumps({"address": address}), media_type=JSON)
    return _remembering(response, office, going)


def _remembering(response: Response, office: Office, going: Departure) -> Response:
    response.set_cookie(
        arrival_cookie(office),
        kept_by_browser(going, office.sealer),
        max_age=int(LIFE.total_seconds()),
        httponly=True,
        samesite="lax",  # the provider's redirect has to bring it back
        secure=office.secure,
    )
    return response


def _signed_in_here(_office: Office, visitor: Visitor, _form: Entry | None) -> None:
    if visitor.via != sessions.LOCAL:
        raise OperatorError("link.state", "Sign in with your account here to link it.")


def _recorded_link(call: Call) -> Answer:
    name = call.visitor.name
    append(call.session, RECORD, call.act, "begin_link", ("staff", name), before=None, after=None)
    return {"name": name}


def _no_sign_on(_call: Call) -> Answer:
    raise OperatorError("link.state", "Single sign-on is not set up here.")


LINK = Endpoint("me.link", "POST", "/me/link", _no_sign_on, first=_signed_in_here)
"""Linking one's account; without a provider it says so."""


async def _finish(office: Office, upstream: Upstream, request: Request) -> Response:
    said = request.query_params
    if any(len(said.getlist(name)) > 1 for name in ("code", "state", "iss", "error")):
        raise not_signed_on()
    browser = request.cookies.get(arrival_cookie(office), "")
    ip = presented(request).ip
    signed_in = await in_thread(
        office.upstream_threads, _arrived, office, upstream, dict(said), browser=browser, ip=ip
    )
    response: Response
    if "text/html" in request.headers.get("accept", ""):  # a person's browser, not a program
        response = set_cookies(office, RedirectResponse(ENTERED, 303), signed_in)
    else:
        body = orjson.dumps({"csrf": sessions.csrf_token(signed_in.session, office.sealer)})
        response = with_cookies(office, body, signed_in)
    response.delete_cookie(arrival_cookie(office), secure=office.secure, httponly=True)
    return response


def _arrived(
    office: Office, upstream: Upstream, said: Mapping[str, str], *, browser: str, ip: str
) -> SignedIn:
    now, origins = office.clock(), visits(office.sealer, ip)
    going = arrive(browser, said.get("state", ""), office.sealer, now)
    told, issuer = upstream.described(now), said.get("iss")
    mixed_up = issuer != upstream.issuer if told.says_iss or issuer is not None else False
    if mixed_up or "code" not in said:
        raise not_signed_on()
    with reading(office.engine) as session:
        go_on(wait_of(session, origins, now))
    with writing(office.engine) as session:
        count_attempt(session, origins, now)
    try:
        token = upstream.identity_token(said["code"], going.verifier, now)
        claims = _identity(upstream, told, token, going, now)
    except Unauthenticated:
        with writing(office.engine) as session:
            unproved(session, now)
        raise
    try:
        with writing(office.engine) as session:
            forgive(session, origins, now)
            use_up(session, going, office.sealer, now)
            operations, sealer = office.operations, office.sealer
            opened = admit(session, claims, going, operations, sealer=sealer, now=now)
    except OperatorError as error:
        raise as_http(error) from error
    if opened is None:
        raise without_role()
    return SignedIn(opened, "")


def _identity(
    upstream: Upstream, told: Described, token: object, going: Departure, now: datetime
) -> Mapping[str, Any]:
    """The verified claims; keys the provider has changed meanwhile are read again."""
    expected = Expected(upstream.issuer, upstream.client_id, going.nonce, upstream.method)
    try:
        return read_identity(token, told.jwks, expected, now)
    except Unauthenticated:
        newer = upstream.newer(now)
        if newer is None:
            raise
        return read_identity(token, newer.jwks, expected, now)


def _unreachable() -> Unavailable:
    return Unavailable(
        "staff_sso_unavailable",
        "The single sign-on provider does not answer as it should; try again or sign in locally.",
        "单点登录服务暂不可用，请稍后重试或使用本地账号登录。",
    )
