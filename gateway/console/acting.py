"""Acts by form: the page that asks, and what happens when it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from gateway.api.admin.endpoint import Answer
from gateway.console.desk import HOME, Visit
from gateway.console.drawing import role_titles
from gateway.console.fields import Known, body_of, fields_of
from gateway.console.listing import one_row
from gateway.console.pages import FormPage, Link, Told
from gateway.console.tables import localised, parts_of
from gateway.errors import OperatorError
from gateway.identity.entries import Entry
from gateway.identity.model import STOP_KINDS
from gateway.pages.browser import Fields, one


def ask_for(visit: Visit, operation: str, said: Fields | None = None) -> FormPage:
    """The form of an act; `said` is what was typed, after an error."""
    site, words = visit.desk.site, visit.words
    endpoint, act = site.endpoint(operation), site.act(operation)
    title = words[f"act_{operation.replace('.', '_')}"]
    given = _given(visit, operation, endpoint.form, said)
    fields = fields_of(endpoint.form, words, given, _known(visit)) if endpoint.form else []
    return FormPage(
        title=title,
        lead=words.of(f"hint_{operation.replace('.', '_')}", ""),
        action=_address(visit, operation),
        fields=fields,
        uploads=any(each.kind == "file" for each in fields),
        says_why=endpoint.says_why,
        reason=one(said, "reason") if said else "",
        grave=act.grave,
        button=title,
        back=back(visit, operation),
    )


def _given(
    visit: Visit, operation: str, form: type[Entry] | None, said: Fields | None
) -> Mapping[str, object]:
    """What the form starts with: what was typed, else what the entry already has."""
    if said is not None:
        return _typed(form, said)
    fixed = {
        key.removeprefix("give."): value
        for key, value in visit.query.items()
        if key.startswith("give.")
    }
    entry, name = visit.query.get("entry", ""), visit.desk.site.page_of(operation)
    page = visit.desk.site.pages[name]
    if entry and form is not None and operation.endswith((".update", ".set", ".roles")):
        return {**one_row(visit, page, entry), **fixed}
    return fixed


def _typed(form: type[Entry] | None, said: Fields) -> Mapping[str, object]:
    """What was typed, as far as it can be read; what cannot is typed anew."""
    try:
        return _flat(body_of(form, said))
    except OperatorError:
        return {}


def _flat(body: Mapping[str, object], before: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in body.items():
        found |= (
            _flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
        )
    return found


def _known(visit: Visit) -> Known:
    """Values that an officer chooses from instead of typing them."""
    office, words = visit.desk.office, visit.words
    bounds, language = office.bounds, visit.taste.language

    def titled(documents: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
        names = ((each, found.get(f"title_{language}", "")) for each, found in documents.items())
        return sorted((each, f"{each} {title}".strip()) for each, title in names)

    return {
        "roles": list(
            zip(office.operations.roles, role_titles(visit, office.operations.roles), strict=True)
        ),
        "scenario": titled(bounds.scenarios),
        "services": titled(bounds.services),
        "regions": [("*", words.everywhere), *titled(bounds.regions)],
        "kind": [(each, words.of(f"value_{each}", each)) for each in STOP_KINDS],
    }


def _address(visit: Visit, operation: str) -> str:
    """Where the form is sent: the act, and what it is done to."""
    kept = {key: value for key, value in visit.query.items() if key != "done"}
    return f"{HOME}/do/{operation}" + (f"?{urlencode(kept)}" if kept else "")


def back(visit: Visit, operation: str) -> Link:
    """The page from which the act was chosen."""
    name, entry = visit.desk.site.page_of(operation), visit.query.get("entry", "")
    title = visit.words[f"page_{name}"]
    return Link(title, f"{HOME}/{name}" + (f"/{quote(entry, safe='~')}" if entry else ""))


def send(visit: Visit, operation: str, said: Fields) -> Answer:
    """Do the act with what the form said; raises what the operation refuses with."""
    endpoint = visit.desk.site.endpoint(operation)
    body = body_of(endpoint.form, said)
    if reason := one(said, "reason").strip():
        body["reason"] = reason
    at = {key: value for key, value in visit.query.items() if f"{{{key}}}" in endpoint.path}
    return visit.act(operation, at, body, one(said, "csrf"))


def told(visit: Visit, operation: str, answer: Answer) -> Told | None:
    """A page for an answer that is said this once; None where the list tells enough."""
    if not visit.desk.site.act(operation).tells or not isinstance(answer, dict):
        return None
    told_ = localised(answer, visit.taste.language)
    facts, tables, texts = parts_of(told_, visit.words, {})
    return Told(
        title=visit.words[f"act_{operation.replace('.', '_')}"],
        lead=visit.words.sentence_once,
        facts=facts,
        tables=tables,
        texts=texts,
        back=back(visit, operation),
    )
