"""Every fact of every service is one definition: through the port of the engines it is compiled for
Spark, Trino and ClickHouse. Compiled and parsed here; only Spark's is run, by another test."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from gateway.catalogue.load import load_catalogue
from gateway.releases.derived import derived_for
from gateway.releases.engine.dialects import DIALECTS, Compiled
from gateway.releases.engine.loading import Stager
from gateway.releases.engine.sql import Library
from gateway.releases.engine.staging import Staging
from gateway.releases.prepare import Limits, prepare
from gateway.releases.seasons import longest
from gateway.releases.source import Source
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


@pytest.mark.parametrize("name", sorted(CATALOGUE.services))
def test_every_fact_of_a_service_compiles_for_every_dialect(
    name: str, version: Path, tmp_path: Path
) -> None:
    service = CATALOGUE.services[name]
    views = CATALOGUE.rollups_sql(service)
    staging = Staging(tmp_path / "derived", NOW)
    staging.open()
    source = Source(
        version, views, extra=derived_for(CATALOGUE, service, version, {}, staging).paths
    )
    for dialect in DIALECTS:
        staging = Staging(tmp_path / dialect, NOW)
        staging.open()
        engine = Compiled(dialect)
        stager = Stager(staging, source, engine, Library.of(views), {}, longest([service]))
        made = prepare(CATALOGUE, service, stager, LIMITS, hidden={})
        assert len(engine.statements) == len(made.staged) + (made.records is not None)
        for text in engine.statements.values():
            tree = sqlglot.parse_one(text, dialect=dialect)
            own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
            read = {table.name.lower() for table in tree.find_all(exp.Table)} - own
            assert read <= source.files.keys() | source.empty.keys() | source.extra.keys()
    source.close()
