"""A real Spark cluster of the tests' own: a master and a worker, each a process, on loopback.

Who does not know the secret gets nothing done by it. It ends with whoever started it.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gateway.releases.engine.spark import Cluster
from tests.crash_harness import free_port
from tests.real_server import end, missing, spawn, wait_ready

HOST = "127.0.0.1"
_SIZES = """spark.driver.memory 512m
spark.executor.memory 768m
spark.sql.shuffle.partitions 2
spark.default.parallelism 2
"""


@dataclass(frozen=True)
class SparkCluster:
    """Where it is, and the properties by which it is reached."""

    master: str
    properties: Path
    worker: subprocess.Popen[bytes]
    another_worker: Callable[[], subprocess.Popen[bytes]]

    @property
    def cluster(self) -> Cluster:
        return Cluster(self.master, self.properties)


def spark_class() -> Path:
    """The program of the installed PySpark that starts any part of Spark."""
    found = find_spec("pyspark")
    if found is None or found.origin is None:
        missing("PySpark", "make spark")
    if shutil.which("java") is None:
        missing("Java", "make spark")
    return Path(found.origin).parent / "bin" / "spark-class"


@contextmanager
def spark_cluster() -> Iterator[SparkCluster]:
    """Master and worker, running; the worker has told the master that it is there."""
    program = spark_class()
    folder = Path(tempfile.mkdtemp(prefix="sluice-spark-"))
    started: list[subprocess.Popen[bytes]] = []
    try:
        properties = folder / "spark.conf"
        secret = f"spark.authenticate true\nspark.authenticate.secret {secrets.token_hex(16)}\n"
        properties.write_text(f"{secret}{_SIZES}", encoding="utf-8")
        properties.chmod(0o600)
        port = free_port()
        master = ["Master", "--host", HOST, "--port", str(port), "--webui-port", "0"]
        url = f"spark://{HOST}:{port}"
        started.append(_start(program, master, properties, folder / "master.log"))

        def worker() -> subprocess.Popen[bytes]:
            sizes = ["--cores", "2", "--memory", "1g", "--work-dir", str(folder / "work")]
            part = ["Worker", "--host", HOST, "--webui-port", "0", *sizes, url]
            log = folder / f"worker-{len(started)}.log"
            started.append(_start(program, part, properties, log))
            return started[-1]

        yield SparkCluster(url, properties, worker(), worker)
    finally:
        for process in reversed(started):
            end(process, signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)


def _start(program: Path, part: list[str], properties: Path, log: Path) -> subprocess.Popen[bytes]:
    name, *arguments = part
    said = {"Master": "Starting Spark master", "Worker": "Successfully registered"}[name]
    environment = {"SPARK_LOCAL_IP": HOST, "SPARK_DAEMON_MEMORY": "256m", "SPARK_NO_DAEMONIZE": "1"}
    process = spawn(
        [
            *("setpriv", "--pdeathsig", "TERM", "env"),
            *(f"{key}={value}" for key, value in environment.items()),
            str(program),
            f"org.apache.spark.deploy.{name.lower()}.{name}",
            *arguments,
            *("--properties-file", str(properties)),
        ],
        log,
        None,
    )
    ready = wait_ready(process, lambda: said in log.read_text(errors="replace"), log)
    assert ready, log.read_text(errors="replace")[-2000:]
    return process
