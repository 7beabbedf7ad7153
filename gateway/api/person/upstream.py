"""Sign-in of persons at an upstream OpenID provider: code flow, PKCE, private_key_jwt, nonce.

The provider vouches for a real-name certificate number, a birthday and, where it can, the children
in a person's care. The number becomes a keyed hash here and is dropped.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal, cast

import httpx
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, KeySetSerialization

from gateway.api.person.pending import LIFE_SECONDS, Pending
from gateway.api.provider import Described, Provider, ProviderSilent
from gateway.consent.people import Person, Ward, age_on, masked
from gateway.consent.record import Evidence
from gateway.consent.subjects import Subjects, normal
from gateway.db.chains import digest
from gateway.errors import OperatorError, Unavailable
from gateway.settings import Settings

CALLBACK = "/person/callback"
ALGORITHMS = ["ES256", "PS256", "EdDSA"]
_SKEW = 60
_FRESH = 600
_EVIDENCE = {"face": "ehic_face", "fpt": "ehic_pin", "pin": "ehic_pin", "hwk": "esign"}
_CERTNO = re.compile(r"[0-9A-Z()-]{6,30}")


class SignInRefused(Exception):
    """The provider's answer proves nobody; what it said is not repeated."""


@dataclass(frozen=True)
class _Transport:
    """What Authlib's client calls to send a form."""

    http: httpx.Client

    def post(
        self, url: str, data: Mapping[str, str], headers: dict[str, str], auth: ClientAuth
    ) -> httpx.Response:
        body = str(httpx.QueryParams(dict(data)))
        url, headers, body = auth.prepare("POST", url, headers, body)
        return self.http.post(url, content=body, headers=headers)


