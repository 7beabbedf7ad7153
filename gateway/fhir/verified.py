"""An answer of S18 or S19 as a Bundle: what was found out as Parameters, a settlement as
ExplanationOfBenefit, an enrolment as Coverage, the bureau's proof over the plain data as signature.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from gateway.fhir.benefit import About, explanation
from gateway.fhir.parts import Json, known_as, without_none
from gateway.fhir.standing import coverage

_VERIFIED: Final = {
    "system": "urn:iso-astm:E1762-95:2013",
    "code": "1.2.840.10065.1.12.1.5",
    "display": "Verification Signature",
}
_RECORDS: Final = frozenset({"settlements", "diagnoses", "lines", "coverage"})


def verified(data: Mapping[str, Any], *, consent_id: str, proof: str, made: datetime) -> Json:
    """The Bundle of one answer; `proof` is the compact JWS over `data` itself."""
    resources = [_found_out(data), *_enrolment(data, consent_id)]
    resources += _settlements(data, consent_id, made)
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": made.isoformat(),
        "entry": [{"resource": one} for one in resources],
        "signature": {
            "type": [_VERIFIED],
            "when": made.isoformat(),
            "who": known_as("Organization", "bureau", "bureau"),
            "sigFormat": "application/jose",
            "data": base64.b64encode(proof.encode()).decode(),
        },
    }


def _enrolment(data: Mapping[str, Any], consent_id: str) -> Iterator[Json]:
    told = data.get("coverage")
    if told is not None:
        yield coverage(told, subject=consent_id, reference=consent_id)


def _settlements(data: Mapping[str, Any], consent_id: str, made: datetime) -> Iterator[Json]:
    """Settlements; where only parts of one were allowed, those parts under the consent's name."""
    if "settlements" in data:
        for told in data["settlements"]:
            about = About(consent_id, str(told["setl_ref"]), made)
            yield explanation(told, about, told.get("lines", ()))
        return
    told, lines = data.get("diagnoses") or [], data.get("lines") or []
    if told or lines:
        about = About(consent_id, consent_id, made)
        yield explanation(told[0] if told else {}, about, lines)
    for number, further in enumerate(told[1:], 2):
        yield explanation(further, About(consent_id, f"{consent_id}.{number}", made))


def _found_out(data: Mapping[str, Any]) -> Json:
    told = [_parameter(name, value) for name, value in data.items() if name not in _RECORDS]
    return without_none(
        resourceType="Parameters", parameter=[one for one in told if one is not None]
    )


def _parameter(name: str, value: object) -> Json | None:
    """A value of the answer; an object has its members as parts, null is left out."""
    match value:
        case None:
            return None
        case bool():
            return {"name": name, "valueBoolean": value}
        case int():
            return {"name": name, "valueInteger": value}
        case Mapping():
            parts = [_parameter(str(each), one) for each, one in value.items()]
            return without_none(name=name, part=[one for one in parts if one is not None])
        case _:
            return {"name": name, "valueString": str(value)}
