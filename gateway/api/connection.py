"""The served connection: certificates of clients, and limits on what a stranger may send.

uvicorn leaves the client's certificate in the socket; this protocol hands it to the application in
the scope's tls extension. The certificate is asked for, not required: a DPoP client has none. One
that is shown must come from the configured CA, or the handshake fails.

uvicorn also takes headers of any size, for any time, on any number of connections. Here a request's
head is small (431), a request that has not arrived after some seconds ends its connection, an
answer that is not read ends it too, and connections are fewer than files may be open: with all
places taken, the one whose client keeps us waiting longest gives way, and when everybody is being
answered the newest is turned away (503).
"""

from __future__ import annotations

import asyncio
import resource
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import uuid_utils
import uvloop
from uvicorn import Config
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.api.headers import SAFE
from gateway.api.problems import RETRY_SECONDS, problem

HEAD_LIMIT = 32 * 1024
MOST_HEADERS = 100
MESSAGE_LIMIT = 1024 * 1024
"""Octets of one request on the wire; `gateway.api.edge` limits its body much sooner."""
ARRIVAL_SECONDS = 20.0

_SPARE_FILES = 256  # for databases, the journal, releases, and connections that are going
_MOST_PLACES = 4096


def places(open_files: int) -> int:
    """How many connections a process that may open this many files takes."""
    if open_files == resource.RLIM_INFINITY:
        return _MOST_PLACES
    return max(64, min(open_files - _SPARE_FILES, _MOST_PLACES))


MOST_CONNECTIONS = places(resource.getrlimit(resource.RLIMIT_NOFILE)[0])

# RFC 9325 §4.2 for TLS 1.2; TLS 1.3 has its own suites, all of them good.
_CIPHERS = "ECDHE+AESGCM"
_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
STALL_SECONDS = 20.0
STALL_OCTETS = 64 * 1024
"""What a client has to read of its answer in that time, as long as something waits for it."""
HANDSHAKE_SECONDS = 10.0


def _last_word(code: str, *, retry: bool = False) -> bytes:
    """A whole answer for what never becomes a request of the application."""
    response = problem(code, str(uuid_utils.uuid7()))
    headers = {**SAFE, **dict(response.headers), "connection": "close"}
    if retry:
        headers["retry-after"] = RETRY_SECONDS
    lines = [f"{name.lower()}: {value}" for name, value in headers.items()]
    phrase = HTTPStatus(response.status_code).phrase
    head = "\r\n".join([f"HTTP/1.1 {response.status_code} {phrase}", *lines, "", ""])
    return head.encode("latin-1") + bytes(response.body)


class GatewayLoop(uvloop.Loop):
    """The event loop of the server: a TLS handshake that does not come about ends soon."""

    async def create_server(self, *args: Any, **named: Any) -> Any:  # Any: as asyncio's
        if named.get("ssl") is not None:
            named.setdefault("ssl_handshake_timeout", HANDSHAKE_SECONDS)
        return await super().create_server(*args, **named)


class HeadTooLarge(Exception):
    """The parser is to stop; it turns this into an error of its own."""


