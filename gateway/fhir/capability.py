"""The CapabilityStatement: which resources are told here, and how one asks."""

from __future__ import annotations

from typing import Final

from gateway.fhir.parts import Json

VERSION: Final = "4.0.1"
MADE: Final = "2026-11-23"
"""When what the statement says last changed."""
MEDIA: Final = "application/fhir+json"


def capability(*, software: str, version: str) -> Json:
    """The statement for `GET /v1/fhir/metadata`. There is no read or search by address: every
    question names a consent and asks a service of ours with `Accept: application/fhir+json`, so no
    resource lists an interaction."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": MADE,
        "kind": "instance",
        "software": {"name": software, "version": version},
        "implementation": {"description": "Person-level services, by content negotiation."},
        "fhirVersion": VERSION,
        "format": [MEDIA],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "FAPI 2.0: sender-constrained tokens, consent bound."},
                "resource": [
                    {"type": kind, "documentation": said} for kind, said in _RESOURCES.items()
                ],
            }
        ],
    }


_RESOURCES: Final = {
    "ExplanationOfBenefit": "A settlement: POST /v1/services/S19/verify, and GET /me/records.",
    "Coverage": "An enrolment: POST /v1/services/S18/verify, and GET /me/records.",
    "Consent": "The consent behind an answer: GET /v1/consents/{id}.",
}
