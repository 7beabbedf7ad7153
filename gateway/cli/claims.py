"""`sluice claims`: decisions of insurers' rules against what the insurers settled."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer

from gateway.claims.reconciling import DIFFERENT, EQUAL, MISSING, Compared, Reconciliation
from gateway.cli.office import Json, office
from gateway.errors import OperatorError
from gateway.settings import Settings
from metering.calendar import CHINA

app = typer.Typer(help="Decisions about claims (S20).", no_args_is_help=True)
Day = Annotated[str, typer.Option(help="YYYY-MM-DD, UTC+8; yesterday if left out.")]
_WORDS = {EQUAL: "equal", DIFFERENT: "different", MISSING: "missing"}


@app.callback()
def _group() -> None:
    """Keeps `claims` a group."""


@app.command()
def reconcile(*, day: Day = "", as_json: Json = False) -> None:
    """Number and sum by insurer for a day, for the night; exit code 1 where one is unequal."""
    wanted = _day(day)
    with office(Settings()) as engine:
        found = Reconciliation(engine).of_day(wanted)
    if as_json:
        typer.echo(json.dumps([_document(one) for one in found]))
    else:
        typer.echo("\n".join(map(_line, found)) or f"{wanted}: nothing was decided or sent")
    if any(one.code != EQUAL for one in found):
        raise typer.Exit(1)


def _day(text: str) -> date:
    if not text:
        return (datetime.now(UTC).astimezone(CHINA) - timedelta(days=1)).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise OperatorError("day", f"{text} is no day; write YYYY-MM-DD.") from None


def _document(one: Compared) -> dict[str, object]:
    return {
        "tenant": one.tenant,
        "day": one.day.isoformat(),
        "code": one.code,
        "decided": one.decided,
        "payable_amt": _yuan(one.payable_fen),
        "sent": one.sent,
        "sent_amt": _yuan(one.sent_fen),
        "counts": dict(sorted(one.counted.items())),
        "unequal": [
            {"product": product, "claim_ref": claim_ref, "code": code}
            for (product, claim_ref), code in one.claims.items()
            if code != EQUAL
        ],
    }


def _line(one: Compared) -> str:
    counts = ", ".join(f"{n} {_WORDS[code]}" for code, n in sorted(one.counted.items()))
    return (
        f"{one.day} {one.tenant} {one.code}: decided {one.decided}, {_yuan(one.payable_fen)} yuan; "
        f"sent {one.sent}, {_yuan(one.sent_fen)} yuan ({counts})"
    )


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02}"
