"""Facts are staged within a limit of memory that does not grow with the number of persons.

Twenty thousand persons in ten parts or eleven: what is held of everybody at once (a join, a
ranking, a set of distinct values) does not fit, as it would not at two million persons with
1536 MiB.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from gateway.catalogue.load import load_catalogue
from gateway.releases.engine.duck import DuckDB
from gateway.releases.engine.parts import agreed, find
from gateway.releases.engine.port import season_of_month
from gateway.releases.engine.sql import Library
from gateway.releases.facts import columns_wanted
from gateway.releases.seasons import longest
from gateway.releases.shapes import fact_columns
from gateway.releases.source import Source
from gateway.settings import Settings
from synthetic.bureau import simulate
from tests.made_once import made_once

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
MEMORY = "100MiB"
ROWS = 200_000
"""Rows of fee lines that one part has, about."""

HEAVY = (
    ("S02", "fee"), ("S03", "case"), ("S06", "cost"), ("S10", "start"), ("S11", "line"),
    ("S12", "line"), ("S14", "case"), ("S15", "cohort"), ("S24", "unit"),
)  # fmt: skip
"""Facts that compare persons with each other, and the largest of the others."""


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "ci-1", partial(simulate, size="ci", seed=1))


@pytest.mark.parametrize(("name", "fact"), HEAVY)
def test_a_fact_of_many_persons_is_staged_in_little_memory(
    version: Path, tmp_path: Path, name: str, fact: str
) -> None:
    catalogue = load_catalogue(Settings().policies)
    service = catalogue.services[name]
    views = catalogue.rollups_sql(service)
    source = Source(version, views, memory=MEMORY)
    try:
        cuts = find(source, ROWS)
        assert len(cuts) >= 9
        assert agreed(source, cuts)
        sums, records = columns_wanted(service, fact)
        query = source.wanted(
            catalogue.fact_sql(service, fact),
            fact_columns(service, service.facts[fact]),
            tuple(dict.fromkeys((*sums, *records))),
            each=bool(records),
        )
        whole = Library.of(views).whole(fact, query.sql).text
        season = season_of_month(longest([service]))
        DuckDB(source, cuts).write(fact, query, whole, season, tmp_path)
        assert len(list(tmp_path.glob("season=*/*.parquet"))) > len(cuts)
    finally:
        source.close()
