"""What a stranger can make the server keep or wait for: little, and not for long."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
from collections.abc import Iterator

import pytest

from gateway.api import connection
from gateway.api.connection import (
    ARRIVAL_SECONDS,
    HEAD_LIMIT,
    MESSAGE_LIMIT,
    MOST_CONNECTIONS,
    MOST_HEADERS,
    places,
)
from tests.gateway_factory import Gateway

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
WHOLE = GET + b"\r\n"
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
    gateway: Gateway, pieces: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ARRIVAL_SECONDS", 600)  # it is not to be ended for lateness
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


def test_there_are_fewer_places_than_files_may_be_open() -> None:
    assert (places(1024), places(300), places(10**6)) == (768, 64, 4096)
    assert places(resource.RLIM_INFINITY) == 4096
    assert 64 <= MOST_CONNECTIONS <= 4096


def test_with_all_places_taken_the_one_that_waits_longest_gives_way(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 3)
    with connected(gateway) as slow, connected(gateway) as used, connected(gateway) as idle:
        slow.sendall(GET)  # and never the rest
        for raw in (used, idle):
            raw.sendall(GET + b"\r\n")
            assert raw.recv(65_536).startswith(b"HTTP/1.1 200")
        with connected(gateway) as newest:
            assert heard(slow) == b""
            for raw in (newest, used):
                raw.sendall(GET + b"\r\n")
                assert raw.recv(65_536).startswith(b"HTTP/1.1 200")
            with connected(gateway) as another:
                assert heard(idle) == b""  # it waited longer than `used` by now
                another.sendall(GET + b"\r\n")
                assert another.recv(65_536).startswith(b"HTTP/1.1 200")


def test_while_everybody_is_being_answered_the_newest_is_turned_away(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 0)
    monkeypatch.setattr(connection.GatewayProtocol, "is_waiting", lambda _self: False)
    with connected(gateway) as raw:
        head, _, body = heard(raw).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 5" in head
    assert json.loads(body)["code"] == "too_many_connections"
    monkeypatch.undo()
    assert status(gateway, GET, b"Connection: close\r\n\r\n") == 200


def test_a_flood_of_slow_connections_keeps_nobody_out(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 8)
    with contextlib.ExitStack() as flood:
        for _ in range(60):
            raw = flood.enter_context(connected(gateway))
            raw.sendall(GET + b"X: ")  # and never the rest
            assert status(gateway, GET, b"Connection: close\r\n\r\n") == 200


@pytest.mark.parametrize(
    ("asked", "answers"),
    [
        (WHOLE + b"\0\r\n\r\n", [200, 400]),
        (WHOLE + WHOLE + b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost\r\n\r\n", [200, 200, 400]),
        (WHOLE + POST + b"Transfer-Encoding: chunked\r\n\r\nz\r\n", [200, 400]),
        (b"GET \xff HTTP/1.1\r\nHost: x\r\n\r\n", [400]),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nz\r\n", [400]),
    ],
    ids=["noise behind one", "behind two", "a bad body behind one", "alone", "a bad body alone"],
)
def test_a_refusal_overtakes_no_answer_to_a_request_before_it(
    gateway: Gateway, caplog: pytest.LogCaptureFixture, asked: bytes, answers: list[int]
) -> None:
    with connected(gateway) as raw:
        raw.sendall(asked)
        told = heard(raw)
    assert [int(one[:3]) for one in told.split(b"HTTP/1.1 ")[1:]] == answers
    assert not [each for each in caplog.records if each.name == "sluice.failures"]
