"""A person's own records (S21) as a Bundle: settlements, enrolments, consents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.fhir.benefit import About, explanation
from gateway.fhir.parts import Json, Told
from gateway.fhir.standing import consent, coverage


def owned(
    data: Mapping[str, Any], consents: Sequence[Told], *, subject: str, made: datetime
) -> Json:
    """The Bundle; `subject` is how the person is referred to, never a national number."""
    resources = [*_settlements(data, subject, made), *_enrolments(data, subject)]
    resources += [consent(one, subject=subject) for one in consents]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": made.isoformat(),
        "entry": [{"resource": one} for one in resources],
    }


def _settlements(data: Mapping[str, Any], subject: str, made: datetime) -> Iterator[Json]:
    for told in data.get("settlements", ()):
        about = About(subject, str(told["setl_ref"]), made)
        yield explanation(told, about, told.get("lines", ()))


def _enrolments(data: Mapping[str, Any], subject: str) -> Iterator[Json]:
    for number, told in enumerate(data.get("coverage", ()), 1):
        yield coverage(told, subject=subject, reference=f"coverage-{number}")
