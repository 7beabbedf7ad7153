"""Client metadata (RFC 7591) where it comes in, and how it becomes the terms of a client.

Members this server has no use for are ignored, as the standard wants; members that would ask for
something it does not do (a secret, another algorithm, another response type, encryption of a
response other than answers about persons) are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from gateway.authserver.clients import PRIVATE_KEY_JWT
from gateway.errors import OperatorError
from gateway.identity.entries import ClientTerms, check_entry
from gateway.identity.jwks import accept_jwks
from gateway.identity.model import AuthMethod, Client, Document, GrantType, Product
from gateway.identity.sealing import CONTENT

Algorithm: TypeAlias = Literal["PS256", "ES256", "EdDSA", "Ed25519"]
_CODE = "authorization_code"
_ENCRYPTION = re.compile(r"_encrypt(ed_response|ion)_(alg|enc)$")


def _printable(text: str) -> str:
    """Refuse control and direction marks: with them a name reads differently than it is."""
    if not text.isprintable():
        raise ValueError("a name holds printable characters only")
    return text


Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]


class ClientMetadata(BaseModel):
    """What a client asks for; what is absent is taken from its product."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    client_name: Name | None = None
    redirect_uris: Annotated[tuple[str, ...], Field(max_length=20)] | None = None
    grant_types: tuple[GrantType, ...] = ("client_credentials",)
    response_types: tuple[Literal["code"], ...] | None = None
    token_endpoint_auth_method: AuthMethod = "private_key_jwt"  # noqa: S105 - a method's name
    token_endpoint_auth_signing_alg: Algorithm | None = None
    jwks: dict[str, object] | None = None
    jwks_uri: str | None = None
    scope: Literal["", "openid"] = ""
    dpop_bound_access_tokens: bool | None = None
    tls_client_certificate_bound_access_tokens: bool = False
    require_pushed_authorization_requests: Literal[True] = True
    require_signed_request_object: bool = False
    request_object_signing_alg: Algorithm | None = None
    authorization_signed_response_alg: Literal["ES256"] | None = None
    id_token_signed_response_alg: Literal["ES256"] | None = None
    introspection_signed_response_alg: Literal["ES256"] | None = None
    claims_encrypted_response_alg: Literal["ECDH-ES+A256KW", "RSA-OAEP-256"] | None = None
    """Of this server: answers about persons (S18 to S20) as JWE."""
    claims_encrypted_response_enc: Literal["A256GCM"] | None = None
    subject_type: Literal["pairwise"] = "pairwise"
    software_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _encrypts_nothing_else(cls, document: object) -> object:
        """What is not encrypted must not be thought to be: such members are never ignored."""
        named = document if isinstance(document, dict) else {}
        wrong = [
            name
            for name in named
            if _ENCRYPTION.search(str(name)) and str(name) not in cls.model_fields
        ]
        if wrong:
            raise ValueError("only claims_encrypted_response_alg and _enc are encrypted here")
        return document

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.tls_client_certificate_bound_access_tokens and self.dpop_bound_access_tokens:
            raise ValueError("bind tokens by DPoP or by certificate, not both")
        if self.dpop_bound_access_tokens is False and not (
            self.tls_client_certificate_bound_access_tokens
        ):
            raise ValueError("every token is bound: by DPoP, or by certificate")
        if self.claims_encrypted_response_enc and not self.claims_encrypted_response_alg:
            raise ValueError("claims_encrypted_response_enc needs claims_encrypted_response_alg")
        if self.response_types and _CODE not in self.grant_types:
            raise ValueError("response_types code needs grant_types authorization_code")
        return self


def read_metadata(document: Mapping[str, object]) -> ClientMetadata:
    """The metadata of a registration; names each member that is wrong, none of their values."""
    try:
        return ClientMetadata.model_validate(dict(document))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'document'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise OperatorError(
            "registration.metadata", f"The metadata is refused: {wrong}."
        ) from error


