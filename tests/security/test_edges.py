"""What the edge lets in, for how long and from how many: asked of `sluice serve` as a process.

The table of docs/edges.md names these tests. Times and places are those of `tests.quick_serve`.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import httpx
import pytest

from gateway.serving.repeats import REPLAYED
from tests.edge_process import EdgeProcess, edge_process, heard
from tests.gateway_factory import COST, copy_policies
from tests.quick_serve import ANSWER, QUERY

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
FORM_TYPE = b"Content-Type: application/x-www-form-urlencoded\r\n"
FORM = b"POST /oauth/token HTTP/1.1\r\nHost: x\r\n" + FORM_TYPE
CHUNKED = FORM + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"Connection: close\r\n\r\n"
SAFE = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@pytest.fixture(scope="module")
def edge(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProcess]:
    folder = tmp_path_factory.mktemp("edge")
    policies = copy_policies(folder / "policies", lookback_months=1200)
    with edge_process(released_home, folder, policies=policies) as running:
        yield running


def parts(answer: bytes) -> tuple[int, dict[str, str], dict[str, object]]:
    """Status, headers and body of one raw answer; status 0 where there is none."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    told = json.loads(body) if body.startswith(b"{") else {}
    return int(first.split(" ")[1]) if first else 0, headers, told


def status(edge: EdgeProcess, *pieces: bytes) -> int:
    return parts(edge.said(*pieces))[0]


@pytest.mark.parametrize(
    "message",
    [
        FORM + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        FORM + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        FORM + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        FORM + b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc",
        FORM + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"5\nhello\r\n0\r\n\r\n",
        CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nhelloX0\r\n\r\n",
        CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        GET + b"X-A: a\r\n b\r\n\r\n",
        b"GET /healthz HTTP/1.1\nHost: x\n\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\nX-A: b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        GET + b"Host: y\r\n" + LAST,
        b"GET /healthz HTTP/2.0\r\nHost: x\r\n" + LAST,
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ],
)
def test_a_message_that_can_be_read_in_two_ways_is_one_answer_400(
    edge: EdgeProcess, message: bytes
) -> None:
    heard = edge.said(message + (b"" if message.endswith(b"\x01") else GET + LAST))
    code, headers, told = parts(heard.partition(b"HTTP/1.1 200")[0])
    assert code == 400
    assert told["code"] in {"bad_request", "bad_host"}
    assert headers.items() >= SAFE.items()


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, identity", "x-unknown"])
def test_a_body_in_a_coding_is_not_even_decoded(edge: EdgeProcess, coding: str) -> None:
    bomb = gzip.compress(b"0" * 20_000_000)
    packed = {"Content-Encoding": coding, "Content-Type": "application/json"}
    reply = edge.ask(content=bomb, headers=packed)
    assert (reply.status_code, reply.json()["code"]) == (415, "unsupported_encoding")


BOMBS = {
    "depth": b"[" * 60_000,
    "deep objects": b'{"a":' * 9_000,
    "digits": b'{"a":' + b"9" * 60_000 + b"}",
    "exponent": b'{"a":1e999999999}',
    "not a number": b'{"a":NaN}',
    "half a pair": b'{"a":"\\ud800"}',
    "many names": b"{" + b",".join(b'"%d":0' % n for n in range(6000)) + b"}",
    "twice": b'{"purpose":"a",' + json.dumps(COST).encode()[1:],
    "twice inside": json.dumps(COST).encode().replace(b'"grain"', b'"to":"2024Q4","grain"'),
}


def test_no_json_body_is_a_bomb_anywhere(edge: EdgeProcess) -> None:
    """Every operation of the document that takes JSON, each bomb, by one who may ask."""
    paths = edge.http.get("/openapi.json").json()["paths"]
    addresses = [
        path.replace("{service}", "S02")
        for path, methods in paths.items()
        if "application/json" in methods.get("post", {}).get("requestBody", {}).get("content", {})
    ]
    assert len(addresses) > 20
    auth, found = edge.auth(), {}
    for number, address in enumerate(addresses):
        for name in list(BOMBS)[number % 3 :: 3]:
            headers = {"Content-Type": "application/json"}
            reply = edge.http.post(address, content=BOMBS[name], headers=headers, auth=auth)
            if not 400 <= reply.status_code < 500:
                found[address, name] = reply.status_code
    assert found == {}


@pytest.mark.parametrize("piece", [b"", b" \r\n"])
@pytest.mark.parametrize("bomb", ["twice", "twice inside"])
def test_a_name_given_twice_is_refused_however_the_body_arrives(
    edge: EdgeProcess, bomb: str, piece: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    body = (part for part in (piece, BOMBS[bomb][:20], BOMBS[bomb][20:]) if part)
    reply = edge.ask(content=body, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (400, "duplicate_name")


SANDBOX = ("/v1/sandbox", "/v1/conformance")


def test_a_body_of_another_type_is_415_wherever_json_is_asked_for(edge: EdgeProcess) -> None:
    paths = edge.http.get("/openapi.json").json()["paths"]
    found = {}
    for path, methods in paths.items():
        asked = methods.get("post", {}).get("requestBody", {}).get("content", {})
        if "application/json" not in asked or path.startswith(("/access/", *SANDBOX)):
            continue  # these answer a stranger, or outside a sandbox, before they read anything
        reply = edge.http.post(
            path.replace("{service}", "S02"),
            content=b"{}",
            headers={"Content-Type": "text/plain"},
            auth=edge.auth(),
        )
        if reply.status_code != 415:
            found[path] = reply.status_code
    assert found == {}


def test_every_answer_carries_the_safe_headers(edge: EdgeProcess) -> None:
    http = edge.http
    answers = [
        http.get("/healthz"),
        http.get("/nowhere"),
        http.request("PATCH", "/healthz"),
        http.post("/oauth/token", content=b"a" * 70_000),
        http.post("/v1/services/S02/queries", json=COST),
        http.get("/admin/v1/tenants"),
        edge.ask(),
        edge.ask(content=b"{", headers={"Content-Type": "application/json"}),
    ]
    assert {200, 400, 401, 404, 405, 413} <= {each.status_code for each in answers}
    shown = [dict(each.headers) for each in answers]
    raw = [edge.said(b"no HTTP\r\n\r\n"), edge.said(GET + b"X: " + b"a" * 40_000)]
    shown += [parts(each)[1] for each in raw]
    for headers in shown:
        assert headers.items() >= SAFE.items()
        assert "server" not in headers


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"01-{TRACE}-{SPAN}-01-more", True),
        (f"00-{TRACE}-{SPAN}-01-more", False),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-{SPAN}-01", False),
        ("110101199003078515", False),
        ("", False),
    ],
)
def test_a_trace_goes_on_through_answer_and_record(
    edge: EdgeProcess, given: str, same: bool
) -> None:
    reply = edge.ask(headers={"traceparent": given} if given else {})
    request_id = reply.headers["sluice-request-id"]
    trace = TRACE if same else request_id.replace("-", "")
    assert reply.json()["meta"]["trace_id"] == trace
    assert reply.headers["traceresponse"] == f"00-{trace}-{request_id.replace('-', '')[-16:]}-00"
    assert "trace" not in edge.logged(request_id)  # an id of the caller's may be a person's


