"""The chains of the operational database for `sluice audit verify`: the office journal, and the
records that its events tell of."""

from __future__ import annotations

import typer
from sqlalchemy import inspect

from gateway.audit.findings import Finding
from gateway.audit.office import OfficeVerdict, verify_office, witnesses_in
from gateway.consent.chain import broken as broken_consents
from gateway.db.engine import open_engine, reading
from gateway.db.office_tables import OfficeEventRow
from gateway.db.place import database_there, database_url
from gateway.identity.record import DIRECTORY, broken_entries
from gateway.journal.looking import looking
from gateway.settings import Settings
from gateway.staff.model import RECORD

SHOWN = 50


def verify_chains(settings: Settings) -> list[OfficeVerdict]:
    """What is wrong with them; nothing where there is no database, or one of before the office
    journal. Reads only."""
    if not database_there(settings):
        return []
    engine = open_engine(database_url(settings))
    try:
        if not inspect(engine).has_table(OfficeEventRow.__tablename__):
            return []
        witnesses = witnesses_in(looking(settings))
        with reading(engine) as session:
            office = verify_office(session, witnesses)
            others = {
                "directory": broken_entries(session, DIRECTORY),
                "staff": broken_entries(session, RECORD),
                "consents": broken_consents(session),
            }
    finally:
        engine.dispose()
    return [office, *(_verdict(name, faults) for name, faults in others.items() if faults)]


def _verdict(name: str, faults: tuple[str, ...]) -> OfficeVerdict:
    findings = tuple(Finding("edited", 0, 0, fault) for fault in faults)
    return OfficeVerdict(name, 0, 0, 0, "", findings)


def show(verdict: OfficeVerdict) -> None:
    """One chain, for people."""
    typer.echo(f"chain        {verdict.journal}")
    if verdict.head:
        typer.echo(f"events       {verdict.events}  (head {verdict.head[:16]}…)")
        typer.echo(f"witnessed    {verdict.witnessed} times  ({verdict.unwitnessed} events since)")
    for finding in verdict.findings[:SHOWN]:
        where = f"  events {finding.first}–{finding.last}" if finding.first else ""
        typer.echo(f"FOUND  {finding.code}{where}: {finding.message}")
    typer.echo("DAMAGED" if verdict.findings else "ok: the chain is whole, nothing was changed")
