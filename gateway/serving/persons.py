"""The part of a question that is about a person: the consent as it stands, and the bureau's stops.

Every edge that asks about persons builds it here, so that none forgets to look at the stops.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypedDict

from gateway.consent.tokens import ConsentView
from gateway.policy.port import ConsentFacts


class PersonAttributes(TypedDict):
    """The attributes of a `PolicyInput` that speak of a person."""

    consent_id: str | None
    consent: ConsentFacts | None
    subject_ref: str | None
    subject_stopped: bool


@dataclass(frozen=True)
class PersonPart:
    """Whom a question is about, and by which consent; repr shows nobody."""

    consent_id: str | None
    consent: ConsentFacts | None
    subject_ref: str | None
    subject_stopped: bool

    def __repr__(self) -> str:
        return "PersonPart(…)"

    def asked(self) -> PersonAttributes:
        """As attributes of the question."""
        return {
            "consent_id": self.consent_id,
            "consent": self.consent,
            "subject_ref": self.subject_ref,
            "subject_stopped": self.subject_stopped,
        }


NOBODY = PersonPart(None, None, None, False)
"""For questions about aggregates."""


def person_part(
    consent_id: str | None,
    view: ConsentView | None,
    subject_ref: str | None,
    stopped: Collection[str],
) -> PersonPart:
    """`view` is the consent found under `consent_id`, if one was; `stopped` are the references of
    the directory's snapshot (`Snapshot.stopped_persons`). A stop on the person who consented counts
    whoever the question names.
    """
    named = {subject_ref, view.subject_ref if view else None} - {None}
    return PersonPart(
        consent_id=consent_id,
        consent=view.facts() if view else None,
        subject_ref=subject_ref,
        subject_stopped=any(reference in stopped for reference in named),
    )
