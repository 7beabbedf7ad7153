"""The lineage of a release as text for people, from the event that machines read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from gateway.releases.lineage.event import ITEM, LEVEL, MASK, TOGETHER

Json: TypeAlias = Mapping[str, Any]

_MADE_OF, _CHOSEN_BY = ("DIRECT",), ("CONDITIONAL", "WINDOW", "SORT")


def columns(event: Json) -> list[str]:
    """The columns of the release; those of a view of own rows as `view.column`."""
    return [name for name, _ in _columns(event)]


def overview(event: Json) -> Iterator[str]:
    """One line for each column: the columns of the warehouse that its values are made of."""
    for name, facets in _columns(event):
        made, chosen = _sources(facets, name)
        left = [one for one in chosen if one not in made]
        texts = [listed(made)] if made else []
        texts += [f"chosen by {listed(left)}"] if left else []
        yield f"{name:<24} {'; '.join(texts) or 'as the definition says, for each record'}"
    yield ""
    for place, facets in _outputs(event):
        yield f"{place + ' ' if place else ''}{_hidden(facets)}"
        if beside := facets[TOGETHER]["together"]:
            yield f"protected together with {', '.join(beside)}, whose cells may hide these"


def made_of(event: Json) -> Iterator[tuple[str, str]]:
    """Each column with the columns of the warehouse that its values are made of or chosen by."""
    for name, facets in _columns(event):
        made, chosen = _sources(facets, name)
        yield name, listed([*made, *(one for one in chosen if one not in made)])


def path_of(event: Json, name: str) -> Iterator[str]:
    """Everything one column rests on: each column of the warehouse, its class and its ways."""
    facets = dict(_columns(event))[name]
    bare = name.rpartition(".")[2]
    field = _field(facets, name)
    about = next(one for one in facets["schema"]["fields"] if one["name"] == bare)
    yield f"{name}  {about.get('description', '')}".rstrip()
    if "definition" in field:
        yield f"  = {field['definition']}"
    for title, kinds in (
        ("made of", _MADE_OF),
        ("chosen by", _CHOSEN_BY),
        ("which records count", ("FILTER", "JOIN", "GROUP_BY")),
    ):
        lines = list(_ways(event, field["inputFields"], kinds))
        yield from ((f"  {title}", *lines) if lines else ())
    own = _tags(facets, bare)
    yield f"  answered as {own[ITEM]} {own[LEVEL]}, mask {own[MASK]}, unless the scenario says more"
    yield f"  {_hidden(facets)}"


def _ways(event: Json, inputs: Sequence[Json], kinds: Sequence[str]) -> Iterator[str]:
    for one in inputs:
        ways = [w for w in one["transformations"] if w["type"] in kinds or w["subtype"] in kinds]
        if ways:
            source = f"{one['name']}.{one['field']}"
            own = _tags(_table(event, one["name"]), one["field"])
            yield f"    {source:<32} {own.get(ITEM, '')} {own.get(LEVEL, '')}".rstrip()
            yield from (f"      {way['subtype']:<15} {way['description']}" for way in ways)


def _sources(facets: Json, name: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What the values of a column are made of, and what chooses among them."""
    inputs = _field(facets, name)["inputFields"]
    return _of(inputs, _MADE_OF), _of(inputs, _CHOSEN_BY)


def _of(inputs: Sequence[Json], kinds: Sequence[str]) -> list[tuple[str, str]]:
    return [
        (one["name"], one["field"])
        for one in inputs
        if any(w["type"] in kinds or w["subtype"] in kinds for w in one["transformations"])
    ]


def listed(sources: Sequence[tuple[str, str]]) -> str:
    """Columns by their tables: `setl_d: age, gend; mdtrt_d: endtime`."""
    found: dict[str, list[str]] = {}
    for table, column in sources:
        found.setdefault(table, []).append(column)
    return "; ".join(f"{table}: {', '.join(names)}" for table, names in found.items())


def _read(facets: Json) -> list[tuple[str, str]]:
    return [(one["name"], one["field"]) for one in facets["columnLineage"]["dataset"]]


def _hidden(facets: Json) -> str:
    return f"shown or hidden by disclosure control over {listed(_read(facets))}"


def _outputs(event: Json) -> Iterator[tuple[str, Json]]:
    """The tables of the release: the name of a view of own rows, none for cells; its facets."""
    for one in event["outputs"]:
        yield one["name"].partition(".")[2], one["facets"]


def _columns(event: Json) -> Iterator[tuple[str, Json]]:
    for place, facets in _outputs(event):
        for name in facets["columnLineage"]["fields"]:
            yield f"{place}.{name}" if place else name, facets


def _field(facets: Json, name: str) -> Json:
    found: Json = facets["columnLineage"]["fields"][name.rpartition(".")[2]]
    return found


def _table(event: Json, name: str) -> Json:
    facets: Json = next(one["facets"] for one in event["inputs"] if one["name"] == name)
    return facets


def _tags(facets: Json, field: str) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in facets["tags"]["tags"] if tag["field"] == field}
