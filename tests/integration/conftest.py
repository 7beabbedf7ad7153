"""Fixtures of integration tests that more than one module reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from gateway.billing.closing import Office
from synthetic.bureau import simulate
from synthetic.bureau.settings import Size
from tests.billing_factory import answer_some, books_of_copy
from tests.bureau_warehouse import opened

UNSEEN = 3  # seed of the large city: nobody tuned anything on it


@pytest.fixture(scope="session")
def bureau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The one `ci` warehouse of the suite, opened as `tests.bureau_warehouse` says."""
    yield from _simulated(tmp_path_factory.mktemp("ci"), "ci", 1)


@pytest.fixture(scope="session")
def metropolis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A `demo` warehouse, of 200 000 persons."""
    yield from _simulated(tmp_path_factory.mktemp("demo"), "demo", UNSEEN)


@pytest.fixture(params=["bureau", pytest.param("metropolis", marks=pytest.mark.slow)])
def city(request: pytest.FixtureRequest) -> duckdb.DuckDBPyConnection:
    """Either warehouse: what the specification says of a city is asked of both."""
    found: duckdb.DuckDBPyConnection = request.getfixturevalue(request.param)
    return found


def _simulated(folder: Path, size: Size, seed: int) -> Iterator[duckdb.DuckDBPyConnection]:
    simulate(folder, size, seed)
    with duckdb.connect() as connection:
        yield opened(connection, folder)


@pytest.fixture(scope="session")
def answered_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home from which a few questions were answered, for all tests about money."""
    return answer_some(tmp_path_factory.mktemp("billing"))


@pytest.fixture
def office(answered_home: Path, tmp_path: Path) -> Office:
    """The books of a copy of that home, opened new."""
    return books_of_copy(answered_home, tmp_path / "home")
