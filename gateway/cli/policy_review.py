"""`sluice policy explain`, `diff`, `what-if`: what an officer asks before and after a change."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress

from gateway.cli.office import Json, office
from gateway.cli.policy_explain import explanation, readable
from gateway.db.place import database_there
from gateway.editions.store import live_folder
from gateway.journal.looking import looking
from gateway.policy.diff import changes
from gateway.policy.what_if import Change, Tally
from gateway.serving.rehearsal import edition_folder, rehearse
from gateway.settings import Settings

Item = TypeVar("Item")
Report: TypeAlias = dict[str, Any]  # as `Rehearsal.report` makes it

_Edition = Annotated[
    str, typer.Argument(metavar="EDITION", help="A policies folder, or an edition.")
]
_Decision = Annotated[str, typer.Argument(help="Id of a decision, or of the request.")]
_Last = Annotated[int, typer.Option("--last", min=1, max=1_000_000, help="How many decisions.")]
_Each = Annotated[bool, typer.Option("--each", help="Print every changed answer, one per line.")]


def mount(app: typer.Typer) -> None:
    """Add the verbs to `sluice policy`."""
    app.command("explain")(explain)
    app.command("diff")(diff)
    app.command("what-if")(what_if)


def explain(decision_id: _Decision, as_json: Json = False) -> None:
    """Say why a recorded decision was made: by which rule, under which revision, on which facts."""
    told = explanation(Settings(), decision_id)
    typer.echo(json.dumps(told, ensure_ascii=False) if as_json else readable(told))


def diff(
    before: _Edition,
    after: Annotated[str, typer.Argument(help="Another one; default: what is live.")] = "",
    as_json: Json = False,
) -> None:
    """List what differs between two editions, from the first to the second; exit 1 if anything."""
    with _folder(before) as old, _folder(after) as new:
        found = list(changes(old, new))
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False))
    else:
        lines = [f"{each.kind:<8}{each.sentence()}" for each in found]
        typer.echo("\n".join(lines) or "no difference in rules or policy data")
    raise typer.Exit(1 if found else 0)


def what_if(
    edition: _Edition, last: _Last = 10_000, each: _Each = False, as_json: Json = False
) -> None:
    """Put the last recorded decisions to a draft and to the live edition, and show every answer
    that would change, with its reason; exit 1 when one would."""
    settings, tally = Settings(), Tally()
    journal = looking(settings)
    with (
        office(settings) as engine,
        rehearse(engine, settings.keys, settings.policies, edition) as rehearsal,
    ):
        number = min(last, journal.count_decisions())
        found = rehearsal.replay(journal.last_decisions(number), tally)
        for change in _watched(found, number):
            if each and change is not None:
                typer.echo(_line(change, as_json=as_json))
        told = {"decisions": number, **rehearsal.report(tally)}
    typer.echo(json.dumps(told, ensure_ascii=False) if as_json else "\n".join(_page(told)))
    raise typer.Exit(1 if tally.changed else 0)


@contextmanager
def _folder(edition: str) -> Iterator[Path]:
    """A folder, or an edition by name; without either what is live."""
    settings = Settings()
    if edition and Path(edition).is_dir():
        yield Path(edition)
    elif not database_there(settings) and not edition:
        yield settings.policies
    else:
        with office(settings) as engine:
            place = (
                edition_folder(engine, settings.keys, edition)
                if edition
                else live_folder(engine, settings.keys, settings.policies)
            )
            with place as folder:
                yield folder


def _watched(items: Iterable[Item], number: int) -> Iterator[Item]:
    """The items, with a bar for whoever watches a terminal."""
    with Progress(
        console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task("replayed", total=number)
        for item in items:
            yield item
            bar.advance(task)


def _line(change: Change, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(asdict(change), ensure_ascii=False)
    kind = change.kind
    outcome = _outcome(kind.was, kind.becomes, kind.differs)
    return f"{change.decision_id}  {change.time}  {kind.scenario} {kind.service}  {outcome}"


def _outcome(was: Iterable[str], becomes: Iterable[str], differs: Iterable[str]) -> str:
    before, after, obligations = " ".join(was), " ".join(becomes), ", ".join(differs)
    return f"{before} → {after}" + (f" with other {obligations}" if obligations else "")


def _page(told: Report) -> Iterator[str]:
    yield f"{told['decisions']} decisions, live {told['live']} against draft {told['draft']}"
    yield f"  unchanged {told['unchanged']}   changed {told['changed']}"
    yield (
        f"  answered otherwise today than when recorded, by the live edition: "
        f"{told['answered_otherwise_today']}"
    )
    for reason, count in told["not_replayable"].items():
        yield f"  not asked again {count}: {reason}"
    for group in told["groups"]:
        outcome = _outcome(group["was"], group["becomes"], group["differs"])
        yield f"{group['count']:>8} × {group['scenario']} {group['service']}  {outcome}"
        for reason in group["reasons"]:
            rule = reason["rule"]
            place = f"at {rule['at']}: {rule['says']}" if rule else "by no rule of its own"
            yield f"           {reason['code']} given by the {reason['by']} edition {place}"
            yield f"                {reason['zh']} {reason['en']}"
        yield f"           such as {', '.join(group['examples'])}"
    yield "ANSWERS CHANGE" if told["changed"] else "ok: no answer changes"
