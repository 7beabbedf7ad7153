"""`sluice quality audit`: draw a quarter's sample, take the second coder's sheet, list them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.office import Actor, Json, act_now, record_act, say, show
from gateway.errors import OperatorError
from gateway.quality.audit import compare, draw, fingerprint, read_sheet, sheet
from gateway.quality.audits import Audit, Audits
from gateway.settings import Settings
from gateway.warehouse.store import current
from synthetic.integrity.auditing import Discharge, discharges

app = typer.Typer(
    help="Audited samples: 400 stays a quarter coded a second time.", no_args_is_help=True
)
Quarter = Annotated[str, typer.Argument(metavar="QUARTER", help="As 2024Q1.")]


@app.command("draw")
def draw_sample(
    quarter: Quarter,
    path: Annotated[Path, typer.Option("--sheet", help="Write the empty sheet to this new file.")],
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Draw the stays of a quarter to be coded again; the sheet names records, keep it inside."""
    settings = Settings()
    audits = Audits(settings.home, settings.keys)
    audits.get(quarter)
    folder = current(settings.warehouse)
    stays = discharges(folder, quarter)
    if not stays:
        raise OperatorError("audit.no_stays", f"No stay was settled in {quarter}.")
    sample = draw(stays, audits.lots)
    drawn = fingerprint(stay.id for stay in sample)
    made = Audit(quarter, folder.name, len(stays), len(sample), drawn)
    audits.drawn(made)
    entity = ("quality_audit", made.quarter)
    record_act(settings, act_now(actor), "draw", entity, made.as_dict())
    _write(path, sheet(sample))
    say(made.as_dict(), as_json, f"{len(sample)} of {len(stays)} stays of {quarter}: {path}")


@app.command("read")
def read_back(
    quarter: Quarter,
    path: Annotated[Path, typer.Option("--sheet", help="The sheet, every line coded.")],
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Compare the sheet with what was delivered; counts are kept, and no stay."""
    settings = Settings()
    audits = Audits(settings.home, settings.keys)
    audit = audits.get(quarter)
    if audit is None:
        raise OperatorError("audit.not_drawn", f"No sample of {quarter} was drawn yet.")
    try:
        coded = read_sheet(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError("audit.sheet", f"{path.name} cannot be read as text.") from error
    if fingerprint(coded) != audit.sample:
        raise OperatorError(
            "audit.other_sample",
            f"These are not the {audit.drawn} stays that were drawn for {quarter}.",
        )
    found = compare(_delivered(settings, audit, set(coded)), coded)
    made = audits.came_back(audit, found)
    entity = ("quality_audit", made.quarter)
    record_act(settings, act_now(actor), "read", entity, made.as_dict())
    part = found.error
    say(
        made.as_dict(),
        as_json,
        f"{quarter}: {part.value:.2%} coded otherwise (95 % between {part.low:.2%} and"
        f" {part.high:.2%})",
    )


@app.command("list")
def list_audits(as_json: Json = False) -> None:
    """Every audit: what was drawn, what came back, and how exactly that is known."""
    settings = Settings()
    found = [one.as_dict() for one in Audits(settings.home, settings.keys).every()]
    columns = ("quarter", "population", "drawn", "coded", "wrong", "error", "low", "high")
    show(found, columns, as_json)


def _delivered(settings: Settings, audit: Audit, drawn: set[str]) -> tuple[Discharge, ...]:
    """The stays as they were when drawn, while that version is kept; else as they are now."""
    folder = settings.warehouse / "versions" / audit.warehouse
    if not folder.is_dir():
        folder = current(settings.warehouse)
    return tuple(stay for stay in discharges(folder, audit.quarter) if stay.id in drawn)


def _write(path: Path, text: str) -> None:
    """A new file that only its owner reads."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise OperatorError(
            "audit.sheet", f"{path.name} cannot be written; name a new file."
        ) from error
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
