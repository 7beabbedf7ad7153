"""What a stranger can make the server keep or wait for: little, and not for long."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from gateway.api import connection
from gateway.api.connection import ARRIVAL_SECONDS, HEAD_LIMIT, MESSAGE_LIMIT, MOST_HEADERS
from tests.gateway_factory import Gateway

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
FORM = b"application/x-www-form-urlencoded"
POST = b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: " + FORM + b"\r\n"


@contextlib.contextmanager
def connected(gateway: Gateway) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", gateway.settings.port), timeout=20) as raw:
        yield raw


def heard(raw: socket.socket) -> bytes:
    """Everything until the server closes."""
    pieces = []
    with contextlib.suppress(ConnectionError):
        while piece := raw.recv(65_536):
            pieces.append(piece)
    return b"".join(pieces)


def status(gateway: Gateway, *pieces: bytes) -> int:
    with connected(gateway) as raw:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                raw.sendall(piece)
        answer = heard(raw)
        return int(answer.split(b" ", 2)[1]) if answer else 0


def test_a_head_within_the_limits_is_answered(gateway: Gateway) -> None:
    headers = b"".join(b"X-%d: %s\r\n" % (n, b"a" * 200) for n in range(MOST_HEADERS - 3))

    assert status(gateway, GET, headers, b"Connection: close\r\n\r\n") == 200


@pytest.mark.parametrize(
    "pieces",
    [
        [GET + b"X: " + b"a" * HEAD_LIMIT + b"\r\n\r\n"],
        [GET, b"X: " + b"a" * (2 * HEAD_LIMIT), b"a" * HEAD_LIMIT],
        [GET, *[b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(200)]],
        [GET + b"".join(b"X-%d: a\r\n" % n for n in range(MOST_HEADERS)) + b"\r\n"],
        [b"GET /" + b"a" * HEAD_LIMIT + b" HTTP/1.1\r\nHost: x\r\n\r\n"],
    ],
    ids=["one value", "one value without end", "dribbled", "many", "address"],
)
def test_a_larger_head_is_431_and_ends_the_connection(
    gateway: Gateway, pieces: list[bytes]
) -> None:
    assert status(gateway, *pieces) in {431, 0}  # 0: closed while we still wrote


def test_trailers_count_like_headers(gateway: Gateway) -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
    trailers = b"".join(b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(200))

    assert status(gateway, chunked, trailers) != 200


def test_a_body_that_never_ends_is_cut_off_after_its_answer(gateway: Gateway) -> None:
    chunk = b"%x\r\n%s\r\n" % (65_536, b"a" * 65_536)
    pieces = [chunk] * (2 * MESSAGE_LIMIT // len(chunk))

    assert status(gateway, POST + b"Transfer-Encoding: chunked\r\n\r\n", *pieces) in {400, 413, 0}


def test_two_requests_in_one_packet_are_counted_apart(gateway: Gateway) -> None:
    large = GET + b"X: " + b"a" * (HEAD_LIMIT - 200) + b"\r\n\r\n"
    last = GET + b"Connection: close\r\nX: " + b"a" * (HEAD_LIMIT - 200)
    with connected(gateway) as raw:
        raw.sendall(large + last)
        raw.sendall(b"\r\n\r\n")
        assert heard(raw).count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    "start", [b"", b"GET", GET + b"X: a", POST + b"Content-Length: 9\r\n\r\na"]
)
def test_a_request_that_does_not_arrive_ends_its_connection(
    gateway: Gateway, start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ARRIVAL_SECONDS <= 30
    monkeypatch.setattr(connection, "ARRIVAL_SECONDS", 0.3)
    with connected(gateway) as raw:
        raw.sendall(start)
        assert heard(raw) == b""


def test_a_connection_that_was_used_may_wait_for_its_next_request(gateway: Gateway) -> None:
    with connected(gateway) as raw:
        for _ in range(3):
            raw.sendall(GET + b"\r\n")
            assert raw.recv(65_536).startswith(b"HTTP/1.1 200")
