"""The pages themselves: one frozen dataclass per page is its whole content, one template draws it.

Every page leaves with the same strict headers: no script, no frame, nothing remembered on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from fastapi import Request
from starlette.responses import HTMLResponse

from gateway.consent.history import Access
from gateway.consent.notice import Notice
from gateway.consent.people import Ward
from gateway.pages.browser import YEAR, Cookies, Language, Taste
from gateway.pages.drawing import headers, templates
from gateway.pages.words import Sentences, Words, read_words

_HERE = Path(__file__).parent
STYLE = _HERE / "static" / "person.css"


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a list to choose from."""

    value: str
    title: str
    note: str


@dataclass(frozen=True, slots=True)
class Page:
    """What every page has."""

    template: ClassVar[str]
    title: ClassVar[str]  # its key among the words


@dataclass(frozen=True, slots=True)
class SignIn(Page):
    """Prove who you are; `people` only where the app is simulated."""

    template: ClassVar[str] = "sign_in.html"
    title: ClassVar[str] = "sign_in"
    action: str
    form: str
    kind: str
    receiver: str
    people: Sequence[Choice]
    methods: Sequence[Choice]
    leave: str


@dataclass(frozen=True, slots=True)
class Whose(Page):
    """Whom is it about: yourself, or a child in your care."""

    template: ClassVar[str] = "whose.html"
    title: ClassVar[str] = "whose"
    action: str
    form: str
    choices: Sequence[Choice]


@dataclass(frozen=True, slots=True)
class GuardianPage(Page):
    """You answer for a child."""

    template: ClassVar[str] = "guardian.html"
    title: ClassVar[str] = "guardian"
    action: str
    form: str
    ward: Ward
    relation: str
    leave: str


@dataclass(frozen=True, slots=True)
class ConsentPage(Page):
    """Who, what, why, how long, how often, how to stop."""

    template: ClassVar[str] = "consent.html"
    title: ClassVar[str] = "consent"
    action: str
    form: str
    notice: Notice
    hash: str
    child: str
    given_on: str


@dataclass(frozen=True, slots=True)
class SensitivePage(Page):
    """The sensitive scope, by itself."""

    template: ClassVar[str] = "sensitive.html"
    title: ClassVar[str] = "sensitive"
    action: str
    form: str
    notice: Notice
    hash: str
    missing: bool


@dataclass(frozen=True, slots=True)
class IdentityPage(Page):
    """A service only wants to know that it is you."""

    template: ClassVar[str] = "identity.html"
    title: ClassVar[str] = "identity"
    action: str
    form: str
    receiver: str


@dataclass(frozen=True, slots=True)
class Stopped(Page):
    """Nothing can go on here, and why; `leave` is where a form takes the person back."""

    template: ClassVar[str] = "stopped.html"
    title: ClassVar[str] = "stopped"
    reason: str
    leave: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One consent in a person's list."""

    id: str
    receiver: str
    product: str
    scenario: str
    titles: Sequence[str]
    child: str
    state: str
    state_text: str
    valid_to: str
    ended: str
    uses: int
    uses_max: int
    can_end: bool


@dataclass(frozen=True, slots=True)
class Receive(Page):
    """The receiver of a link enters its code; `wrong`: the one just tried opened nothing."""

    template: ClassVar[str] = "receive.html"
    title: ClassVar[str] = "receive"
    action: str
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class MyConsents(Page):
    """All consents of a person and of children in their care."""

    template: ClassVar[str] = "consents.html"
    title: ClassVar[str] = "my_consents"
    live: Sequence[Entry]
    over: Sequence[Entry]
    form: str


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of a consent's history."""

    time: str
    what: str
    who: str


@dataclass(frozen=True, slots=True)
class MyConsent(Page):
    """One consent: what was agreed, and what happened to it."""

    template: ClassVar[str] = "consent_detail.html"
    title: ClassVar[str] = "my_consent"
    entry: Entry
    notice: Notice
    history: Sequence[Happened]
    just_ended: bool
    form: str


@dataclass(frozen=True, slots=True)
class EndPage(Page):
    """Really end it?"""

    template: ClassVar[str] = "end.html"
    title: ClassVar[str] = "end"
    action: str
    form: str
    entry: Entry
    refusal: str


@dataclass(frozen=True, slots=True)
class Looked:
    """One look at the record, in words."""

    access: Access
    time: str
    receiver: str
    service: str


@dataclass(frozen=True, slots=True)
class MyAccesses(Page):
    """Who looked."""

    template: ClassVar[str] = "accesses.html"
    title: ClassVar[str] = "accesses"
    looks: Sequence[Looked]
    form: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What surrounds a page: the browser's taste, who is signed in, whether it is all simulated."""

    taste: Taste
    path: str
    signed_in: str = ""
    simulated: bool = False
    home: bool = False
    send_to: str = ""  # a form on this page may end at this client's address
    status: int = 200
    cookies: Mapping[str, tuple[str, int]] = field(default_factory=dict)


@cache
def words() -> Sentences:
    """Every sentence of the pages by key, in two languages."""
    return read_words(_HERE / "words.yaml")


def told(language: Language) -> Words:
    """The sentences of one language."""
    return Words(words(), language)


def show(page: Page, frame: Frame, cookies: Cookies) -> HTMLResponse:
    """Draw a page."""
    w = told(frame.taste.language)
    # Any: a template takes what its page's dataclass declares
    context: dict[str, Any] = {"page": page, "frame": frame, "w": w}
    context["title"] = w[f"title_{page.title}"]
    body = templates(_HERE / "templates").get_template(page.template).render(context)
    response = HTMLResponse(body, frame.status, headers(frame.send_to))
    response.headers["Content-Language"] = frame.taste.language
    if frame.taste.asked:
        cookies.put(response, "lang", frame.taste.language, YEAR)
        cookies.put(response, "size", frame.taste.size, YEAR)
    for name, (value, life) in frame.cookies.items():
        cookies.put(response, name, value, life)
    return response


def here(request: Request) -> str:
    """The page's own path, without anything a stranger put behind it."""
    return request.url.path
