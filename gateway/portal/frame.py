"""What surrounds every page of the portal, and drawing one: dataclass in, strict headers out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final

from starlette.responses import HTMLResponse

from gateway.pages.browser import YEAR, Cookies, Taste
from gateway.pages.drawing import SHARED, headers, templates
from gateway.pages.words import Sentences, Words, read_words

HOME: Final = "/portal"
_HERE = Path(__file__).parent
STYLE: Final = _HERE / "static" / "portal.css"


@dataclass(frozen=True, slots=True)
class Page:
    """What every page has: a template of its own name and a title among the words."""

    template: ClassVar[str]
    title: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Link:
    """One entry of the menu."""

    address: str
    title: str
    here: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """What surrounds a page: the menu, who is signed in, whether all of it is invented."""

    taste: Taste
    path: str
    kept: str  # the rest of the address that a change of language keeps, as `&q=…`
    menu: tuple[Link, ...]
    own: tuple[Link, ...]
    signed_in: str
    form: str
    simulated: bool


@cache
def words() -> Sentences:
    """Every sentence of the portal by key, in two languages."""
    return read_words(SHARED.parent / "words.yaml", _HERE / "words.yaml", _HERE / "words_own.yaml")


def told(seen: Taste) -> Words:
    """The sentences in the language a browser asked for."""
    return Words(words(), seen.language)


def show(page: Page, frame: Frame, cookies: Cookies, status: int = 200) -> HTMLResponse:
    """Draw a page."""
    w = told(frame.taste)
    # Any: a template takes what its page's dataclass declares
    context: dict[str, Any] = {"page": page, "frame": frame, "w": w}
    context["title"] = w[f"title_{page.title}"]
    body = templates(_HERE / "templates").get_template(page.template).render(context)
    response = HTMLResponse(body, status, headers())
    response.headers["Content-Language"] = frame.taste.language
    if frame.taste.asked:
        cookies.put(response, "lang", frame.taste.language, YEAR)
        cookies.put(response, "theme", frame.taste.theme, YEAR)
    return response
