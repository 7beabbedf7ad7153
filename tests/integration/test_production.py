"""Production on this machine: PostgreSQL, Valkey, and two replicas of the program with an OPA each.

The commands are those of the chart, in its order. The API's own tests run against the same parts by
`make test-production`; here is what only two replicas can show.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.gateway_factory import COST, utc_now
from tests.opa_server import until
from tests.two_replicas import PATIENCE, PROGRAM, Replica, World, opened, two_replicas

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(1800)]

FEW = {**COST, "dims": []}


@pytest.fixture(scope="module")
def world(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("production")
    with two_replicas(released_home, folder) as built:
        opened(built)
        yield built


def test_the_check_finds_everything_there_and_then_what_is_not(world: World) -> None:
    found = world.run("check", "--replicas")
    assert (found.returncode, found.stdout) == (0, "everything the settings name is there\n")
    broken = {**world.replicas[0].serve.env, "SLUICE_OPA_URL": "http://127.0.0.1:1"}
    done = subprocess.run(
        [PROGRAM, "check"], env=broken, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    assert "[opa_unreachable]" in done.stdout


@pytest.mark.parametrize("path", ["/v1/services", "/v1/usage", "/v1/statements", "/v1/jobs"])
def test_a_token_of_one_replica_is_good_at_the_other(world: World, path: str) -> None:
    first, second = (replica.gateway for replica in world.replicas)
    second._tokens["ins-app"] = (utc_now(), first.token())
    assert first.get(path).status_code == second.get(path).status_code == 200


def test_an_answered_key_is_answered_again_by_the_other_replica(world: World) -> None:
    first, second = (replica.gateway for replica in world.replicas)
    key = {"Idempotency-Key": "two-replicas-1"}
    one, other = first.ask("S02", FEW, headers=key), second.ask("S02", FEW, headers=key)
    assert (one.status_code, other.status_code) == (200, 200), other.text
    assert one.json()["data"] == other.json()["data"]
    assert "Idempotent-Replayed" in other.headers


def test_a_stop_on_the_command_line_holds_at_every_replica(world: World) -> None:
    asked = [replica.gateway for replica in world.replicas]
    words = ("stop", "raise", "tenant", "T-PHA", "--reason", "drill")
    done = world.run(*words)
    assert done.returncode == 0, done.stderr
    until(
        lambda: all(one.ask("S02", FEW, client="pha-app").status_code != 200 for one in asked),
        PATIENCE,
    )
    assert all(one.ask("S02", FEW).status_code == 200 for one in asked)


def test_a_killed_replica_loses_and_doubles_nothing(world: World) -> None:
    first, _ = world.replicas
    for one in world.replicas:
        one.gateway.token()
        one.gateway.auth()

    def load(replica: Replica) -> Sequence[str]:
        answered = []
        for _ in range(60):
            try:
                reply = replica.gateway.ask("S02", FEW)
            except httpx.TransportError:
                break
            if reply.status_code == 200:
                answered.append(reply.headers["sluice-request-id"])
        return answered

    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(load, replica) for replica in world.replicas]
        time.sleep(1)
        first.end(signal.SIGKILL)
        answered = {name for one in asked for name in one.result()}
    first.start()
    until(lambda: answered <= set(world.events()), PATIENCE)
    recorded = world.events()
    assert len(recorded) == len(set(recorded))
    assert len(answered) >= 60
    assert first.gateway.ask("S02", FEW).status_code == 200
    done = world.run("audit", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
