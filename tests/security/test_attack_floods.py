"""Attacks by many: what one sender can make the server keep is counted, and said to be too much."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.authserver import store
from gateway.authserver.errors import RequestGone
from gateway.authserver.model import MOST_VISITS, MOST_WAITING, REQUEST_LIFE, Pushed
from gateway.db.engine import reading, writing
from gateway.db.oauth_tables import InteractionRow, PushedRequestRow
from gateway.identity.binding import Presented
from tests.factories_identity import Machine, new_key
from tests.oauth_factory import RelyingParty, register, relying


@pytest.fixture
def party(tmp_path: Path) -> Iterator[RelyingParty]:
    with relying(tmp_path / "home") as running:
        yield running


def waiting(party: RelyingParty, name: str, client_id: str) -> Pushed:
    ends = party.server.clock() + REQUEST_LIFE
    return Pushed(name, client_id, {}, None, ends, used=False)


def fill(party: RelyingParty, count: int) -> None:
    """That many requests of the party wait already."""
    client, now = party.machine.client_id, party.server.clock()
    with writing(party.server.identity.engine) as session:
        for number in range(count):
            store.keep_request(session, waiting(party, f"d{number}", client), now)


def kept(party: RelyingParty, table: type[PushedRequestRow] | type[InteractionRow]) -> int:
    with reading(party.server.identity.engine) as session:
        return session.scalars(sa.select(sa.func.count()).select_from(table)).one()


def test_a_client_whose_requests_all_wait_is_told_when_to_come_back(party: RelyingParty) -> None:
    other = register(party.server, "other-app")
    fill(party, MOST_WAITING - 1)
    last, refused = party.push().reply, party.push().reply

    assert last.status_code == 201
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_waiting")
    assert refused.json()["error"] == "temporarily_unavailable"
    assert 1 <= int(refused.headers["retry-after"]) <= REQUEST_LIFE.seconds
    assert refused.headers["cache-control"] == "no-store"
    assert other.push().reply.status_code == 201  # nobody else waits for them
    assert party.server.token()  # nor does the client for anything else


def test_an_answered_request_and_one_that_is_over_make_room(party: RelyingParty) -> None:
    sent = party.push()
    fill(party, MOST_WAITING - 1)
    assert party.push().reply.status_code == 429

    party.decide(party.visit(sent.request_uri), approve=False)
    assert party.push().reply.status_code == 201
    assert party.push().reply.status_code == 429

    party.server.clock.shift = REQUEST_LIFE + timedelta(seconds=1)
    assert party.push().reply.status_code == 201


def test_a_crowd_gets_exactly_the_room_there_is(party: RelyingParty) -> None:
    fill(party, MOST_WAITING - 5)
    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(lambda _: party.push().reply.status_code, range(30)))

    assert sorted(codes) == [201] * 5 + [429] * 25
    assert kept(party, PushedRequestRow) == MOST_WAITING


def test_one_request_is_opened_only_so_often(party: RelyingParty) -> None:
    sent, other = party.push(), party.push()
    visits = [party.visit(sent.request_uri) for _ in range(MOST_VISITS)]
    asked = {"client_id": party.machine.client_id, "request_uri": sent.request_uri}
    reply = party.server.http.get("/oauth/authorize", params=asked)

    assert (reply.status_code, reply.json()["code"]) == (400, "request_opened")
    assert "set-cookie" not in reply.headers
    assert kept(party, InteractionRow) == MOST_VISITS
    assert party.visit(other.request_uri)
    assert "code=" in party.decide(visits[0])  # the person who came first can still answer


def test_requests_and_visits_of_an_hour_ago_are_forgotten(party: RelyingParty) -> None:
    party.visit(party.push().request_uri)
    party.server.clock.shift = timedelta(minutes=30)
    party.push()
    assert (kept(party, PushedRequestRow), kept(party, InteractionRow)) == (2, 1)

    party.server.clock.shift = timedelta(hours=1, minutes=2)
    party.push()
    assert (kept(party, PushedRequestRow), kept(party, InteractionRow)) == (2, 0)


def test_a_request_is_not_forgotten_while_its_person_answers(party: RelyingParty) -> None:
    visit = party.visit(party.push().request_uri)
    party.server.clock.shift = timedelta(minutes=14)
    party.push()  # which sweeps

    assert "code=" in party.decide(visit)


def test_names_that_strangers_invent_are_not_remembered(party: RelyingParty) -> None:
    asked: list[str] = []
    office, now = party.server.office, party.server.clock()
    desk = replace(office, parts=replace(office.parts, unknown_key=asked.append))
    sender = Presented("POST", f"{party.server.identity.issuer}/oauth/token", ip="127.0.0.1")
    stranger = new_key("a kid nobody registered")
    for name in ("nobody-1", "nobody-2", party.machine.client_id):
        form = Machine(name, stranger, party.server.identity.issuer).form(now)
        answered = desk.token(form, sender, now)
        assert answered.reply.status == 401

    assert asked == [party.machine.client_id]


def test_strangers_open_nothing(party: RelyingParty) -> None:
    """A visit is written for a request that exists, of the client that is named."""
    open_visit, now = party.server.office.interactions.open, party.server.clock()
    for client, uri in (("other-app", party.push().request_uri), ("claims-app", "urn:x:y")):
        with pytest.raises(RequestGone):
            open_visit(client, uri, now)

    assert kept(party, InteractionRow) == 0
