"""How exports are put together in a serving process."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from gateway.exports.model import Job
from gateway.exports.office import Office
from gateway.exports.store import Jobs
from gateway.exports.sweeping import clear_leftovers, sweep
from gateway.exports.worker import Worker, in_process
from gateway.identity.desk import Identity
from gateway.serving.answer import Desk
from gateway.settings import Settings

SWEEP_SECONDS = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exports:
    """The office clients deal with, and the worker behind it."""

    office: Office
    worker: Worker

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Make files and take them away, for the time of a block; go on where one was left."""
        office = self.office
        await asyncio.to_thread(clear_leftovers, office.jobs, office.folder)
        tasks = [asyncio.create_task(self.worker.run()), asyncio.create_task(self._sweep())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            self.worker.let_go()
            office.jobs.close()

    async def _sweep(self) -> None:
        office = self.office
        while True:
            try:
                await asyncio.to_thread(sweep, office.jobs, office.folder, office.clock())
            except (OSError, sqlite3.Error) as error:  # the next round tries again
                _log.warning("exports cannot be swept: %s", type(error).__name__)
            await asyncio.sleep(SWEEP_SECONDS)


def open_exports(
    settings: Settings, desk: Desk, identity: Identity, clock: Callable[[], datetime]
) -> Exports:
    """Jobs lie beside the journal of this node; their files too."""
    root = settings.journal.parent / "exports" / settings.node

    def alive(job: Job) -> bool:
        identity.directory.check_fresh()
        tenant = identity.directory.snapshot.live_clients.get(job.sender.client)
        return tenant is not None and tenant.id == job.sender.tenant

    jobs, folder = Jobs(root / "jobs.db"), root / "files"
    worker = Worker(desk, jobs, settings.releases, folder, clock, alive, in_process)
    return Exports(Office(desk, jobs, folder, clock, worker.wake), worker)
