"""DuckDB stages a fact in two steps; what it writes is what the fact says as one statement."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from gateway.catalogue.load import Catalogue, load_catalogue
from gateway.catalogue.model import Grain
from gateway.releases.engine.duck import DuckDB
from gateway.releases.engine.parts import agreed, find
from gateway.releases.engine.port import in_order, season_of_month
from gateway.releases.engine.sql import Library
from gateway.releases.facts import columns_wanted
from gateway.releases.shapes import fact_columns
from gateway.releases.source import Query, Source
from gateway.settings import Settings
from gateway.warehouse import store
from tests.release_warehouse import build_warehouse

_AS_IS = "hive_partitioning = false"
FACTS = (("S02", "fee"), ("S02", "stay"), ("S04", "stay"), ("S04", "length"))
"""Lines below settlements, records one by one, and what is added up of encounters as a whole."""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(Settings().policies)


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("duck")
    build_warehouse(folder, persons=100, visits=300, days=170)
    return store.current(folder / "warehouse")


@pytest.fixture
def source(version: Path, catalogue: Catalogue) -> Iterator[Source]:
    opened = Source(version, catalogue.rollups_sql())
    yield opened
    opened.close()


def asked(catalogue: Catalogue, source: Source, name: str, fact: str) -> Query:
    service = catalogue.services[name]
    sums, records = columns_wanted(service, fact)
    columns = fact_columns(service, service.facts[fact])
    numbers = tuple(dict.fromkeys((*sums, *records)))
    return source.wanted(catalogue.fact_sql(service, fact), columns, numbers, each=bool(records))


@pytest.mark.parametrize(("name", "fact"), FACTS)
def test_what_is_staged_in_two_steps_is_what_one_statement_gives(
    catalogue: Catalogue, source: Source, tmp_path: Path, name: str, fact: str
) -> None:
    query = asked(catalogue, source, name, fact)
    season = season_of_month(Grain.QUARTER)
    expected = source.rows(in_order(query, query.sql, season))
    whole = Library.of(catalogue.rollups_sql()).whole(fact, query.sql).text
    DuckDB(source).write(fact, query, whole, season, tmp_path)
    found = []
    for path in sorted(tmp_path.glob("season=*/*.parquet")):
        label = path.parent.name.removeprefix("season=")
        found += [(label, *row) for row in source.rows(f"FROM read_parquet('{path}', {_AS_IS})")]
    assert len({row[0] for row in found}) == 2
    assert found == expected
    assert {path.name[:7] for path in tmp_path.iterdir()} == {"season="}


CUT = (
    ("S02", "fee"), ("S09", "line"), ("S11", "line"), ("S06", "cost"), ("S12", "line"),
    pytest.param("S24", "unit", marks=pytest.mark.slow),
)  # fmt: skip
"""Lines below settlements; sums over everybody behind a person's rows; a fact run whole; one made
of many queries."""


@pytest.mark.parametrize(("name", "fact"), CUT)
def test_a_fact_run_in_parts_has_the_rows_in_the_order_of_one_run_whole(
    catalogue: Catalogue, version: Path, tmp_path: Path, name: str, fact: str
) -> None:
    views = catalogue.rollups_sql(catalogue.services[name])
    source = Source(version, views)
    try:
        query, season = asked(catalogue, source, name, fact), season_of_month(Grain.QUARTER)
        expected = source.rows(in_order(query, query.sql, season))
        whole = Library.of(views).whole(fact, query.sql).text
        cuts = find(source, -(-source.scalar("SELECT count(*) FROM fee_list_d") // 3))
        assert len(cuts) == 2
        assert agreed(source, cuts)
        DuckDB(source, cuts).write(fact, query, whole, season, tmp_path)
        found = []
        for path in sorted(tmp_path.glob("season=*/*.parquet")):
            label = path.parent.name.removeprefix("season=")
            rows = source.rows(f"FROM read_parquet('{path}', {_AS_IS})")
            found += [(label, *row) for row in rows]
        assert found == expected
    finally:
        source.close()


def test_a_settlement_of_two_persons_forbids_parts(version: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(version, tmp_path / "version"))
    text = f"SELECT * REPLACE ((SELECT max(psn_no) FROM '{own}/setl_d.parquet') AS psn_no)"
    with duckdb.connect() as con:
        con.execute(
            f"COPY ({text} FROM '{version}/fee_list_d.parquet') TO '{own}/fee_list_d.parquet'"
        )
    source = Source(own, "")
    try:
        assert not agreed(source, find(source, 20))
    finally:
        source.close()


def test_a_view_laid_aside_has_the_rows_and_types_it_had(source: Source) -> None:
    def told() -> list[list[tuple[object, ...]]]:
        return [source.rows("DESCRIBE inpatient"), source.rows("FROM inpatient ORDER BY ALL")]

    before = told()
    source.keep("SELECT n FROM inpatient")
    ((text,),) = source.rows("SELECT sql FROM duckdb_views() WHERE view_name = 'inpatient'")
    assert "read_parquet" in text
    assert told() == before
