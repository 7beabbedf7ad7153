"""Takes away what is over: files after a day, jobs that never ended, leftovers of a crash.

What is found is judged by what is on record: a file that is not entered there was never delivered.
"""

from __future__ import annotations

import logging
import shutil
from datetime import datetime
from pathlib import Path

from gateway.exports.model import KEPT, REMEMBERED, Failure
from gateway.exports.store import Jobs

_log = logging.getLogger(__name__)


def sweep(jobs: Jobs, folder: Path, now: datetime) -> None:
    """One round; harmless at any time and as often as one likes."""
    # Listed before the jobs are read: a folder of a job that begins meanwhile is not among them.
    folders = [found for found in folder.iterdir() if found.is_dir()] if folder.is_dir() else []
    held: set[str] = set()
    for job in jobs.all():
        if job.state == "open" and now - job.begun > KEPT:
            jobs.end(job.id, "failed", now, Failure("export_timeout"))
            held.add(job.id)
        elif job.state in ("done", "failed") and job.expires <= now:
            jobs.put_away(job.id, "expired")
        elif job.state in ("open", "done", "failed"):
            held.add(job.id)
        elif now - (job.ended or job.begun) > REMEMBERED:
            jobs.forget(job.id)
    for found in folders:
        if found.name not in held:
            shutil.rmtree(found, ignore_errors=True)
            _log.info("the files of export %s were taken away", found.name)


def clear_leftovers(jobs: Jobs, folder: Path) -> None:
    """Before anything is made: what a crash left half made, or made and not entered."""
    if not folder.is_dir():
        return
    for found in folder.iterdir():
        entered = {file.name for file in jobs.files(found.name)}
        for path in found.iterdir() if found.is_dir() else ():
            if path.name not in entered:
                path.unlink(missing_ok=True)
