"""`sluice release`: build, list, verify and withdraw releases."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway.catalogue.load import load_catalogue
from gateway.cli.office import act_now, by_edition, record_here, to_build
from gateway.cli.quality_waiver import signed_waivers
from gateway.cli.release_audit import audit_releases
from gateway.cli.release_lineage import lineage
from gateway.errors import OperatorError
from gateway.policy.documents import read_documents
from gateway.quality.told import read_office
from gateway.releases.attack.audit import recorded, stopping
from gateway.releases.build import Order, Step, build
from gateway.releases.manifest import Manifest, ReleaseError
from gateway.releases.publish import publish_held
from gateway.releases.recounting import recount
from gateway.releases.run import Reuse
from gateway.releases.shelf import Entry, entries, withdraw
from gateway.releases.verify import Report, verify, verify_together
from gateway.settings import Settings

app = typer.Typer(help="Releases: protected tables that the gateway serves.", no_args_is_help=True)
Engine: TypeAlias = Literal["duckdb", "spark"]
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
app.command("lineage")(lineage)
app.command("audit")(audit_releases)
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def _fail(error: OperatorError) -> typer.Exit:
    typer.echo(f"{error.code}: {error.message}", err=True)
    return typer.Exit(1)


@app.command("build")
def build_releases(
    services: Annotated[list[str] | None, typer.Argument(help="Ids or codes; all if none.")] = None,
    *,
    edition: Annotated[
        str, typer.Option(help="Build for this edition of the policy; default: what is live.")
    ] = "",
    alone: Annotated[
        bool, typer.Option("--alone", help="Exactly these, without those linked with them.")
    ] = False,
    since: Annotated[
        str,
        typer.Option("--from", metavar="YYYY-MM", help="First month to publish; all if not given."),
    ] = "",
    engine: Annotated[
        Engine | None, typer.Option(help="What runs the facts; default: SLUICE_RELEASE_ENGINE.")
    ] = None,
    spark_master: Annotated[
        str, typer.Option(help="spark://host:port; default: SLUICE_SPARK_MASTER.")
    ] = "",
    hold: Annotated[
        bool, typer.Option("--hold", help="Leave them ready; the office publishes them.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build the services' releases from the current warehouse and put them in force."""
    last = Step("start", 0.0)
    columns = (TextColumn("{task.description:24}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("start", total=1.0)

        def tell(step: Step) -> None:
            nonlocal last
            last = step
            bar.update(task, description=step.doing, completed=step.done)

        try:
            chosen = _with_engine(Settings(), engine, spark_master)
            with to_build(chosen, edition) as (settings, also):
                order = Order(
                    tuple(services or ()),
                    signed_waivers(Settings()),
                    also,
                    alone,
                    _month(since),
                    read_office(settings.home, settings.keys).told,
                    hold,
                )
                made = build(settings, order, datetime.now(UTC), tell)
            if not hold:
                built = {one.service: one.release_id for one in made}
                record_here(chosen, act_now(""), "publish", ("releases", "built"), built)
        except OperatorError as error:
            raise _fail(error) from error
    if last.reuse is not None:
        typer.echo(_reused(last.reuse), err=True)
    _print_built(made, as_json)


def _with_engine(settings: Settings, engine: Engine | None, master: str) -> Settings:
    """The settings with what the command line says of the engine."""
    given = {"release_engine": engine, "spark_master": master}
    return settings.model_copy(update={name: told for name, told in given.items() if told})


def _month(text: str) -> str:
    """A month as it was given; refuses what is none."""
    if text and not _MONTH.fullmatch(text):
        raise ReleaseError("month_malformed", f"--from {text}: write a month as 2024-01.")
    return text


def _reused(reuse: Reuse) -> str:
    """What an earlier build, finished or killed, had made already."""
    return (
        f"reused {reuse.facts} of {reuse.facts_of} facts, "
        f"{reuse.seasons} of {reuse.seasons_of} seasons"
    )


def _print_built(made: list[Manifest], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([_summary(manifest) for manifest in made], ensure_ascii=False))
        return
    for manifest in made:
        cells = ", ".join(f"{key}: {n} cells" for key, n in manifest.cells.items())
        typer.echo(f"{manifest.release_id}  {cells}")


def _summary(manifest: Manifest) -> dict[str, object]:
    return {
        "release_id": manifest.release_id,
        "service": manifest.service,
        "created": manifest.created.isoformat(),
        "periods": {grain: list(labels) for grain, labels in manifest.periods.items()},
        "cells": manifest.cells,
        "waiver": manifest.model_dump(mode="json", include={"waiver"})["waiver"],
    }


@app.command("list")
def list_releases(as_json: Json = False) -> None:
    """All releases on this machine and which are in force."""
    found = entries(Settings().releases)
    if as_json:
        typer.echo(json.dumps([_listed(entry) for entry in found], ensure_ascii=False))
        return
    table = Table("service", "release", "state", "created", "periods", "cells")
    for entry in found:
        one = entry.manifest
        spans = ", ".join(f"{labels[0]}…{labels[-1]}" for labels in one.periods.values() if labels)
        cells = str(sum(one.cells.values()))
        created = f"{one.created:%Y-%m-%d %H:%M}"
        table.add_row(one.service, one.release_id, entry.state, created, spans, cells)
    Console().print(table)


def _listed(entry: Entry) -> dict[str, object]:
    return {**_summary(entry.manifest), "state": entry.state}


@app.command("verify")
def verify_releases(
    releases: Annotated[list[str] | None, typer.Argument(help="Release ids; all if none.")] = None,
    together: Annotated[
        bool, typer.Option("--all", help="Also services in force against each other.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Prove that releases are untouched and that no small count follows from their tables."""
    settings = Settings()
    try:
        with by_edition(settings) as live:
            catalogue = load_catalogue(live.policies)
            reports = verify(settings.releases, tuple(releases or ()), catalogue.services)
            if together or not releases:
                sensitive = read_documents(live.policies)["sensitive"]
                reports += verify_together(settings.releases, catalogue.services)
                reports += _attacked(settings)
                reports += recount(settings.releases, catalogue, sensitive, settings.warehouse)
    except OperatorError as error:
        raise _fail(error) from error
    if as_json:
        typer.echo(json.dumps([_reported(r) for r in reports], ensure_ascii=False))
    else:
        for report in reports:
            typer.echo(f"{report.release_id}  {'ok' if report.ok else 'FAILED'}")
            for fault in report.faults:
                typer.echo(f"  {fault}")
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


def _attacked(settings: Settings) -> list[Report]:
    """What the attack found when something was published last."""
    report = recorded(settings.releases)
    if report is None:
        return []
    left = f", {report.left_out}" if report.left_out else ""
    name = f"attack on {len(report.releases)} releases{left}"
    return [Report(name, tuple(f"{one.rule}: {one.sentence}" for one in stopping(report)))]


def _reported(report: Report) -> dict[str, object]:
    return {"release_id": report.release_id, "ok": report.ok, "faults": list(report.faults)}


@app.command("publish")
def publish_releases() -> None:
    """Put the build that lies ready (`build --hold`) in force, all of it at once."""
    try:
        settings = Settings()
        published = publish_held(settings.releases)
        record_here(settings, act_now(""), "publish", ("releases", "held"), dict(published))
        for service, release_id in published.items():
            typer.echo(f"{service}  {release_id}  in force")
    except OperatorError as error:
        raise _fail(error) from error


@app.command("withdraw")
def withdraw_release(
    release_id: Annotated[str, typer.Argument(help="The release to take out of service.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the release.")],
) -> None:
    """Take a release out of service; it stays on disk and can no longer be asked for."""
    try:
        settings, act = Settings(), act_now("", reason)
        withdraw(settings.releases, release_id, reason, act.at)
        told = {"id": release_id, "state": "withdrawn", "reason": reason}
        record_here(settings, act, "withdraw", ("release", release_id), told)
    except OperatorError as error:
        raise _fail(error) from error
    typer.echo(f"{release_id} withdrawn")
