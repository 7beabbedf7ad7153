"""`sluice meter metrics`: reconciliation, ledger, months and spools as figures for Prometheus.

Run it by a timer and let node-exporter's textfile collector read the file. It looks and changes
nothing; a part that cannot be looked at is said so in the figures, the others are told.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer
from prometheus_client import CollectorRegistry, generate_latest

from gateway.audit.reconcile import reconcile
from gateway.billing import books
from gateway.billing.archive import opened
from gateway.billing.rollup import state_of
from gateway.billing.sources import archive_of, events_of
from gateway.billing.terms import read_terms
from gateway.billing.watermark import hour_begins
from gateway.catalogue.load import load_catalogue
from gateway.catalogue.tariff import charged_by
from gateway.cli.office import by_edition, office
from gateway.db.billing_tables import BillingMonthRow, DisputeRow
from gateway.db.dsn import read_dsn
from gateway.db.engine import reading
from gateway.errors import SluiceError
from gateway.journal.janitor import status
from gateway.journal.neighbours import journals_in
from gateway.metrics.findings import PARTS, Findings
from gateway.settings import Settings
from metering.calendar import month_of, month_range
from metering.revenue_cap import years


@dataclass(frozen=True)
class Look:
    """Where to look, when, and where to tell."""

    settings: Settings
    now: datetime
    findings: Findings


def metrics(
    out: Annotated[
        Path | None, typer.Option(help="File to write, replaced whole; default: output.")
    ] = None,
) -> None:
    """Write what a look at the books found, in Prometheus' text form; exit 1 if a part failed."""
    now = datetime.now(UTC)
    findings = Findings(CollectorRegistry())
    failed = [part for part in PARTS if not _tell(part, Look(Settings(), now, findings))]
    findings.done(now.timestamp())
    text = generate_latest(findings.registry)
    if out is None:
        typer.echo(text.decode(), nl=False)
    else:
        fresh = out.with_name(f".{out.name}.{os.getpid()}")
        fresh.write_bytes(text)
        fresh.replace(out)
    raise typer.Exit(1 if failed else 0)


def _tell(part: str, look: Look) -> bool:
    """Whether a part could be looked at."""
    try:
        _LOOKS[part](look)
        said = ""
    except SluiceError as error:
        said = f"{error.code}: {error.message}"
    except Exception as error:  # noqa: BLE001 - what fails here must not hide what can be told
        said = type(error).__name__
    if said:
        typer.echo(f"{part}: {said}", err=True)
    look.findings.looked(part, failed=bool(said))
    return not said


def _reconciliation(look: Look) -> None:
    with by_edition(look.settings) as live:
        tariffs = load_catalogue(live.policies).tariffs
    result = reconcile(events_of(look.settings), partial(charged_by, tariffs))
    look.findings.found("reconciliation_difference", len(result.differences))


def _ledger(look: Look) -> None:
    terms = read_terms(look.settings.policies)
    with office(look.settings) as engine, reading(engine) as session:
        look.findings.found("ledger_imbalance", sum(books.balances(session).values()))
        look.findings.found("ledger_faults", sum(1 for _ in books.faults(session)))
        held = sa.select(sa.func.count()).select_from(DisputeRow).where(DisputeRow.state == "held")
        look.findings.found("billing_disputes_held", session.scalar(held) or 0)
        income = years(terms.approved_income_fen, books.income_by_year(session))
    this = next((one for one in income if one.year == int(month_of(look.now)[:4])), None)
    if this is not None and this.earned_fen:
        allowed = this.allowed_fen or 1  # where nothing was allowed, any income is far too much
        look.findings.found("revenue_cap_used_ratio", this.earned_fen / allowed)


def _months(look: Look) -> None:
    with office(look.settings) as engine, reading(engine) as session:
        closed = set(session.scalars(sa.select(BillingMonthRow.month)))
    open_ = sorted(_months_used(look.settings) - closed)
    ends = month_range(open_[0])[1] if open_ else look.now
    days = max(timedelta(0), look.now - ends) // timedelta(days=1)
    look.findings.found("billing_unclosed_days", days)


def _months_used(settings: Settings) -> set[str]:
    if not archive_of(settings).is_dir():
        return set()
    with opened(archive_of(settings)) as archive:
        return {month_of(hour_begins(part.hour)) for part in archive.index.parts()}


def _rollup(look: Look) -> None:
    if not archive_of(look.settings).is_dir():
        return
    with opened(archive_of(look.settings)) as archive:
        state = state_of(archive)
    look.findings.late(state.late)
    look.findings.found("rollup_open_hours", state.open_hours)
    if state.watermark is not None:
        lag = (look.now - state.watermark).total_seconds()
        look.findings.found("watermark_lag_seconds", max(0.0, lag))


def _spools(look: Look) -> None:
    if look.settings.postgres_dsn_file is None:
        return
    dsn = read_dsn(look.settings.postgres_dsn_file)
    found, quarantine = asyncio.run(status(dsn, list(journals_in(look.settings.home))))
    behind = [one for one in found if one.unshipped]
    look.findings.found("spool_unshipped", sum(one.unshipped or 0 for one in behind))
    look.findings.found("spool_orphans", sum(not one.held for one in behind))
    look.findings.found("journal_quarantine", sum(quarantine.values()))


_LOOKS: dict[str, Callable[[Look], None]] = {
    "reconciliation": _reconciliation,
    "ledger": _ledger,
    "months": _months,
    "rollup": _rollup,
    "spools": _spools,
}
