"""Long proofs about claims: the stories decided by a real OPA, and how long refusals take.

The test of time: `CALLS` calls of each kind in random order, and for each two kinds the probability
that a call of the one takes longer than a call of the other (Mann-Whitney's U over the number of
pairs). Half is no difference. The bound on the effect is 0.05 to either side: five standard errors
at 2,000 calls each, and far too little to tell one call, or twenty, of one kind from another.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.identity.secrets import secret
from gateway.policy.opa_config import opa_config
from gateway.policy.packing import bundle_key
from tests.claim_stories import Stage, read_stories
from tests.claim_world import QUOTA, STRANGER, ClaimWorld, admit_insurers, claim_world
from tests.gateway_factory import copy_home, copy_policies, free_port, serving
from tests.opa_server import TOKEN, opa_process, until

pytestmark = pytest.mark.slow

CALLS, EFFECT = 2_000, 0.05


@pytest.fixture(scope="module")
def decided_by_opa(
    released_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClaimWorld]:
    folder, port = tmp_path_factory.mktemp("opa-stories"), free_port()
    token = folder / "token"
    token.write_text(TOKEN + "\n")
    facts = {
        "policy_engine": "opa",
        "opa_url": f"http://127.0.0.1:{port}",
        "policy_bundle_token_file": token,
    }
    policies = copy_policies(folder / "policies", QUOTA)
    with serving(copy_home(released_home, folder / "home"), policies, **facts) as gateway:
        key = bundle_key(secret(gateway.settings.keys, "policy_bundle"))
        with opa_process(port, opa_config(gateway.settings.base_url, token, key)):
            admit_insurers(gateway)
            until(lambda: gateway.http.get("/readyz").status_code == 200)
            yield ClaimWorld(gateway, folder)


@pytest.mark.services
def test_the_stories_end_alike_where_opa_decides(decided_by_opa: ClaimWorld) -> None:
    assert Stage(decided_by_opa, read_stories()).play() == {}


def longer(one: list[float], other: list[float]) -> float:
    """How probable it is that a call of the one kind takes longer than one of the other."""
    ranks = np.argsort(np.argsort(np.array(one + other))) + 1.0
    u = float(ranks[: len(one)].sum()) - len(one) * (len(one) + 1) / 2
    return u / (len(one) * len(other))


def timings(world: ClaimWorld, calls: int) -> dict[str, list[float]]:
    """Seconds of each call of each kind, taken in random order."""
    live, other, revoked = world.consent(), world.consent("patient"), world.consent()
    world.change(revoked, "revoke")
    kinds: dict[str, Any] = {
        "unknown person": world.body("c-unknown", STRANGER),
        "no consent": world.body("c-unknown"),
        "wrong consent": world.body(other),
        "revoked": world.body(revoked),
        "unknown person, live consent": world.body(live, STRANGER),
    }
    order = [kind for kind in kinds for _ in range(calls)]
    random.Random(7).shuffle(order)  # noqa: S311 - an order, no secret
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for kind in order[:50]:
        world.verify(kinds[kind])
    for kind in order:
        with world.consents.engine.begin() as db:
            db.exec_driver_sql("DELETE FROM claim_miss")  # no pair is locked: the harder case
        began = time.perf_counter()
        reply = world.verify(kinds[kind])
        taken[kind].append(time.perf_counter() - began)
        assert reply.status_code == 403
    return taken


@pytest.mark.timeout(3600)
def test_how_long_a_refusal_takes_does_not_tell_its_reason(
    released_home: Path, tmp_path: Path
) -> None:
    with claim_world(released_home, tmp_path) as world:
        taken = timings(world, CALLS)
    effects = {
        (one, other): longer(taken[one], taken[other]) for one, other in combinations(taken, 2)
    }
    assert {pair: e for pair, e in effects.items() if abs(e - 0.5) > EFFECT} == {}


def test_the_test_of_time_sees_a_difference() -> None:
    """Two kinds that differ by a quarter of their standard deviation are told apart."""
    normal = np.random.default_rng(1).normal
    plain, slower = (list(normal(mean, 1.0, CALLS)) for mean in (0.0, 0.25))
    assert abs(longer(plain, list(normal(0.0, 1.0, CALLS))) - 0.5) < EFFECT
    assert longer(slower, plain) - 0.5 > EFFECT
