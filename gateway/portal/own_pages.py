"""Contexts of the pages of a signed-in developer: their own organisation and client alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gateway.pages.charts import Bars
from gateway.portal.frame import Page
from gateway.portal.pages import Fact, Table


@dataclass(frozen=True, slots=True)
class EnterPage(Page):
    """Whom the link signs in as; a click uses it up."""

    template: ClassVar[str] = "enter.html"
    title: ClassVar[str] = "enter"
    organisation: str
    client: str
    action: str


@dataclass(frozen=True, slots=True)
class SignInPage(Page):
    """How to get a link."""

    template: ClassVar[str] = "sign_in.html"
    title: ClassVar[str] = "sign_in"
    command: str


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A public key of a client: its id, algorithm and thumbprint (RFC 7638)."""

    id: str
    algorithm: str
    thumbprint: str


@dataclass(frozen=True, slots=True)
class ClientCard:
    """A client with its public parts only."""

    id: str
    name: str
    state: str
    live: bool
    facts: Sequence[Fact]
    keys: Sequence[KeyLine]


@dataclass(frozen=True, slots=True)
class GrantLine:
    """A licence of the organisation."""

    id: str
    scenario: str
    services: str
    regions: str
    until: str
    state: str
    live: bool


@dataclass(frozen=True, slots=True)
class HomePage(Page):
    """The organisation, its licences and clients."""

    template: ClassVar[str] = "own_home.html"
    title: ClassVar[str] = "own_home"
    facts: Sequence[Fact]
    grants: Sequence[GrantLine]
    clients: Sequence[ClientCard]


@dataclass(frozen=True, slots=True)
class UsageLine:
    """What a grant used of a service in a month, and what it comes to."""

    service: str
    grant: str
    calls: str
    answers: str
    refusals: str
    cells: str
    billable: str
    units: str
    price: str
    amount: str


@dataclass(frozen=True, slots=True)
class UsagePage(Page):
    """A month's usage by service."""

    template: ClassVar[str] = "own_usage.html"
    title: ClassVar[str] = "own_usage"
    month: str
    months: Sequence[str]
    lines: Sequence[UsageLine]
    total: str
    calls: Bars


@dataclass(frozen=True, slots=True)
class PaperLine:
    """A statement or credit note."""

    number: str
    kind: str
    month: str
    issued: str
    amount: str
    balance: str
    sha256: str


@dataclass(frozen=True, slots=True)
class StatementsPage(Page):
    """The organisation's papers, newest first."""

    template: ClassVar[str] = "own_statements.html"
    title: ClassVar[str] = "own_statements"
    papers: Sequence[PaperLine]
    next: str


@dataclass(frozen=True, slots=True)
class PacksPage(Page):
    """Packs of made-up rows."""

    template: ClassVar[str] = "own_packs.html"
    title: ClassVar[str] = "own_packs"
    packs: Sequence[Fact]


@dataclass(frozen=True, slots=True)
class PackPage(Page):
    """The data card of a pack, and its report."""

    template: ClassVar[str] = "own_pack.html"
    title: ClassVar[str] = "own_pack"
    name: str
    about: str
    note: str
    facts: Sequence[Fact]
    columns: Sequence[Fact]
    files: Sequence[Fact]
    report: str


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job in the list."""

    id: str
    name: str
    state: str
    submitted: str
    validation: bool


@dataclass(frozen=True, slots=True)
class JobsPage(Page):
    """Own jobs of the sandbox and own validation runs."""

    template: ClassVar[str] = "own_jobs.html"
    title: ClassVar[str] = "own_jobs"
    jobs: Sequence[JobLine]
    validations: Sequence[JobLine]


@dataclass(frozen=True, slots=True)
class OutputLine:
    """An output of a job; its file is fetched by the client, through the policy."""

    name: str
    size: str
    sha256: str


@dataclass(frozen=True, slots=True)
class JobPage(Page):
    """One own job with its attempts, outputs and log."""

    template: ClassVar[str] = "own_job.html"
    title: ClassVar[str] = "own_job"
    line: JobLine
    reason: str
    attempts: Sequence[Fact]
    outputs: Sequence[OutputLine]
    log: str
    fetch: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A service that can be tried."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class TryPage(Page):
    """Ask a service in the sandbox: the question, and its answer or the reasons against it."""

    template: ClassVar[str] = "own_try.html"
    title: ClassVar[str] = "own_try"
    sandbox: bool
    services: Sequence[Choice]
    service: str
    question: str
    form: str
    answer: Table | None
    meta: Sequence[Fact]
    refused: str
    reasons: Sequence[Fact]


@dataclass(frozen=True, slots=True)
class ConformancePage(Page):
    """What this gateway conforms to, each with the document that says so to machines."""

    template: ClassVar[str] = "conformance.html"
    title: ClassVar[str] = "conformance"
    documents: Sequence[Fact]
    standards: Sequence[Fact]
