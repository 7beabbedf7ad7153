"""Leases in Valkey or Redis: one script per lease.

Its memory is not trusted over a restart: what was given in the last second may be missing in what
it loads, and a replica that takes over may be behind. So a count belongs to one run of the server
and is opened anew, from the journals, after every restart; until then nothing is given. Nor is
anything given by a server that may evict keys for want of memory: it could lose a counter alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.errors import OperatorError
from gateway.quota.port import Ask, Begun, Holdings, Key, Lease, QuotaForgotten, QuotaUnproven, Told

PREFIX = "{sluice:quota}:"  # in braces: a cluster keeps all of it in one place
COUNT = PREFIX + "count"
COUNTER = PREFIX + "counter:"
HOLDER = PREFIX + "holder:"
TIMEOUT = 2.0
EVICTS = "evicts"
KEPT = 40 * 86_400
"""Seconds after the last word on a counter, by the server's own clock: longer than any window."""
_HERE = Path(__file__)


class ValkeyStore:
    """The shared store of replicas; connects when first asked."""

    shared = True

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        # Asked once more at once on a connection that turned out dead: a word said twice is heard
        # once.
        self._server = Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1),
            decode_responses=True,
        )
        self._lease = self._server.register_script(_HERE.with_name("lease.lua").read_text("utf-8"))
        self._begin = self._server.register_script(_HERE.with_name("begin.lua").read_text("utf-8"))

    async def begin(self, holder: str) -> Begun:
        async with _asking():
            told = await self._begin(keys=[COUNT, HOLDER + holder], args=[holder, COUNTER])
        _check(told)
        if not told:
            raise QuotaForgotten("epoch")
        epoch, *rest = told
        rows = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
        return Begun(epoch, {Key.of(key): Lease(int(held), int(seq)) for key, held, seq in rows})

    async def lease(self, epoch: str, holder: str, asks: Sequence[Ask]) -> tuple[Told, ...]:
        keys, args = [COUNT, HOLDER + holder], [epoch, holder, str(KEPT)]
        for ask in asks:
            keys.append(COUNTER + str(ask.key))
            numbers = (ask.have, ask.want, ask.least, ask.extra, ask.limit, ask.seq)
            args += [str(ask.key), *map(str, numbers)]
        async with _asking():
            told = await self._lease(keys=keys, args=args)
        _check(told)
        if len(told) != 2 * len(asks):
            raise QuotaForgotten("epoch")
        return tuple(map(Told, told[::2], told[1::2]))

    async def shut(self) -> None:
        async with _asking():
            await self._server.delete(COUNT)

    async def open(self, used: Holdings) -> str:
        epoch = uuid4().hex
        async with _asking():
            old = [key async for key in self._server.scan_iter(PREFIX + "*")]
            run = (await self._server.info("server"))["run_id"]
            evicted = (await self._server.info("stats"))["evicted_keys"]
            _check_memory(await self._server.info("memory"))
            pipe = self._server.pipeline(transaction=True)
            if old:
                pipe.delete(*old)
            totals: dict[Key, int] = {}
            for (key, holder), amount in used.items():
                totals[key] = totals.get(key, 0) + amount
                pipe.hset(COUNTER + str(key), f"held:{holder}", str(amount))
                pipe.hset(COUNTER + str(key), f"seq:{holder}", "0")
                pipe.hset(COUNTER + str(key), "total", str(totals[key]))
                pipe.expire(COUNTER + str(key), KEPT)
                pipe.sadd(HOLDER + holder, str(key))
            pipe.hset(COUNT, mapping={"id": epoch, "run": run, "evicted": str(evicted)})
            await pipe.execute()
        return epoch

    async def close(self) -> None:
        await self._server.aclose()


def _check(told: Sequence[object]) -> None:
    """Refuse a server that the scripts would not lease from."""
    if list(told[:1]) == [EVICTS]:
        raise QuotaUnproven("the server may evict keys: set its maxmemory-policy to noeviction")


def _check_memory(info: Mapping[str, object]) -> None:
    """No count is opened where the scripts would not lease from it."""
    if info.get("maxmemory") != 0 and info.get("maxmemory_policy") != "noeviction":
        raise OperatorError(
            "quota_store",
            "The server of redis_url_file may evict counters when its memory is full. Set its"
            " maxmemory-policy to noeviction, then open the count again.",
        )


@asynccontextmanager
async def _asking() -> AsyncIterator[None]:
    try:
        yield
    # uvloop says RuntimeError of a connection that closed while something was written to it.
    except (RedisError, OSError, RuntimeError) as error:
        raise QuotaUnproven(type(error).__name__) from error
