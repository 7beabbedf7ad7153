"""From an AuthZEN evaluation to the question the rules read: a closed table, nothing guessed.

`PLACES` is the whole mapping. An attribute that is not in it, one that is missing, and one that the
question's form refuses make the evaluation unanswerable: the answer is no, with the attributes'
names. Time, environment, consent and counters are the gateway's own and cannot be sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pydantic import ValidationError

from gateway.api.authzen_form import Attributes, Evaluation
from gateway.policy.port import PolicyInput
from gateway.serving.questions import sets_disclosure

Place: TypeAlias = tuple[str, ...]

CLIENT: Final = "client"
TENANT: Final = "tenant"
RESOURCE: Final = "data-service"

PLACES: Final[Mapping[str, Place]] = {
    "subject.properties.ip": ("tenant", "ip"),
    "subject.properties.cert_thumbprint": ("tenant", "cert_thumbprint"),
    "subject.properties.user": ("user", "id"),
    "subject.properties.role": ("user", "role"),
    "subject.properties.mfa": ("user", "mfa"),
    "resource.id": ("service",),
    "resource.properties.version": ("version",),
    "resource.properties.release": ("release",),
    "resource.properties.dims": ("dims",),
    "resource.properties.measures": ("measures",),
    "resource.properties.levels": ("levels",),
    "resource.properties.where": ("where",),
    "resource.properties.fields": ("fields",),
    "resource.properties.params": ("params",),
    "resource.properties.bulk": ("bulk",),
    "action.name": ("op",),
    "context.purpose": ("purpose_code",),
    "context.period": ("period",),
    "context.geo": ("geo",),
    "context.grant_id": ("grant_id",),
    "context.consent_id": ("consent_id",),
    "context.subject_ref": ("subject_ref",),
    "context.format": ("format",),
    "context.destination": ("destination",),
    "context.cells": ("qty_estimate",),
}
"""AuthZEN attribute → attribute of the question."""

NEEDED: Final = (
    "subject.properties.ip",
    "context.purpose",
    "context.period",
    "context.geo",
    "context.grant_id",
)
USER: Final = "subject.properties.user"
ROLE: Final = "subject.properties.role"
PROGRAM: Final = "application"
NOT_OF_THE_FORM: Final = "D000"
_NAME: Final = re.compile(r"[a-z_]{1,32}")
DISCLOSURE: Final = "D406"
UNREGISTERED: Final = "D101"


@dataclass(frozen=True)
class Unanswerable:
    """No question can be made of it; `code` is what the journal and the answer call that."""

    reason: str
    code: str
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Surroundings:
    """What the gateway itself adds to a question."""

    tenant: str | None  # whom it is about; None where nobody of that kind and name is known
    versions: Mapping[str, str]  # service → version on offer
    own: dict[str, Any]  # attributes of the question that no caller states


def map_question(asked: Evaluation, around: Surroundings) -> PolicyInput | Unanswerable:
    """The question, or why there is none."""
    flat = dict(_flat(asked))
    wrong = _kinds(asked) or _unknown(flat) or _missing(flat)
    if wrong is not None:
        return wrong
    if around.tenant is None:
        return Unanswerable("unknown_subject", UNREGISTERED, ("subject.id",))
    question: dict[str, Any] = {
        "version": around.versions.get(asked.resource.id, "0"),
        "tenant": {"id": around.tenant},
        "user": {"id": asked.subject.id},
    }
    for attribute, value in flat.items():
        _put(question, PLACES[attribute], value)
    return _checked(question | around.own)


def _flat(asked: Evaluation) -> Iterator[tuple[str, Any]]:
    """Every attribute by its full name."""
    yield "resource.id", asked.resource.id
    yield "action.name", asked.action.name
    parts = {
        "subject.properties": asked.subject.properties,
        "resource.properties": asked.resource.properties,
        "action.properties": asked.action.properties,
        "context": asked.context,
    }
    for part, attributes in parts.items():
        for name, value in attributes.items():
            yield f"{part}.{name}", value


def _kinds(asked: Evaluation) -> Unanswerable | None:
    if asked.subject.type not in (CLIENT, TENANT):
        return Unanswerable("unknown_type", NOT_OF_THE_FORM, ("subject.type",))
    if asked.resource.type != RESOURCE:
        return Unanswerable("unknown_type", NOT_OF_THE_FORM, ("resource.type",))
    return None


def _unknown(flat: Attributes) -> Unanswerable | None:
    """Attributes nobody reads; one that is meant to steer disclosure control has its own code."""
    unknown = [name for name in flat if name not in PLACES]
    if not unknown:
        return None
    steers = sets_disclosure(name.rpartition(".")[2] for name in unknown)
    code = DISCLOSURE if steers else NOT_OF_THE_FORM
    return Unanswerable("unknown_attribute", code, tuple(sorted({_said(name) for name in unknown})))


def _said(name: str) -> str:
    """The name, or where it stood when it is no name but could hold anything."""
    place, _, own = name.rpartition(".")
    return name if _NAME.fullmatch(own) else place


def _missing(flat: Attributes) -> Unanswerable | None:
    missing = tuple(name for name in NEEDED if flat.get(name) is None)
    if flat.get(USER) is not None and flat.get(ROLE, PROGRAM) == PROGRAM:
        missing = (*missing, ROLE)  # a program has no other name than its client's
    return Unanswerable("missing_attribute", NOT_OF_THE_FORM, missing) if missing else None


def _put(question: dict[str, Any], place: Place, value: Any) -> None:
    holder = question
    for part in place[:-1]:
        holder = holder[part]
    holder[place[-1]] = value


def _checked(question: Mapping[str, Any]) -> PolicyInput | Unanswerable:
    try:
        return PolicyInput.model_validate(question)
    except ValidationError as error:
        wrong = {_name(each["loc"]) for each in error.errors(include_input=False)}
        return Unanswerable("invalid_attribute", NOT_OF_THE_FORM, tuple(sorted(wrong)))


def _name(loc: tuple[int | str, ...]) -> str:
    """The AuthZEN name of the attribute that stands at this place of the question."""
    for name, place in PLACES.items():
        if loc[: len(place)] == place:
            return name
    return "subject.id"  # tenant and user are the only parts made of anything else
