"""kill -9 of the authorisation server under traffic: what was acknowledged holds afterwards.

A code that gave tokens gives none again, an assertion that was taken is taken no more, and what was
revoked stays revoked, for the very next process on the same home.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway.consent.chain import broken
from gateway.consent.record import Consent
from gateway.db.engine import reading
from sluice_client.proof import ProvenBy
from tests.crash_harness import free_port
from tests.factories_identity import MovableClock, Served, first_machine, office_of, open_at
from tests.oauth_factory import (
    RelyingParty,
    ask_consent,
    consent_now,
    details,
    query_of,
    register,
    revoke_consent,
)

WORKERS = 4
PROGRAM = str(Path(__file__).parents[1] / "oauth_server.py")


@dataclass
class Acknowledged:
    """What clients and the person were told before the server died."""

    codes: list[tuple[str, str]] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    revoked: list[dict[str, Any]] = field(default_factory=list)
    ended: list[tuple[Consent, dict[str, Any]]] = field(default_factory=list)

    def count(self) -> int:
        """How many words there are to keep."""
        return sum(map(len, (self.codes, self.forms, self.revoked, self.ended)))


@contextmanager
def party_of(home: Path) -> Iterator[RelyingParty]:
    """The client's side, and the person's, on the same home; the server is another process."""
    clock, port = MovableClock(), free_port()
    identity, settings = open_at(home, port, clock)
    machine = first_machine(identity)
    office, prover = office_of(identity, settings), ProvenBy(machine.key, clock)
    with httpx.Client(base_url=identity.issuer, timeout=10) as http:
        server = Served(identity, settings, machine, http, clock, prover, office, FastAPI())
        yield register(server)
    identity.close()


@contextmanager
def running(party: RelyingParty) -> Iterator[Callable[[], None]]:
    """The server as a process; yields how to kill it."""
    settings = party.server.settings
    command = [sys.executable, PROGRAM, str(settings.home), str(settings.port)]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, cwd=root, env={"PYTHONPATH": str(root)})
    try:
        while True:
            assert process.poll() is None, "the server did not start"
            try:
                party.server.http.get("/oauth/jwks")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield process.kill
    finally:
        process.kill()
        process.wait()


def one_flow(party: RelyingParty, told: Acknowledged, chance: random.Random) -> None:
    """A machine token; then a consent, its tokens, and an end to one or the other."""
    form = party.machine.form(party.server.clock())
    if party.server.http.post("/oauth/token", data=form, auth=party.prover).is_success:
        told.forms.append(form)
    consent = ask_consent(party.server)
    sent = party.push(authorization_details=details(consent))
    url = party.decide(party.visit(sent.request_uri), consent=consent.id)
    code = query_of(url)["code"]
    reply = party.exchange(code, sent.verifier)
    assert reply.is_success, reply.text
    told.codes.append((code, sent.verifier))
    body = reply.json()
    if chance.random() < 0.5:
        revoke_consent(party.server, consent)
        told.ended.append((consent, body))
    elif party.post("/oauth/revoke", {"token": body["refresh_token"]}).is_success:
        told.revoked.append(body)


def traffic(party: RelyingParty, told: Acknowledged, seed: int) -> None:
    """Flows until the server is gone."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    with httpx.Client(base_url=party.server.identity.issuer, timeout=10) as http:
        server = Served(**{**vars(party.server), "http": http})
        own = RelyingParty(server, party.machine)
        try:
            while True:
                one_flow(own, told, chance)
        except httpx.TransportError:
            return


def crash_once(party: RelyingParty, told: Acknowledged, seed: int) -> None:
    """Traffic of several clients, cut off in the middle."""
    with running(party) as kill:
        workers = [
            threading.Thread(target=traffic, args=(party, told, seed + number))
            for number in range(WORKERS)
        ]
        for worker in workers:
            worker.start()
        late = time.monotonic() + 60
        while not told.count() and time.monotonic() < late:  # a busy machine is slow to begin
            time.sleep(0.01)
        time.sleep(random.Random(seed).uniform(0.0, 1.2))  # noqa: S311 - reproducible
        kill()
        for worker in workers:
            worker.join()


def broken_words(party: RelyingParty, told: Acknowledged) -> list[str]:
    """Every acknowledgement the next process does not keep."""
    faults = [fault for body in told.revoked for fault in lives_on(party, body)]
    for consent, body in told.ended:
        if consent_now(party.server, consent) != "REVOKED":
            faults.append("a revoked consent is in another state")
        faults += lives_on(party, body)
    for code, verifier in told.codes:
        if party.exchange(code, verifier).is_success:
            faults.append("a code gave tokens twice")
    for form in told.forms:
        reply = party.server.http.post("/oauth/token", data=form, auth=party.prover)
        if reply.json().get("code") not in ("assertion_replayed", "assertion_expired"):
            faults.append("an assertion was taken twice")
    return faults


def lives_on(party: RelyingParty, body: dict[str, Any]) -> list[str]:
    """What of a revoked token response still works."""
    found = {
        "a revoked token is active": party.introspect(body["access_token"])["active"],
        "a revoked refresh token refreshes": party.refresh(body["refresh_token"]).is_success,
    }
    return [fault for fault, works in found.items() if works]


def crash_often(home: Path, kills: int) -> None:
    with party_of(home) as party:
        for seed in range(kills):
            told = Acknowledged()
            crash_once(party, told, seed)
            with running(party):
                assert told.count() > 0
                assert broken_words(party, told) == []
            with reading(party.server.identity.engine) as session:
                assert broken(session) == ()


def test_what_was_acknowledged_holds_after_kill_9(tmp_path: Path) -> None:
    crash_often(tmp_path / "home", kills=1)


@pytest.mark.slow
def test_what_was_acknowledged_holds_after_many_kills(tmp_path: Path) -> None:
    crash_often(tmp_path / "home", kills=25)
