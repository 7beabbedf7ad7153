"""The demonstration's server: a process of its own that may outlive the tour."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gateway.demo.stage import SLUICE, StageError

READY_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running `sluice serve`; `process` is what was started here, kept until it is stopped."""

    pid: int
    base_url: str
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False, compare=False)

    def stop(self) -> None:
        """End it in order; the journal is closed before the process is gone."""
        os.kill(self.pid, signal.SIGTERM)
        for _ in range(200):
            if not self._runs():
                return
            time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def _runs(self) -> bool:
        return _alive(self.pid) if self.process is None else self.process.poll() is None


def start(home: Path, port: int, environment: Mapping[str, str]) -> Server:
    """Start the server detached from this terminal and wait until it is ready."""
    log = home / "server.log"
    with log.open("ab") as sink:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [str(SLUICE), "serve"],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    server = Server(process.pid, f"http://127.0.0.1:{port}", log, process)
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StageError(f"the server ended at once; its words are in {log}")
        if _ready(server.base_url):
            (home / "server.pid").write_text(f"{process.pid}\n")
            return server
        time.sleep(0.1)
    process.kill()
    raise StageError(f"the server was not ready in {READY_SECONDS} s; see {log}")


def stop_earlier(home: Path) -> None:
    """End the server an earlier demonstration left running, if it is still ours."""
    pid_file = home / "server.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    command = Path(f"/proc/{pid}/cmdline")
    if command.exists() and b"sluice" in command.read_bytes():
        Server(pid, "", home / "server.log").stop()
    pid_file.unlink()


def free_port(wanted: int) -> int:
    """The wanted port, or any free one when something else listens there."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StageError("no free port on the loopback interface")


def _ready(base_url: str) -> bool:
    try:
        return httpx.get(f"{base_url}/readyz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def _alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # a child of ours would stay a zombie otherwise
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
