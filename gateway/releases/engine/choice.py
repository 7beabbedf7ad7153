"""Which engine stages the facts of a build."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import OperatorError
from gateway.releases.engine.duck import DuckDB
from gateway.releases.engine.parts import Cuts
from gateway.releases.engine.port import Engine
from gateway.releases.engine.spark import Cluster, on_spark
from gateway.releases.source import Source
from gateway.settings import Settings

_MASTER = re.compile(r"spark://[^\s/@?#]+:\d{1,5}")


def cluster_of(settings: Settings) -> Cluster | None:
    """The Spark cluster that the settings name; none: DuckDB, in the build's own processes."""
    if settings.release_engine == "duckdb":
        return None
    if not _MASTER.fullmatch(settings.spark_master):
        raise OperatorError(
            "spark_unset",
            "Say which Spark master builds, as spark://host:port (--spark-master).",
            "请以 spark://主机:端口 指定Spark主节点（--spark-master）。",
        )
    if settings.spark_properties is not None and not settings.spark_properties.is_file():
        raise OperatorError("spark_unset", "The file of Spark's properties is not there.")
    return Cluster(settings.spark_master, settings.spark_properties)


@contextmanager
def engine_on(source: Source, cluster: Cluster | None, cuts: Cuts = ()) -> Iterator[Engine]:
    """The engine over a warehouse that is open; DuckDB takes it in parts where it is cut."""
    if cluster is None:
        yield DuckDB(source, cuts)
        return
    with on_spark(cluster, source) as engine:
        yield engine
