"""`sluice meter`: is every answer metered exactly once, what is it worth, and whose is the money?

`verify` works while the server runs; the others keep the books of the operational database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import typer

from gateway.audit.reconcile import Reconciliation, reconcile
from gateway.billing import books as ledger
from gateway.billing import closing, payments, proposals
from gateway.billing.months import truth_of
from gateway.billing.replay import replay as replay_month
from gateway.billing.sources import events_of
from gateway.catalogue.load import load_catalogue
from gateway.catalogue.tariff import Tariff, charged_by
from gateway.cli import meter_disputes, meter_metrics, meter_papers, meter_rollup
from gateway.cli.meter_office import Json, MonthName, books, fen_of, month_named, yuan
from gateway.cli.office import Actor, act_now, by_edition, say, show
from gateway.db.engine import reading, writing
from gateway.journal.events import one_journal
from gateway.settings import Settings

app = typer.Typer(help="Metering, months, shares and statements.", no_args_is_help=True)
app.add_typer(meter_disputes.app, name="dispute")
app.command("rollup")(meter_rollup.rollup)
app.command("metrics")(meter_metrics.metrics)
app.command("statement")(meter_papers.statement)
app.command("key")(meter_papers.key)

Journal = Annotated[Path | None, typer.Option(help="Journal file; default: those of this home.")]
SHOWN = 50


@app.command()
def verify(journal: Journal = None, as_json: Json = False) -> None:
    """Reconcile answers = decisions = usage = audit, cells and amounts; exit 1 on a difference."""
    settings = Settings()
    price = partial(charged_by, _tariffs(settings))
    events = one_journal(journal) if journal else events_of(settings)
    result = reconcile(events, price)
    if as_json:
        typer.echo(orjson.dumps(asdict(result)).decode())
    else:
        _show(result)
    raise typer.Exit(1 if result.differences else 0)


@app.command()
def rate(month: MonthName, as_json: Json = False) -> None:
    """What a month amounts to by what is known now; books nothing."""
    with books() as books_:
        lines = truth_of(books_, month_named(month)).lines
    rows = [
        {
            "line": line.line_id,
            "tenant": line.key.tenant,
            "grant": line.key.grant,
            "service": line.key.service,
            "units": line.units,
            "unit": line.key.unit,
            "amount": yuan(line.amount_fen),
            "amount_fen": line.amount_fen,
        }
        for line in lines
    ]
    show(rows, ("line", "tenant", "grant", "service", "units", "unit", "amount"), as_json)


@app.command()
def share(month: MonthName, as_json: Json = False) -> None:
    """How a month's fees are divided by what is known now; books nothing."""
    with books() as books_:
        truth = truth_of(books_, month_named(month))
    rows: list[dict[str, object]] = []
    for service, parts in truth.splits.items():
        named = {"tax": parts.tax_fen, "operator": parts.operator_fen}
        named |= {"public interest": parts.public_interest_fen}
        for party, fen in {**named, **parts.providers}.items():
            rows.append(
                {"service": service, "party": party, "amount": yuan(fen), "amount_fen": fen}
            )
    show(rows, ("service", "party", "amount"), as_json)


@app.command()
def propose(month: MonthName, actor: Actor = "", as_json: Json = False) -> None:
    """Say that a month may be closed as it stands; another person closes it."""
    act = act_now(actor)
    with books() as books_:
        prepared = closing.prepare(books_, month_named(month), act.at)
        with writing(books_.engine) as session:
            digest = proposals.propose(session, prepared, act.at, act.actor).digest
    told = {"month": prepared.month, "digest": digest, "papers": sorted(prepared.papers)}
    say(told, as_json, f"{prepared.month} is proposed: another person closes it")


@app.command()
def close(month: MonthName, actor: Actor = "", as_json: Json = False) -> None:
    """Charge, share and close a month that somebody else proposed, and issue its statements;
    refuses while anything differs."""
    act = act_now(actor)
    with books() as books_:
        prepared = closing.prepare(books_, month_named(month), act.at)
        with writing(books_.engine) as session:
            closed = proposals.confirm(session, books_, prepared, act.actor)
    if as_json:
        typer.echo(orjson.dumps(asdict(closed)).decode())
        return
    typer.echo(
        f"{closed.month} is closed: {closed.lines} lines, ¥{yuan(closed.fees_fen)}, "
        f"{closed.entries} entries, {closed.statements} statements"
    )
    for adjusted in closed.adjusted_months:
        typer.echo(f"  {adjusted} is worth something else by now: the difference was booked")


