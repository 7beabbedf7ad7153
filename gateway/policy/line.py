"""The line to one OPA server: a client in a thread of its own, and whether it may be relied on.

An answer counts only when it is whole and names a revision that was published here and not replaced
longer ago than `LIVE_WITHIN`. Everything else is a failure, and after `FAILURES` of them the line
refuses at once. A probe goes out every moment, so the line notices by itself when OPA is back.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from gateway.errors import OperatorError
from gateway.policy.answer import read_decision
from gateway.policy.circuit import Circuit, Revisions
from gateway.policy.packing import NAME
from gateway.policy.port import Decision, PolicyUnavailable

if TYPE_CHECKING:
    from opa_client.opa_async import AsyncOpaClient

PROBE_SECONDS = 0.5
_ASKED = {"strict-builtin-errors": "true", "provenance": "true"}
_MALFORMED = "D000"

Told: TypeAlias = Decision | PolicyUnavailable


@dataclass(frozen=True)
class OpaServer:
    """Where an OPA listens, and the token it wants to see."""

    host: str
    port: int
    tls: bool
    token: str | None = None

    @classmethod
    def at(cls, url: str, token: str | None = None) -> OpaServer:
        """Read an address; anything but scheme, host and port is refused."""
        parts = urlsplit(url)
        plain = parts.path in {"", "/"} and not (parts.query or parts.fragment or parts.username)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
            raise OperatorError(
                "opa_url", "opa_url must be http(s)://host:port, without path or user."
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        tls = parts.scheme == "https"
        return cls(host, parts.port or (443 if tls else 8181), tls, token)


class Line:
    """Asks one OPA; every outcome is a value, a decision or the reason why there is none."""

    def __init__(self, server: OpaServer, version: str, timeout: float) -> None:
        self._server, self._timeout = server, timeout
        self._circuit, self._revisions = Circuit(), Revisions(version)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._opened = _client(server, timeout)
        self._client: AsyncOpaClient | None = None
        self._gate = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._work, name="policy", daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether OPA answered lately, by a revision that may decide."""
        return self._open and self._circuit.closed

    @property
    def version(self) -> str:
        return self._revisions.current

    def publish(self, version: str) -> None:
        """Answers by another revision are used for `LIVE_WITHIN` seconds more."""
        self._revisions = self._revisions.publish(version, time.monotonic())

    def ask(self, question: Mapping[str, Any]) -> Future[Told]:
        """Put the question; the future never holds an exception."""
        with self._gate:
            if not self._open:
                raise PolicyUnavailable("closed")
            return asyncio.run_coroutine_threadsafe(self._guarded(question), self._loop)

    def close(self) -> None:
        """Questions on their way are answered or time out; then the thread ends."""
        with self._gate:
            closing, self._open = self._open, False
        if closing:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._follow())

    async def _follow(self) -> None:
        # The client is usable only inside `async with`.
        async with self._opened as self._client:
            while not self._stop.is_set():
                await self._probe()
                try:
                    await asyncio.wait_for(self._stop.wait(), PROBE_SECONDS)
                except TimeoutError:
                    continue
            waiting = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _probe(self) -> None:
        """An empty question: OPA must refuse it for its form, by a revision that may decide."""
        told = await self._asked({})
        if isinstance(told, PolicyUnavailable):
            self._circuit = self._circuit.failed()
        elif told.deny == (_MALFORMED,):
            self._circuit = self._circuit.proved()
        else:
            self._circuit = self._circuit.disproved()

    async def _guarded(self, question: Mapping[str, Any]) -> Told:
        if not self._circuit.closed:
            return PolicyUnavailable("circuit_open")
        told = await self._asked(question)
        failed = isinstance(told, PolicyUnavailable)
        self._circuit = self._circuit.failed() if failed else self._circuit.succeeded()
        return told

    async def _asked(self, question: Mapping[str, Any]) -> Told:
        client = self._client
        if client is None:
            return PolicyUnavailable("starting")
        try:
            reply = await client.query_rule(question, "decision", "told", query_params=_ASKED)
            return self._read(reply)
        except PolicyUnavailable as refused:
            return refused
        except Exception as error:  # noqa: BLE001 - whatever goes wrong on the way is no decision
            return PolicyUnavailable(type(error).__name__)

    def _read(self, reply: Mapping[str, Any]) -> Decision:
        """A whole answer by a revision that may decide; OPA answers `{}` where it knows nothing."""
        revision = reply["provenance"]["bundles"][NAME]["revision"]
        if not self._revisions.accept(revision, time.monotonic()):
            raise PolicyUnavailable("revision")
        return read_decision(reply["result"], revision)


def _client(server: OpaServer, timeout: float) -> AsyncOpaClient:
    from opa_client.opa_async import AsyncOpaClient  # noqa: PLC0415 — 0.3 s that only OPA's users pay

    # Retries would hide a failure for seconds.
    return AsyncOpaClient(
        host=server.host,
        port=server.port,
        ssl=server.tls,
        token=server.token,
        retries=0,
        timeout=timeout,
    )
