"""A build on a cluster that is not named, not there or cannot be spoken to leaves all as it was."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import assemble
from gateway.errors import OperatorError
from gateway.releases.engine.choice import cluster_of, engine_on
from gateway.releases.engine.spark import Cluster
from gateway.releases.source import Source
from gateway.settings import Settings
from tests.release_warehouse import build_warehouse


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("choice")
    build_warehouse(folder, persons=20, visits=20, days=30)
    return folder


@pytest.fixture
def source(home: Path) -> Iterator[Source]:
    (version,) = (home / "warehouse" / "versions").iterdir()
    opened = Source(version, "")
    yield opened
    opened.close()


def refused(source: Source, cluster: Cluster) -> OperatorError:
    with pytest.raises(OperatorError) as caught, engine_on(source, cluster):
        pass
    return caught.value


@pytest.mark.parametrize("master", ["", "local[2]", "spark://host", "spark://u:p@host:1", "yarn"])
def test_a_cluster_is_named_as_host_and_port_alone(master: str) -> None:
    with pytest.raises(OperatorError, match="spark://host:port") as caught:
        cluster_of(Settings(release_engine="spark", spark_master=master))
    assert caught.value.code == "spark_unset"


def test_properties_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="properties") as caught:
        cluster_of(
            Settings(
                release_engine="spark",
                spark_master="spark://127.0.0.1:7077",
                spark_properties=tmp_path / "none",
            )
        )
    assert caught.value.code == "spark_unset"


def test_duckdb_is_asked_where_nothing_else_is_named(source: Source) -> None:
    assert cluster_of(Settings(spark_master="spark://127.0.0.1:7077")) is None
    with engine_on(source, None) as engine:
        assert engine.name.startswith("duckdb ")


def test_a_master_that_does_not_answer_is_said_so(source: Source) -> None:
    with socket.socket() as held:  # a port that is taken and at which nobody listens
        held.bind(("127.0.0.1", 0))
        error = refused(source, Cluster(f"spark://127.0.0.1:{held.getsockname()[1]}"))
    assert (error.code, "--spark-master" in error.message) == ("spark_unreachable", True)
    assert refused(source, Cluster("spark://127.0.0.1:99999")).code == "spark_unreachable"


def test_without_pyspark_the_error_says_what_installs_it(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)  # as Python marks what is not there
    with socket.create_server(("127.0.0.1", 0)) as listening:
        error = refused(source, Cluster(f"spark://127.0.0.1:{listening.getsockname()[1]}"))
    assert (error.code, "make spark" in error.message) == ("spark_missing", True)


def test_the_command_line_names_the_engine_and_fails_with_its_code(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(home))
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        master = f"spark://127.0.0.1:{held.getsockname()[1]}"
        said = CliRunner().invoke(
            assemble(("release",)),
            ["release", "build", "S04", "--alone", "--engine", "spark", "--spark-master", master],
        )
    assert said.exit_code == 1
    assert "spark_unreachable: " in said.stderr
    assert "Traceback" not in said.output
    assert not (home / "releases" / "CURRENT.json").exists()
