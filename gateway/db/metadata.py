"""All tables of the operational database: every module `*_tables` of this package declares some."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import sqlalchemy as sa

import gateway.db
from gateway.db.tables import Table


def all_tables() -> sa.MetaData:
    """The declared tables, complete whatever the caller has imported so far."""
    for module in iter_modules(gateway.db.__path__):
        if module.name.endswith("_tables"):
            import_module(f"gateway.db.{module.name}")
    return Table.metadata
