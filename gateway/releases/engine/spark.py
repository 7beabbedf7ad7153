"""Facts run by a Spark cluster: the same definitions, where one machine is too small for them.

The cluster reads the warehouse and writes staging, so both lie where its workers see them under the
same path. PySpark is an optional package and is only looked for when Spark is asked for. What Spark
says of a failure may hold values of a row: only the name it has for the failure is told.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any, Final

from sqlglot import exp

from gateway.errors import OperatorError
from gateway.releases.engine.dialects import spoken_in_steps
from gateway.releases.engine.port import in_order
from gateway.releases.engine.sql import DIALECT
from gateway.releases.source import Query, Source

_ANSWERS_SECONDS = 5.0
_POLL_SECONDS = 0.2
_PORT: Final = 7077
_FIXED: Final = {
    "spark.app.name": "sluice release build",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.ansi.enabled": "true",  # what cannot be held is an error, not NULL
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",  # nor a rounded number
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    "spark.log.level": "OFF",
}
_LOGGER: Final = "SQLQueryContextLogger"  # writes a failed statement down, with what failed in it
_LOGGING = """rootLogger.level = off
rootLogger.appenderRef.none.ref = none
appender.none.type = Null
appender.none.name = none
"""


@dataclass(frozen=True)
class Cluster:
    """Where Spark is: `spark://host:port`, and a file of properties (a secret, sizes) if any.

    `patience`: seconds to wait for workers, at the start and when all are lost.
    """

    master: str
    properties: Path | None = None
    patience: float = 60.0


@dataclass(frozen=True)
class Spark:
    """Facts over one warehouse version, run in a session of its own."""

    session: Any  # pyspark.sql.SparkSession, which need not be installed
    version: str
    patience: float

    @property
    def name(self) -> str:
        return f"spark {self.version}"

    def write(self, name: str, query: Query, whole: str, season: str, folder: Path) -> None:
        """Write a fact as Parquet; a season's files follow each other as their rows do."""
        steps = spoken_in_steps(in_order(query, whole, season), "spark")
        made = folder / ".spark"
        with _watched(self.session.sparkContext, self.patience) as lost:
            _guarded(name, lost, lambda: self._run(steps, made))
        for path in sorted(made.glob("rows/season=*/*.parquet")):
            target = folder / path.parent.name
            target.mkdir(exist_ok=True)
            path.rename(target / f"data_{len(list(target.iterdir())):05d}.parquet")
        shutil.rmtree(made, ignore_errors=True)

    def _run(self, steps: list[tuple[str, str]], made: Path) -> None:
        """Run all steps but the last into files of their own, which the next ones read."""
        *before, (_, last) = steps
        for name, text in before:
            kept = str(made / name)
            self.session.sql(text).write.parquet(kept)
            self.session.read.parquet(kept).createOrReplaceTempView(name)
        self.session.sql(last).write.partitionBy("season").parquet(str(made / "rows"))
        for name, _ in before:
            self.session.catalog.dropTempView(name)


@contextmanager
def on_spark(cluster: Cluster, source: Source) -> Iterator[Spark]:
    """The engine with the tables of a source; the connection is kept for the next one."""
    connected = _connected(cluster)
    yield _guarded("what it starts with", Event(), lambda: _opened(connected, source, cluster))


def _opened(connected: Any, source: Source, cluster: Cluster) -> Spark:
    session = connected.newSession()
    for table, path in source.files.items():
        frame = session.read.parquet(str(path)).where("vali_flag = '1'")
        frame.createOrReplaceTempView(table)
    for table, path in source.extra.items():
        session.read.parquet(str(path)).createOrReplaceTempView(table)
    for table, columns in source.empty.items():
        session.sql(f"SELECT {_nothing(columns)} LIMIT 0").createOrReplaceTempView(table)
    return Spark(session, session.version, cluster.patience)


def _nothing(columns: dict[str, str]) -> str:
    """Columns without a row, by DuckDB's names of their types."""
    kinds = {n: exp.DataType.build(kind, dialect=DIALECT) for n, kind in columns.items()}
    return ", ".join(f"CAST(NULL AS {kind.sql('spark')}) AS `{n}`" for n, kind in kinds.items())


_sessions: dict[Cluster, Any] = {}  # of this process: a cluster serves one at a time


def _connected(cluster: Cluster) -> Any:
    """A session with workers behind it."""
    if cluster not in _sessions:
        _sessions[cluster] = _connect(cluster)
    return _sessions[cluster]


