"""The one program, `sluice`: its verbs, and how an error becomes a sentence and an exit code.

Exit codes: 0 done, 1 a finding or a failure that is explained, 2 wrong usage.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

import typer

from gateway.errors import SluiceError

AREAS = (
    "demo",
    "serve",
    "check",
    "database",
    "backup",
    "warehouse",
    "quality",
    "release",
    "catalogue",
    "codes",
    "rules",
    "claims",
    "policy",
    "tenant",
    "product",
    "client",
    "grant",
    "consent",
    "person",
    "trace",
    "region",
    "stop",
    "alarm",
    "keys",
    "masking",
    "classify",
    "deid",
    "meter",
    "audit",
    "journal",
    "quota",
    "privacy",
    "staff",
    "watermark",
    "sandbox",
    "synth",
)

DEBUG = "SLUICE_TRACEBACK"


def assemble(areas: tuple[str, ...] = AREAS) -> typer.Typer:
    """The program with these areas: a module with a `verb` is a command, one with `app` a group."""
    app = typer.Typer(
        name="sluice",
        help="Opens desensitised medical-insurance data services, authorised, metered, audited.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(root)
    for area in areas:
        module = import_module(f"gateway.cli.{area}")
        if hasattr(module, "verb"):
            app.command(area)(module.verb)
        else:
            app.add_typer(module.app, name=area)
    return app


def root() -> None:
    """Keeps `sluice` a group of verbs even when only one of them is mounted."""


def main() -> None:
    """Entry point; what went wrong is one sentence, never a traceback."""
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    # One area needs one area's imports: `sluice meter verify` loads no web framework.
    app = assemble((asked,) if asked in AREAS else AREAS)
    try:
        app()
    except SluiceError as error:
        typer.echo(f"sluice: {error.message} [{error.code}]", err=True)
        raise SystemExit(1) from None
    except Exception as error:
        if DEBUG in os.environ:
            raise
        typer.echo(
            f"sluice: unexpected {type(error).__name__}; this is a fault of Sluice, please report "
            f"it. {DEBUG}=1 shows where it happened. [internal]",
            err=True,
        )
        raise SystemExit(1) from None
