"""Where a PostgreSQL is: a DSN in a file, because it may hold a password."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from gateway.errors import OperatorError

_SCHEMES = ("postgresql://", "postgres://")


def read_dsn(path: Path, code: str = "journal_dsn") -> str:
    """The DSN in a file; never repeated in an error (of this code), not in part either."""
    try:
        dsn = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(
            code, f"The DSN file {path} cannot be read ({type(error).__name__})."
        ) from error
    if not dsn.startswith(_SCHEMES) or len(dsn.splitlines()) != 1:
        raise OperatorError(code, f"{path} must hold one line that begins with postgresql://.")
    if not _can_be_read(dsn):
        raise OperatorError(
            code,
            f"The DSN in {path} cannot be read: write / # ? @ and : of a password as %2F %23 %3F"
            " %40 and %3A.",
        )
    return dsn


def _can_be_read(dsn: str) -> bool:
    """Whether it is told apart as it was meant. What stands behind an unescaped character of a
    password would be taken for a port, and be shown in the error of whoever tries it."""
    try:
        parts = urlsplit(dsn)
        hosts = parts.netloc.rpartition("@")[2].split(",")
        ports = [urlsplit(f"//{host}").port for host in hosts]
    except ValueError:
        return False
    return bool(ports) and not parts.fragment and "@" not in parts.path
