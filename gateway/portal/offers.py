"""What is on offer, as people look for it: every data service with its kind, prices and columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, TypeAlias

from gateway.api.schemas import asked_dims, shown_measures
from gateway.catalogue.cohort import CohortContract
from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Measure, OwnMeasure, Service, Text
from gateway.catalogue.own import own_measures
from gateway.catalogue.person import PersonContract
from gateway.catalogue.plain import PlainContract
from gateway.catalogue.tariff import FOR_GOOD, Published, Tariff
from gateway.pages.browser import Language
from gateway.pages.words import Words

Contract: TypeAlias = Service | CohortContract | PersonContract | PlainContract
KINDS: Final = ("services", "cohorts", "persons", "references", "texts", "jobs", "traces")
"""The kinds of services, as the catalogue names them."""


@dataclass(frozen=True, slots=True)
class Column:
    """One thing a question may name or an answer tells; `role`: `dim`, `measure` or `field`."""

    role: str
    name: str
    title: Text
    item: str
    level: str
    mask: str
    about: str  # a unit, or the values a dim takes


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One published price, in words."""

    ref: str
    amount: str
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class Offer:
    """One line of the catalogue, in one language."""

    id: str
    code: str
    kind: str
    title: str
    other_title: str
    summary: str
    consumers: str
    price: str


def every(catalogue: Catalogue) -> Iterator[tuple[str, Contract]]:
    """Every contract with its kind, in the order of ids."""
    found: list[tuple[str, Contract]] = []
    for kind in KINDS:
        contracts: Mapping[str, Contract] = getattr(catalogue, kind)
        found += [(kind, one) for one in contracts.values()]
    yield from sorted(found, key=lambda pair: pair[1].id)


def find(catalogue: Catalogue, key: str) -> tuple[str, Contract] | None:
    """The kind and contract of an id or code, if there is one."""
    return next((pair for pair in every(catalogue) if key in (pair[1].id, pair[1].code)), None)


def columns(contract: Contract) -> list[Column]:
    """What may be named in a question and what is told, with classification and mask."""
    match contract:
        case Service():
            return list(_cells(contract))
        case PersonContract():
            return [
                Column("field", name, told.title, told.item, told.level, told.mask, told.form)
                for name, told in contract.fields.items()
            ]
        case CohortContract():
            return list(_asked_of_cohorts(contract))
        case PlainContract():
            return []


def _cells(service: Service) -> Iterator[Column]:
    for dim in asked_dims(service):
        values = ", ".join(dim.values) or dim.code_list or dim.name
        yield Column("dim", dim.name, dim.title, dim.item, dim.level, dim.mask, values)
    figures: tuple[Measure | OwnMeasure, ...] = (
        *shown_measures(service),
        *own_measures(service),
    )
    for one in figures:
        yield Column("measure", one.name, one.title, one.item, one.level, one.mask, one.unit)


def _asked_of_cohorts(contract: CohortContract) -> Iterator[Column]:
    for name, one in (*contract.lists.items(), *contract.attributes.items()):
        yield Column("dim", name, one.title, one.item, one.level, "none", _values(contract, name))


def _values(contract: CohortContract, name: str) -> str:
    listed: Mapping[str, tuple[str, ...]] = {str(k): v for k, v in contract.values.items()}
    return ", ".join(listed.get(name, ()))


def price_lines(tariff: Tariff, w: Words) -> list[PriceLine]:
    """Every published price in the order of time."""
    return [
        PriceLine(
            price.ref,
            _amount(price, w),
            price.valid_from.isoformat(),
            "" if price.valid_to == FOR_GOOD else price.valid_to.isoformat(),
        )
        for price in sorted(tariff.prices, key=lambda each: each.valid_from)
    ]


def price_now(tariff: Tariff, today: date, w: Words) -> str:
    """What it costs on a day, in a few words."""
    if tariff.unit == "free":
        return w.free
    for price in tariff.prices:
        if price.valid_from <= today <= price.valid_to:
            return f"{_amount(price, w)} / {w[f'unit_{tariff.unit}']}"
    return w.no_price


def _amount(price: Published, w: Words) -> str:
    parts = [_steps(price, w)]
    if price.minimum_fen:
        parts.append(w.at_least.format(amount=money(price.minimum_fen)))
    if price.cap_fen is not None:
        parts.append(w.at_most.format(amount=money(price.cap_fen)))
    return w.comma.join(parts)


def _steps(price: Published, w: Words) -> str:
    if price.price_fen is not None:
        package = w.per_package.format(size=price.size) if price.size else ""
        return f"{money(price.price_fen)}{package}"
    return w.comma.join(
        w.tier_up_to.format(amount=money(tier.price_fen), up_to=tier.up_to)
        if tier.up_to
        else w.tier_beyond.format(amount=money(tier.price_fen))
        for tier in price.tiers
    )


def money(fen: int) -> str:
    """An amount as people read it."""
    return f"¥{Decimal(fen) / 100:,.2f}"


def offer(kind: str, one: Contract, today: date, language: Language, w: Words) -> Offer:
    """One line of the catalogue."""
    zh = language == "zh"
    return Offer(
        id=one.id,
        code=one.code,
        kind=w[f"kind_{kind}"],
        title=one.title.zh if zh else one.title.en,
        other_title=one.title.en if zh else one.title.zh,
        summary=one.summary.zh if zh else one.summary.en,
        consumers=w.comma.join(w.of(f"consumer_{each}", each) for each in one.consumers),
        price=price_now(one.tariff, today, w),
    )
