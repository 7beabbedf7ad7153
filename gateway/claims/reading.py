"""From a decision to the statements that read a person's rows: each block that a scope opens."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from gateway.catalogue.person import Block, PersonContract
from gateway.persons.keeping import readable
from gateway.persons.port import Statement
from gateway.policy.filters import HIDDEN, Filters, Reading
from gateway.policy.port import Obligations, PolicyUnavailable

KEY = "key_"
"""Before the names of keys, which join rows and never leave."""


def leaving(told: Obligations) -> dict[str, str]:
    """Fields that may leave, with their masks."""
    return {rule.field: rule.mask for rule in told.columns if rule.mask != HIDDEN}


def statements(
    contract: PersonContract, told: Obligations, scopes: Collection[str], subject: str
) -> Mapping[str, Statement]:
    """The query of each block that these scopes open, over the rows the decision allows."""
    named = {rule.column.partition(".")[0] for rule in told.rows}
    opened = {*scopes, "*"}
    allowed, filters = leaving(told), Filters(readable(), told, {"subject": (subject,)})
    found = {}
    for name, block in contract.blocks.items():
        fields = [field for field in block.fields if field in allowed]
        if block.table not in named or not opened & {*block.scopes}:
            continue
        if fields:
            found[name] = _statement(block, fields, filters)
        elif block.inside:
            found[name] = filters.inside(block.table, block.inside)
    return found


def _statement(block: Block, fields: list[str], filters: Filters) -> Statement:
    columns = {field: block.fields[field].column for field in fields}
    statement = filters.select(Reading(block.table, columns))
    (table,) = statement.get_final_froms()
    if not isinstance(table, sa.TableClause):
        raise PolicyUnavailable("filter: no table")
    return statement.add_columns(*(table.c[key].label(f"{KEY}{key}") for key in block.keys))


def withheld(told: Obligations, family: str | None) -> bool:
    """Whether rows of this family of diagnoses are left unread because they are sensitive: then
    neither yes nor no may be said of it."""
    return family is not None and any(
        isinstance(pair, tuple) and pair[0] <= family <= pair[1]
        for rule in told.rows
        if rule.op == "outside"
        for pair in rule.value
    )