@app.command()
def replay(month: MonthName, as_json: Json = False) -> None:
    """Find a closed month again from journal, releases and ledger; exit 1 if anything differs."""
    with books() as books_:
        found = list(replay_month(books_, month_named(month)))
    if as_json:
        typer.echo(orjson.dumps({"ok": not found, "differences": found}).decode())
    else:
        typer.echo("\n".join(found) or f"{month}: every statement comes out as it was issued")
    raise typer.Exit(1 if found else 0)


@app.command()
def balances(as_json: Json = False) -> None:
    """What stands on every account; debits are positive, and all together are nothing."""
    with books() as books_, reading(books_.engine) as session:
        found = ledger.balances(session)
        wrong = list(ledger.faults(session))
    rows: list[dict[str, object]] = [
        {"account": account, "balance": yuan(fen), "fen": fen} for account, fen in found.items()
    ]
    show(rows, ("account", "balance"), as_json)
    for fault in wrong:
        typer.echo(f"LEDGER DAMAGED: {fault}", err=True)
    raise typer.Exit(1 if wrong or sum(found.values()) else 0)


@app.command()
def cap(as_json: Json = False) -> None:
    """Each year's income against what was approved for it; exit 1 where a year earned too much."""
    with books() as books_:
        states = closing.income(books_)
    rows: list[dict[str, object]] = [
        {
            "year": state.year,
            "approved": yuan(state.approved_fen),
            "carried": yuan(state.carried_fen),
            "earned": yuan(state.earned_fen),
            "left": yuan(state.left_fen),
            "level": state.level,
        }
        for state in states
    ]
    show(rows, ("year", "approved", "carried", "earned", "left", "level"), as_json)
    raise typer.Exit(1 if any(state.level == "exceeded" for state in states) else 0)


@app.command()
def receive(
    tenant: str,
    amount: Annotated[str, typer.Argument(metavar="YUAN", help="What was paid, as 40.00.")],
    receipt: Annotated[str, typer.Option(help="Reference of the payment; booked once.")],
) -> None:
    """Book a payment of a client."""
    with books() as books_:
        left = payments.receive(books_, tenant, fen_of(amount), receipt, datetime.now(UTC))
    typer.echo(f"{receipt}: booked; {tenant} owes ¥{yuan(left)}")


@app.command()
def payout(
    provider: str,
    amount: Annotated[str, typer.Argument(metavar="YUAN", help="What was paid, as 40.00.")],
    order: Annotated[str, typer.Option(help="Reference of the payment order; booked once.")],
) -> None:
    """Book a payment to a provider, never more than it is owed."""
    with books() as books_:
        left = payments.pay_out(books_, provider, fen_of(amount), order, datetime.now(UTC))
    typer.echo(f"{order}: booked; {provider} is owed ¥{yuan(left)}")


def _tariffs(settings: Settings) -> Mapping[str, Tariff]:
    """The published prices of the live edition, by which the server answers."""
    with by_edition(settings) as live:
        return load_catalogue(live.policies).tariffs


def _show(result: Reconciliation) -> None:
    typer.echo(
        f"answers audited {result.answers} = allowed and answered {result.decisions}"
        f" = metered {result.usage_events}   (refusals {result.refusals})"
    )
    typer.echo(f"cells audited {result.cells_audited} = metered {result.cells_metered}")
    for line in result.lines:
        typer.echo(
            f"{line.key.month}  {line.key.grant}  {line.key.service}  {line.used.answers} answers"
            f"  {line.used.billable} cells to bill  {line.units} × {line.key.unit}"
            f"  ¥{yuan(line.amount_fen)}"
        )
    for difference in result.differences[:SHOWN]:
        typer.echo(f"DIFFERS  {difference.code}  {difference.subject}: {difference.message}")
    if len(result.differences) > SHOWN:
        typer.echo(f"         … and {len(result.differences) - SHOWN} more (--json shows all)")
    typer.echo("DIFFERENCES FOUND" if result.differences else "ok: difference 0")
