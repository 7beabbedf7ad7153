"""Fixtures of integration tests that more than one module reads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import duckdb
import pytest

from gateway.billing.closing import Office
from synthetic.bureau import simulate
from synthetic.bureau.settings import Size
from tests.billing_factory import answer_some, books_of_copy
from tests.bureau_warehouse import opened
from tests.made_once import made_once
from tests.release_warehouse import Built, release_all

UNSEEN = 3  # seed of the large city: nobody tuned anything on it


@pytest.fixture(scope="session")
def bureau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The one `ci` warehouse of the suite, opened as `tests.bureau_warehouse` says."""
    with duckdb.connect() as connection:
        yield opened(connection, simulated(tmp_path_factory, "ci", 1))


@pytest.fixture(scope="session")
def metropolis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A `demo` warehouse, of 200 000 persons."""
    with duckdb.connect() as connection:
        yield opened(connection, simulated(tmp_path_factory, "demo", UNSEEN))


@pytest.fixture(params=["bureau", pytest.param("metropolis", marks=pytest.mark.slow)])
def city(request: pytest.FixtureRequest) -> duckdb.DuckDBPyConnection:
    """Either warehouse: what the specification says of a city is asked of both."""
    found: duckdb.DuckDBPyConnection = request.getfixturevalue(request.param)
    return found


def simulated(factory: pytest.TempPathFactory, size: Size, seed: int) -> Path:
    """A warehouse of that size."""
    return made_once(factory, f"{size}-{seed}", partial(simulate, size=size, seed=seed))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A home with releases of all services for tests of releases. Read it; change only copies."""
    return Built(made_once(tmp_path_factory, "built", release_all))


@pytest.fixture(scope="session")
def answered_home(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home from which a few questions were answered, for all tests about money."""
    return made_once(tmp_path_factory, "answered", partial(answer_some, released_home))


@pytest.fixture
def office(answered_home: Path, tmp_path: Path) -> Office:
    """The books of a copy of that home, opened new."""
    return books_of_copy(answered_home, tmp_path / "home")