def narrowed(
    asked: ClientMetadata, product: Product, digest: str | None
) -> tuple[str, Document | None, ClientTerms]:
    """Name, keys and terms of a client, within what its product vouches for.

    People read the name, so it is the product's, whatever was asked (RFC 7591 §3.2.1 lets a server
    replace values). A name in a certificate is vouched for by nobody here: only the data office
    registers clients that authenticate by one.
    """
    if asked.token_endpoint_auth_method != PRIVATE_KEY_JWT:
        raise OperatorError(
            "registration.auth_method",
            "Register with private_key_jwt; the data office registers certificates.",
        )
    redirects = _redirects(asked, product)
    jwks, jwks_uri = _keys(asked, product)
    if asked.software_id not in (None, product.id):
        raise OperatorError("registration.software_id", "software_id is not the statement's.")
    terms = {
        "product_id": product.id,
        "jwks_uri": jwks_uri,
        "redirect_uris": redirects,
        "grant_types": asked.grant_types,
        "auth_method": PRIVATE_KEY_JWT,
        "binding": "mtls" if asked.tls_client_certificate_bound_access_tokens else "dpop",
        "message_signing": asked.require_signed_request_object,
        "answer_encryption": asked.claims_encrypted_response_alg,
        "registration_digest": digest,
    }
    checked = check_entry(ClientTerms, terms, "The metadata is refused")
    return product.name_zh, jwks, checked


def _redirects(asked: ClientMetadata, product: Product) -> tuple[str, ...]:
    if _CODE not in asked.grant_types:
        return asked.redirect_uris or ()
    wanted = product.redirect_uris if asked.redirect_uris is None else asked.redirect_uris
    if set(wanted) - set(product.redirect_uris):
        raise OperatorError(
            "registration.redirect_uris",
            "redirect_uris must be among those of the software statement, letter by letter.",
        )
    return tuple(wanted)


def _keys(asked: ClientMetadata, product: Product) -> tuple[Document | None, str | None]:
    if asked.jwks is not None and asked.jwks_uri is not None:
        raise OperatorError("registration.keys", "Give either jwks or jwks_uri.")
    if product.jwks_uri:
        if asked.jwks is not None or asked.jwks_uri not in (None, product.jwks_uri):
            raise OperatorError("registration.keys", "Keys are those of the statement's jwks_uri.")
        return None, product.jwks_uri
    if asked.jwks_uri is not None:
        raise OperatorError("registration.keys", "Keys are those of the software statement.")
    vouched = product.jwks["keys"]
    wanted = vouched if asked.jwks is None else accept_jwks(asked.jwks)["keys"]
    known = {_material(each) for each in _listed(vouched)}
    if {_material(each) for each in _listed(wanted)} - known:
        raise OperatorError("registration.keys", "Keys are those of the software statement.")
    return {"keys": wanted}, None


def _listed(keys: object) -> list[dict[str, object]]:
    return keys if isinstance(keys, list) else []


def _material(jwk: Mapping[str, object]) -> tuple[str, ...]:
    """The key itself, whatever it is called."""
    return tuple(str(jwk.get(name, "")) for name in ("kty", "crv", "x", "y", "n", "e"))


def metadata_of(client: Client) -> Document:
    """A client as RFC 7591 describes it."""
    bound_by_certificate = client.binding == "mtls"
    asks_people = _CODE in client.grant_types
    described: Document = {
        "client_id": client.id,
        "client_name": client.name,
        "grant_types": list(client.grant_types),
        "response_types": ["code"] if asks_people else [],
        "redirect_uris": list(client.redirect_uris),
        "token_endpoint_auth_method": client.auth_method,
        "tls_client_auth_subject_dn": client.tls_subject_dn,
        "tls_client_auth_san_dns": client.tls_san_dns,
        "jwks_uri": client.jwks_uri,
        "jwks": None if client.jwks_uri else client.jwks,
        "dpop_bound_access_tokens": not bound_by_certificate,
        "tls_client_certificate_bound_access_tokens": bound_by_certificate,
        "require_pushed_authorization_requests": True,
        "require_signed_request_object": client.message_signing,
        "authorization_signed_response_alg": "ES256" if client.message_signing else None,
        "id_token_signed_response_alg": "ES256" if asks_people else None,
        "claims_encrypted_response_alg": client.answer_encryption,
        "claims_encrypted_response_enc": CONTENT if client.answer_encryption else None,
        "subject_type": "pairwise",
        "software_id": client.product_id,
    }
    return {name: value for name, value in described.items() if value is not None}
