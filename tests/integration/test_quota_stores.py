"""Every store gives what the one rule of leases says; what one gave is not given again.

The same suite runs on the store inside the process, on Valkey and on PostgreSQL.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.quota.embedded import EmbeddedStore
from gateway.quota.port import Ask, Key, QuotaForgotten, QuotaUnproven, Rebuildable
from gateway.quota.postgres import PostgresStore
from gateway.quota.valkey import ValkeyStore
from tests.crash_harness import free_port
from tests.postgres_server import PostgresServer
from tests.valkey_server import ValkeyServer, valkey_server

DAY, MONTH = (
    Key("grant", "g", "calls_day", "2030-01-31"),
    Key("tenant", "t", "spent_month_fen", "2030-01"),
)
Make = Callable[[], Rebuildable]


@pytest.fixture(params=["embedded", "valkey", "postgres"])
def make(request: pytest.FixtureRequest) -> Make:
    if request.param == "embedded":
        return lambda: EmbeddedStore(shared=True)
    if request.param == "valkey":
        url: str = request.getfixturevalue("valkey_url")
        return lambda: ValkeyStore(url)
    dsn: str = request.getfixturevalue("postgres_dsn")
    asyncio.run(_made(dsn))
    return lambda: PostgresStore(dsn)


async def _made(dsn: str) -> None:
    store = PostgresStore(dsn)
    await store.make()
    await store.close()


@asynccontextmanager
async def opened(make: Make) -> AsyncIterator[tuple[Rebuildable, str]]:
    store = make()
    try:
        yield store, await store.open({})
    finally:
        await store.close()


def words(seed: int) -> list[tuple[str, list[Ask]]]:
    """What three nodes might say, some of it overtaken on the way, all of it on two counters."""
    choose, said = random.Random(seed), []  # noqa: S311 - reproducible, not secret
    for number in range(1, 120):
        keys = choose.sample([DAY, MONTH], choose.randrange(1, 3))
        asks = []
        for key in keys:
            want = choose.choice([0, 1, 3, 40])
            asks.append(
                Ask(
                    key,
                    have=choose.choice([0, 5, 30]),
                    want=want,
                    least=choose.randrange(want + 1),
                    extra=choose.choice([0, 7, 500]),
                    limit=choose.choice([100, 100, 60]),
                    seq=max(1, number - choose.choice([0, 0, 0, 4])),
                )
            )
        said.append((choose.choice(["a", "b", "c"]), asks))
    return said


def test_every_store_answers_as_the_one_rule(make: Make) -> None:
    async def agree() -> None:
        model = EmbeddedStore(shared=True)
        count = await model.open({})
        async with opened(make) as (store, epoch):
            for holder, asks in words(7):
                assert await store.lease(epoch, holder, asks) == await model.lease(
                    count, holder, asks
                )
            for holder in "abc":
                assert (await store.begin(holder)).held == (await model.begin(holder)).held

    asyncio.run(agree())


def test_racing_nodes_never_hold_more_than_the_limit_together(make: Make) -> None:
    """Twelve connections ask for small pieces at once until nothing is left."""

    async def node(store: Rebuildable, epoch: str, name: str) -> int:
        held, seq = 0, 0
        while True:
            seq += 1
            ask = Ask(DAY, held, 3, 1, 5, 500, seq)
            (told,) = await store.lease(epoch, name, [ask])
            assert told.total <= 500
            if told.held == held:
                return held
            held = told.held

    async def race() -> None:
        async with opened(make) as (first, epoch):
            others = [first if isinstance(first, EmbeddedStore) else make() for _ in range(12)]
            held = await asyncio.gather(
                *(node(store, epoch, f"n{number}") for number, store in enumerate(others))
            )
            assert sum(held) == 500
            for store in others:
                await store.close()

    asyncio.run(race())


def test_a_count_that_is_shut_gives_nothing_until_another_is_opened(make: Make) -> None:
    async def walk() -> None:
        async with opened(make) as (store, epoch):
            ask = Ask(MONTH, 0, 10, 10, 0, 100, 1)
            await store.lease(epoch, "a", [ask])
            await store.shut()
            with pytest.raises(QuotaForgotten):
                await store.lease(epoch, "a", [ask])
            with pytest.raises(QuotaForgotten):
                await store.begin("a")
            again = await store.open({(MONTH, "a"): 60, (MONTH, "b"): 30, (DAY, "b"): 1})
            with pytest.raises(QuotaForgotten):  # whoever has not heard of it
                await store.lease(epoch, "a", [ask])
            begun = await store.begin("b")
            assert begun.epoch == again
            assert {key: lease.held for key, lease in begun.held.items()} == {MONTH: 30, DAY: 1}
            (told,) = await store.lease(again, "a", [Ask(MONTH, 60, 20, 1, 0, 100, 1)])
            assert told == (70, 100)

    asyncio.run(walk())


@pytest.mark.parametrize(
    ("old", "new"), [("2030-01-31", "2030-02-01"), ("2030-01", "2030-02"), ("2030-12", "2031-01")]
)
def test_the_turn_of_a_window_gives_nothing_of_the_old_one_again(
    make: Make, old: str, new: str
) -> None:
    """One node's clock is in the new window already, another one's is not."""

    async def walk() -> None:
        async with opened(make) as (store, epoch):
            before, after = (Key("grant", "g", "calls", window) for window in (old, new))
            (told,) = await store.lease(epoch, "a", [Ask(before, 0, 90, 90, 0, 100, 1)])
            assert told == (90, 90)
            await store.lease(epoch, "b", [Ask(after, 0, 5, 5, 0, 100, 1)])
            (told,) = await store.lease(epoch, "b", [Ask(before, 0, 90, 1, 0, 100, 2)])
            assert told == (10, 100)

    asyncio.run(walk())


def test_windows_that_are_long_over_are_forgotten() -> None:
    async def walk() -> int:
        store = EmbeddedStore()
        epoch = (await store.begin("a")).epoch
        for seq, month in enumerate(("2029-12", "2030-01", "2030-02", "2030-03"), start=1):
            for window in (month, f"{month}-01", f"{month}-28"):
                await store.lease(
                    epoch, "a", [Ask(Key("grant", "g", "c", window), 0, 1, 1, 0, 9, seq)]
                )
        return len((await store.begin("a")).held)

    assert asyncio.run(walk()) <= 4


def test_a_store_never_opened_gives_nothing(make: Make) -> None:
    async def ask() -> None:
        store = make()
        try:
            await store.shut()
            with pytest.raises(QuotaForgotten):
                await store.begin("a")
        finally:
            await store.close()

    asyncio.run(ask())


@pytest.mark.services
@pytest.mark.parametrize("memory", ["everything", "nothing"])
def test_a_restarted_valkey_gives_nothing_of_the_old_count(memory: str) -> None:
    """Even when it loads all it had: what it loads may be older than what it gave."""

    async def restart(server: ValkeyServer) -> None:
        store = ValkeyStore(server.url)
        epoch = await store.open({})
        ask = Ask(DAY, 0, 10, 10, 0, 100, 1)
        assert await store.lease(epoch, "a", [ask]) == ((10, 10),)
        await asyncio.to_thread(server.restart, "immediate")
        with pytest.raises(QuotaForgotten):
            await store.lease(epoch, "a", [ask])
        with pytest.raises(QuotaForgotten):
            await store.begin("a")
        await store.close()

    with valkey_server(appendonly="yes" if memory == "everything" else "no") as server:
        asyncio.run(restart(server))


def test_an_unreachable_store_is_said_to_be_so(unused_port: int) -> None:
    async def ask() -> None:
        for store in (
            ValkeyStore(f"redis://127.0.0.1:{unused_port}/0"),
            PostgresStore(f"postgresql://nobody@127.0.0.1:{unused_port}/none"),
        ):
            with pytest.raises(QuotaUnproven):
                await store.begin("a")
            await store.close()

    asyncio.run(ask())


@pytest.fixture
def unused_port() -> int:
    return free_port()


@pytest.mark.services
def test_the_gateways_role_may_lease_and_not_open_a_count(postgres: PostgresServer) -> None:
    async def walk(owner: str, app: str) -> None:
        makes, leases = PostgresStore(owner), PostgresStore(app)
        await makes.make("sluice_leases")
        epoch = await makes.open({})
        (told,) = await leases.lease(epoch, "a", [Ask(DAY, 0, 5, 5, 0, 10, 1)])
        assert told == (5, 5)
        assert (await leases.begin("a")).held[DAY].held == 5
        with pytest.raises(QuotaUnproven):
            await leases.open({})
        with pytest.raises(QuotaUnproven):
            await leases.shut()
        await makes.close()
        await leases.close()

    with postgres.database() as dsn:
        name = dsn.rsplit("/", 1)[1]
        postgres.sql("CREATE ROLE sluice_leases LOGIN PASSWORD 'of-the-tests'")
        try:
            asyncio.run(walk(dsn, postgres.dsn(name, "sluice_leases", "of-the-tests")))
        finally:
            postgres.sql("DROP OWNED BY sluice_leases", database=name)
            postgres.sql("DROP ROLE sluice_leases")
