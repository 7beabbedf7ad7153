"""Contexts of the public pages: one frozen dataclass is all that its template is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gateway.pages.charts import Bars
from gateway.portal.frame import Page
from gateway.portal.offers import Column, Offer, PriceLine


@dataclass(frozen=True, slots=True)
class Step:
    """One step of how to begin: what to do, and what to type."""

    title: str
    text: str
    command: str


@dataclass(frozen=True, slots=True)
class Landing(Page):
    """What can be asked, what it costs, and how to begin in ten minutes."""

    template: ClassVar[str] = "landing.html"
    title: ClassVar[str] = "landing"
    services: int
    scenarios: int
    offers: Sequence[Offer]
    steps: Sequence[Step]


@dataclass(frozen=True, slots=True)
class CataloguePage(Page):
    """Every service, or those that a question finds."""

    template: ClassVar[str] = "catalogue.html"
    title: ClassVar[str] = "catalogue"
    query: str
    total: int
    offers: Sequence[Offer]


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and what stands beside it."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Group:
    """Columns of one role, in their order, under a heading."""

    title: str
    about: str  # heading of the last column
    rows: Sequence[Column]


@dataclass(frozen=True, slots=True)
class Traced:
    """A released column and the columns of the warehouse its values are made of."""

    name: str
    sources: str


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured of the data of one period, as people read it."""

    period: str
    completeness: str
    consistency: str
    timeliness: str
    accuracy: str
    blocked: str


@dataclass(frozen=True, slots=True)
class Table:
    """An answer as a table; `chart` where one of its columns can be drawn."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    chart: Bars | None


@dataclass(frozen=True, slots=True)
class Worked:
    """A worked example: what it is about, what is sent, what comes back."""

    about: str
    address: str
    asked: str
    answer: Table | None
    told: str


@dataclass(frozen=True, slots=True)
class ServicePage(Page):
    """The contract of one service."""

    template: ClassVar[str] = "service.html"
    title: ClassVar[str] = "service"
    offer: Offer
    facts: Sequence[Fact]
    notes: Sequence[str]
    prices: Sequence[PriceLine]
    groups: Sequence[Group]
    profile: Sequence[Fact]
    lineage: Sequence[Traced]
    quality: Sequence[Quality]
    examples: Sequence[Worked]
    operations: Sequence[OperationLine]


@dataclass(frozen=True, slots=True)
class OperationLine:
    """One operation in the list of the reference."""

    id: str
    method: str
    path: str
    summary: str


@dataclass(frozen=True, slots=True)
class Tag:
    """Operations that belong together."""

    title: str
    operations: Sequence[OperationLine]


@dataclass(frozen=True, slots=True)
class ReferencePage(Page):
    """Every operation of the API, or those that a question finds."""

    template: ClassVar[str] = "reference.html"
    title: ClassVar[str] = "reference"
    query: str
    total: int
    tags: Sequence[Tag]


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of a body, or one parameter: where it stands, its type and meaning."""

    name: str
    type: str
    required: bool
    about: str


@dataclass(frozen=True, slots=True)
class Body:
    """A body in one media type, its fields flattened."""

    media: str
    fields: Sequence[FieldRow]
    example: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One status and what it brings."""

    status: str
    about: str
    headers: Sequence[str]
    bodies: Sequence[Body]


@dataclass(frozen=True, slots=True)
class OperationPage(Page):
    """One operation: parameters, bodies, answers, errors, and a call to copy."""

    template: ClassVar[str] = "operation.html"
    title: ClassVar[str] = "operation"
    line: OperationLine
    about: Sequence[str]
    open: bool  # whether it needs no token
    parameters: Sequence[FieldRow]
    bodies: Sequence[Body]
    replies: Sequence[Reply]
    curl: str
    command: str


@dataclass(frozen=True, slots=True)
class Change:
    """The lines of one kind of change."""

    kind: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the changelog."""

    name: str
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class ChangelogPage(Page):
    """What users notice, version by version."""

    template: ClassVar[str] = "changelog.html"
    title: ClassVar[str] = "changelog"
    versions: Sequence[Version]


@dataclass(frozen=True, slots=True)
class Release:
    """The release of a service that is in force."""

    service: str
    title: str
    release: str
    created: str
    age: str
    last_period: str
    quality: str


@dataclass(frozen=True, slots=True)
class StatusPage(Page):
    """Whether the gateway answers now, what is stopped, how old its data are."""

    template: ClassVar[str] = "status.html"
    title: ClassVar[str] = "status"
    ready: bool
    at: str
    policy: str
    stops: Sequence[str]
    releases: Sequence[Release]


@dataclass(frozen=True, slots=True)
class MonthLine:
    """What happened in a closed month, as it is published."""

    month: str
    calls: str
    organisations: str
    denials: str
    revocations: str
    stops: str
    income: str
    tax: str
    operator: str
    public_interest: str
    providers: str


@dataclass(frozen=True, slots=True)
class YearLine:
    """An operator's year: what it was allowed to earn, and earned."""

    year: str
    allowed: str
    earned: str
    left: str


@dataclass(frozen=True, slots=True)
class PriceRow:
    """A published price in the list of all."""

    service: str
    title: str
    unit: str
    line: PriceLine


@dataclass(frozen=True, slots=True)
class TransparencyPage(Page):
    """Counts of closed months, the price list, income and where it went."""

    template: ClassVar[str] = "transparency.html"
    title: ClassVar[str] = "transparency"
    k: int
    months: Sequence[MonthLine]
    calls: Bars
    years: Sequence[YearLine]
    prices: Sequence[PriceRow]


@dataclass(frozen=True, slots=True)
class Stopped(Page):
    """Nothing can be shown here, and why."""

    template: ClassVar[str] = "stopped.html"
    title: ClassVar[str] = "stopped"
    message: str
    code: str