class GatewayProtocol(HttpToolsProtocol):
    """One connection: its certificate in every request's scope, its requests within limits."""

    _extensions: dict[str, dict[str, object]]
    _arriving: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _messages = 0
    _in_head = False
    _in_message = False
    _head = 0  # octets of the head that the parser has handed over
    _octets = 0  # of this request, but for its part of a piece that others share
    _running: RequestResponseCycle | None = None  # the one being answered; others wait behind it
    _last = b""  # a refusal that waits for the answers to the requests before it
    _since = 0.0  # when the client's turn to send began

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        # We are told of all that is not read at once. With 0, uvloop would never go on under TLS.
        transport.set_write_buffer_limits(high=1)
        connection = transport.get_extra_info("ssl_object")
        self._extensions = {} if connection is None else {"tls": _tls_extension(connection)}
        self._since = time.monotonic()
        if not self._has_place():
            self._refuse("too_many_connections", retry=True)
            return
        self._await_arrival()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        self._read()
        self._hang_up()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._last:
            return
        message, within = self._messages, self._in_message
        super().data_received(data)
        if not self._in_message or self._last or self.transport.is_closing():
            return
        self._await_arrival()
        if message == self._messages:
            self._octets += len(data)
        else:  # which part of a piece with several requests is this one's, nobody says
            self._octets = len(data) if self._messages == message + 1 and not within else 0
        if self._in_head and self._octets > HEAD_LIMIT:
            self._refuse("head_too_large")
        elif self._octets > MESSAGE_LIMIT:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        if self._head > HEAD_LIMIT:
            self._refuse("head_too_large")
        else:
            self._refuse("bad_request")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]  # one more extension
        self._in_head = self._in_message = True
        self._messages += 1
        self._head = 0

    def on_url(self, url: bytes) -> None:
        self._grow(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MOST_HEADERS:
            self._grow(HEAD_LIMIT)
        self._grow(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head = False

    def on_message_complete(self) -> None:
        self._in_message = False
        self._arrived()
        super().on_message_complete()

    def _grow(self, octets: int) -> None:
        self._head += octets
        if self._head > HEAD_LIMIT:
            raise HeadTooLarge

    def on_response_complete(self) -> None:
        self._since = time.monotonic()
        if self._last and not self.pipeline and not self.transport.is_closing():
            self._close_with(self._last)
        super().on_response_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _refuse(self, code: str, *, retry: bool = False) -> None:
        """End the connection with this answer, behind those to the requests before it: a client
        takes the first answer for its first request's."""
        word = _last_word(code, retry=retry)
        broken = self.cycle if self._in_message and not self._in_head else None
        if self.pipeline and self.pipeline[0][0] is broken:
            self.pipeline.popleft()
        running = self._running
        if running is broken and running is not None:
            begun = running.response_started
            self._hang_up()
            self._close_with(b"" if begun else word)
        elif running is None or running.response_complete:
            self._close_with(word)
        else:
            self._arrived()
            self._last = word

    def _close_with(self, word: bytes) -> None:
        self.transport.write(word)
        self.transport.close()

    def _hang_up(self) -> None:
        """Tell the running request that nobody is there; uvicorn tells only the newest."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def pause_writing(self) -> None:
        """The client does not read as fast as we write: from now on that is watched."""
        super().pause_writing()
        if self._stalled is None:
            self._since = time.monotonic()
            self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read()

    def _watch_reader(self) -> None:
        waits = self.transport.get_write_buffer_size()
        self._stalled = self.loop.call_later(STALL_SECONDS, self._check_reader, waits)

    def _check_reader(self, waited: int) -> None:
        """Go on as long as enough is read; closing would wait for the rest, so this is an end."""
        if waited - self.transport.get_write_buffer_size() < STALL_OCTETS:
            self.transport.abort()
        else:
            self._watch_reader()

    def _read(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _has_place(self) -> bool:
        """Whether there is a place; with all taken, the connection that keeps us waiting longest
        gives way. False when none does."""
        if len(self.connections) <= MOST_CONNECTIONS:
            return True
        others = (each for each in self.connections if isinstance(each, GatewayProtocol))
        open_ones = [each for each in others if each.is_stalled() or not each.is_closing()]
        if len(open_ones) <= MOST_CONNECTIONS:
            return True
        waiting = [each for each in open_ones if each is not self and each.is_waiting()]
        if not waiting:
            return False
        min(waiting, key=lambda each: each._since).transport.abort()
        return True

    def is_waiting(self) -> bool:
        """Whether it is the client's turn: to send the rest of a request, or to read."""
        idle = self.cycle is None or self.cycle.response_complete
        return idle or self._arriving is not None or self.is_stalled()

    def is_stalled(self) -> bool:
        """Whether something of an answer waits to be read, maybe the last before it closes."""
        return self._stalled is not None

    def is_closing(self) -> bool:
        """Whether it is about to be closed."""
        return bool(self.transport.is_closing())

    def _await_arrival(self) -> None:
        """From now on the clock runs, until a request has arrived as a whole."""
        if self._arriving is None:
            self._arriving = self.loop.call_later(ARRIVAL_SECONDS, self.transport.close)

    def _arrived(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None


def _tls_extension(connection: ssl.SSLObject) -> dict[str, object]:
    """ASGI's tls extension; names of certificates are left to who reads them."""
    der = connection.getpeercert(binary_form=True)
    return {
        "server_cert": None,
        "client_cert_chain": [ssl.DER_cert_to_PEM_cert(der)] if der else [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": _VERSIONS.get(connection.version() or ""),
        "cipher_suite": None,
    }


def tls_options(
    cert: Path | None, key: Path | None, client_ca: Path | None
) -> dict[str, Any]:  # Any: uvicorn's own options
    """Options for uvicorn; none without a certificate of the server."""
    if cert is None:
        return {}

    def context(_config: Config, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        made = default()
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.set_ciphers(_CIPHERS)
        made.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        if client_ca is not None:
            made.verify_mode = ssl.CERT_OPTIONAL
            made.load_verify_locations(client_ca)
        return made

    return {"ssl_certfile": cert, "ssl_keyfile": key, "ssl_context_factory": context}
