"""Events to the receiver: signed, durable, pushed with patience or polled and acknowledged."""

import json
import socket
import threading
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.api import event_push
from gateway.api.event_push import Pusher
from gateway.consent import outbox
from gateway.consent.outbox import Due
from gateway.db.consent_tables import EventOutboxRow
from gateway.db.engine import reading, writing
from gateway.identity.changes import disable_client
from gateway.identity.jwks_remote import FetchRule
from tests.consent_factory import answer_of, consenting
from tests.factories_identity import act


@pytest.fixture
def server(tmp_path):
    with consenting(tmp_path / "home") as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """For tests that leave no event behind."""
    with consenting(tmp_path_factory.mktemp("shared") / "home") as running:
        yield running


class Receiver:
    """An insurer's address for events; says 503 as long as it is told to."""

    def __init__(self):
        self.heard, self.down, outer = [], False, self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.heard.append((self.headers["Content-Type"], body))
                self.send_response(503 if outer.down else 202)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/events"


@contextmanager
def receiving():
    receiver = Receiver()
    thread = threading.Thread(target=receiver.http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.http.shutdown()
        receiver.http.server_close()
        thread.join()


def given(server):
    consent = server.asked()
    browser = server.browser()
    browser.visit(server.push(consent), "adult")
    answer_of(browser.send("consent", decision="approve"))
    return consent


def poll(server, client="claims-app", **body):
    asked = {"returnImmediately": True, **body}
    reply = server.http.post("/v1/events/poll", json=asked, auth=server.auth(client))
    assert reply.status_code == 200, reply.text
    return reply.json()


def opened(server, token):
    keys = KeySet.import_key_set(server.http.get("/oauth/jwks").json())
    return jwt.decode(token, keys, algorithms=["ES256"])


def push_to(server, url):
    body = {"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": url}}
    return server.http.put("/v1/events/stream", json=body, auth=server.auth())


def test_an_event_is_a_signed_token_that_names_the_consent_and_nobody(server):
    consent = given(server)
    (token,) = poll(server)["sets"].values()
    event = opened(server, token)
    assert event.header["typ"] == "secevent+jwt"
    assert event.claims["iss"] == server.identity.issuer
    assert event.claims["aud"] == "claims-app"
    assert event.claims["sub_id"] == {"format": "opaque", "id": consent["consent_id"]}
    assert "exp" not in event.claims
    told = event.claims["events"]["urn:sluice:event:consent:authorised"]
    assert told["state"] == "AUTHORISED"


def test_an_event_comes_again_until_it_is_acknowledged(server):
    given(server)
    (jti,) = poll(server)["sets"]
    assert list(poll(server)["sets"]) == [jti]
    assert poll(server, ack=[jti]) == {"sets": {}, "moreAvailable": False}
    assert poll(server)["sets"] == {}


def test_an_event_that_cannot_be_taken_in_is_put_aside(server):
    given(server)
    (jti,) = poll(server)["sets"]
    poll(server, setErrs={jti: {"err": "jwtAud", "description": "not for us"}})
    assert poll(server)["sets"] == {}


def test_a_client_neither_gets_nor_acknowledges_the_events_of_another(server):
    given(server)
    (jti,) = poll(server)["sets"]
    assert poll(server, "claims2-app", ack=[jti])["sets"] == {}
    assert list(poll(server)["sets"]) == [jti]


def test_more_events_are_announced(server):
    given(server)
    given(server)
    page = poll(server, maxEvents=1)
    assert len(page["sets"]) == 1
    assert page["moreAvailable"] is True


def test_a_poll_waits_until_something_happens(server):
    consent, got = server.asked(), []
    waiting = threading.Thread(
        target=lambda: got.append(poll(server, returnImmediately=False)["sets"])
    )
    server.auth()
    waiting.start()
    server.http.delete(f"/v1/consents/{consent['consent_id']}", auth=server.auth())
    waiting.join()
    (token,) = got[0].values()
    (name,) = opened(server, token).claims["events"]
    assert name == "urn:sluice:event:consent:changed"


