"""What the verbs of `sluice meter` share: the open books, months and amounts as typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import typer

from gateway.billing.office import Office
from gateway.billing.opening import open_billing
from gateway.billing.table import plain_yuan
from gateway.cli.office import office
from gateway.errors import OperatorError
from gateway.settings import Settings

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
MonthName: TypeAlias = Annotated[str, typer.Argument(metavar="YYYY-MM", help="A month of account.")]
yuan = plain_yuan


@contextmanager
def books() -> Iterator[Office]:
    """The books of this home, with what they rest on."""
    settings = Settings()
    with office(settings) as engine:
        yield open_billing(settings, engine)


def month_named(text: str) -> str:
    """A month of account as it was typed."""
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).strftime("%Y-%m")
    except ValueError:
        raise OperatorError("month", f"{text} is not a month; write it as 2026-11.") from None


def fen_of(text: str) -> int:
    """Fen of an amount in yuan with at most two decimals, above nothing."""
    if not re.fullmatch(r"\d{1,12}(\.\d{1,2})?", text) or not text.strip("0."):
        raise OperatorError("amount", f"{text} is not an amount above nothing; write it as 40.00.")
    whole, _, rest = text.partition(".")
    return int(whole) * 100 + int(rest.ljust(2, "0"))
