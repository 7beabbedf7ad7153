"""kill -9 of the whole gateway under load: every acknowledged answer is on record, exactly once.

The harness and its planted mistakes are those of `test_journal_kill`; here the server is
`sluice serve` itself and the requests are real queries.
"""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.reconcile import reconcile
from gateway.audit.verify import verify
from gateway.identity.desk import open_identity
from gateway.identity.tokens import issue_token
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.settings import Settings
from sluice_client.proof import make_proof
from tests.crash_harness import Launch, Target, crash
from tests.factories_identity import Machine
from tests.gateway_factory import (
    COST,
    copy_home,
    copy_policies,
    enter_parties,
    free_port,
    utc_now,
)
from tests.nursery import nursery

PATH = "/v1/services/S02/queries"
BODY = json.dumps({**COST, "measures": ["persons", "medfee"]})
JSON_BODY = {"Content-Type": "application/json"}


class Insurer:
    """Asks real queries and remembers under which request id each was acknowledged.

    Every restart has nonces of its own, so each connection asks for one first.
    """

    def __init__(self, token: str, machine: Machine) -> None:
        self._token, self._machine = token, machine
        self._nonces: dict[int, str] = {}  # by connection
        self._lock = threading.Lock()
        self.acknowledged: dict[str, str] = {}

    def ask(self, connection: http.client.HTTPConnection, name: str) -> bool:
        reply, body = self._send(connection)
        if reply.status == 401:
            reply, body = self._send(connection)
        assert reply.status == 200, body
        with self._lock:
            self.acknowledged[name] = body["meta"]["request_id"]
        return True

    def _send(
        self, connection: http.client.HTTPConnection
    ) -> tuple[http.client.HTTPResponse, dict[str, Any]]:
        proof = make_proof(
            self._machine.key,
            "POST",
            f"{self._machine.issuer}{PATH}",
            utc_now(),
            nonce=self._nonces.get(id(connection)),
            access_token=self._token,
        )
        headers = {"Authorization": f"DPoP {self._token}", "DPoP": proof, **JSON_BODY}
        connection.request("POST", PATH, BODY, headers)
        reply = connection.getresponse()
        self._nonces[id(connection)] = reply.headers["dpop-nonce"]
        return reply, json.loads(reply.read())


def insurer_of(settings: Settings) -> Insurer:
    """A machine with a token that outlives the test, issued without the token endpoint's HTTP."""
    machine = enter_parties(settings, utc_now, always=True)["ins-app"]
    identity = open_identity(settings)
    try:
        token = issue_token(
            identity.rule,
            identity.ring(),
            client_id=machine.client_id,
            tenant_id="T-INS",
            now=utc_now(),
            cnf={"jkt": machine.key.thumbprint()},
        )
    finally:
        identity.close()
    return Insurer(token, machine)


def given(settings: Settings) -> dict[str, str]:
    """The settings as the server's environment has them."""
    return {
        "SLUICE_HOME": str(settings.home),
        "SLUICE_POLICIES": str(settings.policies),
        "SLUICE_PORT": str(settings.port),
        "SLUICE_TOKEN_TTL_SECONDS": "900",
    }


def target(insurer: Insurer, settings: Settings, launch: Launch) -> Target:
    """`sluice serve` on this home."""
    home = settings.home

    def stored() -> Counter[str]:
        query = (
            "SELECT u.request_id FROM usage_event u"
            " JOIN audit_event a USING (request_id) JOIN decision d USING (request_id)"
            " WHERE a.result = 'answered' AND d.allow"
        )
        with closing(sqlite3.connect(home / "journal.db")) as db:
            times = Counter(str(row[0]) for row in db.execute(query))
        found = insurer.acknowledged.items()
        return Counter({name: times[request] for name, request in found if times[request]})

    return Target(
        ["gateway.cli", "serve", "--no-access-log"],
        settings.port,
        insurer.ask,
        stored,
        home / "log",
        window=1.5,
        warm=True,
        launch=launch,
    )


def kill_often(released: Path, folder: Path, kills: int) -> None:
    """Kill, look, verify the chain and the books."""
    home = copy_home(released, folder / "home")
    policies = copy_policies(folder / "policies", lookback_months=1200)
    settings = Settings(home=home, policies=policies, port=free_port(), token_ttl_seconds=900)
    insurer = insurer_of(settings)
    with nursery("gateway.cli", "gateway.cli.serve", **given(settings)) as started:
        seed = os.getpid()
        report = crash(target(insurer, settings, started.start), kills, seed)
    assert report.kept_its_word, (seed, report.lost, report.doubled, report.broken)
    assert len(report.acknowledged) >= kills // 4
    assert not verify(home / "journal.db", public_key(home / "keys" / PUBLIC_KEY)).findings
    assert not reconcile(home / "journal.db").differences


def test_killing_the_gateway_loses_and_doubles_no_answer(
    released_home: Path, tmp_path: Path
) -> None:
    kill_often(released_home, tmp_path, 10)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killing_the_gateway_sixty_times_loses_and_doubles_no_answer(
    released_home: Path, tmp_path: Path
) -> None:
    kill_often(released_home, tmp_path, 60)