def test_a_poll_ends_when_its_client_is_shut_out_while_it_waits(server):
    got = []
    auth = server.auth("claims2-app")
    asked = {"returnImmediately": False}
    waiting = threading.Thread(
        target=lambda: got.append(server.http.post("/v1/events/poll", json=asked, auth=auth))
    )
    server.http.post("/v1/events/poll", json={"returnImmediately": True}, auth=auth)
    waiting.start()
    with writing(server.identity.engine) as session:
        disable_client(session, act(), "claims2-app")
    waiting.join()
    assert got[0].status_code == 401


def test_an_event_is_pushed_to_the_registered_address(server):
    with receiving() as receiver:
        assert push_to(server, receiver.url).status_code == 200
        given(server)
        assert server.app.state.consent_keeper.push_due() == 1
        ((media, token),) = receiver.heard
        assert media == "application/secevent+jwt"
        assert opened(server, token).claims["aud"] == "claims-app"
        assert server.app.state.consent_keeper.push_due() == 0


def test_a_receiver_that_is_down_is_asked_again_with_growing_pauses_and_the_same_token_id(server):
    keeper, pauses = server.app.state.consent_keeper, []
    with receiving() as receiver:
        push_to(server, receiver.url)
        given(server)
        receiver.down = True
        for _ in range(4):
            assert keeper.push_due() == 1
            assert keeper.push_due() == 0
            with reading(server.identity.engine) as session:
                row = session.scalars(sa.select(EventOutboxRow)).one()
                pauses.append(row.next_at - server.clock())
                assert row.fault == "answered 503"
            server.clock.shift += pauses[-1]
        receiver.down = False
        keeper.push_due()
        tokens = [opened(server, token).claims["jti"] for _, token in receiver.heard]
    assert pauses == sorted(pauses)
    assert len(tokens) == 5
    assert len(set(tokens)) == 1
    assert poll(server)["sets"] == {}


def test_an_event_survives_a_process_that_dies_while_pushing(server):
    with receiving() as receiver:
        push_to(server, receiver.url)
        given(server)
        with writing(server.identity.engine) as session:
            (leased,) = outbox.lease(session, server.clock(), 10)
        assert server.app.state.consent_keeper.push_due() == 0
        server.clock.shift += outbox.LEASE
        assert server.app.state.consent_keeper.push_due() == 1
        assert opened(server, receiver.heard[0][1]).claims["jti"] == leased.jti


@pytest.mark.parametrize(
    "url",
    [
        "http://events.insurer.example/",
        "https://user@events.insurer.example/",
        "https://10.0.0.8/events",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.8]/events",
        "https://events.insurer.example/../x",
        "file:///etc/passwd",
        "https://EVENTS.example/",
    ],
)
def test_an_address_that_could_be_used_against_us_is_not_registered(shared, url):
    reply = push_to(shared, url)
    assert (reply.status_code, reply.json()["code"]) == (400, "event_endpoint")


def test_loopback_is_refused_where_the_setting_does_not_allow_it(tmp_path):
    with consenting(tmp_path / "home", fetch_loopback=False) as strict, receiving() as receiver:
        assert push_to(strict, receiver.url).status_code == 400


def test_an_address_that_turns_inward_later_is_not_pushed_to(shared):
    with receiving() as receiver:
        due = Due("jti", "claims-app", receiver.url, {}, 1)
        fault = Pusher(shared.app.state.event_signer, FetchRule()).push(due)
        assert fault
        assert receiver.heard == []


@contextmanager
def odd_receiver(answer):
    """Takes one connection after the other and lets `answer` do with each what it likes."""
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve():
        while not over.is_set():
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection, suppress(OSError):
                    connection.recv(65536)
                    answer(connection, over)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/events"
    finally:
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def push_once(server, url):
    due = Due("jti", "claims-app", url, {}, 1)
    return Pusher(server.app.state.event_signer, FetchRule(loopback=True)).push(due)


