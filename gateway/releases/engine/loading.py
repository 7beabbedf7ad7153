"""Stage a service's facts, and read one season of them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gateway.catalogue.model import Grain
from gateway.releases.engine.port import Engine, season_of_month
from gateway.releases.engine.sql import Library, check
from gateway.releases.engine.staging import Staged, Staging, keyed
from gateway.releases.engine.survey import SHARED, survey
from gateway.releases.source import Atoms, Query, Source, Words, as_atoms

FORM = 3
"""Changes when staged files are written otherwise than before."""


@dataclass(frozen=True)
class Wanted:
    """A fact to be staged: its file's name for messages, what to read, dims with their chains."""

    name: str
    query: Query
    chains: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Stager:
    """Stages facts of one version of the warehouse in seasons of one length."""

    staging: Staging
    source: Source
    engine: Engine
    library: Library
    digests: Mapping[str, str]
    grain: Grain

    def stage(self, fact: Wanted) -> tuple[Staged, bool]:
        """The fact in staging, and whether it was there already."""
        check(fact.name, fact.query.sql, self.library)
        whole = self.library.whole(fact.name, fact.query.sql)
        season = season_of_month(self.grain)
        key = keyed(
            {
                "form": FORM,
                "engine": self.engine.name,
                "statement": replace(fact.query, sql=whole.text).statement(season),
                "chains": {name: list(own) for name, own in fact.chains.items()},
                "tables": {name: self.digests.get(name) for name in sorted(whole.tables)},
            }
        )
        found = self.staging.fact(key)
        if found is not None:
            return found, True
        part = self.staging.part()
        self.engine.write(fact.name, fact.query, whole.text, season, part)
        shared = [name for name in (*SHARED, "maker") if name in fact.query.names]
        about = {
            "names": list(fact.query.names),
            "scales": dict(fact.query.scales),
            "survey": survey(part, fact.chains, shared, fact.query.scales["magnitude"]),
        }
        self.staging.keep_fact(key, part, about)
        made = self.staging.fact(key)
        if made is None:
            raise AssertionError("a staged fact is not as it was written")
        return made, False


def read_season(staged: Staged, season: str) -> Atoms:
    """The rows of one season of a fact."""
    folder = staged.folder / f"season={season}"
    parts = [_read(folder / name, staged) for name in staged.seasons.get(season, {})]
    if not parts:
        return _nothing(staged)
    table = pa.concat_tables(parts).unify_dictionaries()
    return as_atoms(table, staged.names, staged.scales)


def _read(path: Path, staged: Staged) -> pa.Table:
    columns = [*staged.names, "counting", *staged.scales]
    file = pq.ParquetFile(path, read_dictionary=list(staged.names))
    return file.read(columns=columns, use_threads=False)


def _nothing(staged: Staged) -> Atoms:
    none = np.zeros(0, np.int64)
    return Atoms(
        {name: Words(np.zeros(0, np.int32), ()) for name in staged.names},
        {**dict.fromkeys(staged.scales, none), "counting": none},
        dict.fromkeys(staged.scales, np.zeros(0, np.bool_)),
        dict(staged.scales),
        0,
    )
