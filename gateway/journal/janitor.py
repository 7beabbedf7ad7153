"""Shipping spools by hand: those of a home, and those that a lost process left behind.

A spool belongs to the process that holds its lock. The janitor takes the lock of every spool that
nobody holds, ships what is in it and marks it: `<journal>.shipped` says how far. The file stays, it
is evidence; remove it when its marked end is in the store's checkpoint and a backup has it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import orjson

from gateway.errors import OperatorError
from gateway.journal.names import sync_names
from gateway.journal.postgres import check_rights, connect, direct_id
from gateway.journal.postgres_schema import unreachable
from gateway.journal.ship import Shipped, Source, is_journal, node_of, ship
from metering.usage import time_text

PATIENCE = 60.0
_TROUBLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)
_STANDS = "SELECT max(seq) FROM checkpoint WHERE journal_id = $1"
_RETIRED = "INSERT INTO heartbeat VALUES ($1, $2, true) ON CONFLICT DO NOTHING"
_QUARANTINE = "SELECT reason, count(*) FROM quarantine GROUP BY 1 ORDER BY 1"


@dataclass(frozen=True)
class Found:
    """One spool and what became of it: `held` by a process, else how it was shipped."""

    path: Path
    held: bool
    shipped: Shipped | None


@dataclass(frozen=True)
class Status:
    """How far a spool is shipped. `shipped` is None where nobody asked the store."""

    path: Path
    journal_id: str
    head: int
    last: str | None
    held: bool
    shipped: int | None

    @property
    def unshipped(self) -> int | None:
        return None if self.shipped is None else self.head - self.shipped


def spools(folder: Path) -> Iterator[Path]:
    """Every journal under a folder, in order of name."""
    for path in sorted(folder.rglob("*.db")):
        if path.is_file() and is_journal(path):
            yield path


@contextmanager
def free(path: Path) -> Iterator[bool]:
    """Whether nobody holds the spool; then it is ours until the end of the block."""
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


async def ship_files(dsn: str, paths: list[Path]) -> list[Found]:
    """Ship spools, also those of running processes; an unreadable store is an `OperatorError`."""
    async with _store(dsn) as db:
        return [Found(path, False, await _ship_one(db, path)) for path in paths]


async def tidy(dsn: str, folder: Path) -> list[Found]:
    """Ship and mark every spool under a folder that no process holds."""
    found = []
    async with _store(dsn) as db:
        for path in spools(folder):
            with free(path) as ours:
                shipped = await _ship_one(db, path) if ours else None
                if shipped is not None:
                    await _retire(db, shipped)
                    _mark(path, shipped)
                found.append(Found(path, not ours, shipped))
    return found


async def status(dsn: str | None, paths: list[Path]) -> tuple[list[Status], dict[str, int]]:
    """How spools stand, and what is in quarantine by reason."""
    if dsn is None:
        return [_status(path, None) for path in paths], {}
    async with _store(dsn) as db:
        found = []
        for path in paths:
            with closing(Source(path)) as source:
                shipped = await db.fetchval(_STANDS, source.journal_id)
            found.append(_status(path, shipped or 0))
        rows = await db.fetch(_QUARANTINE)
        return found, {row[0]: row[1] for row in rows}


def _status(path: Path, shipped: int | None) -> Status:
    with closing(Source(path)) as source, free(path) as ours:
        head = source.head()
        last = source.time_at(head)
        return Status(path, source.journal_id, head, last, not ours, shipped)


class _store:  # noqa: N801 - reads as the block it is
    """A checked connection to the store; its troubles are said in one sentence."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._db: asyncpg.Connection | None = None

    async def __aenter__(self) -> asyncpg.Connection:
        try:
            self._db = await connect(self._dsn, "sluice journal", PATIENCE)
            await check_rights(self._db)
        except _TROUBLE as error:
            raise unreachable(error) from error
        return self._db

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._db is not None:
            self._db.terminate() if error else await self._db.close()
        if isinstance(error, _TROUBLE):
            raise unreachable(error) from error


async def _ship_one(db: asyncpg.Connection, path: Path) -> Shipped:
    with closing(Source(path)) as source:
        return await ship(db, source, node_of(path))


async def _retire(db: asyncpg.Connection, shipped: Shipped) -> None:
    """Nobody waits for this node any more: all it recorded is here."""
    now = datetime.now(UTC)
    for journal in (shipped.journal_id, direct_id(shipped.journal_id)):
        await db.execute(_RETIRED, journal, now)


def _mark(path: Path, shipped: Shipped) -> None:
    """Say durably beside the spool how far it is shipped."""
    draft = path.with_name(f"{path.name}.shipped.{os.getpid()}")
    told = asdict(shipped) | {"time": time_text(datetime.now(UTC))}
    with draft.open("wb") as file:
        file.write(orjson.dumps(told) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path.with_name(f"{path.name}.shipped"))
    sync_names(path.parent)


def only_whole(found: list[Found]) -> bool:
    """Whether everything was shipped and nothing went into quarantine."""
    done = (one.shipped for one in found if one.shipped is not None)
    return all(each.upto == each.head and not each.quarantined for each in done)


def named(home: Path, journal: Path | None, paths: tuple[Path, ...]) -> list[Path]:
    """The spools a command is about; there must be one."""
    chosen = [journal] if journal is not None else list(paths)
    if not chosen:
        raise OperatorError("no_journal", f"There is no journal in {home}; nothing was served yet.")
    return chosen
