"""`sluice release audit`: attack what is published and say what an outsider can work out."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from gateway.catalogue.load import load_catalogue
from gateway.cli.office import by_edition
from gateway.errors import OperatorError
from gateway.releases.attack.audit import Progress, Scope, audit
from gateway.releases.attack.finding import AttackReport, Finding
from gateway.releases.manifest import ReleaseError
from gateway.settings import Settings

_NAMED = 20
_QUICK = 2_000
"""Unknowns of a component from which `--quick` tries no programme: one takes minutes."""


def audit_releases(
    service: Annotated[
        list[str] | None, typer.Option(help="Ids; with each, all it is linked with. All if none.")
    ] = None,
    period: Annotated[
        list[str] | None, typer.Option(help="Longest periods, as 2024Q1 or 2024. All if none.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0, help="Processor seconds granted; no limit if not given.")
    ] = float("inf"),
    quick: Annotated[
        bool, typer.Option(help="Bound large systems by propagation only; minutes, not hours.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Attack everything published, as an outsider could. Exits with 1 if anything was found."""
    columns = (TextColumn("{task.description:24}"), BarColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("start", total=1.0)
        try:
            report = _attack(
                Scope(
                    tuple(service or ()),
                    tuple(period or ()),
                    seconds,
                    _QUICK if quick else float("inf"),
                ),
                lambda doing, share: bar.update(task, description=doing, completed=share),
            )
        except OperatorError as error:
            bar.stop()
            typer.echo(f"{error.code}: {error.message}", err=True)
            raise typer.Exit(1) from error
    if as_json:
        typer.echo(report.model_dump_json())
    else:
        _print(report)
    if not report.ok:
        raise typer.Exit(1)


def _attack(scope: Scope, progress: Progress) -> AttackReport:
    settings = Settings()
    with by_edition(settings) as live:
        services = load_catalogue(live.policies).services
        unknown = sorted({*scope.services} - services.keys())
        if unknown:
            raise ReleaseError("service_unknown", f"There is no service {', '.join(unknown)}.")
        report = audit(settings.releases, services, scope, progress=progress)
    if scope.periods and not report.parts:
        raise ReleaseError(
            "period_unknown",
            f"Nothing is published for {', '.join(scope.periods)}: name the longest period of the "
            "service, as 2024Q1 or 2024.",
        )
    return report


def _print(report: AttackReport) -> None:
    for part in report.parts:
        left = f", {part.not_examined} NOT EXAMINED ({part.why_not})" if part.not_examined else ""
        rough = f", {part.bounded} by propagation ({part.why_bounded})" if part.bounded else ""
        typer.echo(
            f"{part.season}  {', '.join(part.measures)}: {part.cells} cells, {part.hidden} hidden, "
            f"{part.equations} equations, {part.components} components, {part.programmes} "
            f"programmes, {part.seconds:.1f} s{rough}{left}"
        )
    _tell(report.findings)
    for text in [
        f"may be read by a monopolist: {one.sentence}" for one in report.insiders[:_NAMED]
    ]:
        typer.echo(text)
    for text in report.not_begun:
        typer.echo(f"NOT BEGUN: {text} (the time granted was used up)")
    typer.echo(
        f"{len(report.findings)} findings, {len(report.insiders)} pairs open to a monopolist, "
        f"{report.left_out or 'all examined exactly'}, {report.seconds:.1f} s, {report.peak_mb} MB"
    )


def _tell(findings: tuple[Finding, ...]) -> None:
    for one in findings[:_NAMED]:
        typer.echo(f"{one.rule}: {one.sentence}")
        for step in one.steps:
            typer.echo(f"    {' + '.join(step.left)} {step.relation} {' + '.join(step.right)}"
                       f"  ({step.why})")  # fmt: skip
        for known in one.figures:
            typer.echo(f"    {known.measure} of {known.cell} is {known.value:g}: "
                       f"{known.low:g} to {known.high:g}")  # fmt: skip
    if len(findings) > _NAMED:
        typer.echo(f"and {len(findings) - _NAMED} more; --json lists all")
