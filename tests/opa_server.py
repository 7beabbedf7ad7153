"""A real OPA server that follows the bundle of a policy, and a server that only pretends to be one.

The pretender exists for faults no OPA shows on request: silence, `{}`, nonsense.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
import uvicorn
from fastapi import FastAPI

from gateway.api.policy_bundle import Shelf, bundle_router
from gateway.policy.line import OpaServer
from gateway.policy.opa_config import opa_config
from gateway.policy.packing import BundleKey, bundle_key
from gateway.policy.port import PolicyUnavailable
from gateway.policy.remote import OpaPolicy
from tests.policy_factory import POLICIES, PRICING, Json, ask, catalogue, directory

TOKEN = "bundle-token-of-the-tests-0123456789"
KEY = bundle_key(b"key of the tests")


def opa_binary() -> str:
    """The real binary; its absence fails the run in CI and skips elsewhere."""
    found = shutil.which("opa")
    if found is None:
        if "SLUICE_CI" in os.environ:
            pytest.fail("no opa on PATH: run `make services`")
        pytest.skip("no opa on PATH: run `make services`")
    return found


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for a condition; the limit only ends a test that would hang."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.02)


@contextmanager
def opa_process(port: int, config: Mapping[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """`opa run --server` with this configuration; killed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_bytes(orjson.dumps(config))
        command = [opa_binary(), "run", "--server", "--skip-version-check", "--log-level=error"]
        command += [f"--addr=127.0.0.1:{port}", f"--config-file={path}"]
        process = subprocess.Popen(command)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def bundle_served(policy: OpaPolicy, key: BundleKey = KEY) -> Iterator[dict[str, Any]]:
    """The gateway's bundle endpoint alone; yields the configuration of an OPA that follows it."""
    app, port = FastAPI(), free_port()
    app.include_router(bundle_router(Shelf(policy, key), TOKEN))
    config = uvicorn.Config(app, port=port, lifespan="off", log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    with tempfile.TemporaryDirectory() as folder:
        token = Path(folder) / "token"
        token.write_text(TOKEN)
        try:
            yield opa_config(f"http://127.0.0.1:{port}", token, KEY)
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


class Followed(OpaPolicy):
    """`load` returns when OPA decides by the new revision, as tests want to see it at work."""

    def load(self, data: Mapping[str, Any]) -> None:
        super().load(data)
        self.wait()

    def wait(self) -> None:
        until(self._is_live)

    def _is_live(self) -> bool:
        try:
            return self.decide(ask(PRICING)).policy_version == self.version
        except PolicyUnavailable:
            return False


@contextmanager
def opa_policy(documents: Json | None = None, **options: Any) -> Iterator[Followed]:
    """The policy decided by a real OPA that follows it."""
    port = free_port()
    server = OpaServer.at(f"http://127.0.0.1:{port}")
    services = options.pop("services", None) or catalogue()
    policy = Followed(POLICIES, services, documents or directory(), server, **options)
    try:
        with bundle_served(policy) as config, opa_process(port, config):
            policy.wait()
            yield policy
    finally:
        policy.close()


class _Pretender(BaseHTTPRequestHandler):
    """Answers every question as it is told at the moment."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        answer: Callable[[], tuple[int, bytes]] = self.server.answer  # type: ignore[attr-defined]  # set by `pretending`
        status, body = answer()
        try:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing: the tests look at answers."""


@contextmanager
def pretending(answer: Callable[[], tuple[int, bytes]], port: int = 0) -> Iterator[OpaServer]:
    """A server that gives this answer to everything."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Pretender)
    server.daemon_threads = True
    server.answer = answer  # type: ignore[attr-defined]  # read by the handler
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield OpaServer.at(f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
