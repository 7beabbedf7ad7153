"""A load of kept connections, each with one request at a time, and what it costs the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Final, cast

import uvloop

SERVER_CORE: Final = 0
CLIENT_CORE: Final = 1

Requests = Iterator[bytes]


@dataclass(frozen=True)
class Load:
    """One turn: answers, CPU of the server for each in µs, wall seconds, latencies in ms; and the
    bodies that were looked at."""

    answers: int
    cpu_us: float
    seconds: float
    p50_ms: float
    p99_ms: float
    bodies: tuple[bytes, ...] = ()

    @property
    def per_second(self) -> float:
        """Answers by the clock on the wall."""
        return self.answers / self.seconds


def middle(loads: Sequence[Load]) -> Load:
    """The median of each figure."""
    names = ("cpu_us", "seconds", "p50_ms", "p99_ms")
    found = {name: median(getattr(one, name) for one in loads) for name in names}
    return Load(int(median(one.answers for one in loads)), **found)


def used(pids: Sequence[int]) -> float:
    """CPU seconds of all threads of these processes."""
    return sum(_used(pid) for pid in pids)


def _used(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def turn(
    port: int,
    pids: Sequence[int],
    requests: Sequence[Requests],
    *,
    look: Callable[[bytes], bytes | None] | None = None,
) -> Load:
    """Send what each connection has to send; every answer must be a 200. `look` may keep something
    of a body; what it says None to is not kept."""
    before, began = used(pids), time.perf_counter()
    asking = uvloop.run(_all(port, requests, look))
    seconds, spent = time.perf_counter() - began, used(pids) - before
    times = sorted(ms for one in asking for ms in one.times)
    cuts = quantiles(times, n=100)
    kept = tuple(body for one in asking for body in one.kept)
    return Load(len(times), spent / len(times) * 1e6, seconds, cuts[49], cuts[98], kept)


class _Asking(asyncio.Protocol):
    """One connection, at little cost: it must not be what is measured."""

    def __init__(self, requests: Requests, look: Callable[[bytes], bytes | None] | None) -> None:
        self._requests, self._look = requests, look
        self._got, self._length, self._begun = bytearray(), -1, 0.0
        self.times: list[float] = []
        self.kept: list[bytes] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        self._got.clear()
        self._length = -1
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._begun = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._length < 0:
            ends = self._got.find(b"\r\n\r\n")
            if ends < 0:
                return
            head = bytes(self._got[:ends]).lower()
            stated = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._length = ends + 4 + int(stated)
            if not head.startswith(b"http/1.1 200 "):
                self._fail(self._got.decode("utf-8", "replace")[:1500])
                return
        if len(self._got) < self._length:
            return
        self.times.append((time.perf_counter() - self._begun) * 1000)
        if self._look and (kept := self._look(bytes(self._got))):
            self.kept.append(kept)
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the connection was lost: {error}")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(AssertionError(why))


async def _all(
    port: int, requests: Sequence[Requests], look: Callable[[bytes], bytes | None] | None
) -> list[_Asking]:
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda each=each: _Asking(each, look), "127.0.0.1", port)
        for each in requests
    ]
    asking = [protocol for _, protocol in made]
    await asyncio.gather(*(one.done for one in asking))
    return asking


def post(path: str, port: int, body: bytes, *lines: str) -> bytes:
    """A request of HTTP/1.1 as bytes."""
    head = (
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/json",
        *lines,
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*head, "", "")).encode() + body
