"""The page of one service, from its contract and the release in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.catalogue.cohort import CohortContract, cohort_example
from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Service, Text
from gateway.catalogue.person import PersonContract
from gateway.catalogue.plain import PlainContract
from gateway.catalogue.worked import Example, lines
from gateway.identity.model import EVERYTHING
from gateway.identity.narrowing import Boundaries
from gateway.pages.browser import Language
from gateway.pages.words import Words
from gateway.portal import answers
from gateway.portal.answers import written
from gateway.portal.offers import Column, Contract, columns, find, offer, price_lines
from gateway.portal.pages import Fact, Group, OperationLine, Quality, ServicePage, Traced, Worked
from gateway.releases.lineage.text import made_of
from gateway.releases.manifest import Manifest

MOST_PERIODS = 8


@dataclass(frozen=True)
class Shelf:
    """What the page is made from: the live catalogue and what the latest release says."""

    catalogue: Catalogue
    bounds: Boundaries
    manifest: Manifest | None
    lineage: Mapping[str, Any] | None


def service_page(
    shelf: Shelf,
    key: str,
    operations: Sequence[OperationLine],
    *,
    today: date,
    language: Language,
    w: Words,
) -> ServicePage | None:
    """The page of an id or code; none where there is no such service."""
    found = find(shelf.catalogue, key)
    if found is None:
        return None
    kind, contract = found
    return ServicePage(
        offer=offer(kind, contract, today, language, w),
        facts=list(_facts(shelf, contract, language, w)),
        notes=[_say(note, language) for note in contract.notes],
        prices=price_lines(contract.tariff, w),
        groups=list(_groups(columns(contract), w)),
        profile=list(_profile(shelf.manifest, w)),
        lineage=[Traced(name, said) for name, said in made_of(shelf.lineage or {"outputs": ()})],
        quality=list(_quality(shelf.manifest, w)),
        examples=list(_examples(shelf.catalogue, contract, language)),
        operations=operations,
    )


def _facts(shelf: Shelf, one: Contract, language: Language, w: Words) -> Iterator[Fact]:
    yield Fact(w.fact_version, one.version)
    yield Fact(
        w.fact_scenarios, w.comma.join(_scenario(shelf, s, language, w) for s in one.scenarios)
    )
    yield Fact(w.fact_level, one.output_level)
    yield Fact(w.fact_profile, one.sdc)
    if isinstance(one, Service):
        yield Fact(w.fact_periods, w.comma.join(w[f"period_{grain}"] for grain in one.periods))
        yield Fact(w.fact_geo, w.comma.join(w[f"geo_{level.level}"] for level in one.geo))
        yield Fact(w.fact_lag, w.days.format(n=one.min_lag_days))
    if isinstance(one, PlainContract):
        yield Fact(w.fact_params, ", ".join(one.params) or w.nothing)
        yield Fact(w.fact_formats, ", ".join(one.formats))
    if shelf.manifest is not None:
        yield Fact(w.fact_release, shelf.manifest.release_id)


def _scenario(shelf: Shelf, key: str, language: Language, w: Words) -> str:
    if key == EVERYTHING:
        return w.any_scenario
    said = shelf.bounds.scenarios.get(key, {})
    name = said.get("name_zh" if language == "zh" else "name_en", "")
    return f"{key} {name}".strip()


def _groups(found: Sequence[Column], w: Words) -> Iterator[Group]:
    for role in ("dim", "measure", "field"):
        rows = [one for one in found if one.role == role]
        if rows:
            yield Group(w[f"columns_{role}"], w[f"columns_{role}_about"], rows)


def _profile(manifest: Manifest | None, w: Words) -> Iterator[Fact]:
    """The conditions a cell had to meet to be shown, as the release was built under them."""
    for key, profile in sorted(manifest.profiles.items()) if manifest else ():
        said = (f"{name} {_plain(value)}" for name, value in profile.items() if name != "name")
        yield Fact(key, w.comma.join(said))


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{name} {each}" for name, each in value.items()) + ")"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quality(manifest: Manifest | None, w: Words) -> Iterator[Quality]:
    latest = sorted(manifest.quality, reverse=True)[:MOST_PERIODS] if manifest else []
    for period in latest:
        told = manifest.quality[period] if manifest else {}
        figures = (told.get(name) for name in ("completeness", "consistency"))
        complete, consistent = (_percent(each, w) for each in figures)
        minutes = told.get("timeliness")
        yield Quality(
            period,
            complete,
            consistent,
            w.not_measured if minutes is None else w.minutes.format(n=f"{float(minutes):g}"),
            _percent(told.get("accuracy"), w),
            str(told.get("blocked_rules", 0)),
        )


def _percent(value: object, w: Words) -> str:
    return f"{float(value) * 100:.2f} %" if isinstance(value, (int, float)) else w.not_measured


def _examples(catalogue: Catalogue, one: Contract, language: Language) -> Iterator[Worked]:
    match one:
        case Service():
            example = catalogue.example(one.id)
            if example is not None:
                yield _of_cells(one, example, language)
        case CohortContract():
            drawn = cohort_example(catalogue.root, one)
            if drawn is not None:
                address = f"POST /v1/services/{one.id}/query"
                yield Worked(_say(drawn.about, language), address, written(one.example), None, "")
        case PersonContract() | PlainContract():
            for each in one.worked:
                last = getattr(each, "operation", "verify")
                address = f"POST /v1/services/{one.id}/{last}"
                about, told = _say(each.about, language), written(each.told)
                yield Worked(about, address, written(each.asked), None, told)


def _of_cells(service: Service, example: Example, language: Language) -> Worked:
    asked = example.ask.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    answer = answers.of_example(service, list(lines(example.answer)), language)
    address = f"POST /v1/services/{service.id}/queries"
    return Worked(_say(example.about, language), address, written(asked), answer, "")


def _say(text: Text, language: Language) -> str:
    return text.zh if language == "zh" else text.en
