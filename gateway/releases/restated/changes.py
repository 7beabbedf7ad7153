"""Who made a table change: the rows of two states of the warehouse that differ, counted by cell.

A person counts in a cell if any row of theirs there came, went, or says something else now; so
twenty who left and fifteen who came are thirty-five, and a late fee of somebody there before is
one. Changes are protected as a table of their own: a cell of few changed persons is not restated,
nor are as many around it as it takes that nobody can subtract it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from gateway.releases.cells import all_blocks
from gateway.releases.encoding import encode
from gateway.releases.engine.loading import read_season
from gateway.releases.engine.staging import Staged
from gateway.releases.facts import coded, shared_lists
from gateway.releases.kernel import Bools, Ints
from gateway.releases.matching import pairs_of
from gateway.releases.plan import Plan
from gateway.releases.prepare import Prepared
from gateway.releases.sdc import PUBLISHED, CellFacts, Job, Profile, protect_linked
from gateway.releases.slices import EXPOSURE, onto
from gateway.releases.source import Atoms, Words
from gateway.releases.table import Table, lattice_of


@dataclass(frozen=True)
class Changes:
    """The changed persons of one fact by cell; `place` is each cell's place in the table that is
    to be published, -1 where it has none."""

    table: Table
    place: Ints
    reach: Ints  # for each cell of the table to be published, its cell here; -1 where none is


def same_rows(old: Mapping[str, Staged], new: Mapping[str, Staged], season: str) -> bool:
    """Whether a season is staged alike: then there is nothing to restate."""
    return old.keys() == new.keys() and all(
        old[name].seasons.get(season) == new[name].seasons.get(season) for name in new
    )


def changed(old: Atoms, new: Atoms) -> Atoms:
    """The rows of either that the other has not, or not as often; all of them count."""
    words = {name: _joined(old.words[name], own) for name, own in new.words.items()}
    numbers = {n: np.concatenate([old.numbers[n], own]) for n, own in new.numbers.items()}
    present = {n: np.concatenate([old.present[n], own]) for n, own in new.present.items()}
    lines = [w.codes for w in words.values()] + [*numbers.values()] + [*present.values()]
    row = np.zeros(old.rows + new.rows, np.int64)
    for line in lines:  # one number per distinct row, column by column
        _, code = np.unique(line, return_inverse=True)
        _, row = np.unique(row * (int(code.max(initial=0)) + 1) + code, return_inverse=True)
    many = int(row.max(initial=-1)) + 1
    before = np.bincount(row[: old.rows], minlength=many)
    after = np.bincount(row[old.rows :], minlength=many)
    own = np.flatnonzero((before != after)[row])
    return Atoms(
        {name: replace(w, codes=w.codes[own]) for name, w in words.items()},
        {name: v[own] for name, v in numbers.items()} | {"counting": np.ones(own.size, np.int64)},
        {name: v[own] for name, v in present.items()},
        dict(new.scales),
        own.size,
    )


def _joined(old: Words, new: Words) -> Words:
    """Both columns one after the other, over one sorted list of words."""
    values = sorted({*old.values, *new.values})
    place = {word: i for i, word in enumerate(values)}
    codes = [
        np.array([*(place[word] for word in one.values), -1], np.int32)[one.codes]
        for one in (old, new)
    ]
    return Words(np.concatenate(codes), tuple(values))


def changes_of(
    one: Prepared, table: Table, old: Mapping[str, Staged], season: str
) -> list[Changes] | None:
    """The changes of every fact that cells tell of; None where a month or a county is there no
    longer, so that the cells cannot be laid beside each other."""
    plan, service = table.plan, table.plan.service
    fresh = {name: read_season(staged, season) for name, staged in one.staged.items()}
    atoms = {
        name: found
        for name, rows in fresh.items()
        if name in old and (found := changed(read_season(old[name], season), rows)).rows
    }
    lists = shared_lists(atoms)
    months = shared_lists(fresh).months
    if not {*lists.months} <= {*months} or not {*lists.counties} <= {*plan.counties}:
        return None
    encoded = encode(service, atoms, plan.domains, one.hidden)
    shared = replace(lists, months=months, counties=plan.counties, cities=plan.cities)
    facts = {name: coded(service, name, rows, encoded, shared) for name, rows in atoms.items()}
    whole = replace(
        plan, facts=facts, records=None, least=(1, 0, 0), n_institutions=len(lists.institutions) + 1
    )
    return [_changes(whole, name, table) for name in facts if _told_of(plan, name)]


def _told_of(plan: Plan, fact: str) -> bool:
    """Whether any figure is made of a fact."""
    return any(measure.define.source == fact for measure in plan.service.measures)


def _changes(whole: Plan, fact: str, table: Table) -> Changes:
    fits = tuple(
        replace(fit, main=fact if {*shape.columns} <= {*whole.facts[fact].columns} else None)
        for shape, fit in zip(whole.shapes, whole.fits, strict=True)
    )
    plan = replace(whole, fits=fits, facts={fact: whole.facts[fact]})
    found = Table.of(plan, all_blocks(plan))
    return Changes(found, _places(found, table), _reach(found, table, fact))


def _places(own: Table, there: Table) -> Ints:
    """Where each cell of a table lies in another of the same plan; -1 where it does not."""
    begin = {(b.shape, b.level): i for i, b in enumerate(there.blocks)}
    parts = [np.zeros(0, np.int64)]
    for block in own.blocks:
        at = begin.get((block.shape, block.level))
        parts.append(_inside(own.plan.keys(block), there, at))
    return np.concatenate(parts)


def _reach(own: Table, there: Table, fact: str) -> Ints:
    """The cell of the changes that each cell of the published table tells of. Everybody insured
    stands beside cells of finer dims too: what is divided by them is told there."""
    columns = {*own.plan.facts[fact].columns}
    shapes = {shape.columns: i for i, shape in enumerate(own.plan.shapes)}
    begin = {(b.shape, b.level): i for i, b in enumerate(own.blocks)}
    parts = [np.zeros(0, np.int64)]
    for block in there.blocks:
        named = there.plan.shapes[block.shape].columns
        known = tuple(c for c in named if c in columns)
        if known != named and fact != EXPOSURE:
            parts.append(np.full(len(block), -1, np.int64))
            continue
        keys = onto(there.plan, there.plan.keys(block), named, known)
        at = begin.get((shapes.get(known, -1), block.level))
        parts.append(_inside(keys, own, at))
    return np.concatenate(parts)


def _inside(keys: Ints, table: Table, at: int | None) -> Ints:
    """Places of cells, given by key, in one block of a table."""
    if at is None:
        return np.full(keys.size, -1, np.int64)
    held = table.plan.keys(table.blocks[at])
    place = np.minimum(np.searchsorted(held, keys), held.size - 1)
    return np.where(held[place] == keys, place + int(table.offset[at]), -1)


def restated(
    tables: Mapping[str, Table],
    changes: Mapping[str, list[Changes]],
    hidden: Mapping[str, Bools],
    k: int,
) -> dict[str, Bools]:
    """Which cells of each service's table may be published anew.

    `hidden` are those that are not, whatever changed. Cells of linked services that count the same
    records are restated together.
    """
    stays = {name: hidden[name].copy() for name in tables}
    pairs = list(_linked(tables))
    while True:
        before = sum(int(own.sum()) for own in stays.values())
        for name, own in changes.items():
            for one in own:
                stays[name] |= _kept_back(one, stays[name], k)
        for left, right, pair in pairs:
            both = stays[left][pair[:, 0]] | stays[right][pair[:, 1]]
            stays[left][pair[both, 0]] = True
            stays[right][pair[both, 1]] = True
        if before == sum(int(own.sum()) for own in stays.values()):
            break
    return {name: ~stays[name] & _moved(tables[name], changes[name]) for name in tables}


def _linked(tables: Mapping[str, Table]) -> Iterator[tuple[str, str, Ints]]:
    for name, table in tables.items():
        for link in table.plan.service.disclosure.linked:
            if link.service in tables:
                yield name, link.service, pairs_of(table, tables[link.service], link)


def _moved(table: Table, changes: list[Changes]) -> Bools:
    """Cells in which anything changed."""
    found = np.zeros(len(table), np.bool_)
    for one in changes:
        found |= one.reach >= 0
    return found


def _kept_back(one: Changes, stays: Bools, k: int) -> Bools:
    """The cells that must stay as they are so that no change of fewer than k persons is read."""
    first = np.where(one.place >= 0, stays[one.place], True)
    job = Job(lattice_of(one.table), _only_persons(one.table), _threshold(k), first)
    closed = protect_linked([job], [])[0] != PUBLISHED
    found: Bools = (one.reach >= 0) & closed[one.reach]
    return found


def _only_persons(table: Table) -> CellFacts:
    size = len(table)
    none, enough = np.zeros(size), np.full(size, np.iinfo(np.int32).max, np.int64)
    return CellFacts(
        persons=table.whole("persons"), institutions=enough, exposure=enough,
        magnitude=table.whole("magnitude"), top1_share=none, top2_share=none,
        top_person_share=none, makers=None, maker_top1_share=None,
        sensitive=np.zeros(size, np.bool_), needs_makers=np.zeros(size, np.bool_),
    )  # fmt: skip


def _threshold(k: int) -> Profile:
    limits = {"k_person": k, "count_round": 1, "min_institutions": 1, "min_exposure": 1,
              "min_manufacturers": 1, "top1_share_max": 1.0, "top2_share_max": 1.0}  # fmt: skip
    return Profile("changes", limits, None, None)
