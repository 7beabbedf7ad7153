"""What a scenario asks of a consent: scopes, terms, proof, and the fields each scope opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import OperatorError
from gateway.policy.documents import read_documents

BASE = "BASE"
"""The block of fields a service opens whatever the scopes."""
ADULT = 14
"""Below this age a guardian answers, where a scenario does not say otherwise."""


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Terms(_Form):
    """A scenario's `consent` entry (SPEC §6.2)."""

    required: bool = False
    scopes: tuple[str, ...] = ()
    default_scopes: tuple[str, ...] = ()
    max_days: Annotated[int, Field(ge=1)] = 90
    per_claim: bool = False
    policy_bound: bool = False
    uses_max: Annotated[int, Field(ge=1)] | None = None
    guardian_under: Annotated[int, Field(ge=0)] = ADULT
    evidence: tuple[str, ...] = ()


class _Service(_Form):
    fields: tuple[str, ...] | str = ()
    fields_by_scope: dict[str, tuple[str, ...]] = {}


class _Time(_Form):
    lookback_months: int = 0


class _Quota(_Form):
    calls_per_person_day: int = 5


class _Scenario(_Form):
    name_zh: str
    name_en: str
    purpose: str
    consumers: tuple[str, ...]
    services: dict[str, _Service]
    time: _Time = _Time()
    quota: _Quota = _Quota()
    consent: _Terms = _Terms()


@dataclass(frozen=True, slots=True)
class Rule:
    """The consent a scenario needs."""

    scenario: str
    name_zh: str
    name_en: str
    purpose: str
    scopes: tuple[str, ...]
    default_scopes: tuple[str, ...]
    max_days: int
    per_claim: bool
    policy_bound: bool
    uses_max: int | None
    calls_per_person_day: int
    guardian_under: int
    evidence: frozenset[str]
    lookback_months: int
    fields: Mapping[str, Mapping[str, tuple[str, ...]]]  # service → scope or BASE → field names

    def most_uses(self, days: int) -> int:
        """The most uses a consent of so many days may have."""
        return self.uses_max or self.calls_per_person_day * days

    def blocks(
        self, services: tuple[str, ...], scopes: tuple[str, ...]
    ) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Scope (or BASE) and the names of the fields it opens, in the order of the scopes."""
        found = []
        for scope in (BASE, *scopes):
            names = {n: None for s in services for n in self.fields.get(s, {}).get(scope, ())}
            if names or scope != BASE:
                found.append((scope, tuple(names)))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class ServiceName:
    """A person-level service as screens name it."""

    id: str
    code: str
    name_zh: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The consent rules of every scenario that needs one, and the services they name."""

    scenarios: Mapping[str, Rule]
    services: Mapping[str, ServiceName]


def load_rules(policies: Path) -> Rules:
    """The rules as the policy data states them; fails with the file's fault."""
    documents = read_documents(policies).get("scenarios", {})
    try:
        read = {name: _Scenario.model_validate(each) for name, each in documents.items()}
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise OperatorError("policy.scenarios", f"A scenario is not valid at {where}.") from error
    needed = {name: _rule(name, each) for name, each in read.items() if each.consent.required}
    return Rules(needed, _services(policies / "person" / "services.yaml"))


def _services(path: Path) -> dict[str, ServiceName]:
    listed = (
        yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        if path.is_file()
        else {}
    )
    return {name: ServiceName(name, **entry) for name, entry in listed.items()}


def _rule(name: str, scenario: _Scenario) -> Rule:
    terms = scenario.consent
    return Rule(
        scenario=name,
        name_zh=scenario.name_zh,
        name_en=scenario.name_en,
        purpose=scenario.purpose,
        scopes=terms.scopes,
        default_scopes=terms.default_scopes,
        max_days=terms.max_days,
        per_claim=terms.per_claim,
        policy_bound=terms.policy_bound,
        uses_max=terms.uses_max,
        calls_per_person_day=scenario.quota.calls_per_person_day,
        guardian_under=terms.guardian_under,
        evidence=frozenset(terms.evidence),
        lookback_months=scenario.time.lookback_months,
        fields={key: _fields(each, terms) for key, each in scenario.services.items()},
    )


def _fields(service: _Service, terms: _Terms) -> dict[str, tuple[str, ...]]:
    found = dict(service.fields_by_scope)
    if isinstance(service.fields, tuple) and service.fields:
        # A scenario with one scope opens its fields by it (ADJUDICATE); else they always go along.
        only = terms.scopes[0] if len(terms.scopes) == 1 else BASE
        found[only if not service.fields_by_scope else BASE] = service.fields
    return found
