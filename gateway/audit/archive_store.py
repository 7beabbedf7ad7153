"""The archive of chains in the central store, made by the tables' owner: the gateway's role may add
and nothing else. The files are those of `gateway.audit.segment`, in a folder for each chain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.segment import HOT, RETENTION, SEGMENT, Manifest, write_segment
from gateway.journal.archived import Archived, decision_stub, file_of, stub_of
from gateway.journal.postgres_reading import archive_of
from gateway.journal.postgres_schema import SCHEMA, unreachable

_CHAINS: Final = "SELECT journal_id, max(time) AS newest FROM audit_event GROUP BY 1 ORDER BY 1"
_BEGIN: Final = "SELECT coalesce(max(last), 0) + 1 FROM archive WHERE journal_id = $1"
_END: Final = """
SELECT coalesce(min(seq) FILTER (WHERE time >= $3), max(seq) + 1) - 1
FROM audit_event WHERE journal_id = $1 AND seq >= $2
"""
_EVENTS: Final = """
SELECT a.seq, a.request_id, encode(a.prev_hash, 'hex'), encode(a.hash, 'hex'), a.body, d.body
FROM audit_event a LEFT JOIN decision d USING (journal_id, seq)
WHERE a.journal_id = $1 AND a.seq BETWEEN $2 AND $3 ORDER BY a.seq
"""
_LIST: Final = "INSERT INTO archive (journal_id, first, last, name, sha256) VALUES ($1,$2,$3,$4,$5)"
_OVER: Final = """
UPDATE archive SET expired = $2 FROM audit_event e WHERE archive.journal_id = $1
  AND (e.journal_id, e.seq) = (archive.journal_id, archive.last) AND e.time <= $3
  AND archive.expired IS NULL RETURNING archive.name
"""
_GONE: Final = "SELECT name FROM archive WHERE journal_id = $1 AND expired IS NOT NULL"
_ARCHIVING: Final = "SET LOCAL sluice.archiving = 'on'"


def archive_store(
    owner: str, folder: Path, key: Ed25519PrivateKey, now: datetime, *, expire: bool = False
) -> tuple[list[Manifest], list[str]]:
    """Move everything older than the hot time out of every chain, by each chain's own time; with
    `expire` also remove the files of what is older than the retention. Gives the segments made and
    the names of those removed. `owner` is a DSN."""
    return asyncio.run(_archive(owner, folder, key, now, expire=expire))


async def _archive(
    owner: str, folder: Path, key: Ed25519PrivateKey, now: datetime, *, expire: bool
) -> tuple[list[Manifest], list[str]]:
    try:
        db = await asyncpg.connect(owner, timeout=10, server_settings={"search_path": SCHEMA})
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise unreachable(error) from error
    try:
        made, gone = list[Manifest](), list[str]()
        for journal_id, newest in await db.fetch(_CHAINS):
            moment = min(now, newest)
            made += await _chain(db, archive_of(folder, journal_id), journal_id, key, moment - HOT)
            if expire:
                gone += await _expire(db, archive_of(folder, journal_id), journal_id, moment)
        return made, gone
    finally:
        await db.close()


async def _chain(
    db: asyncpg.Connection, folder: Path, journal_id: str, key: Ed25519PrivateKey, cut: datetime
) -> list[Manifest]:
    begin = await db.fetchval(_BEGIN, journal_id)
    end = await db.fetchval(_END, journal_id, begin, cut) or 0
    made = []
    for first in range(begin, end + 1, SEGMENT):
        rows = await db.fetch(_EVENTS, journal_id, first, min(first + SEGMENT - 1, end))
        events = [Archived(*row) for row in rows]
        manifest = write_segment(folder, journal_id, key, events)
        await _take_out(db, manifest, events)
        made.append(manifest)
    return made


async def _take_out(db: asyncpg.Connection, manifest: Manifest, events: Sequence[Archived]) -> None:
    """List the segment and leave stubs of its events: both, or neither."""
    which, name = manifest.journal, manifest.name
    stubs = {
        "audit_event": [(one.seq, stub_of(name, one.body)) for one in events],
        "decision": [
            (one.seq, decision_stub(name, one.decision)) for one in events if one.decision
        ],
    }
    async with db.transaction():
        await db.execute(_ARCHIVING)
        listed = (which, manifest.first, manifest.last, name, manifest.sha256)
        await db.execute(_LIST, *listed)
        for table, found in stubs.items():
            await db.execute(
                f"UPDATE {table} SET body = s.body FROM unnest($2::bigint[], $3::text[])"
                f" AS s (seq, body) WHERE journal_id = $1 AND {table}.seq = s.seq",
                which,
                [seq for seq, _ in found],
                [body for _, body in found],
            )


async def _expire(
    db: asyncpg.Connection, folder: Path, journal_id: str, now: datetime
) -> list[str]:
    async with db.transaction():
        await db.execute(_ARCHIVING)
        gone = await db.fetch(_OVER, journal_id, now, now - RETENTION)
    for (name,) in await db.fetch(_GONE, journal_id):
        file_of(folder, name).unlink(missing_ok=True)
    return [row[0] for row in gone]
