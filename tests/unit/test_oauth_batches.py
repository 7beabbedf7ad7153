"""Requests that change nothing are answered together: one transaction, to each its own answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pytest

from gateway.api.oauth_batches import Ask, Batches
from gateway.authserver.model import Answered
from gateway.authserver.office import Office
from gateway.errors import Unavailable
from gateway.identity.binding import ClientCert, Presented
from gateway.identity.desk import Identity
from tests.factories_identity import Machine, first_machine, office_of, open_at


@dataclass
class Bench:
    identity: Identity
    office: Office
    machine: Machine

    def ask(self, form: dict[str, str]) -> Ask:
        url, now = f"{self.identity.issuer}/oauth/introspect", datetime.now(UTC)
        sender = Presented("POST", url, cert=ClientCert("t" * 43, "", (), True), ip="127.0.0.1")
        act = partial(self.office.introspect, form, sender, now, signed=False)
        return Ask(act, sender, now)

    def asks(self, count: int) -> list[Ask]:
        """Requests about a token nobody has, each with its own assertion."""
        now = datetime.now(UTC)
        return [
            self.ask({**self.machine.form(now, jti=f"{count}-{number}"), "token": "x"})
            for number in range(count)
        ]


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    identity, settings = open_at(tmp_path_factory.mktemp("home"))
    yield Bench(identity, office_of(identity, settings), first_machine(identity))
    identity.close()


def answered(bench: Bench, asks: list[Ask]) -> list[Answered | BaseException]:
    async def crowd() -> list[Answered | BaseException]:
        batches = Batches(bench.office)
        return await asyncio.gather(*map(batches.answer, asks), return_exceptions=True)

    return asyncio.run(crowd())


def test_a_crowd_is_answered_in_few_transactions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = bench.office.parts.replay
    genuine, sizes = guard.first_uses, []

    def counting(assertions: list[object], now: datetime) -> list[bool]:
        sizes.append(len(assertions))
        return genuine(assertions, now)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(guard, "first_uses", counting)
    replies = answered(bench, bench.asks(100))

    assert all(isinstance(each, Answered) and each.reply.status == 200 for each in replies)
    assert sum(sizes) == 100
    assert len(sizes) <= 4


def test_of_equal_assertions_in_one_batch_one_is_taken(bench: Bench) -> None:
    form = {**bench.machine.form(datetime.now(UTC)), "token": "x"}
    replies = answered(bench, [bench.ask(form) for _ in range(20)])
    statuses = sorted(each.reply.status for each in replies if isinstance(each, Answered))

    assert statuses == [200] + [401] * 19


def test_when_answers_leave_their_assertions_are_used_up_on_disk(bench: Bench) -> None:
    answered(bench, bench.asks(5))
    with bench.identity.engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM assertion_jti").scalar()

    assert kept == 5


def test_what_fails_for_one_does_not_touch_the_others(bench: Bench) -> None:
    def failing() -> Answered:
        raise Unavailable("test", "down")

    good = bench.asks(3)
    replies = answered(bench, [good[0], Ask(failing, good[0].sender, good[0].now), *good[1:]])

    assert [type(each) for each in replies] == [Answered, Unavailable, Answered, Answered]


def test_when_the_disk_refuses_nobody_of_the_batch_is_let_in(bench: Bench) -> None:
    with bench.identity.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE assertion_jti")
    replies = answered(bench, bench.asks(10))

    assert not any(isinstance(each, Answered) for each in replies)


def test_a_request_that_is_given_up_does_not_stop_the_others(bench: Bench) -> None:
    go = threading.Event()
    first, second, third = bench.asks(3)

    def slow() -> Answered:
        go.wait(10)
        return first.act()

    async def crowd() -> Answered:
        batches = Batches(bench.office)
        given_up = asyncio.create_task(batches.answer(Ask(slow, first.sender, first.now)))
        kept = asyncio.create_task(batches.answer(second))
        await asyncio.sleep(0.05)
        given_up.cancel()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        await batches.answer(third)
        return await kept

    assert asyncio.run(crowd()).reply.status == 200


def test_when_no_thread_can_be_had_everybody_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_work: object) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(asyncio, "to_thread", gone)
    replies = answered(bench, bench.asks(3))

    assert [type(each) for each in replies] == [Unavailable] * 3
