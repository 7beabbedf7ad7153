"""Which records lie in which cells of the tables that are protected together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gateway.releases.blocks import Block
from gateway.releases.kernel import Ints, changes
from gateway.releases.plan import Plan
from gateway.releases.records import Grid, Records
from gateway.releases.sdc import NO_CONTENTS, Contents, Held
from gateway.releases.table import Table


def contents_of(tables: Mapping[str, Table], services: Sequence[str], k: int) -> Contents:
    """The records of every cell of at least k persons that they describe wholly.

    A cell of which the records give neither the persons nor the amount counts something else too
    (outpatients, say) and is left out.
    """
    records = next((r for s in services if (r := tables[s].plan.records) is not None), None)
    if records is None:
        return NO_CONTENTS
    held = [Held(job, _pairs(tables[name], records, k)) for job, name in enumerate(services)]
    return Contents(held, records.person)


def _pairs(table: Table, records: Records, k: int) -> Ints:
    """(cell, record) of the cells that the records describe."""
    cell, record = (np.concatenate(parts) for parts in zip(*_found(table, records), strict=True))
    persons = table.whole("persons")
    enough = persons[cell] >= k
    cell, record = cell[enough], record[enough]
    amount = np.zeros(len(table), np.int64)
    np.add.at(amount, cell, records.amount[record])
    crowd = int(records.person.max(initial=0)) + 1
    pairs = np.sort(cell * crowd + records.person[record])
    counted = np.bincount(pairs[changes(pairs)] // crowd, minlength=len(table))
    whole = (amount == table.whole("magnitude")) & (counted == persons)
    found: Ints = np.column_stack([cell, record])[whole[cell]]
    return found


def _found(table: Table, records: Records) -> Iterator[tuple[Ints, Ints]]:
    none = np.zeros(0, np.int64)
    yield none, none
    for block, offset in zip(table.blocks, table.offset, strict=False):
        if set(table.plan.shapes[block.shape].columns) <= records.words.keys():
            cell, record = records.inside(_grid(table.plan, block))
            yield cell + offset, record


def _grid(plan: Plan, block: Block) -> Grid:
    columns = plan.shapes[block.shape].columns
    domains = [plan.domains[column] for column in columns]
    return Grid(
        columns,
        tuple((*d.values, *(f"?{i}" for i in range(d.unmapped))) for d in domains),
        [(period.grain, period.label) for period in plan.periods],
        plan.cities if plan.service.geo[block.level].level == "city" else plan.counties,
        plan.keys(block),
    )
