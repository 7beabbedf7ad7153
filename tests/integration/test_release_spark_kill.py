"""kill -9 of what runs a fact on Spark, in the middle of it: the build is finished by another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from gateway.releases.engine.spark import Cluster
from gateway.releases.manifest import Manifest
from gateway.settings import Settings
from tests.real_server import PATIENCE
from tests.release_warehouse import build_warehouse
from tests.spark_builds import built, descendant, files, same_warehouse
from tests.spark_cluster import SparkCluster, spark_cluster

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(1200)]
S04 = ("S04",)

_BUILD = """
import sys
from pathlib import Path
from gateway.errors import OperatorError
from gateway.releases.engine.spark import Cluster
from tests.spark_builds import built, on_spark
home, master, properties = sys.argv[1:]
if __name__ == "__main__":
    try:
        built(on_spark(Path(home), Cluster(master, Path(properties))), ("S04",), alone=True)
    except OperatorError as error:
        print(error.code, flush=True)
    else:
        print("published", flush=True)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a warehouse of few persons, and their release as DuckDB builds it."""
    folder = tmp_path_factory.mktemp("expected")
    build_warehouse(folder, persons=150, visits=600, days=170)
    return folder


@pytest.fixture(scope="module")
def expected(home: Path) -> list[Manifest]:
    return built(Settings(home=home), S04, alone=True)[0]


@pytest.fixture
def copy(home: Path, expected: list[Manifest], tmp_path: Path) -> Path:
    """Another home with that warehouse, where the release in force was built from an older one."""
    older = tmp_path / "older"
    build_warehouse(older, persons=150, visits=500, days=170, seed=8)
    built(Settings(home=older), S04, alone=True)
    copy = same_warehouse(home, tmp_path / "copy")
    (older / "releases").rename(copy / "releases")
    return copy


def building(home: Path, cluster: Cluster) -> subprocess.Popen[str]:
    """A build as a process of its own that prints its end: `published`, or an error's code."""
    script = home / "build.py"  # a file, since the build's own processes import what started them
    script.write_text(_BUILD, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(script), str(home), cluster.master, str(cluster.properties)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )


def amid(home: Path, build: subprocess.Popen[str]) -> None:
    """Wait until a fact's rows are about to be written."""
    ends = monotonic() + 5 * PATIENCE
    while not list((home / "staging").glob(".part-*/.spark/rows/_temporary")):
        assert build.poll() is None
        assert monotonic() < ends
        sleep(0.005)


def lose_executor(cluster: SparkCluster) -> None:
    os.kill(descendant(cluster.worker.pid, "CoarseGrainedExecutorBackend"), signal.SIGKILL)


def test_a_build_whose_executor_is_killed_is_finished_by_another(
    home: Path, copy: Path, expected: list[Manifest]
) -> None:
    with spark_cluster() as own:
        build = building(copy, own.cluster)
        amid(copy, build)
        lose_executor(own)
        assert build.poll() is None
        told, errors = build.communicate(timeout=10 * PATIENCE)
    assert told == "published\n", errors
    assert files(copy, expected) == files(home, expected)
