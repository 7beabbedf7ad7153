"""A person who has proved who they are: what the consent pages may know of them, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from gateway.consent.record import Document, Evidence


@dataclass(frozen=True, slots=True)
class Ward:
    """A child in the person's care: an internal token, a masked name, an age and the relation."""

    ref: str
    shown: str
    age: int
    relation: str


@dataclass(frozen=True, slots=True)
class Person:
    """A signed-in person. `shown` is a masked name; no certificate number, no birthday."""

    ref: str
    shown: str
    age: int
    wards: tuple[Ward, ...]
    evidence: Evidence
    simulated: bool

    def subjects(self, under: int) -> tuple[str, ...]:
        """Whom this person may answer for: themselves, and children below the age of consent."""
        own = () if self.age < under else (self.ref,)
        return (*own, *(ward.ref for ward in self.wards if ward.age < under))

    def ward(self, ref: str) -> Ward | None:
        """The child with this token, if it is in the person's care."""
        return next((each for each in self.wards if each.ref == ref), None)

    def document(self) -> Document:
        """The form in which a session keeps it."""
        wards = [[each.ref, each.shown, each.age, each.relation] for each in self.wards]
        return {
            "ref": self.ref,
            "shown": self.shown,
            "age": self.age,
            "wards": wards,
            "evidence": self.evidence.document(),
            "simulated": self.simulated,
        }


def person_of(document: Any) -> Person:  # Any: a document this module wrote
    """The person a session keeps."""
    evidence = document["evidence"]
    return Person(
        ref=document["ref"],
        shown=document["shown"],
        age=document["age"],
        wards=tuple(Ward(*each) for each in document["wards"]),
        evidence=Evidence(
            evidence["type"],
            evidence["provider"],
            evidence["hash"],
            datetime.fromisoformat(evidence["time"]),
        ),
        simulated=document["simulated"],
    )


def age_on(birthday: date, today: date) -> int:
    """Completed years; a birthday counts from its own day on."""
    before_birthday = (today.month, today.day) < (birthday.month, birthday.day)
    return today.year - birthday.year - before_birthday


def masked(name: str) -> str:
    """A name as a screen may show it: the first character and the last of four or more."""
    if len(name) < 2:
        return "*"
    middle = "*" * max(1, len(name) - 2)
    return name[0] + (middle + name[-1] if len(name) > 2 else "*")
