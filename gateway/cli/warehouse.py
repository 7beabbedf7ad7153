"""`sluice warehouse`: simulate a bureau, import one, check the integrity rules of either."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gateway.cli.classify import proposals
from gateway.errors import OperatorError
from gateway.settings import Settings
from gateway.warehouse.importing import import_warehouse
from gateway.warehouse.report import ImportReport
from gateway.warehouse.store import current, draft, publish, sweep
from synthetic.bureau import simulate as simulate_bureau
from synthetic.integrity.engine import check as check_rules
from synthetic.integrity.model import CheckReport, RuleResult, Status, WarehouseUnreadable

app = typer.Typer(
    help="The bureau's warehouse: simulate one, import one, check it.", no_args_is_help=True
)
console = Console()
Size: TypeAlias = Literal["mini", "ci", "demo", "province"]
Defects: TypeAlias = Literal["none", "light", "heavy"]

Home = Annotated[
    Path | None, typer.Option(help="Folder of warehouse and state; default: SLUICE_HOME or ./var.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
_MARKS = {
    Status.PASSED: "[green]passed        [/]",
    Status.FAILED: "[red]FAILED        [/]",
    Status.NOT_APPLICABLE: "[dim]not applicable[/]",
}


def _settings(home: Path | None) -> Settings:
    return Settings(home=home) if home else Settings()


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """A progress bar on the error stream, fed by (step, share done)."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<28}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task("start", total=1.0)

        def show(step: str, done: float) -> None:
            progress.update(task, description=step, completed=done)

        yield show


@app.command()
def simulate(
    *,
    size: Annotated[Size, typer.Option(help="2 k, 20 k, 200 k or 2 M persons.")] = "ci",
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 1,
    defects: Annotated[Defects, typer.Option(help="Faults to plant in the data.")] = "none",
    threads: Annotated[int, typer.Option(min=1, help="Does not change the result.")] = 2,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Simulate a fictional bureau's warehouse and make it the current one."""
    root = _settings(home).warehouse
    with _bar(quiet=as_json) as show:
        root.mkdir(parents=True, exist_ok=True)
        sweep(root)
        with draft(root) as scratch:
            tables = scratch / "tables"
            tables.mkdir()
            simulate_bureau(tables, size, seed, threads=threads, progress=show, defects=defects)
            show("publish", 0.99)
            made = json.loads((tables / "manifest.json").read_text(encoding="utf-8"))
            source = {"kind": "simulate", "defects": defects, "made_by": made}
            folder = publish(root, tables, source, datetime.now(UTC))
        show("done", 1.0)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if as_json:
        typer.echo(json.dumps(manifest, ensure_ascii=False, indent=1))
        return
    for name, entry in manifest["tables"].items():
        _say(f"{name:<18}{entry['rows']:>12,} rows {entry['bytes'] / 1e6:>9,.1f} MB")
    _say(f"[green]simulated[/] as {folder.name}")


@app.command("import")
def import_(
    mapping: Annotated[
        Path, typer.Argument(help="The mapping, see docs/import.md.", exists=True, dir_okay=False)
    ],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Import CSV or Parquet by a mapping; a failed import leaves the current warehouse as it is."""
    root = _settings(home).warehouse
    with _bar(quiet=as_json) as show:
        report = import_warehouse(mapping, root, datetime.now(UTC), show)
    told = _proposed(report)
    if as_json:
        document = {**report.as_dict(), "unmapped_columns": told}
        typer.echo(json.dumps(document, ensure_ascii=False, indent=1))
    else:
        _print_import(report)
        for source, rows in told.items():
            for row in rows:
                known = f"{row['item']} {row['level']} {row['title_zh']}" if row["item"] else "?"
                _say(f"not imported: {source}.{row['column']}: {known}, {row['why']}")
    if report.failure:
        raise typer.Exit(1)


def _proposed(report: ImportReport) -> dict[str, list[dict[str, object]]]:
    """What the source columns that no table takes may be, for a person to confirm."""
    policies = Settings().policies
    return {name: proposals(policies, columns) for name, columns in report.unmapped.items()}


def _print_import(report: ImportReport) -> None:
    _print_feeds(report)
    for name, (how, rows) in report.derived.items():
        _say(f"derived {name} ({how}): {rows:,} rows")
    if report.empty:
        _say(f"empty tables: {', '.join(report.empty)}")
    for place in report.unchecked:
        _say(f"reference not checked: {place}")
    if report.integrity:
        _print_rules(report.integrity)
    _say(f"rejected rows, by file and line: {report.folder}/rejects.csv")
    if report.failure:
        _say(f"[red]not imported[/]: {report.failure} {report.failure_zh}")
        _say("The current warehouse is unchanged.")
    else:
        _say(f"[green]imported[/] as {report.version}")


def _print_feeds(report: ImportReport) -> None:
    for feed in report.feeds:
        _say(
            f"{feed.source} → {feed.table}: {feed.read:,} read, {feed.accepted:,} accepted, "
            f"{feed.rejected:,} rejected"
        )
        for reason, count in feed.reasons.items():
            _say(f"    {count:>10,}  {reason}")


@app.command()
def check(home: Home = None, as_json: Json = False) -> None:
    """Verify every integrity rule on the current warehouse; exit 1 if a block rule fails."""
    folder = current(_settings(home).warehouse)
    try:
        report = check_rules(folder)
    except WarehouseUnreadable as error:
        raise OperatorError(
            "warehouse.unreadable", f"The warehouse cannot be checked: {error}.", "仓库无法检查。"
        ) from error
    if as_json:
        typer.echo(json.dumps(report.as_dict(), ensure_ascii=False, indent=1))
    else:
        _print_rules(report)
    if report.blocked_rules:
        raise typer.Exit(1)


def _print_rules(report: CheckReport) -> None:
    """One line per rule, then what the marks add up to."""
    for result in report.results:
        _say(_rule_line(result))
    counted = Counter(result.status for result in report.results)
    _say(
        f"{len(report.results)} rules: {counted[Status.PASSED]} passed, "
        f"{counted[Status.FAILED]} failed ({len(report.blocked_rules)} of them block), "
        f"{counted[Status.NOT_APPLICABLE]} not applicable"
    )


def _rule_line(result: RuleResult) -> str:
    line = f"{result.rule.id} {result.rule.severity.value:<5} {_MARKS[result.status]} "
    line += f"{result.checked:>12,} checked {result.failed:>9,} failed  "
    line += f"{result.rule.title_zh} · {result.rule.title_en}"
    if result.failed:
        line += f" — {result.amount_affected:,} yuan affected"
    if result.reasons:
        line += f" \\[not checked: {'; '.join(result.reasons)}]"
    return line


def _say(text: str) -> None:
    """One line, never folded, so that it can be searched and piped."""
    console.print(text, soft_wrap=True, highlight=False)
