"""The only tables and columns a filter may name: identifiers reach SQL from here alone.

`of_warehouse` is the bureau's canonical schema, `of_tables` any of our own databases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, cast

import sqlalchemy as sa

from synthetic.warehouse.schema import TABLES

Kind: TypeAlias = Literal["str", "date", "datetime", "decimal", "int"]
Columns: TypeAlias = Mapping[str, Kind]

OPT_OUT: Final = "opt_out"
"""The register of persons who do not take part in jobs; its table has the one column below."""
_REGISTER: Final = ("opt_out_register", "psn_no")

_TYPES: Final[Mapping[Kind, type[sa.types.TypeEngine[Any]]]] = {  # Any: its Python values
    "str": sa.String,
    "date": sa.Date,
    "datetime": sa.DateTime,
    "decimal": sa.Numeric,
    "int": sa.Integer,
}


@dataclass(frozen=True)
class Readable:
    """Tables with the kind of every column; registers with the table and column they are."""

    tables: Mapping[str, Columns]
    registers: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def table(self, name: str) -> sa.TableClause:
        """The table as SQLAlchemy knows it; KeyError where there is none."""
        columns = [sa.column(each, _TYPES[kind]()) for each, kind in self.tables[name].items()]
        return sa.table(name, *columns)


@cache
def of_warehouse() -> Readable:
    """Every column of the canonical warehouse, and the opt-out register beside it."""
    tables = {
        table.name: {column.name: cast(Kind, column.kind) for column in table.columns}  # same words
        for table in TABLES.values()
    }
    tables[_REGISTER[0]] = {_REGISTER[1]: "str"}
    return Readable(MappingProxyType(tables), {OPT_OUT: _REGISTER})


def of_tables(*tables: sa.Table) -> Readable:
    """Columns of our own tables whose type a filter can compare; others cannot be named."""
    return Readable(
        {
            table.name: {
                column.name: kind for column in table.columns if (kind := _kind(column.type))
            }
            for table in tables
        }
    )


def _kind(known: sa.types.TypeEngine[Any]) -> Kind | None:
    return next((kind for kind, one in _TYPES.items() if isinstance(known, one)), None)
