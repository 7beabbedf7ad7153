"""All tables of the operational database: every module `*_tables` here, and the sandbox's."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import sqlalchemy as sa

import gateway.db
from gateway.db.tables import Table
from sandbox.jobs.tables import METADATA as JOBS


def all_tables() -> sa.MetaData:
    """The declared tables, complete whatever the caller has imported so far."""
    for module in iter_modules(gateway.db.__path__):
        if module.name.endswith("_tables"):
            import_module(f"gateway.db.{module.name}")
    for table in JOBS.sorted_tables:
        if table.name not in Table.metadata.tables:
            table.to_metadata(Table.metadata)
    return Table.metadata
