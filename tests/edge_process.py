"""A gateway process of its own under `tests.quick_serve`, what it writes, and raw lines to it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gateway.settings import Settings
from sluice_client.proof import ProvenBy
from tests.factories_identity import Machine
from tests.gateway_factory import COST, POLICIES, copy_home, enter_parties, free_port, utc_now

METRICS_TOKEN = "metrics-of-the-edge-tests-only-here"


@dataclass
class EdgeProcess:
    """The running process and the machines that may ask it."""

    settings: Settings
    machines: Mapping[str, Machine]
    http: httpx.Client
    process: subprocess.Popen[bytes]
    written: Path
    operator: Mapping[str, str] = field(
        default_factory=lambda: {"Authorization": f"Bearer {METRICS_TOKEN}"}
    )
    _tokens: dict[str, str] = field(default_factory=dict)

    def token(self, client: str = "ins-app") -> str:
        """Its token, got at first need."""
        if client not in self._tokens:
            machine = self.machines[client]
            proof = ProvenBy(machine.key, utc_now, None)
            reply = self.http.post("/oauth/token", data=machine.form(utc_now()), auth=proof)
            assert reply.status_code == 200, reply.text
            self._tokens[client] = reply.json()["access_token"]
        return self._tokens[client]

    def forget(self, client: str) -> None:
        """Its token is old: get another one."""
        self._tokens.pop(client, None)

    @property
    def nonce(self) -> str:
        """The last nonce the server gave out, good for any proof of the next minutes."""
        return self.http.get("/v1/services").headers["dpop-nonce"]

    def auth(self, client: str = "ins-app") -> ProvenBy:
        """What proves this client, with a token of its own."""
        return ProvenBy(self.machines[client].key, utc_now, self.token(client))

    def ask(self, client: str = "ins-app", **sent: object) -> httpx.Response:
        """A question to S02."""
        body = {"json": COST} if "content" not in sent else {}
        address = "/v1/services/S02/queries"
        return self.http.post(address, auth=self.auth(client), **body, **sent)  # type: ignore[arg-type]

    def metric(self, name: str) -> float:
        """A figure of `/metrics`; 0 where it is not there yet."""
        shown = self.http.get("/metrics", headers=self.operator)
        lines = [line for line in shown.text.splitlines() if line.startswith(name)]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0

    def logged(self, text: str) -> str:
        """The first line of the log with this text; it is written once the answer has left."""
        for _ in range(600):
            found = [one for one in self.written.read_text().splitlines() if text in one]
            if found:
                return found[0]
            time.sleep(0.05)
        raise AssertionError("nothing was logged")

    @contextmanager
    def line(self, timeout: float = 20) -> Iterator[socket.socket]:
        """A raw connection."""
        address = ("127.0.0.1", self.settings.port)
        with socket.create_connection(address, timeout=timeout) as raw:
            yield raw

    def said(self, *pieces: bytes) -> bytes:
        """Everything the server says to these octets until it closes or waits no more."""
        with self.line() as raw:
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    raw.sendall(piece)
            return heard(raw)


def heard(raw: socket.socket) -> bytes:
    """Everything until the server closes."""
    pieces = []
    with contextlib.suppress(ConnectionError):
        while piece := raw.recv(65_536):
            pieces.append(piece)
    return b"".join(pieces)


@contextmanager
def edge_process(
    released_home: Path, folder: Path, *, how: str = "small", policies: Path = POLICIES
) -> Iterator[EdgeProcess]:
    """Serve a copy of this home until the block ends."""
    home = copy_home(released_home, folder / "home")
    token = folder / "metrics-token"
    token.write_text(METRICS_TOKEN)
    settings = Settings(home=home, port=free_port(), policies=policies)
    machines = enter_parties(settings, utc_now, always=True)
    written = folder / "written.log"
    words = ["-m", "tests.quick_serve", how, "serve"]
    facts = {
        "SLUICE_HOME": str(home),
        "SLUICE_POLICIES": str(policies),
        "SLUICE_METRICS_TOKEN_FILE": str(token),
    }
    with written.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *words, "--port", str(settings.port)],
            env={**os.environ, **facts},
            stdout=out,
            stderr=out,
        )
    try:
        with httpx.Client(base_url=settings.base_url, timeout=60) as http:
            _wait(process, http, written)
            yield EdgeProcess(settings, machines, http, process, written)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], http: httpx.Client, written: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, written.read_text()[:2000]
        with contextlib.suppress(httpx.TransportError):
            if http.get("/readyz").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(written.read_text()[:2000])
