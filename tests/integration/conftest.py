"""Fixtures of integration tests that more than one module reads."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from synthetic.bureau import simulate
from tests.bureau_warehouse import opened


@pytest.fixture(scope="session")
def bureau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The one `ci` warehouse of the suite, opened as `tests.bureau_warehouse` says."""
    folder = tmp_path_factory.mktemp("ci")
    simulate(folder, "ci", 1)
    with duckdb.connect() as connection:
        yield opened(connection, folder)
