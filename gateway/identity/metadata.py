"""Documents by which clients find their way: RFC 8414 (server) and RFC 9728 (resource)."""

from __future__ import annotations

from gateway.identity.jose import ALGORITHMS
from gateway.identity.model import Document

RESOURCE_PATH = "/v1"


def server_metadata(issuer: str) -> Document:
    """RFC 8414 authorisation-server metadata."""
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/oauth/token",
        "jwks_uri": f"{issuer}/oauth/jwks",
        "grant_types_supported": ["client_credentials"],
        # Required, and an empty list is forbidden (RFC 8414 §2, §3.2).
        "response_types_supported": ["none"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "protected_resources": [resource_of(issuer)],
    }


def resource_metadata(issuer: str) -> Document:
    """RFC 9728 protected-resource metadata of the data API."""
    return {
        "resource": resource_of(issuer),
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
        "resource_name": "Sluice data services",
    }


def resource_of(issuer: str) -> str:
    """Identifier of the data API: the audience of access tokens."""
    return f"{issuer}{RESOURCE_PATH}"


def resource_metadata_url(issuer: str) -> str:
    """Where the resource's metadata is published."""
    return f"{issuer}/.well-known/oauth-protected-resource{RESOURCE_PATH}"