def _connect(cluster: Cluster) -> Any:
    host = _answering(cluster.master)
    try:
        spark = import_module("pyspark.sql")
    except ImportError as error:
        raise OperatorError(
            "spark_missing",
            "PySpark is not installed: `make spark` installs it, or name no --engine.",
            "未安装PySpark：请运行 make spark，或不指定 --engine。",
        ) from error
    logging.getLogger("py4j").setLevel(logging.CRITICAL + 1)  # nor how it lost its driver
    import_module("pyspark.logger").PySparkLogger.getLogger(_LOGGER).disabled = True
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise OperatorError("spark_missing", "Spark needs Java: set JAVA_HOME, or install it.")
    with TemporaryDirectory(prefix="spark-conf-") as folder:
        _configure(Path(folder), cluster, host)
        session = _guarded("its start", Event(), lambda: _started(spark, cluster, host))
    _await_workers(session, cluster.patience)
    return session


def _started(spark: Any, cluster: Cluster, host: str) -> Any:
    builder = spark.SparkSession.builder.master(cluster.master)
    for key, value in _FIXED.items():
        builder = builder.config(key, value)
    if _is_loopback(host):
        builder = builder.config("spark.driver.host", host).config("spark.driver.bindAddress", host)
    return builder.getOrCreate()


def _configure(folder: Path, cluster: Cluster, host: str) -> None:
    """Properties go by a file, not by the command line, which every user of the machine sees."""
    given = cluster.properties.read_text(encoding="utf-8") if cluster.properties else ""
    (folder / "spark-defaults.conf").write_text(given, encoding="utf-8")
    (folder / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")
    os.environ["SPARK_CONF_DIR"] = str(folder)
    if _is_loopback(host):
        os.environ["SPARK_LOCAL_IP"] = host


def _answering(master: str) -> str:
    """The host of a master that listens."""
    host, _, port = master.removeprefix("spark://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_ANSWERS_SECONDS):
            return host
    except (OSError, ValueError, OverflowError) as error:
        raise OperatorError(
            "spark_unreachable",
            f"No Spark master answers at {master}: start it, or correct --spark-master.",
            f"{master} 处没有Spark主节点应答。",
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _await_workers(session: Any, patience: float) -> None:
    """A job without workers would wait for ever."""
    deadline = monotonic() + patience
    while not _workers(session.sparkContext):
        if session.sparkContext._jsc.sc().isStopped() or monotonic() > deadline:
            session.stop()
            raise _no_workers()
        sleep(_POLL_SECONDS)


def _workers(context: Any) -> int:
    return len(context._jsc.sc().statusTracker().getExecutorInfos()) - 1  # the driver is one


def _no_workers() -> OperatorError:
    return OperatorError(
        "spark_no_workers",
        "Spark has no worker for this build: is one running and free, and is its secret the same?",
        "Spark没有可用的工作节点：请检查工作节点是否在运行且空闲、密钥是否一致。",
    )


@contextmanager
def _watched(context: Any, patience: float) -> Iterator[Event]:
    """Ends the jobs of a session whose workers are gone and stay away; says so by the event."""
    lost, done = Event(), Event()
    bridge = import_module("py4j.protocol")

    def watch() -> None:
        seen = monotonic()
        while not done.wait(_POLL_SECONDS * 5):
            seen = monotonic() if _workers(context) else seen
            if monotonic() - seen > patience:
                lost.set()
                context.cancelAllJobs()
                return

    def watching() -> None:
        with suppress(bridge.Py4JError, OSError):  # Spark itself is gone: the job says so
            watch()

    watcher = Thread(target=watching, daemon=True)
    watcher.start()
    try:
        yield lost
    finally:
        done.set()
        watcher.join()


def _guarded(name: str, lost: Event, work: Callable[[], Any]) -> Any:
    """What Spark is asked to do; its failure is told by name, without what it was about."""
    errors = import_module("pyspark.errors")
    bridge = import_module("py4j.protocol")
    try:
        return work()
    except errors.PySparkException as error:
        kind = error.getCondition() or type(error).__name__
    except (bridge.Py4JError, OSError) as error:  # its driver is gone, or going
        kind = type(error).__name__
    if lost.is_set():
        raise _no_workers()
    raise OperatorError("spark_failed", f"Spark could not finish {name}: {kind}.")
