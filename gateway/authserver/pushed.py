"""Rules for a pushed authorisation request (RFC 9126): what its parameters must be.

Pure but for the directory's registered redirect URIs; PKCE, response type and redirect URI are
checked again by Authlib's grant, which is the second lock on the same door.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.authserver.clients import OAuthClient
from gateway.authserver.details import read_details
from gateway.authserver.errors import Refused, invalid_request
from gateway.identity.model import Document

OPENID = "openid"
JARM_MODES = ("jwt", "query.jwt")
RESPONSE_MODES = ("query", *JARM_MODES)
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
_LONGEST = {"state": 4096, "nonce": 64}
_KEPT = (
    "client_id",
    "response_type",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "response_mode",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
)


def check_pushed(given: Mapping[str, object], client: OAuthClient, resource: str) -> Document:
    """The parameters as they are kept; raises with what to change."""
    if "request_uri" in given:
        raise invalid_request("request_uri", "A pushed request cannot name a request_uri.")
    kept: Document = {name: given[name] for name in _KEPT if name in given}
    for name, value in kept.items():
        if not isinstance(value, str) or len(value) > _LONGEST.get(name, 500):
            raise invalid_request("parameter", f"{name} is too long, or no string.")
    if given.get("client_id", client.client_id) != client.client_id:
        raise invalid_request("client_id", "client_id is not the client that pushes the request.")
    kept["client_id"] = client.client_id
    _check_flow(kept, client)
    _check_challenge(kept)
    _check_aim(given, kept, resource)
    return kept


def _check_flow(kept: Document, client: OAuthClient) -> None:
    if not client.check_grant_type("authorization_code"):
        raise Refused(
            "unauthorized_client", "grant_type", "This client is not registered for codes."
        )
    if kept.get("response_type") != "code":
        raise Refused("unsupported_response_type", "response_type", "response_type must be code.")
    if "redirect_uri" not in kept:
        raise invalid_request("redirect_uri", "redirect_uri must be in the pushed request.")
    if not client.check_redirect_uri(str(kept["redirect_uri"])):
        raise invalid_request(
            "redirect_uri", "redirect_uri must be one of your registered ones, letter by letter."
        )
    mode = kept.get("response_mode", "query")
    if mode not in RESPONSE_MODES:
        raise invalid_request("response_mode", "response_mode must be query, jwt or query.jwt.")
    if client.record.message_signing and mode not in JARM_MODES:
        raise invalid_request(
            "response_unsigned", "This client is registered for signed responses: ask for jwt."
        )


def _check_challenge(kept: Document) -> None:
    if kept.get("code_challenge_method") != "S256":
        raise invalid_request("pkce", "code_challenge_method must be S256.")
    if not _CHALLENGE.fullmatch(str(kept.get("code_challenge", ""))):
        raise invalid_request("pkce", "code_challenge must be the base64url SHA-256 of a verifier.")
    if "dpop_jkt" in kept and not _THUMBPRINT.fullmatch(str(kept["dpop_jkt"])):
        raise invalid_request("dpop_jkt", "dpop_jkt must be a SHA-256 JWK thumbprint.")


def _check_aim(given: Mapping[str, object], kept: Document, resource: str) -> None:
    """What the request is for: a consent, a sign-in, or both."""
    if given.get("resource", resource) != resource:
        raise Refused("invalid_target", "resource", f"The only resource is {resource}.")
    if given.get("prompt") == "none":
        raise invalid_request("prompt", "A person must be asked: prompt=none is not possible.")
    scope = str(kept.get("scope", "")).split()
    if set(scope) - {OPENID}:
        raise Refused("invalid_scope", "scope", "The only scope is openid.")
    details = read_details(given.get("authorization_details"))
    if details:
        kept["authorization_details"] = list(details)
    elif not scope:
        raise invalid_request("aim", "Ask for scope openid, for a consent, or for both.")
