"""Where a home's events lie: in its journals, and in the central store where there is one."""

from __future__ import annotations

from pathlib import Path

from gateway.db.dsn import read_dsn
from gateway.journal.events import EventSource, Together, home_journals
from gateway.journal.events_postgres import CentralEvents
from gateway.settings import Settings


def events_of(settings: Settings) -> EventSource:
    """Everything recorded by the processes that serve from this home, or into the same store."""
    local = home_journals(settings.home)
    if settings.postgres_dsn_file is None:
        return local
    return Together((CentralEvents(read_dsn(settings.postgres_dsn_file)), local))


def archive_of(settings: Settings) -> Path:
    """Where those events are archived and added up."""
    return settings.home / "archive"
