"""The parts of a large warehouse: persons by number, so many that one part fits into memory.

A part is a range of `psn_no`; rows without one lie in the last. Parts are only made where the data
let them: every settlement and every encounter must have one person in all tables that name it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from gateway.releases.engine.keys import GIVEN, KINDS, PERSON
from gateway.releases.engine.staging import Staging, keyed
from gateway.releases.source import Source
from synthetic.warehouse.schema import TABLES, arrow_schema

ROWS = 20_000_000
"""Rows of the largest table of persons that one part has, about: those of 200 000 persons."""

Cuts = tuple[str, ...]
"""Where one part ends and the next begins; none: everything is one part."""


def cuts_of(source: Source, digests: Mapping[str, str], staging: Staging) -> Cuts:
    """Where the warehouse is cut; looked for once, and kept beside the staging."""
    if not (found := find(source, ROWS)):
        return found
    path = staging.root / "derived" / f"parts-{keyed({'tables': dict(digests), 'cuts': found})}"
    try:
        known = bool(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        known = agreed(source, found)
        _keep(path, known, staging)
    return found if known else ()


def _keep(path: Path, known: bool, staging: Staging) -> None:
    """Write down what was found, and forget what was found of other warehouses."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = staging.part() / path.name
    draft.write_text(json.dumps(known), encoding="utf-8")
    for old in {*path.parent.glob("parts-*")} - {path}:
        old.unlink(missing_ok=True)
    draft.replace(path)
    draft.parent.rmdir()


def find(source: Source, rows: int) -> Cuts:
    """Cuts between persons for parts of so many rows."""
    held = [source.scalar(f'SELECT count(*) FROM "{name}"') for name in persons(source)]
    number = -(-max(held, default=0) // rows)
    if number < 2:
        return ()
    firsts = source.rows(
        f"SELECT min({PERSON}) FROM (SELECT {PERSON}, ntile({number}) OVER (ORDER BY {PERSON}) "
        f"AS part FROM (SELECT DISTINCT {PERSON} FROM psn_info_b WHERE {PERSON} IS NOT NULL)) "
        f"GROUP BY part ORDER BY part"
    )
    return tuple(first for (first,) in firsts[1:])


def persons(source: Source) -> list[str]:
    """The tables whose rows name a person."""
    return [name for name in source.files if PERSON in _columns(name)]


def agreed(source: Source, cuts: Cuts) -> bool:
    """Whether no settlement and no encounter has persons in two parts.

    Keys are compared by their hashes: two that have one by chance forbid parts, and do no harm.
    """
    cases = (f"WHEN {PERSON} < {_text(cut)} THEN {at}" for at, cut in enumerate(cuts))
    part = f"CAST(CASE {' '.join(cases)} ELSE {len(cuts)} END AS UTINYINT)"
    for kind in sorted({*KINDS.values()} - {PERSON}):
        rows = " UNION ALL ".join(
            f'SELECT hash({column}) AS key, {part} AS part FROM "{name}"'
            + ("" if (name, column) in GIVEN else f" WHERE {column} IS NOT NULL")
            for name, column in _naming(source, kind)
        )
        split = f"SELECT key FROM ({rows}) GROUP BY key HAVING min(part) <> max(part) LIMIT 1"
        if rows and source.rows(split):
            return False
    return True


def _naming(source: Source, kind: str) -> Iterator[tuple[str, str]]:
    for name in persons(source):
        for column, named in KINDS.items():
            if named == kind and column in _columns(name):
                yield name, column


def conditions(cuts: Sequence[str]) -> Iterator[str]:
    """What the rows of each part have in common, as SQL, in order of the persons."""
    if not cuts:
        yield "true"
        return
    yield f"{PERSON} < {_text(cuts[0])}"
    for first, after in pairwise(cuts):
        yield f"{PERSON} >= {_text(first)} AND {PERSON} < {_text(after)}"
    yield f"({PERSON} >= {_text(cuts[-1])} OR {PERSON} IS NULL)"


def _columns(name: str) -> list[str]:
    return arrow_schema(TABLES[name]).names if name in TABLES else []


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
