"""`sluice audit`: check the audit chain, and hand it to an auditor. Works while the server runs."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, BinaryIO

import orjson
import typer

from gateway.audit.export import cloud_events, plain_lines
from gateway.audit.verify import Verdict
from gateway.audit.verify import verify as verify_journal
from gateway.errors import OperatorError
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.journal.schema import connect_reading
from gateway.settings import Settings

app = typer.Typer(help="The audit trail: verify and export.", no_args_is_help=True)

Journal = Annotated[Path | None, typer.Option(help="Journal file; default: the one of this home.")]
Key = Annotated[Path | None, typer.Option(help="Public key of the checkpoints (PEM).")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
SHOWN = 50


@app.command()
def verify(journal: Journal = None, public: Key = None, as_json: Json = False) -> None:
    """Replay the hash chain and the signed checkpoints; exit 1 when anything was changed."""
    settings = Settings()
    key = public or settings.keys / PUBLIC_KEY
    if not key.is_file():
        raise OperatorError("no_audit_key", f"There is no public key at {key}; give --public.")
    verdict = verify_journal(journal or settings.journal, public_key(key))
    if as_json:
        typer.echo(orjson.dumps(asdict(verdict)).decode())
    else:
        _show(verdict)
    raise typer.Exit(1 if verdict.findings else 0)


@app.command()
def export(
    journal: Journal = None,
    out: Annotated[Path | None, typer.Option(help="File to write; default: output.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only events after this number.")] = 0,
    cloudevents: Annotated[bool, typer.Option(help="CloudEvents 1.0 envelopes.")] = False,
) -> None:
    """Write the journal as JSON lines, with everything needed to recompute hashes and amounts."""
    lines = cloud_events if cloudevents else plain_lines
    with ExitStack() as stack:
        db = stack.enter_context(closing(connect_reading(journal or Settings().journal)))
        target: BinaryIO = sys.stdout.buffer if out is None else stack.enter_context(out.open("wb"))
        for line in lines(db, after):
            target.write(line + b"\n")


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