def test_a_receiver_that_drips_its_answer_is_given_up(shared, monkeypatch):
    monkeypatch.setattr(event_push, "_SECONDS", 0.3)

    def drip(connection, over):
        connection.sendall(b"HTTP/1.1 202 Accepted\r\n")
        while not over.wait(0.05):
            connection.sendall(b"X-Slow: 1\r\n")

    with odd_receiver(drip) as url:
        assert push_once(shared, url).startswith("no answer")


def test_the_body_of_an_answer_is_never_read(shared):
    sent = []

    def endless(connection, over):
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Encoding: gzip\r\n\r\n")
        with suppress(OSError):
            while not over.is_set() and len(sent) < 10_000:
                connection.sendall(b"0" * 65536)
                sent.append(1)

    with odd_receiver(endless) as url:
        assert push_once(shared, url) is None
    assert len(sent) < 10_000


def test_a_redirect_is_not_followed(shared):
    with receiving() as inner:

        def redirect(connection, _):
            head = f"HTTP/1.1 307 Moved\r\nLocation: {inner.url}\r\nContent-Length: 0\r\n\r\n"
            connection.sendall(head.encode())

        with odd_receiver(redirect) as url:
            assert push_once(shared, url) == "answered 307"
        assert inner.heard == []


def test_one_client_with_many_events_does_not_hold_up_another(server):
    with receiving() as receiver:
        push_to(server, receiver.url)
        body = {"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": receiver.url}}
        server.http.put("/v1/events/stream", json=body, auth=server.auth("claims2-app"))
        for _ in range(6):
            made = server.asked()
            server.http.delete(f"/v1/consents/{made['consent_id']}", auth=server.auth())
        made = server.ask("claims2-app").json()
        server.http.delete(f"/v1/consents/{made['consent_id']}", auth=server.auth("claims2-app"))
        with writing(server.identity.engine) as session:
            leased = [each.client_id for each in outbox.lease(session, server.clock(), 3)]
    assert sorted(leased) == ["claims-app", "claims-app", "claims2-app"]


@pytest.mark.parametrize(
    "body",
    [
        {"ack": ["\ud800"]},
        {"setErrs": {"a": {"err": "\ud800"}}},
        {"setErrs": {"\ud800": {"err": "x"}}},
        {"maxEvents": -1},
        {"other": 1},
    ],
)
def test_a_poll_that_could_not_be_written_down_is_refused(shared, body):
    sent = json.dumps({"returnImmediately": True, **body})
    head = {"Content-Type": "application/json"}
    reply = shared.http.post("/v1/events/poll", content=sent, headers=head, auth=shared.auth())
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_parameter")


def test_a_stream_can_be_read_and_ended(server):
    path, auth = "/v1/events/stream", server.auth()
    assert server.http.get(path, auth=auth).json()["delivery"]["method"] == "urn:ietf:rfc:8936"
    with receiving() as receiver:
        push_to(server, receiver.url)
        shown = server.http.get(path, auth=auth).json()
        assert shown["delivery"]["endpoint_url"] == receiver.url
    assert server.http.delete(path, auth=auth).status_code == 204
    assert server.http.delete(path, auth=auth).status_code == 404


def test_the_sweep_ends_what_is_over_and_says_so(server):
    consent, waiting = given(server), server.asked()
    server.clock.shift += timedelta(days=31)
    assert server.consents.sweep(server.clock()) == 2
    assert server.state(consent) == "EXPIRED"
    assert server.state(waiting) == "REJECTED"
    names = [
        next(iter(opened(server, token).claims["events"])).rpartition(":")[2]
        for token in poll(server)["sets"].values()
    ]
    assert sorted(names) == ["expired", "expired"]
