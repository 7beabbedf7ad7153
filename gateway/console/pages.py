"""The pages' contexts: one frozen dataclass is all a template is given, besides frame and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gateway.console.cells import Cell
from gateway.console.fields import Field
from gateway.pages.browser import Taste
from gateway.pages.charts import Bars


@dataclass(frozen=True, slots=True)
class Link:
    """A title that leads somewhere."""

    title: str
    href: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A heading of the menu and its pages."""

    title: str
    links: Sequence[Link]


@dataclass(frozen=True, slots=True)
class Button:
    """An act one may do here: done at once by POST, or first asked for on a form's page."""

    title: str
    href: str
    at_once: bool = False
    grave: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence above the page: `tone` is good, warn or stop."""

    text: str
    tone: str = "good"


@dataclass(frozen=True, slots=True)
class Fact:
    """A labelled value."""

    label: str
    cell: Cell


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under headings; `caption` says what they are."""

    caption: str
    headings: Sequence[tuple[str, bool]]  # title, whether it heads numbers
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Frame:
    """What surrounds a page."""

    taste: Taste
    path: str
    csrf: str = ""
    name: str = ""
    roles: Sequence[str] = ()
    menu: Sequence[Group] = ()
    env: str = ""
    who_may: str = ""
    notice: Notice | None = None
    stop_href: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What every page has: its template, and its heading in the reader's language."""

    template: ClassVar[str]
    title: str
    lead: str


@dataclass(frozen=True, slots=True)
class SignInPage(Page):
    """Name, password and code at once."""

    template: ClassVar[str] = "sign_in.html"
    next: str
    upstream: str  # where single sign-on begins; empty without one


@dataclass(frozen=True, slots=True)
class EnteredPage(Page):
    """Signed in elsewhere: goes on by itself."""

    template: ClassVar[str] = "entered.html"
    next: str


@dataclass(frozen=True, slots=True)
class InvitationPage(Page):
    """Take up an account: password first, then the first code of the authenticator."""

    template: ClassVar[str] = "invitation.html"
    invitation: str
    totp: str
    recovery_codes: Sequence[str]
    vouching_code: str
    done: bool


@dataclass(frozen=True, slots=True)
class Overview(Page):
    """The first page: what waits for this person, how the place is doing, what happened lately."""

    template: ClassVar[str] = "overview.html"
    waiting: Sequence[Link]
    figures: Sequence[Fact]
    charts: Sequence[Bars]
    tables: Sequence[Table]
    alarms: Sequence[Notice]


@dataclass(frozen=True, slots=True)
class Listing(Page):
    """What an operation answers, as a table with its acts."""

    template: ClassVar[str] = "listing.html"
    table: Table
    buttons: Sequence[Button]
    searches: bool
    sought: str
    states: Sequence[Link]
    first: str
    next: str


@dataclass(frozen=True, slots=True)
class Detail(Page):
    """One entry with all its facts, tables beside them, and what may be done with it."""

    template: ClassVar[str] = "detail.html"
    facts: Sequence[Fact]
    tables: Sequence[Table]
    texts: Sequence[Fact]
    charts: Sequence[Bars]
    buttons: Sequence[Button]
    back: Link


@dataclass(frozen=True, slots=True)
class FormPage(Page):
    """An act's form: its fields, why, and what will happen."""

    template: ClassVar[str] = "form.html"
    action: str
    fields: Sequence[Field]
    says_why: bool
    reason: str
    grave: bool
    button: str
    back: Link
    uploads: bool


@dataclass(frozen=True, slots=True)
class Told(Page):
    """What an act answered, said this once."""

    template: ClassVar[str] = "told.html"
    facts: Sequence[Fact]
    tables: Sequence[Table]
    texts: Sequence[Fact]
    back: Link


@dataclass(frozen=True, slots=True)
class Ask(Page):
    """One question by GET, and its answer below: a decision, a charge line, a file's mark."""

    template: ClassVar[str] = "ask.html"
    label: str
    name: str
    asked: str
    hint: str
    buttons: Sequence[Button]
    facts: Sequence[Fact]
    tables: Sequence[Table]
    texts: Sequence[Fact]


@dataclass(frozen=True, slots=True)
class Refused(Page):
    """What could not be shown or done, and what to do now."""

    template: ClassVar[str] = "refused.html"
    code: str
    sentence: str
    who_may: Sequence[str]
    back: Link
