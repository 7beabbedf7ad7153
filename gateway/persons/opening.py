"""Which person source a gateway has."""

from __future__ import annotations

from gateway.db.dsn import read_dsn
from gateway.persons.embedded import EmbeddedSource
from gateway.persons.port import PersonSource
from gateway.persons.postgres import PostgresSource
from gateway.settings import Settings


def open_source(settings: Settings) -> PersonSource:
    """The source of these settings: PostgreSQL where `person_dsn_file` is set, else a file."""
    if settings.person_dsn_file is not None:
        return PostgresSource(read_dsn(settings.person_dsn_file))
    return EmbeddedSource(settings.persons)
