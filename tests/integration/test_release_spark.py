"""One definition, two engines: what Spark stages and DuckDB stages makes the same releases, byte by
byte. The cluster is a real one, a master and a worker as processes of their own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import pytest

from gateway.releases.engine.spark import Cluster
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.bureau import simulate
from tests.made_once import made_once
from tests.real_server import PATIENCE
from tests.release_warehouse import build_warehouse
from tests.spark_builds import NOW, built, files, on_spark, same_warehouse
from tests.spark_cluster import SparkCluster, spark_cluster

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(1200)]
LINKED = ("S04", "S06", "S07")
"""With records, quotients and ranks; built together because they are linked."""

_BUILD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from gateway.releases.build import Order, build
from gateway.settings import Settings
from tests.waivers import INVENTED
home, master, properties = map(str, sys.argv[1:4])
settings = Settings(home=Path(home), release_engine="spark", spark_master=master,
                    spark_properties=Path(properties))
build(settings, Order(tuple(sys.argv[4:]), waivers=INVENTED), datetime(2026, 1, 1, tzinfo=UTC))
"""
# Opens the engine, says so, and runs a fact when it is told to.
_WRITE = """
import sys
from pathlib import Path
from gateway.errors import OperatorError
from gateway.releases.engine.spark import Cluster, on_spark
from gateway.releases.source import Source
version, folder, master, properties = sys.argv[1:5]
source = Source(Path(version), "")
cluster = Cluster(master, Path(properties) if properties else None, patience=float(sys.argv[5]))
sql = ("SELECT '2024-01' AS period_m, '990101' AS geo_county, psn_no, psn_no AS fixmedins_code,"
       " true AS counting, 1 AS magnitude FROM psn_info_b")
try:
    with on_spark(cluster, source) as engine:
        print("ready", flush=True)
        sys.stdin.readline()
        engine.write("a fact", source.wanted(sql, (), (), each=True), sql, "period_m", Path(folder))
        print("written", flush=True)
except OperatorError as error:
    print(error.code, flush=True)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[SparkCluster]:
    with spark_cluster() as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of half a year and few persons."""
    folder = tmp_path_factory.mktemp("engines")
    build_warehouse(folder, persons=150, visits=600, days=170)
    return folder


def agree(home: Path, copy: Path, cluster: SparkCluster, services: tuple[str, ...]) -> None:
    """Build on both engines: cells, contributions, quality, manifests and ids are the same."""
    ours, _ = built(Settings(home=home), services)
    theirs, step = built(on_spark(same_warehouse(home, copy), cluster.cluster), services)
    assert step.reuse is not None
    assert step.reuse.seasons == 0, "nothing may come from DuckDB"
    assert [made.release_id for made in theirs] == [made.release_id for made in ours]
    found, expected = files(copy, theirs), files(home, ours)
    assert found.keys() == expected.keys()
    assert not [name for name in expected if found[name] != expected[name]]


def test_linked_services_built_on_spark_are_those_that_duckdb_builds(
    home: Path, cluster: SparkCluster, tmp_path: Path
) -> None:
    agree(home, tmp_path / "spark", cluster, LINKED)


@pytest.mark.timeout(7200)
def test_all_services_built_on_spark_are_those_that_duckdb_builds(
    cluster: SparkCluster, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """On a simulated bureau, in which every table has rows."""
    tables = made_once(tmp_path_factory, "mini-1", partial(simulate, size="mini", seed=1))
    draft = tmp_path / "warehouse" / "versions" / "draft"
    shutil.copytree(tables, draft)
    (draft / "manifest.json").unlink()
    store.publish(tmp_path / "warehouse", draft, {"kind": "test"}, NOW)
    agree(tmp_path, tmp_path / "spark", cluster, ())


def test_a_build_killed_while_spark_stages_is_finished_by_the_next(
    home: Path, cluster: SparkCluster, tmp_path: Path
) -> None:
    copy = same_warehouse(home, tmp_path / "killed")
    running = subprocess.Popen(
        [sys.executable, "-c", _BUILD, str(copy), cluster.master, str(cluster.properties), *LINKED]
    )
    ends = monotonic() + 5 * PATIENCE
    while not list((copy / "staging" / "facts").glob("*")):
        assert monotonic() < ends
        assert running.poll() is None
        sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (copy / "releases" / "CURRENT.json").exists()
    after, step = built(on_spark(copy, cluster.cluster), LINKED)
    assert step.reuse is not None
    assert step.reuse.facts >= 1
    ours, _ = built(Settings(home=home), LINKED)
    assert files(copy, after) == files(home, ours)


def writer(home: Path, folder: Path, cluster: Cluster, patience: float) -> subprocess.Popen[str]:
    version = store.current(home / "warehouse")
    properties = "" if cluster.properties is None else str(cluster.properties)
    arguments = [str(version), str(folder), cluster.master, properties, str(patience)]
    return subprocess.Popen(
        [sys.executable, "-c", _WRITE, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_build_whose_workers_are_gone_ends_and_says_so(home: Path, tmp_path: Path) -> None:
    with spark_cluster() as own:
        child = writer(home, tmp_path, own.cluster, 5)
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        own.worker.send_signal(signal.SIGKILL)
        own.worker.wait()
        told, errors = child.communicate("\n", timeout=2 * PATIENCE)
    assert told == "spark_no_workers\n"
    assert "Traceback" not in errors


def test_who_does_not_know_the_secret_gets_no_worker(
    home: Path, cluster: SparkCluster, tmp_path: Path
) -> None:
    child = writer(home, tmp_path, Cluster(cluster.master), 5)
    told, errors = child.communicate("\n", timeout=5 * PATIENCE)
    assert told in {"spark_no_workers\n", "spark_failed\n"}
    assert "Traceback" not in errors
    assert not list(tmp_path.iterdir())
