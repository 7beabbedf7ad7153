"""Which screen comes next for a person: a pure function of the request, the person, the answers.

No screen may be skipped: the order is whom it is about, what is asked, the sensitive scope by
itself. Somebody the request does not mean gets no screen of it at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from gateway.consent.people import Person
from gateway.consent.record import SENSITIVE, Consent, Document
from gateway.consent.rules import Rule

Screen: TypeAlias = Literal[
    "stranger", "minor", "whose", "guardian", "consent", "sensitive", "again", "ready"
]


@dataclass(frozen=True, slots=True)
class Step:
    """The next screen, and whom it is about once that is settled."""

    screen: Screen
    subject: str | None = None


def next_step(consent: Consent, person: Person, answer: Document, rule: Rule) -> Step:
    """What to show now; `ready` when everything has been answered."""
    choices = person.subjects(rule.guardian_under)
    meant = consent.subject_ref or consent.subject_hint
    if meant is not None and meant not in choices:
        return Step("minor" if meant == person.ref else "stranger")
    if not choices:
        return Step("minor")
    if consent.state == "AUTHORISED":
        return Step("again", meant)
    subject = meant or _chosen(choices, answer)
    if subject is None:
        return Step("whose")
    if subject != person.ref and answer.get("guardian_of") != subject:
        return Step("guardian", subject)
    return Step(_question(consent, answer), subject)


def _chosen(choices: tuple[str, ...], answer: Document) -> str | None:
    """Whom the person said it is about; with one choice there is nothing to say."""
    if len(choices) == 1:
        return choices[0]
    chosen = answer.get("subject")
    return str(chosen) if chosen in choices else None


def _question(consent: Consent, answer: Document) -> Literal["consent", "sensitive", "ready"]:
    if not isinstance(answer.get("scopes"), list):
        return "consent"
    if SENSITIVE in consent.scopes_asked and not isinstance(answer.get("sensitive"), bool):
        return "sensitive"
    return "ready"


def given_scopes(answer: Document) -> tuple[str, ...]:
    """The scopes said yes to, the sensitive one only by its own screen."""
    scopes = answer.get("scopes")
    plain = [str(each) for each in scopes] if isinstance(scopes, list) else []
    named = [each for each in plain if each != SENSITIVE]
    return (*named, *((SENSITIVE,) if answer.get("sensitive") is True else ()))
