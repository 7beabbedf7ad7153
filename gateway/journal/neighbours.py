"""The journals of a home: which there are, and whether one may count the quotas alone."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from gateway.errors import OperatorError
from gateway.journal.janitor import free
from gateway.journal.reader import identity
from gateway.journal.schema import connect_reading
from metering.calendar import month_begins
from metering.usage import time_of


def journals_in(home: Path) -> tuple[Path, ...]:
    """Every node's journal in a home, in order of name."""
    return tuple(sorted((*home.glob("journal.db"), *home.glob("journal-*.db"))))


def journal_id(path: Path) -> str:
    """Which journal this is, wherever it lies."""
    with closing(connect_reading(path)) as db:
        return identity(db)[0]


@contextmanager
def counting(home: Path, *, alone: bool) -> Iterator[None]:
    """Hold a home's `quota.lock` while this process serves: alone, or beside others that share.

    Raises `OperatorError` where a running process would not know what this one gives away.
    """
    descriptor = os.open(home / "quota.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OperatorError(
                "quota_alone",
                "Another gateway serves from this home, and one of the two counts the quotas for "
                "itself (quota_store=embedded). Set quota_store to redis or postgres on all.",
            ) from None
        yield
    finally:
        os.close(descriptor)


def alone_at(store: str | None) -> None:
    """Refuse where another node, of whatever home, was alive this month in the same store."""
    if store is not None:
        raise OperatorError(
            "quota_alone",
            f"Node {store} recorded into the same PostgreSQL this month, and quota_store=embedded "
            "counts one node only: both would grant the whole quota. Set quota_store to redis or "
            "postgres on all nodes, and open the count with `sluice quota rebuild`.",
        )


def alone_in(own: Path, now: datetime) -> None:
    """Refuse where another node answers from this home, or has in the running month: each would
    grant the whole quota."""
    for path in journals_in(own.parent):
        if path == own:
            continue
        with free(path) as stopped:
            last = _last_use(path)
        if not stopped or (last is not None and last >= month_begins(now)):
            raise OperatorError(
                "quota_alone",
                f"{path.name} lies beside {own.name}: another node answers from this home, or did "
                "this month, and quota_store=embedded counts one node only. Set quota_store to "
                "redis or postgres on all nodes of this home.",
            )


def _last_use(path: Path) -> datetime | None:
    try:
        with closing(connect_reading(path)) as db:
            row = db.execute("SELECT time FROM audit_event ORDER BY seq DESC LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise OperatorError(
            "quota_alone", f"{path.name} lies in this home and cannot be read."
        ) from error
    return None if row is None else time_of(row[0])
