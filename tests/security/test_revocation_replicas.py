"""Two serving processes on one directory: what one revokes, both refuse within five seconds.

The processes are `sluice serve` with journals of their own; their published address is neither's,
as behind a load balancer.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway.db.engine import writing
from gateway.identity.desk import Identity, open_identity
from gateway.identity.organisations import set_tenant_status
from gateway.identity.revocation import KEEP, RevocationKind, revoke
from gateway.identity.tokens import PersonClaims, issue_token
from gateway.settings import Settings
from sluice_client.proof import make_proof
from tests.factories_identity import Machine, act
from tests.gateway_factory import copy_home, enter_parties, free_port, utc_now

WITHIN = 5.0
ISSUER = "http://localhost:8780"
PATH = "/v1/services"


@dataclass(frozen=True)
class Replica:
    """One of the processes, and who asks it."""

    port: int
    machine: Machine
    process: subprocess.Popen[bytes]

    def get(self, token: str, nonce: str | None = None) -> httpx.Response:
        """One request, proved with this nonce."""
        proof = make_proof(
            self.machine.key, "GET", f"{ISSUER}{PATH}", utc_now(), nonce=nonce, access_token=token
        )
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        return httpx.get(f"http://127.0.0.1:{self.port}{PATH}", headers=headers, timeout=20)

    def status(self, token: str) -> int:
        """Of a request with a nonce of this process."""
        nonce = self.get(token).headers["dpop-nonce"]
        return self.get(token, nonce).status_code


@dataclass(frozen=True)
class Office:
    """Two replicas and a third process (this one) that changes the directory."""

    identity: Identity
    machine: Machine
    homes: tuple[Path, Path]
    replicas: tuple[Replica, Replica]

    def token(self, name: str, person: PersonClaims | None = None) -> str:
        return issue_token(
            self.identity.rule,
            self.identity.ring(),
            client_id=self.machine.client_id,
            tenant_id="T-INS",
            now=utc_now(),
            cnf={"jkt": self.machine.key.thumbprint()},
            person=person,
            token_id=name,
        )

    def statuses(self, token: str) -> set[int]:
        return {replica.status(token) for replica in self.replicas}

    def refused_within_the_promise(self, token: str) -> set[int]:
        """What the replicas answer once both refuse, at the latest when the time is over."""
        promised = time.monotonic() + WITHIN
        while 200 in self.statuses(token) and time.monotonic() < promised:
            time.sleep(0.1)
        return self.statuses(token)


def shared_home(home: Path, copy: Path) -> Path:
    """The same directory, keys and releases; a journal of its own."""
    copy.mkdir()
    for name in ("releases", "keys", "sluice.db"):
        (copy / name).symlink_to(home / name)
    return copy


@contextmanager
def replica(home: Path, machine: Machine) -> Iterator[Replica]:
    port = free_port()
    given = {"SLUICE_HOME": str(home), "SLUICE_PORT": str(port), "SLUICE_ISSUER": ISSUER}
    program = Path(sys.executable).with_name("sluice")
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "serve", "--no-access-log"], env={**os.environ, **given}, stderr=log
        )
    try:
        for _ in range(600):
            assert process.poll() is None, (home / "log").read_text()
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield Replica(port, machine, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.fixture(scope="module")
def office(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("replicas")
    home = copy_home(released_home, folder / "one")
    settings = Settings(home=home, issuer=ISSUER)
    machine = enter_parties(settings, utc_now, always=True)["ins-app"]
    identity = open_identity(settings)
    second = shared_home(home, folder / "two")
    with ExitStack() as stack:
        stack.callback(identity.close)
        one, two = (stack.enter_context(replica(each, machine)) for each in (home, second))
        yield Office(identity, machine, (home, second), (one, two))


def test_a_nonce_and_a_proof_belong_to_one_process(office: Office) -> None:
    token = office.token("J-nonce")
    one, two = office.replicas
    nonce = one.get(token).headers["dpop-nonce"]

    elsewhere = two.get(token, nonce)

    assert one.get(token, nonce).status_code == 200
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (401, "dpop_nonce")
    assert elsewhere.headers["dpop-nonce"] != nonce


@pytest.mark.parametrize("kind", ["token", "grant", "consent"])
def test_what_is_revoked_is_refused_by_every_replica_within_five_seconds(
    office: Office, kind: RevocationKind
) -> None:
    names = {"token": f"J-by-{kind}", "grant": f"G-by-{kind}", "consent": f"C-by-{kind}"}
    person = PersonClaims("pairwise", names["grant"], names["consent"])
    token = office.token(names["token"], person)
    untouched = office.token("J-2", PersonClaims("pairwise", "G-2", "C-2"))
    assert office.statuses(token) == {200}  # and both remember it

    with writing(office.identity.engine) as session:
        revoke(session, kind, names[kind], utc_now() + KEEP, utc_now())

    assert office.refused_within_the_promise(token) <= {401, 503}
    assert office.statuses(untouched) == {200}


def test_a_replica_that_starts_later_knows_what_was_revoked(office: Office) -> None:
    token, other = office.token("J-late"), office.token("J-other")
    with writing(office.identity.engine) as session:
        revoke(session, "token", "J-late", utc_now() + KEEP, utc_now())
    third = shared_home(office.homes[0], office.homes[0].parent / "three")
    with replica(third, office.machine) as fresh:
        assert (fresh.status(token), fresh.status(other)) == (401, 200)


def test_a_suspended_tenant_is_refused_by_every_replica_within_five_seconds(
    office: Office,
) -> None:
    token = office.token("J-tenant")
    assert office.statuses(token) == {200}

    with writing(office.identity.engine) as session:
        set_tenant_status(session, act(at=utc_now()), "T-INS", "suspended")

    assert office.refused_within_the_promise(token) <= {401, 503}
