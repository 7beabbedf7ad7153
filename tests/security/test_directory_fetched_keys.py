"""Keys at a client's address: fetched over real TLS, and never a way into our own network."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.db.engine import reading, writing
from gateway.db.tables import DirectoryAuditRow
from gateway.identity.caretaker import Caretaker
from gateway.identity.changes import update_client
from gateway.identity.directory import Directory
from gateway.identity.entries import ClientTerms
from gateway.identity.fetched_keys import EVERY, OLDEST, SOONEST
from gateway.identity.jwks_remote import (
    MOST_BYTES,
    FetchRefused,
    FetchRule,
    checked_address,
    fetch_jwks,
    may_connect,
)
from tests.certificates import Authority, new_authority
from tests.directory_factory import BOUNDS, add_client, add_tenant, empty_directory
from tests.factories_identity import NOON, act, new_key, public

Answer = Callable[[BaseHTTPRequestHandler], None]


def _json(document: object, status: int = 200, media: str = "application/json") -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", media)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@dataclass
class KeyServer:
    """A client's own https server on the loopback."""

    uri: str
    rule: FetchRule
    answer: Answer = field(default=_json({"keys": []}))
    asked: list[str] = field(default_factory=list)


@contextmanager
def key_server(authority: Authority, host: str = "127.0.0.1") -> Iterator[KeyServer]:
    """Serve, with a certificate for `localhost` from the test's own authority."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            served.answer(self)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer((host, 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = authority.issue("localhost", dns="localhost", server=True)
    context.load_cert_chain(issued.path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    uri = f"https://localhost:{server.server_port}/keys"
    served = KeyServer(uri, FetchRule(loopback=True, ca_file=authority.path))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def server(authority: Authority) -> Iterator[KeyServer]:
    with key_server(authority) as served:
        yield served


PUBLIC = ("8.8.8.8", "2606:4700::1111")
INNER = (
    "0.0.0.0",  # noqa: S104 — nothing is bound
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:0a00:0001::1",
    "2001:0:0a00:1::1",
    "fe80::1",
    "fc00::1",
    "ff02::1",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_connected_to(address: str) -> None:
    assert may_connect(ip_address(address), loopback=False)


@pytest.mark.parametrize("address", INNER)
def test_addresses_of_inner_networks_may_not(address: str) -> None:
    assert not may_connect(ip_address(address), loopback=False)


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1"])
def test_allowing_this_machine_allows_no_other(address: str) -> None:
    assert not may_connect(ip_address(address), loopback=True)
    assert may_connect(ip_address("127.0.0.1"), loopback=True)


def test_a_host_with_one_inner_address_among_public_ones_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The name service is the one thing a test cannot run for real.
    def resolve(*_: object, **__: object) -> list[Any]:
        return [(0, 0, 0, "", ("8.8.8.8", 443)), (0, 0, 0, "", ("10.0.0.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(FetchRefused, match="public network"):
        checked_address("mixed.example", 443, loopback=False)


@pytest.mark.parametrize(
    "uri", ["https://127.0.0.1/keys", "https://[::1]/keys", "https://localhost/keys"]
)
def test_this_machine_is_not_asked_unless_a_setting_allows_it(uri: str) -> None:
    with pytest.raises(FetchRefused, match="public network"):
        fetch_jwks(uri, FetchRule())


def test_keys_come_over_tls_from_the_named_host(server: KeyServer) -> None:
    key = public(new_key())
    server.answer = _json({"keys": [key]}, media="application/jwk-set+json; charset=utf-8")
    fetched = fetch_jwks(f"{server.uri}?v=1", server.rule)
    assert fetched["keys"][0]["kid"] == key["kid"]  # type: ignore[index]  # JSON
    assert server.asked == ["/keys?v=1"]


def test_a_certificate_of_another_authority_is_refused(server: KeyServer, tmp_path: Path) -> None:
    stranger = FetchRule(loopback=True, ca_file=new_authority(tmp_path).path)
    with pytest.raises(FetchRefused, match="SSLCertVerificationError"):
        fetch_jwks(server.uri, stranger)


def test_a_certificate_of_another_host_is_refused(authority: Authority) -> None:
    with key_server(authority, host="127.0.0.2") as server:
        server.answer = _json({"keys": [public(new_key())]})
        there = server.uri.replace("localhost", "127.0.0.2")
        with pytest.raises(FetchRefused, match="SSLCertVerificationError"):
            fetch_jwks(there, server.rule)
    assert server.asked == []


def _redirect(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "https://169.254.169.254/keys")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def _broken_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{")


@pytest.mark.parametrize(
    "answer",
    [
        _redirect,
        _broken_off,
        _json({"keys": []}),
        _json({"keys": [public(new_key())]}, status=404),
        _json({"keys": [public(new_key())]}, media="text/html"),
        _json(b"not json"),
        _json(b"[" * 50_000),
        _json({"keys": [new_key().as_dict(private=True)]}),
        _json(b" " * (MOST_BYTES + 1)),
    ],
)
def test_an_answer_that_is_no_acceptable_key_set_is_refused(
    server: KeyServer, answer: Answer
) -> None:
    server.answer = answer
    with pytest.raises(Exception, match=r"keys? (cannot be fetched|set is refused)") as caught:
        fetch_jwks(server.uri, server.rule)
    assert type(caught.value).__name__ in {"FetchRefused", "OperatorError"}


def test_an_answer_that_drips_is_broken_off(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.identity.jwks_remote._SECONDS", 0.3)
    gone = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.end_headers()
        for _ in range(100):
            if gone.wait(0.1):
                return
            handler.wfile.write(b" ")
            handler.wfile.flush()

    server.answer = drip
    with pytest.raises(FetchRefused):
        fetch_jwks(server.uri, server.rule)
    gone.set()


@dataclass
class Care:
    """A caretaker at a clock the test moves, and the directory it keeps."""

    engine: sa.Engine
    directory: Directory
    caretaker: Caretaker
    now: list[datetime]

    def round(self, **later: float) -> tuple[str, ...]:
        """One round some time later; the kids the client can use afterwards."""
        self.now[0] += timedelta(**later)
        self.directory.refresh()
        self.caretaker.round()
        self.directory.refresh()
        return tuple(key.kid for key in self.directory.snapshot.keys["app"])


@pytest.fixture
def care(tmp_path: Path, server: KeyServer) -> Iterator[Care]:
    with empty_directory(tmp_path) as engine:
        add_tenant(engine)
        add_client(engine, jwks_uri=server.uri)
        directory, now = Directory(engine, BOUNDS), [NOON]
        yield Care(
            engine, directory, Caretaker(engine, directory, lambda: now[0], server.rule), now
        )


def actions(engine: sa.Engine) -> list[str]:
    with reading(engine) as session:
        return list(session.scalars(sa.select(DirectoryAuditRow.action)))


def test_a_clients_keys_are_fetched_and_renewed_in_time(care: Care, server: KeyServer) -> None:
    old, new = public(new_key()), public(new_key())
    assert care.directory.snapshot.keys["app"] == ()
    server.answer = _json({"keys": [old]})
    assert care.round() == (old["kid"],)
    server.answer = _json({"keys": [new]})
    assert care.round(seconds=60) == (old["kid"],)
    assert care.round(seconds=EVERY.total_seconds()) == (new["kid"],)
    assert actions(care.engine)[-2:] == ["fetch_keys", "fetch_keys"]


def test_what_does_not_change_is_not_recorded(care: Care, server: KeyServer) -> None:
    server.answer = _json({"keys": [public(new_key())]})
    care.round()
    before = len(actions(care.engine))
    care.round(seconds=EVERY.total_seconds() + 1)
    assert len(server.asked) == 2
    assert len(actions(care.engine)) == before


def test_the_last_good_keys_stay_until_they_are_too_old(care: Care, server: KeyServer) -> None:
    key = public(new_key())
    server.answer = _json({"keys": [key]})
    care.round()
    server.answer = _redirect
    assert care.round(seconds=EVERY.total_seconds()) == (key["kid"],)
    assert care.round(seconds=SOONEST.total_seconds()) == (key["kid"],)
    assert len(server.asked) == 3
    assert care.round(seconds=OLDEST.total_seconds()) == ()
    assert actions(care.engine)[-1] == "drop_old_keys"
    server.answer = _json({"keys": [key]})
    assert care.round(seconds=SOONEST.total_seconds()) == (key["kid"],)


def test_an_unknown_key_brings_the_next_fetch_forward_but_not_each_time(
    care: Care, server: KeyServer
) -> None:
    server.answer = _json({"keys": [public(new_key())]})
    care.round()
    for _ in range(5):
        care.caretaker.ask_again("app")
        care.round(seconds=5)
    assert len(server.asked) == 1
    care.caretaker.ask_again("app")
    new = public(new_key())
    server.answer = _json({"keys": [new]})
    assert care.round(seconds=SOONEST.total_seconds()) == (new["kid"],)
    assert len(server.asked) == 2


def test_two_replicas_fetch_once(care: Care, server: KeyServer) -> None:
    server.answer = _json({"keys": [public(new_key())]})
    other = Caretaker(care.engine, care.directory, lambda: care.now[0], server.rule)
    care.round()
    other.round()
    assert len(server.asked) == 1


def test_a_client_that_moves_its_keys_has_none_until_they_are_fetched(
    care: Care, server: KeyServer
) -> None:
    server.answer = _json({"keys": [public(new_key())]})
    care.round()
    terms = ClientTerms(jwks_uri=f"{server.uri}/new")
    with writing(care.engine) as session:
        update_client(session, act(), "app", name="测试", jwks=None, terms=terms)
    care.directory.refresh()
    assert care.directory.snapshot.keys["app"] == ()
    assert len(care.round()) == 1
    assert server.asked[-1] == "/keys/new"


def test_the_thread_survives_a_bad_round_and_ends_when_told(care: Care) -> None:
    before = {thread.ident for thread in threading.enumerate()}
    care.caretaker.start()
    care.caretaker.start()
    care.caretaker.ask_again("app")
    care.caretaker.ask_again("nobody")
    care.caretaker.stop()
    left = [each.name for each in threading.enumerate() if each.ident not in before]
    assert "caretaker" not in left