@pytest.mark.parametrize(
    "start", [b"", b"GE", GET, GET + b"X: a", FORM + b"Content-Length: 90\r\n\r\na", CHUNKED]
)
def test_a_request_that_dribbles_in_ends_its_connection(edge: EdgeProcess, start: bytes) -> None:
    with edge.line() as raw:
        with contextlib.suppress(ConnectionError):
            raw.sendall(start)
        assert heard(raw) == b""


def test_an_answer_that_nobody_reads_is_given_up(edge: EdgeProcess) -> None:
    """The reader takes nothing for a while; then what it gets ends before the answers do."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(20)
        raw.connect(("127.0.0.1", edge.settings.port))
        raw.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        before = edge.metric("process_open_fds")
        while edge.metric("process_open_fds") >= before:
            pass  # until the server has let go of it
        assert len(heard(raw)) < 20 * len(edge.http.get("/openapi.json").content)


def test_an_answer_that_is_read_slowly_is_finished(edge: EdgeProcess) -> None:
    whole = len(edge.http.get("/openapi.json").content)
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(20)
        raw.connect(("127.0.0.1", edge.settings.port))
        raw.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert len(heard(raw)) > whole


@contextlib.contextmanager
def writing_stopped(edge: EdgeProcess) -> Iterator[None]:
    """Nothing can be recorded inside the block, so that every question has to wait."""
    with contextlib.closing(sqlite3.connect(edge.settings.journal, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


def test_the_flood_of_one_is_shed_and_raises_nobody_elses_refusals(edge: EdgeProcess) -> None:
    for client in ("ins-app", "ins-batch", "ins2-app"):
        edge.ask(client)  # its token is there and its questions are priced
    with ThreadPoolExecutor(24) as pool:
        with writing_stopped(edge):
            flood = [pool.submit(edge.ask, client) for client in ("ins-app", "ins-batch") * 8]
            shed = _first(flood, len(flood) - QUERY.share)
            others = [pool.submit(edge.ask, "ins2-app") for _ in range(QUERY.kept)]
        answers = [each.result() for each in [*flood, *others]]
    assert all(reply.status_code == 200 for reply in answers[len(flood) :])
    assert sum(reply.status_code == 200 for reply in answers) == QUERY.share + QUERY.kept
    for reply in shed:
        assert (reply.status_code, reply.json()["code"]) == (503, "too_busy")
        assert reply.headers["retry-after"] == "1"
    assert edge.metric('gateway_shed_requests_total{kind="query"}') == len(shed)
    assert edge.ask().status_code == 200  # every place was given back


def _first(flood: list[Future[httpx.Response]], count: int) -> list[httpx.Response]:
    """The answers that come while the others wait."""
    return [done.result() for _, done in zip(range(count), as_completed(flood), strict=False)]


def test_an_answer_that_does_not_begin_is_given_up_in_time(edge: EdgeProcess) -> None:
    """Its record is in the making then: a repeat of the call is answered by it, charged once."""
    key = {"Idempotency-Key": "given-up-in-time-1"}
    with ThreadPoolExecutor(1) as pool:
        with writing_stopped(edge):
            asked = pool.submit(edge.ask, headers=key)
            time.sleep(ANSWER + 1)
        reply = asked.result()
    assert (reply.status_code, reply.json()["code"]) == (503, "timed_out")
    assert int(reply.headers["retry-after"]) > 0
    again = edge.ask(headers=key)
    assert (again.status_code, again.headers[REPLAYED]) == (200, "true")
