"""What this gateway conforms to, and the documents in which it says so to machines."""

from __future__ import annotations

from typing import Final

from gateway.pages.words import Words
from gateway.portal.own_pages import ConformancePage
from gateway.portal.pages import Fact

DOCUMENTS: Final = {
    "openapi": "/openapi.json",
    "oauth_server": "/.well-known/oauth-authorization-server",
    "oauth_resource": "/.well-known/oauth-protected-resource",
    "keys": "/oauth/jwks",
    "fhir": "/v1/fhir/metadata",
    "authzen": "/.well-known/authzen-configuration",
}
_STANDARDS: Final = {
    "FAPI 2.0 Security Profile": "fapi",
    "RFC 9449 DPoP · RFC 8705 mTLS": "binding",
    "RFC 9126 PAR · RFC 9396 RAR": "consents",
    "RFC 7591 / 7592": "registration",
    "RFC 9457": "problems",
    "HL7 FHIR R4": "fhir",
    "FHIR Bulk Data Access": "bulk",
    "OpenID AuthZEN 1.0": "authzen",
    "OpenLineage": "lineage",
    "WCAG 2.2 AA": "access",
}


def conformance(w: Words) -> ConformancePage:
    """The documents there are, and the standards they follow."""
    return ConformancePage(
        documents=[Fact(address, w[f"document_{name}"]) for name, address in DOCUMENTS.items()],
        standards=[Fact(name, w[f"standard_{key}"]) for name, key in _STANDARDS.items()],
    )
