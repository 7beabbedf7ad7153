"""Facts run by DuckDB, in this process: the engine of a release unless another is named.

A fact is run in two steps: first its rows as they come, query by query if it is made of several,
each into the file of its season, then season by season they are added up and put in order. What
joins and ranks everything is over before what groups and sorts begins, and that holds one season
alone: the limit of memory is not shared.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from gateway.releases.engine.apart import Apart, apart
from gateway.releases.engine.parts import Cuts, conditions, persons
from gateway.releases.engine.port import ordering
from gateway.releases.source import Query, Source

_ROW_GROUP = 250_000
_ROUGH_ROW_GROUP = 20_000  # of rows on their way: as many as seasons are held at a time


@dataclass(frozen=True)
class DuckDB:
    """The warehouse as the source has it open, the catalogue's views with it.

    `cuts` say where one part of the persons ends and the next begins.
    """

    source: Source
    cuts: Cuts = ()

    @property
    def name(self) -> str:
        return f"duckdb {duckdb.__version__}"

    def write(self, name: str, query: Query, whole: str, season: str, folder: Path) -> None:
        """Write a fact as Parquet, a folder per season; the same rows give the same bytes.

        The catalogue's views are here as such, so that what several facts share is read once; the
        whole statement names all that the fact reaches.
        """
        del name
        fact = apart(whole)
        if self.cuts or len(fact.facts) > 1:
            self._in_parts(query, fact, whole, season, folder)
            return
        self.source.keep(whole)
        self._write(query, [query.sql], season, folder, 0)

    def _in_parts(self, query: Query, fact: Apart, whole: str, season: str, folder: Path) -> None:
        """What can be is run part by part; what lies across persons is laid aside before."""
        typed = self.source.cast(whole)
        done = _Done(self.source, fact, [{} for _ in conditions(self.cuts)])
        for name in fact.across:
            done.lay_cut(name, self._parts)
            done.lay(name)
        if fact.whole:
            for name in fact.facts:
                done.lay_cut(name, self._parts)
            own = [typed(fact.statement(name, done.whole)) for name in fact.facts]
            self._write(query, own, season, folder, 0)
        else:
            for at in self._parts():
                with done.shared(at) as laid:
                    own = [typed(fact.statement(name, laid)) for name in fact.facts]
                    self._write(query, own, season, folder, at)
        done.let_go()

    def _parts(self) -> Iterator[int]:
        """Each part in turn; while it is out, nobody else is to be seen."""
        for at, condition in enumerate(conditions(self.cuts)):
            with self.source.only(persons(self.source), condition):
                yield at

    def _write(
        self, query: Query, queries: Sequence[str], season: str, folder: Path, at: int
    ) -> None:
        """Write the rows of one part, query after query, each season's into a file of its own."""
        rough = folder / ".rows"
        rough.mkdir()
        for number, sql in enumerate(queries):
            rows = replace(query, sql=sql, each=True).statement(f"coalesce({season}, '')")
            self.source.run(
                f"COPY ({rows}) TO {_quoted(rough / str(number))} (FORMAT parquet, COMPRESSION "
                f"snappy, PARTITION_BY (season), ROW_GROUP_SIZE {_ROUGH_ROW_GROUP})"
            )
        for name in sorted({part.name for part in rough.glob("*/season=*")}):
            target = folder / name
            target.mkdir(exist_ok=True)
            file = target / f"data_{at:0{len(str(len(self.cuts)))}}.parquet"
            self.source.run(
                f"COPY ({_summed(query, rough, name)}) TO {_quoted(file)} "
                f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
            )
            for part in rough.glob(f"*/{name}"):
                shutil.rmtree(part)
        shutil.rmtree(rough)


@dataclass
class _Done:
    """Relations of a fact that were laid aside: for everybody, and of each part for itself."""

    source: Source
    fact: Apart
    parts: list[dict[str, str]]
    whole: dict[str, str] = field(default_factory=dict)
    laid: list[str] = field(default_factory=list)

    def lay(self, name: str) -> None:
        """Run a relation for everybody."""
        self.whole[name] = self._lay(name, name, self.whole)
        for own in self.parts:
            own[name] = self.whole[name]

    def lay_cut(self, name: str, parts: Callable[[], Iterator[int]]) -> None:
        """Run part by part what a relation reads, as far as that can be done."""
        for one in self.fact.cut(name):
            if one in self.whole:
                continue
            for at in parts():
                self.parts[at][one] = self._lay(one, f"{one}-{at}", self.parts[at])
            self.whole[one] = " UNION ALL ".join(own[one] for own in self.parts)

    @contextmanager
    def shared(self, at: int) -> Iterator[Mapping[str, str]]:
        """What stands for relations of one part; those that several queries read are laid aside
        for the time of a block."""
        own = dict(self.parts[at])
        files = {name: f"{name}-{at}" for name in self.fact.shared if name not in own}
        try:
            for name, file in files.items():
                own[name] = self.source.lay_aside(self.fact.statement(name, own), file)
            yield own
        finally:
            for file in files.values():
                self.source.let_go(file)

    def _lay(self, name: str, file: str, done: Mapping[str, str]) -> str:
        self.laid.append(file)
        return self.source.lay_aside(self.fact.statement(name, done), file)

    def let_go(self) -> None:
        """Delete the files."""
        for file in self.laid:
            self.source.let_go(file)


def _summed(query: Query, rough: Path, season: str) -> str:
    """The rows of a season added up by their keys and put in order."""
    keys = ", ".join(f'"{name}"' for name in query.names)
    numbers = ", ".join(f'CAST(sum("{name}") AS BIGINT) AS "{name}"' for name in query.scales)
    files = _quoted(rough / "*" / season / "*.parquet")
    rows = f"FROM read_parquet({files}, hive_partitioning = false)"
    if not query.each:
        rows = f"SELECT {keys}, bool_or(counting) AS counting, {numbers} {rows} GROUP BY {keys}"
    return f"FROM ({rows}) AS fact ORDER BY {ordering(query)}"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
