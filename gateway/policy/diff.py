"""What differs between two editions of the policy, told as an officer would: which scenario or
service, which limit, from what to what; what that makes of merged profiles; which rules and codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from gateway.catalogue.load import Catalogue, load_catalogue
from gateway.catalogue.model import Service
from gateway.policy.documents import Documents, read_documents, read_rego
from gateway.policy.explain import sources
from gateway.policy.modules import parse_modules
from gateway.policy.profiles import profile_table

Leaf: TypeAlias = Any  # a JSON value of the policy data
_Leaves: TypeAlias = dict[tuple[str, str], Leaf]
_NAMED = {"scenarios": "", "services": "", "regions": "region ", "sdc_profiles": "profile "}
"""Parts of the policy data whose entries are known by their own names."""
_CODE = re.compile(r"D\d{3}")


@dataclass(frozen=True)
class Change:
    """One difference of a subject; None where there is nothing on that side."""

    subject: str  # a scenario, a service, a service in a scenario, a code, a package of rules
    path: str
    before: Leaf | None
    after: Leaf | None

    @property
    def kind(self) -> str:
        if self.before is None:
            return "new"
        return "gone" if self.after is None else "changed"

    def sentence(self) -> str:
        """The difference in one line."""
        place = f"{self.subject} {self.path}".strip()
        if isinstance(self.before, list) and isinstance(self.after, list):
            return f"{place}: {_moved(self.before, self.after)}"
        if isinstance(self.before, _Text) and isinstance(self.after, _Text):
            return f"{place}: {_moved(self.before.splitlines(), self.after.splitlines())}"
        return f"{place}: {_plain(self.before)} → {_plain(self.after)}"


@dataclass(frozen=True)
class _Edition:
    """One side: rules by text, data as the rules read them, contracts of services as written."""

    rego: Mapping[str, str]
    documents: Documents
    contracts: Documents

    @classmethod
    def of(cls, folder: Path) -> _Edition:
        catalogue = load_catalogue(folder)
        contracts = {
            name: {**service.model_dump(mode="json"), "sql": _sql(catalogue, service)}
            for name, service in catalogue.services.items()
        }
        documents = {**read_documents(folder), "services": catalogue.as_policy_data()}
        return cls(read_rego(folder), documents, contracts)

    @property
    def told(self) -> Documents:
        """What is compared: of a service its contract, which says more than the rules read."""
        return {**self.documents, "services": self.contracts}


def _sql(catalogue: Catalogue, service: Service) -> Documents:
    """The query of each fact: figures change with it although no limit does."""
    texts = {fact: catalogue.fact_sql(service, fact).splitlines() for fact in service.facts}
    return {fact: _Text("\n".join(_stated(lines, "--"))) for fact, lines in texts.items()}


def changes(before: Path, after: Path) -> Iterator[Change]:
    """Every difference that decides: data, what it makes of profiles, codes, rules."""
    old, new = _Edition.of(before), _Edition.of(after)
    yield from _differences(_leaves(old.told), _leaves(new.told))
    if (old.rego, old.documents) != (new.rego, new.documents):
        yield from _differences(_merged(old), _merged(new))
    yield from _differences(_codes(old.rego), _codes(new.rego))
    yield from _differences(_rules(old.rego), _rules(new.rego))


def _differences(old: _Leaves, new: _Leaves) -> Iterator[Change]:
    for place in sorted({*old, *new}):
        was, becomes = old.get(place), new.get(place)
        if was != becomes:
            yield Change(*place, was, becomes)


def _leaves(documents: Documents) -> _Leaves:
    """Every value that is no mapping, by whom it belongs to and the path there."""
    found: _Leaves = {}
    for part, content in documents.items():
        if part in _NAMED:
            for name, entry in content.items():
                found |= {(f"{_NAMED[part]}{name}", path): leaf for path, leaf in _flat(entry)}
        else:
            found |= {(part, path): leaf for path, leaf in _flat(content)}
    return found


def _flat(value: Leaf, path: str = "") -> Iterator[tuple[str, Leaf]]:
    if isinstance(value, list) and (named := _by_name(value)):
        value = named
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _by_name(entries: list[Leaf]) -> Documents:
    """Entries by their own names, where each has one: dims, measures, prices."""
    for key in ("name", "ref", "id"):
        if all(isinstance(each, dict) and key in each for each in entries):
            return {str(each[key]): each for each in entries}
    return {}


def _merged(edition: _Edition) -> _Leaves:
    """What each service must satisfy in each scenario."""
    table = profile_table(edition.rego, edition.documents)
    return {
        (f"{service} in {scenario}", path): leaf
        for service, by_scenario in table.items()
        for scenario, profile in by_scenario.items()
        for path, leaf in _flat(profile)
    }


def _codes(rego: Mapping[str, str]) -> _Leaves:
    """Each deny code with what its rule says of itself."""
    return {(f"code {code}", ""): rule.description for code, rule in sources(rego).items()}


def _rules(rego: Mapping[str, str]) -> _Leaves:
    """Each rule by its package: its lines without comments and layout."""
    found: dict[tuple[str, str], list[str]] = {}
    for module in parse_modules(rego):
        lines = rego[module.path].splitlines()
        starts = sorted(rule.line for rule in module.rules)
        ends = dict(zip(starts, [*(line - 1 for line in starts[1:]), len(lines)], strict=True))
        for rule in module.rules:
            name = rule.name
            if name == "deny" and (code := _CODE.search(lines[rule.line - 1])):
                name = f"deny {code[0]}"
            place = (f"rules of {module.package}", name)
            found.setdefault(place, []).extend(_stated(lines[rule.line - 1 : ends[rule.line]]))
    return {place: _Text("\n".join(stated)) for place, stated in found.items()}


def _stated(lines: list[str], comment: str = "#") -> Iterator[str]:
    for line in lines:
        stated = " ".join(line.split())
        if stated and not stated.startswith(comment):
            yield stated


class _Text(str):
    """The lines of a rule or query: compared whole, shown by those that differ."""

    __slots__ = ()


def _moved(before: list[Leaf], after: list[Leaf]) -> str:
    """What a list won and lost; its order where it is the same things."""
    gone = [_plain(each) for each in before if each not in after]
    new = [_plain(each) for each in after if each not in before]
    parts = [f"+ {', '.join(new)}"] * bool(new) + [f"− {', '.join(gone)}"] * bool(gone)
    return "; ".join(parts) or "the same in another order"


def _plain(value: Leaf) -> str:
    if value is None:
        return "–"
    if isinstance(value, _Text):
        return f"{len(value.splitlines())} lines"
    return value if isinstance(value, str) else orjson.dumps(value).decode()
