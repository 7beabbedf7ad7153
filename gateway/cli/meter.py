"""`sluice meter`: is every answer metered exactly once, what is it worth, and whose is the money?

`verify` works while the server runs; the others keep the books of the operational database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.reconcile import Reconciliation, reconcile
from gateway.billing import books, closing, disputes, payments
from gateway.billing.closing import Office
from gateway.billing.replay import replay as replay_month
from gateway.billing.statements import Sealer, as_csv
from gateway.billing.terms import read_terms
from gateway.catalogue.load import load_catalogue
from gateway.catalogue.tariff import Tariff, charged_by
from gateway.cli.office import Actor, act_now, by_edition, office, show
from gateway.db.billing_tables import DisputeRow, StatementRow
from gateway.db.engine import reading
from gateway.errors import OperatorError
from gateway.identity.secrets import secret
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.settings import Settings
from metering.summary import yuan
from metering.tariff import MICRO_PER_FEN

app = typer.Typer(help="Metering, months, shares and statements.", no_args_is_help=True)
dispute_app = typer.Typer(help="Objections to a line of a closed month.", no_args_is_help=True)
app.add_typer(dispute_app, name="dispute")

Journal = Annotated[Path | None, typer.Option(help="Journal file; default: the one of this home.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
MonthName = Annotated[str, typer.Argument(metavar="YYYY-MM", help="A month of account.")]
SHOWN = 50


@app.command()
def verify(journal: Journal = None, as_json: Json = False) -> None:
    """Reconcile answers = decisions = usage = audit, cells and amounts; exit 1 on a difference."""
    settings = Settings()
    price = partial(charged_by, _tariffs(settings))
    result = reconcile(journal or settings.journal, price)
    if as_json:
        typer.echo(orjson.dumps(asdict(result)).decode())
    else:
        _show(result)
    raise typer.Exit(1 if result.differences else 0)


@app.command()
def rate(month: MonthName, as_json: Json = False) -> None:
    """What a month amounts to by what is known now; books nothing."""
    with _books() as books_:
        lines = closing.truth_of(books_, _month(month)).lines
    rows = [
        {
            "line": line.line_id,
            "tenant": line.key.tenant,
            "grant": line.key.grant,
            "service": line.key.service,
            "units": line.units,
            "unit": line.key.unit,
            "amount": _yuan(line.amount_fen),
            "amount_fen": line.amount_fen,
        }
        for line in lines
    ]
    show(rows, ("line", "tenant", "grant", "service", "units", "unit", "amount"), as_json)


@app.command()
def share(month: MonthName, as_json: Json = False) -> None:
    """How a month's fees are divided by what is known now; books nothing."""
    with _books() as books_:
        truth = closing.truth_of(books_, _month(month))
    rows: list[dict[str, object]] = []
    for service, parts in truth.splits.items():
        named = {"tax": parts.tax_fen, "operator": parts.operator_fen}
        named |= {"public interest": parts.public_interest_fen}
        for party, fen in {**named, **parts.providers}.items():
            rows.append(
                {"service": service, "party": party, "amount": _yuan(fen), "amount_fen": fen}
            )
    show(rows, ("service", "party", "amount"), as_json)


@app.command()
def close(month: MonthName, actor: Actor = "", as_json: Json = False) -> None:
    """Charge, share and close a month, and issue its statements; refuses while anything differs."""
    act = act_now(actor)
    with _books() as books_:
        closed = closing.close(books_, _month(month), act.at, act.actor)
    if as_json:
        typer.echo(orjson.dumps(asdict(closed)).decode())
        return
    typer.echo(
        f"{closed.month} is closed: {closed.lines} lines, ¥{_yuan(closed.fees_fen)}, "
        f"{closed.entries} entries, {closed.statements} statements"
    )
    for adjusted in closed.adjusted_months:
        typer.echo(f"  {adjusted} is worth something else by now: the difference was booked")


@app.command()
def statement(
    month: MonthName,
    party: Annotated[str, typer.Argument(help="A tenant, or a provider.")],
    table: Annotated[bool, typer.Option("--csv", help="The lines as CSV.")] = False,
    signature: Annotated[bool, typer.Option(help="Only the signature (Ed25519, base64).")] = False,
) -> None:
    """A statement of a closed month as it was issued."""
    with _books() as books_, reading(books_.engine) as session:
        found = session.query(StatementRow).filter_by(month=_month(month), party=party).all()
    if not found:
        raise OperatorError("no_statement", f"Nothing was issued to {party} for {month}.")
    for row in found:
        text = row.signature if signature else as_csv(row.body) if table else row.body.decode()
        typer.echo(text, nl=signature)


@app.command()
def replay(month: MonthName, as_json: Json = False) -> None:
    """Find a closed month again from journal, releases and ledger; exit 1 if anything differs."""
    with _books() as books_:
        found = list(replay_month(books_, _month(month)))
    if as_json:
        typer.echo(orjson.dumps({"ok": not found, "differences": found}).decode())
    else:
        typer.echo("\n".join(found) or f"{month}: every statement comes out as it was issued")
    raise typer.Exit(1 if found else 0)


