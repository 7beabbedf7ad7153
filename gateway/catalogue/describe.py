"""The catalogue as a page for people: one section per service, written from its contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from gateway.catalogue.cohort import cohort_example, described_cohort
from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Dim, Measure, Service
from gateway.catalogue.own import INSTITUTION, own_dims, own_measures
from gateway.catalogue.person import PersonContract
from gateway.catalogue.plain import PlainContract
from gateway.catalogue.tariff import FOR_GOOD, Published, Tariff
from gateway.catalogue.worked import Example, describe_example
from metering.summary import yuan
from metering.tariff import MICRO_PER_FEN

Sources: TypeAlias = Callable[[Service], Iterable[str]]
"""Lines on where the columns of a service come from, a blank one last; or none."""

HEAD = """# Data services

Written by `sluice catalogue docs` from `policies/catalogue/`; edit there. Every figure passes
disclosure control before it is stored; nothing here can be computed per request.
"""


def describe(catalogue: Catalogue, sources: Sources = lambda service: ()) -> str:
    """Markdown of all services."""
    parts = (
        _service(one, catalogue.example(one.id), sources) for one in catalogue.services.values()
    )
    references = map(_told, catalogue.references.values())
    cohorts = (
        described_cohort(one, cohort_example(catalogue.root, one), _prices(one.tariff))
        for one in catalogue.cohorts.values()
    )
    persons = map(_told, catalogue.persons.values())
    texts = map(_told, catalogue.texts.values())
    jobs = map(_told, catalogue.jobs.values())
    traces = map(_told, catalogue.traces.values())
    return "\n".join([HEAD, *parts, *cohorts, *references, *persons, *texts, *jobs, *traces])


def _told(one: PlainContract | PersonContract) -> str:
    return "\n".join(one.described(_prices(one.tariff)))


def _service(service: Service, example: Example | None, sources: Sources) -> str:
    geo = ", ".join(level.level for level in service.geo)
    periods = ", ".join(service.periods)
    lines = [
        f"## {service.id} `{service.code}` {service.title.zh}",
        "",
        f"{service.title.en}. {service.summary.en}",
        "",
        f"{service.summary.zh}",
        "",
        f"- Version {service.version}; periods: {periods}; geography: {geo}",
        f"- Consumers: {', '.join(service.consumers)}; scenarios: {', '.join(service.scenarios)}",
        f"- Disclosure profile {service.sdc}; output level {service.output_level}; "
        f"at least {service.min_lag_days} days after the period",
        *(f"- {text}" for text in _subject(service)),
        *(f"- Tariff: {price}" for price in _prices(service.tariff)),
        *(f"- Note: {note.en} {note.zh}" for note in service.notes),
        "",
        "| dim | 维度 | item | values |",
        "|---|---|---|---|",
        *(_dim(dim) for dim in (*service.dims, *own_dims(service)) if not dim.pivot),
        "",
        "| measure | 指标 | meaning | unit | definition |",
        "|---|---|---|---|---|",
        *(_measure(measure) for measure in service.measures if not measure.internal),
        "",
        *_own(service),
        *sources(service),
        *((*describe_example(example), "") if example else ()),
    ]
    return "\n".join(lines)


def _own(service: Service) -> Iterator[str]:
    """What an institution may ask of its own data, view by view."""
    if service.own is None:
        return
    yield "An institution's own data: only the one that its grant names reads them."
    yield ""
    yield "| own dims | figures |"
    yield "|---|---|"
    for view in service.own.views:
        dims = ", ".join(f"`{dim}`" for dim in (INSTITUTION, *view.dims))
        yield f"| {dims} | {', '.join(f'`{m.name}` ({m.unit})' for m in view.measures)} |"
    yield ""
    yield "| own figure | 指标 | meaning | unit |"
    yield "|---|---|---|---|"
    for one in own_measures(service):
        yield f"| `{one.name}` | {one.title.zh} | {one.title.en} | {one.unit} |"
    yield ""


def _subject(service: Service) -> Iterator[str]:
    """What the cells are about, where it is no person."""
    if service.disclosure.subject == "ledger":
        yield "Accounts of a fund: rounded, and shown where enough are insured"
    elif service.disclosure.subject == "open":
        yield "About no person: shown exactly, nothing is suppressed"
    elif service.disclosure.subject == "own":
        yield "Nothing but one institution's own data, exact; of its peers quantiles alone"


def _prices(tariff: Tariff) -> Iterator[str]:
    """Every published price as a sentence."""
    if not tariff.prices:
        yield tariff.unit
    for price in tariff.prices:
        until = "" if price.valid_to == FOR_GOOD else f" to {price.valid_to}"
        bounds = [f"at least {_yuan(price.minimum_fen)} a month"] if price.minimum_fen else []
        bounds += [f"at most {_yuan(price.cap_fen)} a month"] if price.cap_fen is not None else []
        told = ", ".join([_amount(price), *bounds])
        yield f"{tariff.unit}, {told} ({price.ref}, from {price.valid_from}{until})"


def _amount(price: Published) -> str:
    if price.price_fen is not None:
        package = f" for {price.size} units" if price.size else ""
        return f"{_yuan(price.price_fen)}{package}"
    steps = (
        _yuan(tier.price_fen) + (f" up to {tier.up_to}" if tier.up_to else " beyond")
        for tier in price.tiers
    )
    return f"{price.kind}: {', '.join(steps)}"


def _yuan(fen: int) -> str:
    return f"{yuan(fen * MICRO_PER_FEN)} yuan"


def _dim(dim: Dim) -> str:
    values = ", ".join(dim.values) or f"code list `{dim.code_list or dim.name}`"
    if dim.levels:
        values = f"levels 1 to {len(dim.levels)} of the code"
    return f"| `{dim.name}` | {dim.title.zh} | {dim.item} | {values} |"


def _measure(measure: Measure) -> str:
    rule = measure.define.phrase()
    if measure.only_with:
        rule += f"; only in cells that name {' or '.join(measure.only_with)}"
    return (
        f"| `{measure.name}` | {measure.title.zh} | {measure.title.en} | {measure.unit} | {rule} |"
    )
