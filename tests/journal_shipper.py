"""The shipper alone, for the crash tests: it ships a spool for ever, and waits while the store is
away. `--sabotage` builds in one classical mistake, from outside: the product has no switch for it.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import asyncpg

from gateway.journal import ship
from gateway.journal.postgres import connect
from gateway.journal.postgres_rows import COLUMNS, Rows
from gateway.journal.ship import Shipped, Source

SABOTAGE = ("none", "dropped-before-commit", "checkpoint-before-batch", "checkpoint-after-batch")
PAUSE = 0.005
_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


def drop_before_commit(path: Path) -> None:
    """The spool forgets a batch as soon as it was sent."""
    honest = ship._store

    async def store(db: asyncpg.Connection, rows: Rows) -> ship._Stored:
        stored = await honest(db, rows)
        with closing(sqlite3.connect(path, timeout=5)) as spool:
            for table in ("audit_event", "decision", "usage_event", "charged_cell"):
                spool.execute(f"DROP TRIGGER IF EXISTS {table}_no_delete")
                # The last one stays: numbers go on from there.
                spool.execute(f"DELETE FROM {table} WHERE seq < ?", (rows.audit[-1][1],))
            spool.commit()
        return stored

    ship._store = store


def part_checkpoint(*, before: bool) -> None:
    """The checkpoint has a transaction of its own, before its batch or after."""

    async def ship_batch(db: asyncpg.Connection, source: Source, most: int) -> Shipped:
        async with db.transaction():
            after = await ship._stands(db, source)
        head = source.head()
        upto = min(head, after + most)

        async def sign() -> None:
            async with db.transaction():
                await db.execute(ship._CHECKPOINT, source.journal_id, upto, source.hash_at(upto))

        async def store() -> None:
            rows = source.rows(after, upto)
            async with db.transaction():
                for table, found in rows.tables():
                    names = list(COLUMNS[table])
                    staged = f"staged_{table}"
                    await db.copy_records_to_table(staged, records=found, columns=names)
                await ship._store(db, rows)

        if upto > after:
            for step in (sign, store) if before else (store, sign):
                await step()
        return Shipped(source.journal_id, upto, head)

    ship.ship_batch = ship_batch


async def run(source: Source, dsn: str) -> None:
    """Ship, wait, ship."""
    while True:
        try:
            db = await connect(dsn, "shipper", 10.0)
            while True:
                await ship.ship(db, source, "main")
                await asyncio.sleep(PAUSE)
        except _AWAY:
            await asyncio.sleep(4 * PAUSE)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("spool", type=Path)
    parser.add_argument("dsn", help="the application's")
    parser.add_argument("--sabotage", choices=SABOTAGE, default="none")
    asked = parser.parse_args()
    if asked.sabotage == "dropped-before-commit":
        drop_before_commit(asked.spool)
    elif asked.sabotage != "none":
        part_checkpoint(before=asked.sabotage == "checkpoint-before-batch")
    while not ship.is_journal(asked.spool):
        time.sleep(PAUSE)
    asyncio.run(run(Source(asked.spool), asked.dsn))


if __name__ == "__main__":
    main()
