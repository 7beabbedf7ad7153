"""The CapabilityStatement: which resources are told here, and how one asks."""

from __future__ import annotations

from datetime import date
from typing import Final

from gateway.fhir.parts import Json

VERSION: Final = "4.0.1"
MEDIA: Final = "application/fhir+json"


def capability(*, software: str, version: str, made: date) -> Json:
    """The statement for `GET /v1/fhir/metadata`. There is no read or search by address: every
    question names a consent and is a POST of the service, so resources list no interaction."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": made.isoformat(),
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
    "ExplanationOfBenefit": "A settlement, answered by S19 to Accept: application/fhir+json.",
    "Coverage": "An enrolment: in the person's own download (S21).",
    "Consent": "The consent behind an answer.",
}
