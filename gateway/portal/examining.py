"""The page of the conformance suite: start and end a run, and what came of every check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import orjson

from gateway.conformance.book import Book, Run
from gateway.conformance.tasks import tasks
from gateway.conformance.verdicts import texts
from gateway.pages.browser import Language
from gateway.pages.words import Words
from gateway.portal.frame import Page
from gateway.portal.pages import Fact


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check with its verdict, and what to fix or to do."""

    title: str
    id: str
    result: str
    good: bool
    message: str


@dataclass(frozen=True, slots=True)
class Group:
    """The checks of one subject."""

    title: str
    checks: Sequence[CheckLine]


@dataclass(frozen=True, slots=True)
class TaskLine:
    """Something the client is asked to do, with the request it begins with."""

    what: str
    request: str


@dataclass(frozen=True, slots=True)
class ExaminingPage(Page):
    """A client's newest run."""

    template: ClassVar[str] = "own_conformance.html"
    title: ClassVar[str] = "own_conformance"
    form: str
    run: str
    live: bool
    facts: Sequence[Fact]
    tasks: Sequence[TaskLine]
    groups: Sequence[Group]
    report: str


def examining(
    book: Book, client_id: str, form: str, now: datetime, seen: tuple[Language, Words]
) -> ExaminingPage:
    """The newest run, or none yet."""
    language, w = seen
    runs = book.listed(client_id)
    if not runs:
        return ExaminingPage(form, "", False, (), (), (), "")
    run = runs[0]
    return ExaminingPage(
        form=form,
        run=run.id,
        live=run.is_live(now),
        facts=[
            Fact(w.conformance_started, run.started_at.isoformat(timespec="seconds")),
            Fact(w.conformance_until, run.expires_at.isoformat(timespec="seconds")),
        ],
        tasks=list(_tasks(run, language)),
        groups=list(_groups(book, run, language, w)),
        report=run.report or "",
    )


def _tasks(run: Run, language: Language) -> Iterator[TaskLine]:
    for each in tasks(run):
        asked = f"{each['method']} {each['path']}"
        if "body" in each:
            asked += f"\n{orjson.dumps(each['body'], option=orjson.OPT_INDENT_2).decode()}"
        yield TaskLine(each["what_zh" if language == "zh" else "what"], asked)


def _groups(book: Book, run: Run, language: Language, w: Words) -> Iterator[Group]:
    found = book.verdicts(run)
    for name, title in texts()["groups"].items():
        lines = [
            CheckLine(
                title=each.title[language],
                id=each.id,
                result=w[f"check_{each.result}"],
                good=each.result == "passed",
                message=each.message.get(language, ""),
            )
            for each in found
            if each.id.partition(".")[0] == name
        ]
        yield Group(title[language], lines)
