"""A Valkey that may drop keys when its memory is full is no store of quotas."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import redis

from gateway.errors import OperatorError
from gateway.quota.port import Ask, Key, QuotaForgotten, QuotaUnproven
from gateway.quota.valkey import COUNT, COUNTER, ValkeyStore
from tests.valkey_server import ValkeyServer, valkey_server

pytestmark = pytest.mark.services

DAY = Key("grant", "g", "calls_day", "2030-01-31")
ROOM = 4 * 2**20
LOSES = "volatile-lru"  # the default of many managed servers: what has a TTL may go


def fill(client: redis.Redis) -> None:
    """Write keys with a TTL until the server has dropped some of them."""
    for number in range(4000):
        client.set(f"other:{number}", "x" * 4000, ex=3600)
    assert client.info("stats")["evicted_keys"] > 0


def set_memory(client: redis.Redis, policy: str) -> None:
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", used + ROOM)
    client.config_set("maxmemory-policy", policy)


async def taken(store: ValkeyStore, epoch: str, seq: int) -> int:
    (told,) = await store.lease(epoch, "a", [Ask(DAY, 0, 10, 10, 0, 100, seq)])
    return told.total


def test_no_count_is_opened_where_counters_could_be_evicted(valkey_own: ValkeyServer) -> None:
    async def open_count() -> None:
        store = ValkeyStore(valkey_own.url)
        try:
            await store.open({})
        finally:
            await store.close()

    with redis.Redis.from_url(valkey_own.url) as client:
        set_memory(client, LOSES)
        with pytest.raises(OperatorError, match="maxmemory-policy to noeviction"):
            asyncio.run(open_count())
        assert not client.exists(COUNT)
        client.config_set("maxmemory-policy", "noeviction")
        asyncio.run(open_count())
        client.config_set("maxmemory-policy", LOSES)
        client.config_set("maxmemory", 0)  # no limit: nothing is ever evicted
        asyncio.run(open_count())


def test_what_was_given_is_not_given_again_after_an_eviction(valkey_own: ValkeyServer) -> None:
    """Also where the policy is set right again afterwards: the counter may be gone by then."""

    async def walk(client: redis.Redis) -> None:
        store = ValkeyStore(valkey_own.url)
        epoch = await store.open({})
        assert await taken(store, epoch, 1) == 10
        set_memory(client, LOSES)
        for ask in (taken(store, epoch, 2), store.begin("a")):
            with pytest.raises(QuotaUnproven, match="quota's count") as refused:
                await ask
            assert "noeviction" in refused.value.reason
        await asyncio.to_thread(fill, client)
        client.delete(COUNTER + str(DAY))  # one of those that it may have dropped
        client.config_set("maxmemory-policy", "noeviction")
        for again in (taken(store, epoch, 3), store.begin("a")):
            with pytest.raises(QuotaForgotten):
                await again
        await store.close()

    with redis.Redis.from_url(valkey_own.url) as client:
        asyncio.run(walk(client))


def test_a_full_server_that_evicts_nothing_gives_nothing(valkey_own: ValkeyServer) -> None:
    async def walk(client: redis.Redis) -> None:
        store = ValkeyStore(valkey_own.url)
        epoch = await store.open({})
        assert await taken(store, epoch, 1) == 10
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        with pytest.raises(QuotaUnproven):
            await taken(store, epoch, 2)
        client.config_set("maxmemory", 0)
        assert await taken(store, epoch, 3) == 10
        await store.close()

    with redis.Redis.from_url(valkey_own.url) as client:
        asyncio.run(walk(client))


@pytest.fixture
def valkey_own() -> Iterator[ValkeyServer]:
    with valkey_server() as server:
        yield server
