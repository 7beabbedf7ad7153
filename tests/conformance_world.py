"""A sandbox with a client to be examined, a clock that pauses turn, and a program that does all."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import httpx
import pytest

from gateway.api import conformance
from sluice_client import Sluice, SluiceClientError
from sluice_client.events import Receiver
from sluice_client.examination import Examination
from tests.gateway_factory import Gateway, copy_home, copy_policies, serving
from tests.portal_world import CLIENT, admit

PUSH = "urn:ietf:rfc:8935"


@dataclass
class Turned:
    """Real seconds, and those that clients say they waited."""

    waited: float = 0.0

    def time(self) -> float:
        return time.time() + self.waited

    def pause(self, seconds: float) -> None:
        self.waited += seconds
        time.sleep(0.02)  # what works behind the sandbox has to get its turn


@contextmanager
def sandbox(released: Path, folder: Path) -> Iterator[tuple[Gateway, Turned]]:
    """A gateway of the sandbox whose suite keeps the turned clock."""
    turned, home = Turned(), copy_home(released, folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conformance, "time", SimpleNamespace(time=turned.time))
        policies = copy_policies(folder / "policies")
        with serving(home, policies, env="sandbox", fetch_loopback=True) as gateway:
            admit(gateway, "T-DEV", CLIENT)
            yield gateway, turned


@dataclass
class Program:
    """A developer's program around the library; what a fault changes is a method or a class."""

    gateway: Gateway
    turned: Turned
    client: str = CLIENT
    took: list[str] = field(default_factory=list)

    sluice_class: ClassVar[type[Sluice]] = Sluice

    def pause(self, seconds: float) -> None:
        self.turned.pause(seconds)

    def open(self) -> Sluice:
        machine = self.gateway.machines[self.client]
        return self.sluice_class(
            self.gateway.settings.base_url,
            self.client,
            key=machine.key,
            clock=self.gateway.clock,
            pause=self.pause,
        )

    def examined(self) -> Mapping[str, Any]:
        """Do all tasks; what one of them raises is the program's own affair."""
        with self.open() as sluice:
            self.exam = Examination(sluice)
            for task in (
                self.pages, self.exam.refused, self.exam.export,
                lambda: self.exam.export("export_again"), self.consents, self.events,
            ):  # fmt: skip
                with contextlib.suppress(SluiceClientError, httpx.HTTPError):
                    task()
            return Examination.end(self.exam)

    def pages(self) -> None:
        self.exam.pages()

    def consents(self) -> None:
        self.exam.consents()

    def events(self) -> None:
        with self.listening() as endpoint:
            said = {"delivery": {"method": PUSH, "endpoint_url": endpoint}}
            self.exam.sluice.call("PUT", "/v1/events/stream", json=said)
            self.exam.events(took=self.told())

    def told(self) -> Iterator[str]:
        """What was taken, read once the pushes are over."""
        yield from self.took

    def receive(self, token: str) -> int:
        return self.receiver.receive(token)

    @contextmanager
    def listening(self) -> Iterator[str]:
        program = self
        url = self.gateway.settings.base_url
        self.receiver = Receiver(
            url,
            self.client,
            lambda: httpx.get(f"{url}/oauth/jwks").json(),
            lambda claims: self.took.append(str(claims["jti"])),
        )

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                token = self.rfile.read(int(self.headers["content-length"])).decode()
                self.send_response(program.receive(token))
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/events"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
