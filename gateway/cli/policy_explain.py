"""`sluice policy explain`: why a recorded decision was made, as a page for a person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from gateway.cli.office import office
from gateway.db.engine import reading
from gateway.db.place import database_there
from gateway.journal.looking import looking
from gateway.serving.explain import NOBODY, explain, find, standings
from gateway.serving.rulebook import Shelf
from gateway.settings import Settings

Json: TypeAlias = dict[str, Any]  # the explanation, as `gateway.serving.explain` makes it


def explanation(settings: Settings, decision_id: str) -> Json:
    """The explanation of a decision in this home's journal; without a database what is in files."""
    found = find(looking(settings), decision_id)
    if not database_there(settings):
        shelf = Shelf(settings.policies, settings.keys, None)
        return explain(found, shelf.of(found.logged.revision), NOBODY)
    with office(settings) as engine:
        book = Shelf(settings.policies, settings.keys, engine).of(found.logged.revision)
        with reading(engine) as session:
            known = standings(session, found)
    return explain(found, book, known)


def readable(told: Json) -> str:
    """The explanation as a page for a person."""
    return "\n".join(_lines(told))


def _lines(told: Json) -> Iterator[str]:
    verdict = "allowed" if told["allow"] else "refused"
    yield f"{told['decision_id']} {verdict} at {told['time']}"
    if not told["intact"]:
        yield "  NOT AS RECORDED: its audit event seals another decision; run `sluice audit verify`"
    yield f"  by revision {told['policy_version']}"
    if not told["rules"]["decided"]:
        missing = f"edition {told['edition']}" if told["edition"] else "that edition"
        yield f"  the text of {missing} is not at hand: what follows is by today's files"
    yield from _rows("call", told["call"])
    if told["allowed_by"]:
        yield f"  allowed by {told['allowed_by']['at']}: {told['allowed_by']['says']}"
    whose = "that edition" if told["rules"]["decided"] else "today's files"
    for reason in told["reasons"]:
        yield from _reason(reason, whose)
    yield from _question(told)
    yield from _standing("tenant", told["tenant"])
    yield from _standing("grant", told["grant"])
    yield from _scenario(told["scenario"])
    yield from _rows("profile", told["profile"] or {})
    yield from _rows("obligations", told["obligations"] or {})
    for column in told["columns"]:
        mask = f"mask {column['mask']}"
        yield f"  {column['field']:<24}{column['item']}  {column['level']}  {mask}"


def _reason(reason: Json, whose: str) -> Iterator[str]:
    yield f"  {reason['code']}  {reason['en']} {reason['zh']}"
    if reason["rule"]:
        yield f"        {reason['rule']['at']}: {reason['rule']['says']}"
    else:
        yield f"        no rule of {whose} gives this code"
    for path, value in reason["compared"].items():
        yield f"        {path} = {_plain(value)}"
    if reason["do"]:
        yield f"        → {reason['do']['en']} {reason['do']['zh']}"


def _question(told: Json) -> Iterator[str]:
    asked = told["question"] or {}
    shown = {name: _filled(value) for name, value in asked.items()}
    yield from _rows("asked", {name: value for name, value in shown.items() if value})
    for kind, places in told["hidden"].items():
        if places:
            yield f"  {kind}: {', '.join(places)}"


def _standing(name: str, document: Json | None) -> Iterator[str]:
    if document is None:
        return
    changed = "changed" if document["changed_since"] else "unchanged"
    shown = {key: value for key, value in document.items() if key != "changed_since"}
    yield from _rows(f"{name} as of today, {changed} since", shown)


def _scenario(scenario: Json | None) -> Iterator[str]:
    if scenario is None:
        return
    yield f"  scenario {scenario['id']} {scenario['name_zh']} {scenario['name_en']}"
    yield from _rows("limits", {"entry": scenario["entry"], **scenario["limits"]})


def _rows(title: str, values: Json) -> Iterator[str]:
    if values:
        yield f"  {title}"
        yield from (f"    {name:<19} {_plain(value)}" for name, value in values.items())


def _filled(value: Any) -> Any:  # any JSON value
    """Without attributes that are nothing, such as counters at zero."""
    if not isinstance(value, dict):
        return value
    return {name: each for name, each in value.items() if each}


def _plain(value: Any) -> str:  # any JSON value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
