"""`sluice audit`: check the audit chain, and hand it to an auditor. Works while the server runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Annotated, BinaryIO

import orjson
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.audit.central import verify_store
from gateway.audit.export import chain_events, chain_lines, cloud_events, plain_lines
from gateway.audit.findings import Finding
from gateway.audit.outside import Abroad, abroad
from gateway.audit.verify import Verdict
from gateway.audit.verify import verify as verify_journal
from gateway.cli import audit_chains
from gateway.cli.audit_archive import archive
from gateway.cli.audit_chains import verify_chains
from gateway.cli.central import chosen, read_store
from gateway.errors import OperatorError
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.journal.neighbours import journal_id, journals_in
from gateway.journal.postgres import DIRECT
from gateway.journal.postgres_reading import ChainReader
from gateway.journal.schema import connect_reading
from gateway.settings import Settings

app = typer.Typer(help="The audit trail: verify and export.", no_args_is_help=True)

Journal = Annotated[Path | None, typer.Option(help="Journal file; default: those of this home.")]
Key = Annotated[Path | None, typer.Option(help="Public key of the checkpoints (PEM).")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Central = Annotated[
    bool, typer.Option("--central", help="Every chain in PostgreSQL, not this home's files.")
]
AnchorFolder = Annotated[
    Path | None,
    typer.Option(help="Folder of anchored checkpoints; default: that of the settings, if any."),
]
Notes = Annotated[
    list[Path] | None, typer.Option(help="A signed note that somebody kept; may be repeated.")
]
app.command("archive")(archive)
SHOWN = 50


@app.command()
def verify(
    journal: Journal = None,
    public: Key = None,
    central: Central = False,
    *,
    anchor: AnchorFolder = None,
    note: Notes = None,
    as_json: Json = False,
) -> None:
    """Replay hash chains, trees and signed checkpoints, of calls and of the office; exit 1 when
    anything was changed. With an anchor or a kept note, also when all was put back together."""
    settings = Settings()
    known = abroad(anchor or settings.audit_anchor, note or ())
    key = public or settings.keys / PUBLIC_KEY
    if not key.is_file():
        raise OperatorError("no_audit_key", f"There is no public key at {key}; give --public.")
    if central:
        stored = verify_store(read_store(settings), settings.home, public_key(key), known.of)
        verdicts = [verdict for _, verdict in stored]
    else:
        paths = _files(settings, journal)
        verdicts = [_verified(path, public_key(key), known) for path in paths]
    if not journal:
        verdicts += _lost(known, {one.journal for one in verdicts}, central=central)
    chains = [] if journal else verify_chains(settings)
    if as_json:
        told = [*map(asdict, verdicts), *map(asdict, chains)]
        typer.echo(orjson.dumps(told[0] if len(told) == 1 else told).decode())
    else:
        for verdict in verdicts:
            _show(verdict)
        for chain in chains:
            audit_chains.show(chain)
    found = [*(one.findings for one in verdicts), *(one.findings for one in chains)]
    raise typer.Exit(1 if any(found) else 0)


@app.command()
def verifier(
    out: Annotated[Path | None, typer.Option(help="File to write; default: output.")] = None,
) -> None:
    """Write the stand-alone verifier: one Python file that needs nothing of Sluice."""
    text = files("gateway.audit").joinpath("standalone.py").read_bytes()
    if out is None:
        sys.stdout.buffer.write(text)
    else:
        out.write_bytes(text)


@app.command()
def export(
    journal: Journal = None,
    out: Annotated[Path | None, typer.Option(help="File to write; default: output.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only events after this number.")] = 0,
    cloudevents: Annotated[bool, typer.Option(help="CloudEvents 1.0 envelopes.")] = False,
    central: Central = False,
) -> None:
    """Write journals as JSON lines, with everything needed to recompute hashes and amounts.

    Every node's journal in this home, each after a line that names it; or what --journal or
    --central say.
    """
    settings = Settings()
    chosen(settings, journal, after=after, central=central)
    with ExitStack() as stack:
        target: BinaryIO = sys.stdout.buffer if out is None else stack.enter_context(out.open("wb"))
        if central:
            reader = stack.enter_context(closing(ChainReader(read_store(settings))))
            lines = _of_chains(reader, cloudevents)
        else:
            lines = _of_files(_files(settings, journal), after, cloudevents)
        for line in lines:
            target.write(line + b"\n")


def _files(settings: Settings, journal: Path | None) -> list[Path]:
    return [journal] if journal else list(journals_in(settings.home)) or [settings.journal]


def _of_files(paths: list[Path], after: int, cloudevents: bool) -> Iterator[bytes]:
    lines = cloud_events if cloudevents else plain_lines
    for path in paths:
        with closing(connect_reading(path)) as db:
            yield from lines(db, after)


def _of_chains(reader: ChainReader, cloudevents: bool) -> Iterator[bytes]:
    for chain in reader.chains():
        events = reader.recorded(chain.journal_id)
        if cloudevents:
            yield from chain_events(chain.journal_id, events)
        else:
            yield from chain_lines(chain.journal_id, chain.created, events)


def _verified(path: Path, key: Ed25519PublicKey, known: Abroad) -> Verdict:
    name = journal_id(path) if path.is_file() else ""
    return verify_journal(path, key, known.of(name))


def _lost(known: Abroad, met: set[str], *, central: bool) -> list[Verdict]:
    """Journals that are known elsewhere and are not here. What a node writes straight into
    PostgreSQL is there only, and its spool may not have been shipped."""
    kind = [name for name in sorted(known.journals() - met) if name.endswith(DIRECT) == central]
    said = "it is known elsewhere, and is not here"
    return [Verdict(name, 0, 0, 0, "", (Finding("journal_missing", 1, 1, said),)) for name in kind]


def _show(verdict: Verdict) -> None:
    typer.echo(f"journal      {verdict.journal}")
    typer.echo(f"events       {verdict.events}  (head {verdict.head[:16]}…)")
    typer.echo(f"checkpoints  {verdict.checkpoints}  ({verdict.unsigned} events not yet signed)")
    for finding in verdict.findings[:SHOWN]:
        typer.echo(
            f"FOUND  {finding.code}  events {finding.first}–{finding.last}: {finding.message}"
        )
    if len(verdict.findings) > SHOWN:
        typer.echo(f"       … and {len(verdict.findings) - SHOWN} more (--json shows all)")
    typer.echo("DAMAGED" if verdict.findings else "ok: the chain is whole, nothing was changed")
