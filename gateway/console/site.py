"""What pages the console has, read from `site.yaml`: a page is a row there and not code.

A listing shows what an operation of `/admin/v1` answers; one of its entries opens with all its
facts and the acts that its state allows. Whether somebody may do it is asked of nobody here: the
operation itself refuses, and a button whose operation would refuse is not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from gateway.api.admin.endpoint import Endpoint
from gateway.api.admin.router import ENDPOINTS
from gateway.errors import OperatorError
from gateway.identity.entries import Entry, check_entry

FILE = Path(__file__).parent / "site.yaml"
Name = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]
OperationName = Annotated[str, Field(pattern=r"^[a-z][a-z_]*\.[a-z_]+$")]


class Act(Entry):
    """A button: the operation, and in which states of the entry it makes sense."""

    do: OperationName
    when: tuple[str, ...] = ()  # values of the page's `state`; none: always
    grave: bool = False  # asks once more before it is done
    tells: bool = False  # its answer is shown: it is said this once
    gives: Mapping[str, str] = {}  # fields of the form, filled from the entry


class PageEntry(Entry):
    """One page; with `own` its content is code of that name, else an operation's answer."""

    group: Name
    own: Name | None = None
    read: OperationName
    rows: Name | None = None  # the key of the answer under which the rows are
    key: tuple[Name, ...] = ("id",)
    at: tuple[Name, ...] = ()  # the parts of the address of acts, filled from `key`
    state: Name | None = "status"
    columns: tuple[Annotated[str, Field(pattern=r"^[a-z_]+(:[a-z]+)?$")], ...] = ()
    paged: bool = False  # the operation itself takes after, limit and q
    search: Name = "q"  # the parameter that the search box fills, where it is paged
    newest: bool = False  # it takes before and limit, and answers the newest first
    wants: Mapping[str, str] = {}  # what it is always asked with
    make: tuple[Act, ...] = ()
    acts: tuple[Act, ...] = ()
    one: OperationName | None = None  # what tells more of one entry
    opens: bool = True  # an entry has a page of its own
    hidden: bool = False  # reached from other pages, not from the menu


class SiteFile(Entry):
    """The file's form."""

    groups: tuple[Name, ...]
    pages: Mapping[Name, PageEntry]


class Site:
    """The pages, and the operations behind them."""

    def __init__(self, file: SiteFile, endpoints: tuple[Endpoint, ...] = ENDPOINTS) -> None:
        self.groups, self.pages = file.groups, file.pages
        self.endpoints = {each.operation: each for each in endpoints}
        for name, page in self.pages.items():
            self._check(name, page)

    def endpoint(self, operation: str) -> Endpoint:
        """The operation's endpoint; raises `OperatorError` for one there is not."""
        try:
            return self.endpoints[operation]
        except KeyError as error:
            raise OperatorError(
                "operation_unknown", f"There is no operation {operation}."
            ) from error

    def act(self, operation: str) -> Act:
        """How the site declares an operation; the plain act where no page names it."""
        return next((each for each in self._acts() if each.do == operation), Act(do=operation))

    def page_of(self, operation: str) -> str:
        """The page on which an act is offered; the first page where none is."""
        for name, page in self.pages.items():
            if any(each.do == operation for each in (*page.make, *page.acts)):
                return name
        return next(iter(self.pages))

    def _acts(self) -> list[Act]:
        return [act for page in self.pages.values() for act in (*page.make, *page.acts)]

    def _check(self, name: str, page: PageEntry) -> None:
        asked = [page.read, *(act.do for act in (*page.make, *page.acts))]
        missing = [each for each in asked if each not in self.endpoints]
        if missing or page.group not in self.groups:
            raise OperatorError(
                "console_site", f"Page {name} names what is not there: {missing or page.group}."
            )


@cache
def read_site(file: Path = FILE) -> Site:
    """The site as the file declares it."""
    content = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return Site(check_entry(SiteFile, content, file.name))
