"""Which records a command is about: files of this home, or the chains in PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from gateway.db.dsn import read_dsn
from gateway.errors import OperatorError
from gateway.settings import Settings


def read_store(settings: Settings) -> str:
    """The DSN of the central store; there must be one."""
    if settings.postgres_dsn_file is None:
        raise OperatorError("no_store", "There is no central store: set SLUICE_POSTGRES_DSN_FILE.")
    return read_dsn(settings.postgres_dsn_file)


def chosen(settings: Settings, journal: Path | None, *, after: int, central: bool) -> None:
    """Refuse an export that would leave out most of the events without a word."""
    if after and journal is None:
        raise OperatorError("which_journal", "Say with --journal whose numbers --after means.")
    if central and journal is not None:
        raise OperatorError("which_journal", "Give --journal or --central, not both.")
    if settings.postgres_dsn_file is not None and journal is None and not central:
        raise OperatorError(
            "which_journal",
            "Events of this gateway are in PostgreSQL as well as in files: say --central for all"
            " that is there, or --journal for one file.",
        )
