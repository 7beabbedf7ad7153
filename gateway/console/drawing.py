"""From a visit to the page in its frame: the menu, who may see it, the headers it leaves with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from starlette.responses import HTMLResponse

from gateway.console.desk import HOME, Visit
from gateway.console.pages import Frame, Group, Link, Notice, Page
from gateway.errors import SluiceError
from gateway.pages.browser import YEAR
from gateway.pages.drawing import headers, templates

TEMPLATES = Path(__file__).parent / "templates"


def frame_of(visit: Visit, operation: str = "", notice: Notice | None = None) -> Frame:
    """What surrounds the page whose content this operation answers."""
    told, words = visit.visitor, visit.words
    return Frame(
        taste=visit.taste,
        path=visit.path,
        csrf=visit.csrf,
        name=told.name if told else "",
        roles=role_titles(visit, told.roles) if told else (),
        menu=menu(visit) if told else (),
        env=visit.desk.env,
        who_may=words.sentence_who_may.format(who=may_titles(visit, operation))
        if operation
        else "",
        notice=notice or _done(visit),
        stop_href=f"{HOME}/do/stop.raise" if visit.may("stop.raise") else "",
    )


def menu(visit: Visit) -> list[Group]:
    """The pages this person may open, by group."""
    words, site, found = visit.words, visit.desk.site, []
    here = visit.path.removeprefix(f"{HOME}/").partition("/")[0]
    for group in site.groups:
        links = [
            Link(words[f"page_{name}"], f"{HOME}/{name}", name == here)
            for name, page in site.pages.items()
            if page.group == group and not page.hidden and visit.may(page.read)
        ]
        if links:
            found.append(Group(words[f"group_{group}"], links))
    return found


def may_titles(visit: Visit, operation: str) -> str:
    """The roles that may do it, in words."""
    allowed = visit.desk.office.operations.table.get(operation, frozenset())
    if "any" in allowed:
        return visit.words.role_any
    return visit.words.comma.join(role_titles(visit, sorted(allowed)))


def role_titles(visit: Visit, roles: Any) -> list[str]:  # Any: whatever can be gone through
    """Roles as the table of operations names them."""
    known = visit.desk.office.operations.roles
    return [
        known[each].zh if visit.taste.language == "zh" else known[each].en
        for each in roles
        if each in known
    ]


def _done(visit: Visit) -> Notice | None:
    """What was just done, said once after it; only operations there are can be named."""
    done = visit.query.get("done", "")
    if done not in visit.desk.site.endpoints:
        return None
    title = visit.words.of(f"act_{done.replace('.', '_')}", done)
    return Notice(visit.words.sentence_done.format(what=title))


def draw(visit: Visit, page: Page, frame: Frame, status: int = 200) -> HTMLResponse:
    """The page as an answer."""
    context: dict[str, Any] = {"page": page, "frame": frame, "w": visit.words}
    body = templates(TEMPLATES).get_template(page.template).render(context)
    response = HTMLResponse(body, status, headers(scripts=True))
    response.headers["Content-Language"] = visit.taste.language
    if visit.taste.asked:
        cookies = visit.desk.cookies
        cookies.put(response, "lang", visit.taste.language, YEAR)
        cookies.put(response, "theme", visit.taste.theme, YEAR)
    return response


def sentence_of(visit: Visit, error: SluiceError) -> str:
    """What is wrong, in the reader's language; the detail is English where nobody wrote Chinese."""
    if visit.taste.language == "zh" and error.zh:
        told = re.sub(r"，(原因)?见 detail。?", "。", error.zh)
        return told if told == error.zh else f"{told}（{error.message}）"
    return error.message or error.title
