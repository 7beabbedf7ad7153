"""Every fact of every service is one definition: through the port of the engines it is compiled for
Spark, Trino and ClickHouse. Compiled and parsed here, and what they are sent run by DuckDB in its
own words; Spark itself runs it in another test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from gateway.catalogue.load import load_catalogue
from gateway.catalogue.model import Service
from gateway.releases.derived import derived_for
from gateway.releases.engine.dialects import DIALECTS, Compiled, spoken_in_steps
from gateway.releases.engine.loading import Stager
from gateway.releases.engine.port import in_order
from gateway.releases.engine.sql import DIALECT, Library
from gateway.releases.engine.staging import Staging
from gateway.releases.prepare import Limits, prepare
from gateway.releases.seasons import longest
from gateway.releases.source import Query, Source
from gateway.settings import Settings
from tests.release_warehouse import build_warehouse

CATALOGUE = load_catalogue(Settings().policies)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(max_dims=2, persons=11, institutions=3, exposure=100)


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few records: a type is known without any, a warehouse is a folder with tables."""
    warehouse = build_warehouse(tmp_path_factory.mktemp("compiled"), persons=20, visits=20, days=30)
    (folder,) = (warehouse / "versions").iterdir()
    return folder


@pytest.fixture(scope="module", params=sorted(CATALOGUE.services))
def service(request: pytest.FixtureRequest) -> Service:
    return CATALOGUE.services[request.param]


@pytest.fixture(scope="module")
def source(
    service: Service, version: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Source]:
    """The records as the facts of one service find them."""
    staging = Staging(tmp_path_factory.mktemp("derived"), NOW)
    staging.open()
    extra = derived_for(CATALOGUE, service, version, {}, staging).paths
    opened = Source(version, CATALOGUE.rollups_sql(service), extra=extra)
    yield opened
    opened.close()


@dataclass
class Asked:
    """An engine that keeps what it was asked for: query, whole statement, season of each fact."""

    facts: dict[str, tuple[Query, str, str]] = field(default_factory=dict)
    name = "asked"

    def write(self, name: str, query: Query, whole: str, season: str, folder: Path) -> None:
        del folder
        self.facts[name] = query, whole, season


@pytest.fixture(scope="module")
def asked(service: Service, source: Source, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """What an engine is asked for, whichever it is."""
    staging = Staging(tmp_path_factory.mktemp("asked"), NOW)
    staging.open()
    engine = Asked()
    library = Library.of(CATALOGUE.rollups_sql(service))
    stager = Stager(staging, source, engine, library, {}, longest([service]))
    made = prepare(CATALOGUE, service, stager, LIMITS, hidden={})
    assert len(engine.facts) == len(made.staged) + (made.records is not None)
    return engine


def tables_of(tree: exp.Expr) -> set[str]:
    """What is read and is no CTE in sight, as the scopes of sqlglot have it."""
    scopes = traverse_scope(tree)
    read = [one for scope in scopes for one in scope.sources.values() if isinstance(one, exp.Table)]
    return {table.name.lower() for table in read}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_fact_of_a_service_compiles_for_every_dialect(
    dialect: str, asked: Asked, source: Source, tmp_path: Path
) -> None:
    engine = Compiled(dialect)
    known = source.files.keys() | source.empty.keys() | source.extra.keys()
    for name, wanted in asked.facts.items():
        engine.write(name, *wanted, tmp_path)
        tree = sqlglot.parse_one(engine.statements[name], dialect=dialect)
        own = [cte.alias.lower() for cte in tree.find_all(exp.CTE)]
        assert len(own) == len({*own}), "two CTEs of one name"
        assert tables_of(tree) <= known - {*own}


def test_what_other_engines_are_sent_gives_the_rows_of_the_fact(
    asked: Asked, source: Source
) -> None:
    """Said in DuckDB's own words, with all that is pinned and named for the others."""
    for name, (query, whole, season) in asked.facts.items():
        *before, (_, last) = spoken_in_steps(in_order(query, whole, season), DIALECT)
        for step, text in before:
            source.run(f"CREATE OR REPLACE TEMP TABLE {step} AS {text}")
        assert source.rows(last) == source.rows(in_order(query, query.sql, season)), name