@dataclass(frozen=True)
class Upstream:
    """One configured provider."""

    issuer: str
    client_id: str
    redirect_uri: str
    certno_claim: str
    provider: Provider
    key: ECKey = field(repr=False)
    subjects: Subjects = field(repr=False)
    kind: Literal["oidc"] = "oidc"

    @classmethod
    def open(cls, settings: Settings, subjects: Subjects) -> Upstream:
        """The provider of these settings; says what is missing."""
        if not (settings.person_issuer and settings.person_client_id and settings.person_key):
            raise OperatorError(
                "person.oidc",
                "person_login=oidc needs person_issuer, person_client_id and person_key.",
            )
        try:
            key = ECKey.import_key(json.loads(settings.person_key.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise OperatorError("person.key", "person_key cannot be read as a JWK.") from error
        return cls(
            issuer=settings.person_issuer,
            client_id=settings.person_client_id,
            redirect_uri=settings.base_url + CALLBACK,
            certno_claim=settings.person_certno_claim,
            provider=Provider(settings.person_issuer),
            key=key,
            subjects=subjects,
        )

    def begin(self, purpose: str, now: datetime) -> tuple[str, Pending]:
        """Address to send the browser to, and what to remember until it comes back."""
        pending = Pending(
            purpose=purpose,
            state=secrets.token_urlsafe(24),
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            expires=int(now.timestamp()) + LIFE_SECONDS,
        )
        address, _ = self._client(None).create_authorization_url(
            self._described(now).authorization_endpoint,
            state=pending.state,
            nonce=pending.nonce,
            code_challenge=create_s256_code_challenge(pending.verifier),
            code_challenge_method="S256",
            prompt="login",  # the evidence of a consent is a sign-in of this moment
            max_age=_FRESH,
        )
        return str(address), pending

    def finish(self, code: str, issuer: str | None, pending: Pending, now: datetime) -> Person:
        """Whoever the provider vouches for; raises `SignInRefused`."""
        if issuer not in (None, self.issuer):
            raise SignInRefused
        told = self._described(now)
        with self.provider.line() as http:
            token = self._exchange(http, told, code, pending)
        claims = self._claims(told, token, now)
        self._check(claims, pending, now)
        return self._person(claims, now)

    def _exchange(self, http: httpx.Client, told: Described, code: str, pending: Pending) -> str:
        """The id_token that the provider gives for a code; not yet trusted."""
        try:
            given = self._client(_Transport(http)).fetch_token(
                told.token_endpoint, code=code, code_verifier=pending.verifier
            )
            return str(given["id_token"])
        except httpx.HTTPError as error:
            raise _down() from error
        except (OAuth2Error, KeyError, ValueError) as error:
            raise SignInRefused from error

    def _claims(self, told: Described, token: str, now: datetime) -> Mapping[str, Any]:
        """The verified claims; keys the provider has changed meanwhile are read again."""
        try:
            return _verified(token, told)
        except (JoseError, ValueError, KeyError) as error:
            newer = self._newer_keys(now)
            if newer is None:
                raise SignInRefused from error
        try:
            return _verified(token, newer)
        except (JoseError, ValueError, KeyError) as error:
            raise SignInRefused from error

    def _newer_keys(self, now: datetime) -> Described | None:
        try:
            return self.provider.with_newer_keys(now)
        except ProviderSilent:
            return None

    def _check(self, claims: Mapping[str, Any], pending: Pending, now: datetime) -> None:
        audience = claims.get("aud")
        moment = now.timestamp()
        right = (
            claims.get("iss") == self.issuer
            and audience in (self.client_id, [self.client_id])
            and claims.get("nonce") == pending.nonce
            and isinstance(claims.get("exp"), int)
            and claims["exp"] > moment - _SKEW
            and isinstance(claims.get("iat"), int)
            and abs(moment - claims["iat"]) <= _FRESH
            and isinstance(claims.get("auth_time"), int)
            and moment - claims["auth_time"] <= _FRESH + _SKEW
        )
        if not right:
            raise SignInRefused

    def _person(self, claims: Mapping[str, Any], now: datetime) -> Person:
        """The person of the claims, without number or birthday."""
        try:
            wards = tuple(self._ward(each, now) for each in claims.get("wards", ()))
            signed_in = datetime.fromtimestamp(claims["auth_time"], UTC)
            kind = _kind(claims["amr"])
            proof = {name: claims[name] for name in ("iss", "sub", "iat", "nonce")}
            return Person(
                ref=self.subjects.reference(_certno(claims[self.certno_claim])),
                shown=masked(str(claims["name"])),
                age=age_on(date.fromisoformat(claims["birthdate"]), now.date()),
                wards=wards,
                evidence=Evidence(kind, self.issuer, digest(proof), signed_in),
                simulated=False,
            )
        except (LookupError, TypeError, ValueError) as error:
            raise SignInRefused from error

    def _ward(self, claims: Mapping[str, Any], now: datetime) -> Ward:
        return Ward(
            self.subjects.reference(_certno(claims[self.certno_claim])),
            masked(str(claims["name"])),
            age_on(date.fromisoformat(claims["birthdate"]), now.date()),
            str(claims["relation"]),
        )

    def _described(self, now: datetime) -> Described:
        try:
            return self.provider.described(now)
        except ProviderSilent as error:
            raise _down() from error

    def _client(self, transport: _Transport | None) -> OAuth2Client:
        client = OAuth2Client(
            transport,
            client_id=self.client_id,
            client_secret=self.key,
            token_endpoint_auth_method="private_key_jwt",  # noqa: S106 — the name of a method
            redirect_uri=self.redirect_uri,
            scope="openid profile",
        )
        client.register_client_auth_method(PrivateKeyJWT(self.issuer, alg="ES256"))
        return client


def _verified(token: str, told: Described) -> Mapping[str, Any]:
    published = cast("KeySetSerialization", dict(told.jwks))  # cast: joserfc checks it itself
    claims: Mapping[str, Any] = jwt.decode(
        token, KeySet.import_key_set(published), algorithms=ALGORITHMS
    ).claims
    return claims


def _certno(claimed: object) -> str:
    """The number a provider states. An empty one would make one person of all who have none."""
    if not isinstance(claimed, str) or not _CERTNO.fullmatch(normal(claimed)):
        raise ValueError("the provider states no certificate number")
    return claimed


def _kind(methods: list[str]) -> str:
    """What the sign-in is worth as evidence; a method we do not know is worth nothing."""
    for each in methods:
        if each in _EVIDENCE:
            return _EVIDENCE[each]
    raise KeyError("amr")


def _down() -> Unavailable:
    return Unavailable(
        "person_login_unavailable",
        "The sign-in service does not answer at the moment; try again shortly.",
        "登录服务暂时没有响应，请稍后再试。",
    )