@app.command()
def balances(as_json: Json = False) -> None:
    """What stands on every account; debits are positive, and all together are nothing."""
    with _books() as books_, reading(books_.engine) as session:
        found = books.balances(session)
        wrong = list(books.faults(session))
    rows: list[dict[str, object]] = [
        {"account": account, "balance": _yuan(fen), "fen": fen} for account, fen in found.items()
    ]
    show(rows, ("account", "balance"), as_json)
    for fault in wrong:
        typer.echo(f"LEDGER DAMAGED: {fault}", err=True)
    raise typer.Exit(1 if wrong or sum(found.values()) else 0)


@app.command()
def cap(as_json: Json = False) -> None:
    """Each year's income against what was approved for it; exit 1 where a year earned too much."""
    with _books() as books_:
        states = closing.income(books_)
    rows: list[dict[str, object]] = [
        {
            "year": state.year,
            "approved": _yuan(state.approved_fen),
            "carried": _yuan(state.carried_fen),
            "earned": _yuan(state.earned_fen),
            "left": _yuan(state.left_fen),
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
    with _books() as books_:
        left = payments.receive(books_, tenant, _fen(amount), receipt, datetime.now(UTC))
    typer.echo(f"{receipt}: booked; {tenant} owes ¥{_yuan(left)}")


@app.command()
def payout(
    provider: str,
    amount: Annotated[str, typer.Argument(metavar="YUAN", help="What was paid, as 40.00.")],
    order: Annotated[str, typer.Option(help="Reference of the payment order; booked once.")],
) -> None:
    """Book a payment to a provider, never more than it is owed."""
    with _books() as books_:
        left = payments.pay_out(books_, provider, _fen(amount), order, datetime.now(UTC))
    typer.echo(f"{order}: booked; {provider} is owed ¥{_yuan(left)}")


@dispute_app.command("open")
def open_dispute(
    line: Annotated[str, typer.Argument(help="Id of a line of a closed month.")],
    reason: Annotated[str, typer.Option(help="What is wrong with it.")],
    actor: Actor = "",
) -> None:
    """Hold what a line was shared into until the objection is decided."""
    act = act_now(actor)
    with _books() as books_:
        case = disputes.raise_dispute(books_, line, reason, act.at, act.actor)
    typer.echo(f"{case}: its amount is held")


@dispute_app.command("uphold")
def uphold(case: str, actor: Actor = "") -> None:
    """Give the client the amount back, by a credit note."""
    act = act_now(actor)
    with _books() as books_:
        fen = disputes.decide(books_, case, upheld=True, now=act.at, by=act.actor)
    typer.echo(f"{case}: upheld, ¥{_yuan(fen)} credited")


@dispute_app.command("reject")
def reject(case: str, actor: Actor = "") -> None:
    """Let what was held go back where it came from."""
    act = act_now(actor)
    with _books() as books_:
        disputes.decide(books_, case, upheld=False, now=act.at, by=act.actor)
    typer.echo(f"{case}: rejected")


@dispute_app.command("list")
def list_disputes(as_json: Json = False) -> None:
    """Every dispute and its state."""
    with _books() as books_, reading(books_.engine) as session:
        rows: list[dict[str, object]] = [
            {
                "case": row.case_id,
                "tenant": row.tenant,
                "month": row.month,
                "amount": _yuan(row.fen),
                "state": row.state,
                "reason": row.reason,
            }
            for row in session.query(DisputeRow).order_by(DisputeRow.opened_at)
        ]
    show(rows, ("case", "tenant", "month", "amount", "state", "reason"), as_json)


@contextmanager
def _books() -> Iterator[Office]:
    """The books of this home, with what they rest on."""
    settings = Settings()
    key = settings.keys / PUBLIC_KEY
    if not settings.journal.is_file() or not key.is_file():
        raise OperatorError("no_journal", "Nothing was answered from this home yet: no journal.")
    with office(settings) as engine:
        yield Office(
            engine,
            settings.journal,
            settings.releases,
            _tariffs(settings),
            read_terms(settings.policies),
            public_key(key),
            Sealer(Ed25519PrivateKey.from_private_bytes(secret(settings.keys, "statement"))),
        )


def _tariffs(settings: Settings) -> Mapping[str, Tariff]:
    """The published prices of the live edition, by which the server answers."""
    with by_edition(settings) as live:
        return load_catalogue(live.policies).tariffs


def _month(text: str) -> str:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).strftime("%Y-%m")
    except ValueError:
        raise OperatorError("month", f"{text} is not a month; write it as 2026-11.") from None


def _fen(text: str) -> int:
    """Fen of an amount in yuan with at most two decimals, above nothing."""
    if not re.fullmatch(r"\d{1,12}(\.\d{1,2})?", text) or not text.strip("0."):
        raise OperatorError("amount", f"{text} is not an amount above nothing; write it as 40.00.")
    whole, _, rest = text.partition(".")
    return int(whole) * 100 + int(rest.ljust(2, "0"))


def _yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{yuan(abs(fen) * MICRO_PER_FEN)}"


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
            f"  ¥{_yuan(line.amount_fen)}"
        )
    for difference in result.differences[:SHOWN]:
        typer.echo(f"DIFFERS  {difference.code}  {difference.subject}: {difference.message}")
    if len(result.differences) > SHOWN:
        typer.echo(f"         … and {len(result.differences) - SHOWN} more (--json shows all)")
    typer.echo("DIFFERENCES FOUND" if result.differences else "ok: difference 0")
