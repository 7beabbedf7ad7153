"""A person in front of a browser without scripts: reads forms, fills them in, sends them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

_MOST_STEPS = 12


@dataclass
class Form:
    """One form of a page: where it goes and what it offers."""

    action: str
    kept: dict[str, str] = field(default_factory=dict)  # hidden fields
    choices: dict[str, list[str]] = field(default_factory=dict)  # radio buttons
    boxes: dict[str, list[str]] = field(default_factory=dict)  # check boxes
    buttons: dict[str, list[str]] = field(default_factory=dict)

    def filled(self, wish: dict[str, str], decision: str) -> list[tuple[str, str]]:
        """The fields as a person would send them: every box ticked, the wishes, else the first."""
        sent = list(self.kept.items())
        sent += [(name, wish.get(name, values[0])) for name, values in self.choices.items()]
        sent += [(name, value) for name, values in self.boxes.items() for value in values]
        for name, values in self.buttons.items():
            sent.append((name, decision if decision in values else values[0]))
        return sent


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and given.get("method", "").lower() == "post":
            self.forms.append(Form(given.get("action", "")))
            self._open = True
        elif self._open and given.get("name"):
            self._field(tag, given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False

    def _field(self, tag: str, given: dict[str, str]) -> None:
        form, name, value = self.forms[-1], given["name"], given.get("value", "")
        kind = "button" if tag == "button" else given.get("type", "text")
        if kind == "hidden":
            form.kept[name] = value
            return
        groups = {"radio": form.choices, "checkbox": form.boxes, "button": form.buttons}
        groups.get(kind, form.choices).setdefault(name, []).append(value)


def forms_of(page: str) -> list[Form]:
    """The forms of a page, in order."""
    reader = _Forms()
    reader.feed(page)
    return reader.forms


def walk(address: str, redirect_uri: str, *, person: str, decision: str = "approve") -> str:
    """From the authorisation address to the callback address, through every screen between.

    Signs in as `person`, answers each screen with `decision` and ticks every box; raises
    `AssertionError` with the page's text when there is nothing to answer.
    """
    wish = {"person": person, "choice": "give" if decision == "approve" else "skip"}
    with httpx.Client(timeout=30) as browser:
        answer = browser.get(address)
        for _ in range(_MOST_STEPS):
            while answer.has_redirect_location:
                target = urljoin(str(answer.url), answer.headers["location"])
                if target.startswith(redirect_uri):
                    return target
                answer = browser.get(target)
            found = [each for each in forms_of(answer.text) if not _is_aside(each)]
            assert answer.status_code == 200, answer.text[:2000]
            assert found, answer.text[:2000]
            form = found[0]
            sent = form.filled(wish, decision)
            answer = browser.post(
                urljoin(str(answer.url), form.action),
                content=str(httpx.QueryParams(sent)),
                headers={
                    "content-type": "application/x-www-form-urlencoded",
                    "origin": f"{answer.url.scheme}://{answer.url.netloc.decode()}",
                },
            )
    raise AssertionError("the screens never end")


def _is_aside(form: Form) -> bool:
    """Language, letter size and leaving are offered on every page; they are not the answer."""
    return any(form.action.endswith(end) for end in ("/leave", "/taste", "/language", "/sign-out"))
