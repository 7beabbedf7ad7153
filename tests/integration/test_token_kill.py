"""kill -9 while clients fetch tokens and revoke them: what was acknowledged holds after a restart.

The harness and what it can notice are those of `test_journal_kill`; the server is `sluice serve`.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest

from gateway.db.engine import open_engine, reading, sqlite_url
from gateway.identity.assertion import read_assertion
from gateway.identity.jose import parse_compact
from gateway.identity.replay import ReplayGuard
from gateway.identity.revocation import revoked_in
from gateway.settings import Settings
from sluice_client.proof import make_assertion, make_proof, token_form
from tests.crash_harness import Target, crash
from tests.factories_identity import Machine
from tests.gateway_factory import copy_home, enter_parties, free_port, utc_now
from tests.nursery import nursery

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Program:
    """Fetches a token and revokes it; remembers what was acknowledged."""

    machine: Machine
    revoked: dict[str, str] = field(default_factory=dict)  # request → token id
    assertions: list[str] = field(default_factory=list)  # accepted ones
    _nonces: dict[int, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, connection: http.client.HTTPConnection, name: str) -> bool:
        for _ in range(2):  # the first may only bring this life's nonce
            assertion = self._assertion()
            status, body = self._post(connection, "/oauth/token", token_form(assertion))
            if status == 200:
                break
        assert status == 200, body
        with self._lock:
            self.assertions.append(assertion)
        token = str(body["access_token"])
        form = {**token_form(self._assertion()), "token": token}
        del form["grant_type"]
        assert self._post(connection, "/oauth/revoke", form)[0] == 200
        with self._lock:
            self.revoked[name] = str(parse_compact(token).claims["jti"])
        return True

    def _assertion(self) -> str:
        machine = self.machine
        return make_assertion(machine.key, machine.client_id, machine.issuer, utc_now())

    def _post(
        self, connection: http.client.HTTPConnection, path: str, form: dict[str, str]
    ) -> tuple[int, dict[str, object]]:
        url, nonce = f"{self.machine.issuer}{path}", self._nonces.get(id(connection))
        proof = make_proof(self.machine.key, "POST", url, utc_now(), nonce=nonce)
        connection.request("POST", path, urlencode(form), {**FORM, "DPoP": proof})
        reply = connection.getresponse()
        self._nonces[id(connection)] = reply.headers["dpop-nonce"]
        text = reply.read()
        return reply.status, json.loads(text) if text else {}


def killed(released: Path, folder: Path, kills: int) -> Program:
    """Kill, restart, and look whether every acknowledged revocation is there."""
    home = copy_home(released, folder / "home")
    settings = Settings(home=home, port=free_port())
    program = Program(enter_parties(settings, utc_now, always=True)["ins-app"])
    engine = open_engine(sqlite_url(settings.database))

    def stored() -> Counter[str]:
        with reading(engine) as session:
            return Counter(
                name
                for name, token_id in program.revoked.items()
                if revoked_in(session, token_id=token_id, client_id="ins-app")
            )

    given = {"SLUICE_HOME": str(home), "SLUICE_PORT": str(settings.port)}
    command, log = ["gateway.cli", "serve", "--no-access-log"], home / "log"
    with nursery("gateway.cli", "gateway.cli.serve", **given) as started:
        port, start = settings.port, started.start
        target = Target(
            command, port, program.ask, stored, log, window=1.5, warm=True, launch=start
        )
        report = crash(target, kills, seed=os.getpid())
    assert report.kept_its_word, (report.lost, report.broken)
    assert report.acknowledged
    guard, now = ReplayGuard(engine), utc_now()
    for text in program.assertions[-50:]:
        if parse_compact(text).claims["exp"] > now.timestamp():  # the others have expired
            assert not guard.first_use(read_assertion(text, settings.base_url, now), now)
    engine.dispose()
    return program


def test_four_kills_revive_no_revoked_token_and_no_used_assertion(
    released_home: Path, tmp_path: Path
) -> None:
    killed(released_home, tmp_path, 4)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_forty_kills_revive_no_revoked_token_and_no_used_assertion(
    released_home: Path, tmp_path: Path
) -> None:
    assert len(killed(released_home, tmp_path, 40).revoked) > 100
