"""Contexts of the pages that nobody has to sign in for, from what is live now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from gateway.api.openapi import openapi_document
from gateway.catalogue.load import Catalogue
from gateway.editions.running import Running
from gateway.editions.stage import Stage
from gateway.identity.directory import Directory
from gateway.pages.browser import Language
from gateway.pages.charts import Point, bars
from gateway.pages.words import Words
from gateway.portal.beginning import steps
from gateway.portal.finding import Known, known, rank
from gateway.portal.offers import every, find, money, offer, price_lines
from gateway.portal.pages import (
    CataloguePage,
    Landing,
    MonthLine,
    PriceRow,
    Release,
    ServicePage,
    StatusPage,
    TransparencyPage,
    YearLine,
)
from gateway.portal.reference import Reference
from gateway.portal.service_page import Shelf, service_page
from gateway.portal.transparency import Archive, Limits, Published
from gateway.serving.ports import Releases
from metering.calendar import day_of

_COUNTED = 12
"""Months in the chart of calls."""


@dataclass(frozen=True)
class Edition:
    """Derived once from a live edition: its API document, and what services are found by."""

    running: Running
    reference: Reference
    known: Mapping[str, Known]

    @property
    def catalogue(self) -> Catalogue:
        return self.running.catalogue


@dataclass(frozen=True)
class Public:
    """What the public pages are made from."""

    editions: Stage
    releases: Releases
    directory: Directory
    archive: Archive
    base_url: str
    ready: Callable[[], bool]
    clock: Callable[[], datetime]
    sandbox: bool
    _kept: dict[str, Edition] = field(default_factory=dict)

    def edition(self) -> Edition:
        """The live edition; the one before is let go of."""
        live = self.editions.live
        kept = self._kept.get(live.name)
        if kept is None or kept.running is not live:
            reference = Reference(openapi_document(live.catalogue, self.base_url), self.base_url)
            names = {one.id: known(one) for _, one in every(live.catalogue)}
            kept = Edition(live, reference, names)
            self._kept.clear()
            self._kept[live.name] = kept
        return kept

    def today(self) -> date:
        """The day of account."""
        return date.fromisoformat(day_of(self.clock()))

    def landing(self, language: Language, w: Words) -> Landing:
        """What can be asked, what it costs, how to begin."""
        catalogue = self.edition().catalogue
        offers = [offer(kind, one, self.today(), language, w) for kind, one in every(catalogue)]
        scenarios = self.edition().running.bounds.scenarios
        told = steps(self.base_url, w, sandbox=self.sandbox)
        return Landing(len(offers), len(scenarios), offers, told)

    def catalogue(self, query: str, language: Language, w: Words) -> CataloguePage:
        """Every service, or those a question finds, the best first."""
        edition = self.edition()
        listed = list(every(edition.catalogue))
        if query.strip():
            ranked = [(rank(query, edition.known[one.id]), kind, one) for kind, one in listed]
            fitting = [(at, kind, one) for at, kind, one in ranked if at is not None]
            listed = [(kind, one) for _, kind, one in sorted(fitting, key=lambda each: each[0])]
        offers = [offer(kind, one, self.today(), language, w) for kind, one in listed]
        return CataloguePage(query, len(edition.known), offers)

    def service(self, key: str, language: Language, w: Words) -> ServicePage | None:
        """The page of an id or code, if there is such a service."""
        edition = self.edition()
        found = find(edition.catalogue, key)
        if found is None:
            return None
        name = found[1].id
        shelf = Shelf(
            edition.catalogue,
            edition.running.bounds,
            self.releases.latest(name),
            self.releases.lineage(name),
        )
        operations = edition.reference.lines_of(name)
        return service_page(shelf, name, operations, today=self.today(), language=language, w=w)

    def status(self, language: Language, w: Words) -> StatusPage:
        """Whether it answers, what is stopped (no tenant, no person), how old the data are."""
        edition, now = self.edition(), self.clock()
        stops = sorted(
            f"{w[f'stop_{stop.kind}']} {stop.name}"
            for stop in self.directory.snapshot.contents.stops
            if stop.kind in ("service", "scenario", "region")
        )
        released = (self._release(name, now, language, w) for name in edition.catalogue.released)
        return StatusPage(
            ready=self.ready(),
            at=now.isoformat(timespec="seconds"),
            policy=edition.running.name,
            stops=stops,
            releases=[each for each in released if each is not None],
        )

    def _release(self, name: str, now: datetime, language: Language, w: Words) -> Release | None:
        manifest = self.releases.latest(name)
        found = find(self.edition().catalogue, name)
        if manifest is None or found is None:
            return None
        periods = [label for _, label in manifest.blocks if label in manifest.quality]
        blocked = sum(int(manifest.quality[each].get("blocked_rules", 0)) for each in periods)
        title = found[1].title
        return Release(
            service=name,
            title=title.zh if language == "zh" else title.en,
            release=manifest.release_id,
            created=manifest.created.date().isoformat(),
            age=w.days.format(n=max(0, (now - manifest.created).days)),
            last_period=max((label for _, label in manifest.blocks), default=""),
            quality=w.quality_waived if blocked or manifest.waiver else w.quality_good,
        )

    def transparency(self, language: Language, w: Words) -> TransparencyPage:
        """What the public is told of closed months, prices and income."""
        edition = self.edition()
        limits = Limits.of(edition.running.prepared.edition.documents)
        months = self.archive.months(limits)
        counted = [each for each in reversed(months[:_COUNTED]) if each.calls is not None]
        points = [Point(each.month, float(each.calls or 0), str(each.calls)) for each in counted]
        return TransparencyPage(
            k=limits.persons,
            months=[_month(each, limits, w) for each in months],
            calls=bars(w.chart_calls, points),
            years=[
                YearLine(str(y.year), money(y.allowed_fen), money(y.earned_fen), money(y.left_fen))
                for y in reversed(self.archive.years())
            ],
            prices=list(_prices(edition.catalogue, language, w)),
        )


def _prices(catalogue: Catalogue, language: Language, w: Words) -> Iterable[PriceRow]:
    for _, one in every(catalogue):
        title = one.title.zh if language == "zh" else one.title.en
        for line in price_lines(one.tariff, w):
            yield PriceRow(one.id, title, w[f"unit_{one.tariff.unit}"], line)


def _month(told: Published, limits: Limits, w: Words) -> MonthLine:
    def count(value: int | None, k: int) -> str:
        return f"< {k}" if value is None else f"{value:,}"

    amounts: Sequence[int | None] = (
        told.income_fen, told.tax_fen, told.operator_fen, told.public_interest_fen,
        told.providers_fen,
    )  # fmt: skip
    income, tax, operator, interest, providers = (
        w.withheld if fen is None else money(fen) for fen in amounts
    )
    return MonthLine(
        month=told.month,
        calls=count(told.calls, limits.persons),
        organisations=count(told.organisations, limits.organisations),
        denials=count(told.denials, limits.persons),
        revocations=count(told.revocations, limits.persons),
        stops=str(told.stops),
        income=income,
        tax=tax,
        operator=operator,
        public_interest=interest,
        providers=providers,
    )
