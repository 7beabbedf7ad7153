"""`sluice meter dispute`: a client objects to a line; it is held, looked into, and decided."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from gateway.billing import disputes
from gateway.billing.evidence import evidence_of
from gateway.cli.meter_office import Json, books, fen_of, yuan
from gateway.cli.office import Actor, act_now, show
from gateway.db.billing_tables import DisputeRow
from gateway.db.engine import reading

app = typer.Typer(help="Objections to a line of a closed month.", no_args_is_help=True)
Part = Annotated[str, typer.Option(metavar="YUAN", help="A part of it, as 40.00; default: all.")]


@app.command("open")
def open_dispute(
    line: Annotated[str, typer.Argument(help="Id of a line of a closed month.")],
    reason: Annotated[str, typer.Option(help="What is wrong with it.")],
    claim: Part = "",
    actor: Actor = "",
) -> None:
    """Hold what a line was shared into until the objection is decided."""
    act = act_now(actor)
    claimed = fen_of(claim) if claim else None
    with books() as books_:
        case = disputes.raise_dispute(books_, line, reason, act.at, act.actor, claimed=claimed)
    typer.echo(f"{case}: its amount is held")


@app.command("uphold")
def uphold(case: str, amount: Part = "", actor: Actor = "") -> None:
    """Give the client the amount back, or a part of it, by a credit note."""
    act = act_now(actor)
    part = fen_of(amount) if amount else None
    with books() as books_:
        fen = disputes.decide(books_, case, upheld=True, now=act.at, by=act.actor, upheld_fen=part)
    typer.echo(f"{case}: upheld, ¥{yuan(fen)} credited")


@app.command("reject")
def reject(case: str, actor: Actor = "") -> None:
    """Let what was held go back where it came from."""
    act = act_now(actor)
    with books() as books_:
        disputes.decide(books_, case, upheld=False, now=act.at, by=act.actor)
    typer.echo(f"{case}: rejected")


@app.command()
def evidence(
    line: Annotated[str, typer.Argument(help="Id of a line of a closed month.")],
    as_json: Json = False,
) -> None:
    """The events a line was counted from, each with its hash in the journal's chain."""
    with books() as books_:
        found = evidence_of(books_, line)
    if as_json:
        typer.echo(orjson.dumps({**found.document(), "sha256": found.sha256}).decode())
        return
    for one in found.events:
        typer.echo(
            f"{one.journal} {one.seq:>9}  {one.time}  {one.event_id}  {one.charged} of {one.cells}"
            f" cells charged  {one.prev_hash[:16]} → {one.hash[:16]}"
        )
    cells = sum(one.charged for one in found.events)
    typer.echo(f"{len(found.events)} events, {cells} cells charged; evidence {found.sha256}")


@app.command("list")
def list_disputes(as_json: Json = False) -> None:
    """Every dispute and its state."""
    with books() as books_, reading(books_.engine) as session:
        rows: list[dict[str, object]] = [
            {
                "case": row.case_id,
                "tenant": row.tenant,
                "month": row.month,
                "amount": yuan(row.fen),
                "claimed": yuan(row.claimed_fen),
                "credited": yuan(row.credited_fen),
                "state": row.state,
                "reason": row.reason,
            }
            for row in session.query(DisputeRow).order_by(DisputeRow.opened_at)
        ]
    show(rows, ("case", "tenant", "month", "amount", "credited", "state", "reason"), as_json)
