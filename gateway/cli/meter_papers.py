"""`sluice meter statement` and `key`: papers as they were issued, and how to check them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import sqlalchemy as sa
import typer

from gateway.billing.former import is_former
from gateway.billing.opening import statement_sealer
from gateway.billing.table import as_csv
from gateway.cli.meter_office import MonthName, books, month_named
from gateway.db.billing_tables import PaperRow
from gateway.db.engine import reading
from gateway.errors import OperatorError
from gateway.settings import Settings


def statement(  # noqa: PLR0917 - Typer reads options by their place
    month: MonthName,
    party: Annotated[str, typer.Argument(help="A tenant, or a provider.")],
    pdf: Annotated[Path | None, typer.Option(help="Write the PDF to this file.")] = None,
    table: Annotated[bool, typer.Option("--csv", help="As a table.")] = False,
    signature: Annotated[bool, typer.Option(help="Only the detached signature (JWS).")] = False,
    seal: Annotated[bool, typer.Option(help="Only the seal over all three forms (JWS).")] = False,
    number: Annotated[str, typer.Option(help="One paper, such as a credit note.")] = "",
) -> None:
    """A statement of a closed month, or a credit note booked in it, as it was issued."""
    rows = _papers(month_named(month), party, number)
    if pdf is not None or table or seal:
        _only_sealed(rows)
    if pdf is not None:
        pdf.write_bytes(rows[0].pdf)
        typer.echo(f"{rows[0].number}: {pdf}")
        return
    for row in rows:
        text = row.signature if signature else row.seal if seal else _text(row, table=table)
        typer.echo(text, nl=signature or seal)


def key() -> None:
    """The public key of statements, as a JSON Web Key."""
    typer.echo(orjson.dumps(dict(statement_sealer(Settings()).jwk)).decode())


def _text(row: PaperRow, *, table: bool) -> str:
    return as_csv(row.body) if table else row.body.decode()


def _only_sealed(rows: list[PaperRow]) -> None:
    """Refuses a form in which one of the papers was not issued."""
    for row in rows:
        if is_former(row):
            raise OperatorError(
                "paper_form", f"{row.number} was issued as JSON alone: leave the form out."
            )


def _papers(month: str, party: str, number: str) -> list[PaperRow]:
    """The statement, or the named paper, first; nothing is an error."""
    wanted = sa.select(PaperRow).filter_by(month=month, party=party).order_by(PaperRow.number)
    if number:
        wanted = wanted.filter_by(number=number)
    else:
        wanted = wanted.where(PaperRow.kind != "credit_note")
    with books() as books_, reading(books_.engine) as session:
        found = list(session.scalars(wanted))
        session.expunge_all()
    if not found:
        raise OperatorError("no_statement", f"Nothing was issued to {party} for {month}.")
    return found
