"""`sluice privacy`: what was spent of the privacy budgets, and what is left."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.office import Json, office
from gateway.policy.documents import read_documents
from gateway.privacy.ledger import Ledger, year_of
from gateway.privacy.terms import yearly_budget
from gateway.settings import Settings

app = typer.Typer(help="Differential privacy: the ε ledger.", no_args_is_help=True)


@app.command("ledger")
def ledger(as_json: Json = False) -> None:
    """Every line of the ledger; exit code 1 where it is not what was written."""
    with office(Settings()) as engine:
        book = Ledger(engine)
        rows, faults = book.entries(), book.faults()
    lines = [
        {
            "seq": row.seq,
            "at": row.at.isoformat(),
            "act": row.act,
            "year": row.year,
            "geo": row.geo,
            "epsilon": row.epsilon,
            "subject": row.subject,
            "purpose": row.purpose,
            "hash": row.hash,
        }
        for row in rows
    ]
    if as_json:
        typer.echo(json.dumps({"lines": lines, "faults": faults}, ensure_ascii=False))
    else:
        table = Table("seq", "at", "act", "year", "geo", "ε", "subject")
        for row in lines:
            table.add_row(
                *(str(row[n]) for n in ("seq", "at", "act", "year", "geo", "epsilon", "subject"))
            )
        Console().print(table)
        for fault in faults:
            typer.echo(f"privacy_ledger: {fault}", err=True)
    if faults:
        raise typer.Exit(1)


@app.command("budget")
def budget(as_json: Json = False) -> None:
    """What each geography has spent and has left of this year's budget."""
    settings = Settings()
    year = year_of(datetime.now(UTC))
    most = yearly_budget(read_documents(settings.policies)["sdc_profiles"])
    with office(settings) as engine:
        found = [one for one in Ledger(engine).balances() if one.year == year]
    told = [
        {
            "year": one.year,
            "geo": one.geo,
            "draws": one.draws,
            "spent": float(one.spent),
            "left": None if most is None else float(most - min(most, one.spent)),
        }
        for one in found
    ]
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    if most is None:
        typer.echo("Differential privacy is off in every profile.", err=True)
    table = Table("year", "geo", "draws", "ε spent", "ε left")
    for each in told:
        table.add_row(*(str(value) for value in each.values()))
    Console().print(table)
