"""Fixtures every kind of test may use. What is expensive is built once for the whole run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

import tests.one_thread  # noqa: F401  (first: it must be before NumPy)
from tests.feasibility_factory import build_example
from tests.gateway_factory import LARGE, Gateway, build_home, copy_home, copy_policies, serving
from tests.journal_store import store
from tests.leak_watch import Watch, watching
from tests.made_once import made_once
from tests.postgres_server import postgres, postgres_dsn
from tests.production_profile import DIRECTORY_AT_ONCE, PRODUCTION, READS_FILES
from tests.valkey_server import valkey, valkey_url

# No test is about the clock on the wall. What decides about a change decides the same twice: the
# examples are those of the test's own text; `make test-all` looks for others.
# A build attacks what it is about to publish; how much of it tests grant, they say themselves.
os.environ.setdefault("SLUICE_RELEASE_AUDIT_SECONDS", "1")
# Tests do in seconds what detection is there to stop; those of detection itself let it act.
os.environ.setdefault("SLUICE_DETECTION", "tell")
settings.register_profile("repeat", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("SLUICE_EXAMPLES", "repeat"))

__all__ = ["postgres", "postgres_dsn", "store", "valkey", "valkey_url"]  # fixtures


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the production profile, what looks into the files of the default one is left out."""
    if PRODUCTION:
        left_out = pytest.mark.skip(reason="is about files of the default profile")
        for item in items:
            if item.name.split("[")[0] in READS_FILES | DIRECTORY_AT_ONCE:
                item.add_marker(left_out)


@pytest.fixture(scope="session", autouse=True)
def nobody_leaves() -> Iterator[Watch]:
    """No answer and no log record of the whole run names a person of the person sources."""
    with watching() as watch:
        yield watch
    assert watch.found == {}, f"persons left the gateway: {watch.found}"


@pytest.fixture(scope="session")
def released_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a small simulated warehouse and its releases. Read it; change only copies."""
    return made_once(tmp_path_factory, "released", build_home)


@pytest.fixture(scope="session")
def cohort_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the people of the example of cohort counts. Read it; change only copies."""
    return made_once(tmp_path_factory, "cohorts", build_example)


@pytest.fixture(scope="session")
def gateway(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One running gateway for tests that only ask; its quotas are large."""
    folder = tmp_path_factory.mktemp("gateway")
    policies = copy_policies(folder / "policies")
    with serving(copy_home(released_home, folder / "home"), policies) as running:
        yield running


@pytest.fixture
def own_gateway_with(released_home: Path, tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts a gateway of the test's own, with other quotas where it names them."""
    with ExitStack() as stack:

        def start(**quota: int) -> Gateway:
            policies = copy_policies(tmp_path / "policies", {**LARGE, **quota})
            home = copy_home(released_home, tmp_path / "home")
            return stack.enter_context(serving(home, policies))

        yield start


@pytest.fixture
def own_gateway(own_gateway_with: Callable[..., Gateway]) -> Gateway:
    """A gateway of the test's own, to break."""
    return own_gateway_with()
