"""Documents by which clients find their way: RFC 8414, OpenID Connect Discovery, RFC 9728."""

from __future__ import annotations

from gateway.identity.jose import ALGORITHMS
from gateway.identity.model import Document

RESOURCE_PATH = "/v1"
CONSENT_TYPE = "urn:sluice:params:oauth:consent"
"""The one type of authorization_details: a consent (RFC 9396)."""
_AUTH_METHODS = ["private_key_jwt", "tls_client_auth"]
WRAPPING = ("ECDH-ES+A256KW", "RSA-OAEP-256")
"""How keys are wrapped where answers are encrypted for a client; the content is A256GCM."""
_OWN = ["ES256"]
"""What this server itself signs with."""


def server_metadata(issuer: str) -> Document:
    """RFC 8414 authorisation-server metadata, with the members of each extension in use."""
    accepted = list(ALGORITHMS)
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "jwks_uri": f"{issuer}/oauth/jwks",
        "registration_endpoint": f"{issuer}/oauth/register",
        "scopes_supported": ["openid"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "jwt", "query.jwt"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        **_authentication("token_endpoint", accepted),
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        **_authentication("revocation_endpoint", accepted),
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        **_authentication("introspection_endpoint", accepted),
        "introspection_signing_alg_values_supported": _OWN,
        # RFC 9126, RFC 9101, JARM, RFC 9207
        "pushed_authorization_request_endpoint": f"{issuer}/oauth/par",
        "require_pushed_authorization_requests": True,
        "request_parameter_supported": True,
        "request_uri_parameter_supported": False,
        "request_object_signing_alg_values_supported": accepted,
        "authorization_signing_alg_values_supported": _OWN,
        "authorization_response_iss_parameter_supported": True,
        # Of this server: answers about persons as nested JWT (RFC 7519 §11.2)
        "claims_encryption_alg_values_supported": list(WRAPPING),
        "claims_encryption_enc_values_supported": ["A256GCM"],
        # RFC 9449, RFC 8705, RFC 9396, RFC 9728
        "dpop_signing_alg_values_supported": accepted,
        "tls_client_certificate_bound_access_tokens": True,
        "authorization_details_types_supported": [CONSENT_TYPE],
        "protected_resources": [resource_of(issuer)],
    }


def openid_metadata(issuer: str) -> Document:
    """OpenID Connect Discovery: the same server, with what an identity token needs."""
    return {
        **server_metadata(issuer),
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": _OWN,
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce"],
        "claims_parameter_supported": False,
        "prompt_values_supported": ["login", "consent"],
    }


def resource_metadata(issuer: str) -> Document:
    """RFC 9728 protected-resource metadata of the data API."""
    return {
        "resource": resource_of(issuer),
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "tls_client_certificate_bound_access_tokens": True,
        "authorization_details_types_supported": [CONSENT_TYPE],
        "resource_name": "Sluice data services",
    }


def resource_of(issuer: str) -> str:
    """Identifier of the data API: the audience of access tokens."""
    return f"{issuer}{RESOURCE_PATH}"


def resource_metadata_url(issuer: str) -> str:
    """Where the resource's metadata is published."""
    return f"{issuer}/.well-known/oauth-protected-resource{RESOURCE_PATH}"


def _authentication(endpoint: str, accepted: list[str]) -> Document:
    return {
        f"{endpoint}_auth_methods_supported": _AUTH_METHODS,
        f"{endpoint}_auth_signing_alg_values_supported": accepted,
    }
