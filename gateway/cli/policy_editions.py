"""`sluice policy push …`: an edition's way from a folder to what decides, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from gateway.cli.office import Actor, Json, Reason, act_now, office, say, show
from gateway.db.engine import reading, writing
from gateway.editions import changes
from gateway.editions.differences import read_differences
from gateway.editions.model import APPROVERS, EditionRecord
from gateway.editions.office import PolicyOffice
from gateway.editions.store import read_record, read_records
from gateway.editions.trial import try_out
from gateway.identity.record import Act
from gateway.policy.contents import gather
from gateway.releases.coverage import released
from gateway.settings import Settings

_Name = Annotated[str, typer.Argument(metavar="EDITION", help="Name of the edition.")]
_Person = Annotated[str, typer.Option("--actor", help="Who approves; two different people must.")]
_COLUMNS = ("edition", "version", "state", "author", "approvals", "tenants", "live_since")


def mount(app: typer.Typer) -> None:
    """Add the verbs of editions to `sluice policy`."""
    for verb in (
        push,
        editions,
        approve,
        shadow,
        differences,
        canary,
        promote,
        rollback,
        withdraw,
    ):
        app.command(verb.__name__)(verb)


def push(
    folder: Annotated[
        Path, typer.Argument(help="A policies folder: rules, tests, data, catalogue.")
    ],
    actor: Actor = "",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Check a folder, run its tests and store it; exit 1 when it is red and stays a draft."""
    settings, files = Settings(), gather(folder)
    trial = try_out(files)
    where = _office(settings)
    with office(settings) as engine:
        outlook = where.foresee(engine, files, trial)
        with writing(engine) as session:
            told = where.push(session, act_now(actor, reason), files, trial, outlook)
    typer.echo(json.dumps(told, ensure_ascii=False) if as_json else _pushed(told))
    raise typer.Exit(0 if trial.green else 1)


def editions(as_json: Json = False) -> None:
    """Every edition, newest first: how far it has come and by whom."""
    settings = Settings()
    with office(settings) as engine, reading(engine) as session:
        records = read_records(session, _office(settings).key)
    rows = [each.document() for each in records]
    if not as_json:
        rows = [{**row, "live_since": _minute(row["live_since"])} for row in rows]
    show(rows, _COLUMNS, as_json)


def approve(edition: _Name, actor: _Person, reason: Reason = "", as_json: Json = False) -> None:
    """Approve an edition; before canary and live two people must, its author may be one."""
    after = _do(actor, reason, lambda s, act, o: changes.approve(s, act, edition, o.key))
    missing = max(0, APPROVERS - len(after.approvals))
    by = ", ".join(after.approvals)
    more = f"{missing} more approval is wanted" if missing else "it may go on"
    say(after.document(), as_json, f"Edition {edition} is approved by {by}; {more}.")


def shadow(edition: _Name, actor: Actor = "", reason: Reason = "", as_json: Json = False) -> None:
    """Let an edition decide beside the live one, without effect; see `differences`."""
    settings = Settings()
    where = _office(settings)
    with office(settings) as engine:
        fit = where.fit(engine, edition, "shadow")
        with writing(engine) as session:
            after = where.shadow(session, act_now(actor, reason), fit)
    say(after.document(), as_json, f"Edition {edition} shadows the live one.")


def differences(edition: _Name, as_json: Json = False) -> None:
    """What the shadow would have decided otherwise, by codes and obligations."""
    settings = Settings()
    with office(settings) as engine, reading(engine) as session:
        read_record(session, _office(settings).key, edition)
        told = read_differences(session, edition)
    typer.echo(json.dumps(told, ensure_ascii=False) if as_json else _compared(told))


def canary(
    edition: _Name,
    tenant: Annotated[list[str], typer.Option(help="For whom it decides; give it again for more.")],
    actor: Actor = "",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Let an edition decide for some tenants; said again, for those named then."""
    settings = Settings()
    where = _office(settings)
    with office(settings) as engine:
        outlook = where.outlook(engine, edition, "canary")
        with writing(engine) as session:
            after = where.canary(session, act_now(actor, reason), outlook, tenant)
    say(after.document(), as_json, f"Edition {edition} decides for {', '.join(after.tenants)}.")


def promote(
    edition: _Name,
    accept_lost_grants: Annotated[
        bool, typer.Option("--accept-lost-grants", help="It is meant that grants are left out.")
    ] = False,
    actor: Actor = "",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Let an edition decide for everybody, on every replica within seconds."""
    settings = Settings()
    where = _office(settings)
    with office(settings) as engine:
        outlook = where.outlook(engine, edition, "live")
        with writing(engine) as session:
            act = act_now(actor, reason)
            after = where.promote(session, act, outlook, accept_lost_grants=accept_lost_grants)
    say(after.document(), as_json, f"Edition {edition} is live; before it was {after.replaces}.")


def rollback(reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """Let the edition before the live one decide again, at once; the live one is withdrawn."""
    settings = Settings()
    where = _office(settings)
    with office(settings) as engine:
        outlook = where.back(engine)
        with writing(engine) as session:
            after = where.roll_back(session, act_now(actor, reason), outlook)
    say(after.document(), as_json, f"Edition {after.name} is live again.")


def withdraw(edition: _Name, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """Take an edition out of shadow, canary or the list of what may go live."""
    after = _do(actor, reason, lambda s, act, o: changes.withdraw(s, act, edition, o.key))
    say(after.document(), as_json, f"Edition {edition} is withdrawn.")


def _do(
    actor: str, reason: str, run: Callable[[Session, Act, PolicyOffice], EditionRecord]
) -> EditionRecord:
    settings = Settings()
    with office(settings) as engine, writing(engine) as session:
        return run(session, act_now(actor, reason), _office(settings))


def _office(settings: Settings) -> PolicyOffice:
    return PolicyOffice(settings.keys, settings.policies, released(settings.releases))


def _minute(moment: object) -> str:
    """A moment as people read it in a table."""
    return str(moment)[:16].replace("T", " ") if moment else ""


def _pushed(told: Mapping[str, Any]) -> str:
    """What became of a push, for people."""
    lines = [*told["findings"]]
    for grant, reasons in told["lost_grants"].items():
        lines.append(f"grant {grant} would be left out: {'; '.join(reasons)}")
    lines += [f"no release has cells for {each} under it" for each in told["unreleased"]]
    lines += told["prices"]
    stays = " and stays a draft" if told["findings"] else ""
    return "\n".join([*lines, f"Edition {told['edition']} is {told['state']}{stays}."])


def _compared(told: Mapping[str, Any]) -> str:
    """Differences as sentences, the most frequent first."""
    lines = [
        f"{told['compared']} decisions compared: {told['same']} the same, "
        f"{told['different']} different; {told['not_compared']} not compared, "
        f"{told['failed']} failed."
    ]
    for way in told["differences"]:
        lines.append(f"{way['times']:>8} × {way['service']}: {way['live']} → {way['shadow']}")
        lines += [f"           {change}" for change in way["changes"]]
    return "\n".join(lines)
