"""One suite for the policy's port, on both engines: the embedded one and a real OPA server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import pytest

from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.port import Decision, PolicyUnavailable
from tests.opa_server import Followed, opa_policy
from tests.policy_factory import DRUGS, PRICING, ask, catalogue, directory, embedded

Engine: TypeAlias = EmbeddedPolicy | Followed

PATIENT = 30.0
ENGINES = ["embedded", pytest.param("opa", marks=pytest.mark.services)]


@pytest.fixture(scope="module", params=ENGINES)
def policy(request: pytest.FixtureRequest) -> Iterator[Engine]:
    # The time-out is for engines that do not come back, not for machines under load.
    if request.param == "opa":
        with opa_policy(timeout=PATIENT) as followed:
            yield followed
    else:
        running = embedded(timeout=PATIENT)
        yield running
        running.close()


def test_an_allowance_names_every_column_with_its_class_and_mask(policy: Engine) -> None:
    obligations = policy.decide(ask(DRUGS)).obligations
    assert obligations is not None
    named = [(column.field, column.item, column.level) for column in obligations.columns]
    assert named[:2] == [("period", "C03-03", "L2"), ("geo", "C03-04", "L2")]
    assert [field for field, _, _ in named[2:]] == ["atc", "gend", "ddd", "patients"]
    assert obligations.profile["name"] == "DC2P"
    assert obligations.profile["min_manufacturers"] == 3


def test_a_question_that_names_no_measure_is_told_all_it_may_see(policy: Engine) -> None:
    obligations = policy.decide(ask(PRICING, measures=[])).obligations
    assert obligations is not None
    told = {column.field for column in obligations.columns}
    assert told == {"period", "geo", "gend", "insutype2", *catalogue()["S02"]["measures"]}


def test_a_refusal_names_its_codes_and_its_revision(policy: Engine) -> None:
    decision = policy.decide(ask(PRICING, format="parquet", destination="US"))
    assert decision.deny == ("D704", "D705")
    assert decision.obligations is None
    assert decision.policy_version == policy.version


def test_an_allowance_says_how_far_it_holds(policy: Engine) -> None:
    """Replicas that share quotas lease by this; without it nothing of a grant leaves."""
    holds = policy.decide(ask(PRICING)).holds
    assert holds is not None
    assert {"calls_day", "cells_day", "cells_month"} <= set(holds.usage)


def test_every_decision_has_an_id_of_its_own(policy: Engine) -> None:
    ids = {policy.decide(ask(PRICING)).decision_id for _ in range(5)}
    assert len(ids) == 5


def test_the_revision_depends_on_content_alone(policy: Engine) -> None:
    before = policy.version
    documents = directory()
    documents["grants"]["insurer-1"]["g-pricing"]["status"] = "suspended"
    policy.load(documents)
    assert policy.version != before
    assert policy.decide(ask(PRICING)).deny == ("D201",)
    policy.load(directory())
    assert policy.version == before
    assert policy.decide(ask(PRICING)).allow


def test_a_malformed_document_is_left_out_and_others_go_on(
    policy: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    documents = directory()
    documents["grants"]["insurer-1"]["g-pricing"]["valid_to"] = "soon"
    with caplog.at_level(logging.WARNING):
        policy.load(documents)
    try:
        assert policy.decide(ask(PRICING)).deny == ("D201",)
        assert policy.decide(ask(DRUGS)).allow
    finally:
        policy.load(directory())
    assert "grant of insurer-1 g-pricing: valid_to" in caplog.text


def test_words_of_any_script_reach_the_rules_unchanged(policy: Engine) -> None:
    documents = directory()
    reason = "演练 \u2028 <&> \U0001f6d1 \x7f"
    documents["stops"]["scenario"]["SC01"] = {"since": "2026-03-01", "reason": reason}
    policy.load(documents)
    try:
        assert policy.decide(ask(PRICING)).deny == ("D204",)
        where = {"gend": "男\u2029"}
        assert policy.decide(ask(DRUGS, where=where, dims=["atc"])).allow
    finally:
        policy.load(directory())


def test_a_decision_can_be_awaited(policy: Engine) -> None:
    async def both() -> list[Decision]:
        first, second = policy.decide_soon(ask(PRICING)), policy.decide_soon(ask(DRUGS))
        return list(await asyncio.gather(first, second))

    assert [decision.allow for decision in asyncio.run(both())] == [True, True]


def test_a_caller_that_goes_away_leaves_the_engine_in_order(policy: Engine) -> None:
    async def gone() -> None:
        waiting = [asyncio.create_task(policy.decide_soon(ask(PRICING))) for _ in range(10)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(gone())
    assert policy.healthy
    assert policy.decide(ask(PRICING)).allow


def test_sixteen_threads_get_the_answers_one_thread_gets(policy: Engine) -> None:
    questions = [ask(PRICING), ask(DRUGS), ask(PRICING, format="parquet"), ask(DRUGS, dims=["x"])]
    alone = [policy.decide(question).deny for question in questions]
    with ThreadPoolExecutor(16) as threads:
        told = list(threads.map(lambda q: policy.decide(q).deny, questions * 20))
    assert told == alone * 20


def test_reloading_under_load_never_fails_and_never_mixes(policy: Engine) -> None:
    """Every answer is that of the revision it names: allowed by one, refused by the other."""
    stopped = directory()
    stopped["stops"]["scenario"]["SC01"] = {"since": "2026-03-01", "reason": "drill"}
    opened = policy.version

    def reload_often() -> None:
        for _ in range(5):
            policy.load(stopped)
            policy.load(directory())

    with ThreadPoolExecutor(5) as threads:
        reloading = threads.submit(reload_often)
        decisions: list[Decision] = []
        while not reloading.done():
            asked = [threads.submit(policy.decide, ask(PRICING)) for _ in range(8)]
            decisions += [waiting.result() for waiting in asked]
        reloading.result()
    assert {decision.allow for decision in decisions} == {True, False}
    assert all(decision.allow == (decision.policy_version == opened) for decision in decisions)


@pytest.mark.slow  # a machine that starves OPA for five seconds is refused, as it should be
def test_a_hundred_clients_see_fifty_revisions_go_live_without_one_failure(
    policy: Engine,
) -> None:
    """Stopped and open by turns; no question is lost, and none is decided by a mixture."""
    stopped = directory()
    stopped["stops"]["scenario"]["SC01"] = {"since": "2026-03-01", "reason": "drill"}
    opened, over = policy.version, asyncio.Event()
    decisions: list[Decision] = []

    async def client() -> None:
        while not over.is_set():
            decisions.append(await policy.decide_soon(ask(PRICING)))
            await asyncio.sleep(0.5)  # a client also does something with its answer

    async def all_of_them() -> None:
        clients = [asyncio.create_task(client()) for _ in range(100)]
        for number in range(50):
            documents = stopped if number % 2 == 0 else directory()
            await asyncio.to_thread(policy.load, documents)
        over.set()
        await asyncio.gather(*clients)

    asyncio.run(all_of_them())
    assert len(decisions) >= 100
    assert {decision.allow for decision in decisions} == {True, False}
    assert all(decision.allow == (decision.policy_version == opened) for decision in decisions)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_closed_policy_gives_no_decision(engine: str) -> None:
    if engine == "opa":
        with opa_policy() as running:
            running.close()
            assert not running.healthy
            with pytest.raises(PolicyUnavailable):
                running.decide(ask(PRICING))
    else:
        closed = embedded()
        closed.close()
        assert not closed.healthy
        with pytest.raises(PolicyUnavailable):
            closed.decide(ask(PRICING))
