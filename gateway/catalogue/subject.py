"""Services whose cells are about no person: a fund's ledger, figures about data.

They are not protected as persons are, so what they may read is closed: tables that hold no person,
no settlement and no institution. A table that is not listed here is taken to hold all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from gateway.catalogue.kinds import (
    Cumulative,
    Forecast,
    Gap,
    Linear,
    Ratio,
    Reserve,
    Share,
    Sum,
    Trend,
)
from gateway.catalogue.model import Service
from synthetic.warehouse.schema import TABLES

IMPERSONAL: Final = frozenset({"admdvs_b", "dq_rslt_m", "drug_cat_b", "fund_flow_m", "mcs_cat_b"})
"""Tables of the warehouse with nobody in them: no person, no settlement, no institution."""

EXPOSURE: Final = "exposure"
ADDED: Final = ("psn_no", "fixmedins_code", "counting", "magnitude", "maker")
"""Columns of facts about persons: no fact about anything else has one."""

_KINDS = (Sum, Ratio, Linear, Cumulative, Share, Trend, Reserve, Forecast, Gap)
_OF_PERSONS = (
    "person_measure", "makers_for", "sensitive_dims", "structural_zeros", "linked", "within",
    "records",
)  # fmt: skip
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def restricted(service: Service) -> tuple[str, ...]:
    """The facts that may read impersonal tables alone."""
    if service.disclosure.subject == "persons":
        return ()
    free = {EXPOSURE, *service.disclosure.reconciles}
    return tuple(name for name in service.facts if name not in free)


def about_persons(service: Service, fact: str) -> bool:
    """Whether the rows of a fact tell persons apart: all do of a service that is about persons."""
    return service.disclosure.subject == "persons" or fact == EXPOSURE


def subject_faults(service: Service) -> Iterator[str]:
    """What a contract must not say if its cells are about no person, and what it must."""
    rules, subject = service.disclosure, service.disclosure.subject
    if subject == "persons":
        yield from ("disclosure.reconciles: belongs to a ledger" for _ in rules.reconciles[:1])
        return
    if service.tariff.unit != "free":
        yield f"tariff.unit: figures of subject {subject} have no provider to share with: free"
    if subject == "own":
        return
    for field in _OF_PERSONS:
        if getattr(rules, field):
            yield f"disclosure.{field}: belongs to services about persons"
    if any(dim.pivot or dim.sensitive for dim in service.dims):
        yield "dims: a pivot or sensitive dim belongs to services about persons"
    for measure in service.measures:
        if not isinstance(measure.define, _KINDS):
            yield f"measures.{measure.name}: kind {measure.define.kind} counts or reads persons"
        if measure.define.source == EXPOSURE:
            yield f"measures.{measure.name}: exposure is a threshold here, no figure"
    yield from _open(service) if subject == "open" else _reconciling(service)


def _open(service: Service) -> Iterator[str]:
    if EXPOSURE in service.facts:
        yield "facts.exposure: nobody is exposed to what is open"
    if service.sdc != "DC0":
        yield f"sdc: {service.sdc} protects persons; what is open has DC0"
    yield from ("disclosure.reconciles: is of a ledger" for _ in service.disclosure.reconciles[:1])


def _reconciling(service: Service) -> Iterator[str]:
    """Sums of settlements are held against the ledger in cells as coarse as its threshold. Told is
    only that they agree, or by how little they do not."""
    for name in service.disclosure.reconciles:
        fact, known = service.facts.get(name), service.facts.get(EXPOSURE)
        if fact is None or name == EXPOSURE:
            yield f"disclosure.reconciles: {name} is no fact that could be"
        elif name not in service.disclosure.side:
            yield f"disclosure.side: {name} reconciles and must be in it"
        elif known is not None and not {*fact.dims} <= {*known.dims}:
            yield f"facts.{name}.dims: may have those of exposure alone, it adds up settlements"
    kept = {m.name: m for m in service.measures if m.define.source in service.disclosure.reconciles}
    for measure in service.measures:
        parts = {part.measure for part in measure.define.parts}
        if measure.name in kept and not measure.internal:
            yield f"measures.{measure.name}: adds up settlements and must be internal"
        elif parts & kept.keys() and not isinstance(measure.define, Gap):
            yield f"measures.{measure.name}: of what adds up settlements only a gap is told"


def personal_tables(text: str) -> tuple[str, ...]:
    """Tables that a text names and that are not impersonal; any word that is a name counts."""
    words = {word.lower() for word in _WORD.findall(text)}
    return tuple(sorted(words & (TABLES.keys() - IMPERSONAL)))


def reading_faults(service: Service, texts: Mapping[str, str]) -> Iterator[str]:
    """Facts of the service whose text, with all it reaches, names a table it must not."""
    for fact in restricted(service):
        if found := personal_tables(texts[fact]):
            subject = service.disclosure.subject
            yield f"facts.{fact}: subject {subject} must not read {', '.join(found)}"
