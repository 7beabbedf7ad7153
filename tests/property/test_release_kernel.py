"""Grouping atoms into cells agrees with counting them one by one."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.releases.kernel import (
    Rows,
    Visits,
    collapse,
    counted,
    hosts,
    located,
    mixed,
    ordered,
    parties,
    people,
    totals,
    unmixed,
    visits,
)

N_INST, N_CELLS = 3, 4
atoms = st.lists(
    st.tuples(
        st.integers(0, 3),  # cell
        st.integers(0, 4),  # person
        st.integers(0, N_INST - 1),  # institution
        st.booleans(),  # counting
        st.integers(-50, 100),  # amount
    ),
    min_size=1,
    max_size=40,
)


def _columns(rows: list[tuple[int, int, int, bool, int]], *sort: int) -> list[np.ndarray]:
    ordered = sorted(rows, key=lambda row: tuple(row[i] for i in sort))
    return [np.array(column, np.int64) for column in zip(*ordered, strict=True)]


def _visits(rows: list[tuple[int, int, int, bool, int]]) -> Visits:
    return visits(*(_columns(rows, 0, 1, 2) if rows else [np.zeros(0, np.int64)] * 5))


def _in_two(rows: list[tuple[int, int, int, bool, int]], few: int) -> list[Visits]:
    """The same rows in two parts, those of the first few persons apart."""
    return [_visits([r for r in rows if (r[1] < few) is side]) for side in (True, False)]


@given(atoms, st.integers(0, 5), st.sampled_from([N_CELLS, 2**20]))
@settings(max_examples=150)
def test_persons_are_distinct_and_only_counting_rows_make_one(
    rows: list[tuple[int, int, int, bool, int]], few: int, size: int
) -> None:
    parts = _in_two(rows, few)
    found = people(parts, size)
    for c, persons, top, magnitude in zip(
        found.cells, found.persons, found.top, found.magnitude, strict=True
    ):
        mine = [row for row in rows if row[0] == c]
        assert magnitude == sum(row[4] for row in mine)
        assert persons == len({row[1] for row in mine if row[3]})
        net: dict[int, int] = defaultdict(int)
        for row in mine:
            net[row[1]] += row[4]
        assert top == max(abs(total) for total in net.values())
    assert found.cells.tolist() == sorted({row[0] for row in rows})
    for part, place in zip(parts, found.place, strict=True):
        assert found.cells[place].tolist() == part.cell.tolist()
    assert sum(map(len, parts)) == len({(row[0], row[1]) for row in rows})


@given(atoms)
@settings(max_examples=150)
def test_counting_persons_alone_agrees_with_counting_all(
    rows: list[tuple[int, int, int, bool, int]],
) -> None:
    cell, person, _, counting, _ = _columns(rows, 0, 1)
    cells, persons = counted(cell, person, counting)
    found = people([_visits(rows)], N_CELLS)
    assert cells.tolist() == found.cells.tolist()
    assert persons.tolist() == found.persons.tolist()


@given(atoms)
@settings(max_examples=150)
def test_the_two_largest_parties_are_those_of_the_net_amounts(
    rows: list[tuple[int, int, int, bool, int]],
) -> None:
    cell, _, inst, counting, amount = _columns(rows)
    found = parties(cell, inst, counting, amount, (N_CELLS, N_INST))
    for i in range(N_CELLS):
        mine = [row for row in rows if row[0] == i]
        net: dict[int, int] = defaultdict(int)
        for row in mine:
            net[row[2]] += row[4]
        ranked = [*sorted((abs(total) for total in net.values()), reverse=True), 0, 0]
        assert found.parties[i] == len({row[2] for row in mine if row[3]})
        assert found.top1[i] == ranked[0]
        assert found.top2[i] == ranked[1]
        assert found.squares[i] == sum(total**2 for total in net.values())


@given(atoms, st.integers(0, 5), st.integers(1, N_CELLS))
@settings(max_examples=150)
def test_a_provider_s_persons_and_those_nobody_else_has(
    rows: list[tuple[int, int, int, bool, int]], few: int, length: int
) -> None:
    parts = _in_two(rows, few)
    place = [np.minimum(part.cell, length) for part in parts]
    houses, found = hosts(parts, place, (length, N_INST))
    rows = [row for row in rows if row[0] < length]
    cell, _, inst, counting, amount = _columns(rows) if rows else [np.zeros(0, np.int64)] * 5
    alike = parties(cell, inst, counting, amount, (length, N_INST))
    for name in ("parties", "top1", "top2", "squares"):
        assert getattr(houses, name).tolist() == getattr(alike, name).tolist()
    seen: dict[tuple[int, int], set[int]] = defaultdict(set)
    for c, p, i, counts, _amount in rows:
        if counts:
            seen[c, i].add(p)
    expected = {}
    for (c, i), persons in seen.items():
        elsewhere = {p for (d, j), them in seen.items() if d == c and j != i for p in them}
        expected[c, i] = (len(persons), len(persons - elsewhere))
    got = {
        (c, i): (n, only)
        for c, i, n, only in zip(
            found.cells.tolist(),
            found.party.tolist(),
            found.persons.tolist(),
            found.only.tolist(),
            strict=True,
        )
    }
    assert got == expected


@given(atoms)
@settings(max_examples=100)
def test_merging_keeps_every_sum_and_no_key_twice(
    rows: list[tuple[int, int, int, bool, int]],
) -> None:
    cell, person, _, counting, amount = _columns(rows)
    merged = collapse(
        Rows({"cell": cell, "person": person}, np.stack([counting, amount])),
        ["person", "cell"],
        [5, 4],
    )
    keys = list(zip(merged.keys["person"].tolist(), merged.keys["cell"].tolist(), strict=True))
    assert keys == sorted(set(keys))
    assert merged.sums.sum(axis=1).tolist() == [counting.sum(), amount.sum()]
    for (p, c), total in zip(keys, merged.sums[1], strict=True):
        assert total == sum(row[4] for row in rows if row[0] == c and row[1] == p)


@given(
    st.lists(st.integers(0, 2**33 - 1), max_size=60),
    st.sampled_from([2**16, 2**33, 2**60]),
)
@settings(max_examples=150)
def test_sorting_is_stable_whatever_the_size_of_the_codes(values: list[int], size: int) -> None:
    codes = np.array([value % size for value in values], np.int64)
    ranked, index = ordered(codes, size)
    assert index.tolist() == np.argsort(codes, kind="stable").tolist()
    assert ranked.tolist() == sorted(codes.tolist())


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(-9, 9)), min_size=1, max_size=40),
    st.sampled_from([31, 2**20]),
)
@settings(max_examples=150)
def test_totals_are_the_same_counted_in_a_table_or_sorted(
    rows: list[tuple[int, int]], size: int
) -> None:
    codes, amounts = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    found, (sums,) = totals(codes, size, [amounts])
    expected = {c: sum(a for d, a in rows if d == c) for c, _ in rows}
    assert dict(zip(found.tolist(), sums.tolist(), strict=True)) == expected
    assert found.tolist() == sorted(expected)


@given(
    st.sets(st.integers(0, 30)), st.lists(st.integers(0, 30), min_size=1),
    st.sampled_from([31, 2**20]),
)  # fmt: skip
def test_cells_are_located_the_same_by_table_or_by_search(
    known: set[int], wanted: list[int], size: int
) -> None:
    cells = sorted(known)
    place = located(np.array(cells, np.int64), np.array(wanted, np.int64), size)
    assert place.tolist() == [cells.index(w) if w in known else -1 for w in wanted]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.integers(0, 4)), min_size=1))
def test_mixed_digits_come_back(rows: list[tuple[int, int, int]]) -> None:
    columns = [np.array(column, np.int64) for column in zip(*rows, strict=True)]
    code = mixed(columns, [3, 7, 5], len(rows))
    left, *digits = unmixed(code, [3, 7, 5])
    assert not left.any()
    assert [d.tolist() for d in digits] == [c.tolist() for c in columns]
