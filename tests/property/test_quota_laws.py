"""Quotas over replicas: used + reserved never passes the limit, whatever happens to whom and when.

Nodes crash with calls in flight and start again from their journals; words to the store are late or
lost on either way; the line is cut; days and months end; limits move; the store forgets and is
rebuilt. And where nothing goes wrong, exactly the limit is served.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.quota.embedded import EmbeddedStore
from gateway.quota.leases import GRACE, TTL
from gateway.quota.port import Key, QuotaUnproven
from metering.calendar import day_of, month_of
from tests.quota_world import GRANT, Clock, Flying, Line, Node, used_of

NAMES = ("n0", "n1", "n2")
LIMITS = {"calls_day": 60, "cells_day": 500, "cells_month": 700, "distinct_queries_day": 6}


class Replicas(RuleBasedStateMachine):
    """Three nodes of one home and what befalls them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock, self.store = Clock(), EmbeddedStore(shared=True)
        self.limits = dict(LIMITS)
        self.highest = dict(LIMITS)  # of the running windows
        self.nodes = {name: self._node(name, []) for name in NAMES}
        self.flying: list[Flying] = []
        self.loop.run_until_complete(self.store.open({}))

    def teardown(self) -> None:
        for word in asyncio.all_tasks(self.loop):  # that nobody waits for
            word.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def _node(self, name: str, journal: list[object]) -> Node:
        line = Line(self.store, random.Random(name))  # noqa: S311 - reproducible, not secret
        return Node(name, self.clock, line, journal)  # type: ignore[arg-type]  # what it was

    @rule(
        calls=st.lists(
            st.tuples(st.sampled_from(NAMES), st.sampled_from("abcdefgh"), st.integers(0, 120)),
            min_size=1,
            max_size=8,
        )
    )
    def ask(self, calls: list[tuple[str, str, int]]) -> None:
        """Calls at the same time, on any nodes."""

        async def one(name: str, query: str, cells: int) -> None:
            with suppress(QuotaUnproven):
                if call := await self.nodes[name].call(query, cells, self.limits):
                    self.flying.append(call)
                    self.never_over()

        async def all_of_them() -> None:
            await asyncio.gather(*(one(*call) for call in calls))

        self.loop.run_until_complete(all_of_them())

    @precondition(lambda self: self.flying)
    @rule(pick=st.integers(0, 99), part=st.sampled_from([None, 0.0, 0.5, 1.0]))
    def finish(self, pick: int, part: float | None) -> None:
        """A call is answered with all or some of its cells, or fails."""
        call = self.flying.pop(pick % len(self.flying))
        if part is None:
            call.hold.release()
        else:
            call.node.record(call, int(call.cells * part))

    @rule(name=st.sampled_from(NAMES), stored=st.booleans())
    def kill(self, name: str, stored: bool) -> None:
        """A node dies; what it was about to record may have reached the disk. It starts again."""
        old = self.nodes[name]
        for call in [one for one in self.flying if one.node is old]:
            self.flying.remove(call)
            if stored:
                old.record(call, call.cells)
        self.nodes[name] = self._node(name, old.journal)  # type: ignore[arg-type]

    @rule(name=st.sampled_from(NAMES))
    def begin(self, name: str) -> None:
        self.loop.run_until_complete(self.nodes[name].quotas.leases.begin())

    @rule(name=st.sampled_from(NAMES), lost=st.sampled_from([0.0, 0.3]), cut=st.booleans())
    def line(self, name: str, lost: float, cut: bool) -> None:
        self.nodes[name].line.lost, self.nodes[name].line.cut = lost, cut

    @rule(seconds=st.sampled_from([0.1, 0.6, 3.0, 16.0, 40.0]))
    def wait(self, seconds: float) -> None:
        """Time passes, and every node tends its slabs."""
        before = self.clock.now
        self.clock.wait(seconds)
        for node in self.nodes.values():
            self.loop.run_until_complete(node.quotas.leases.tend(self.clock.now))
        self._turned(before)

    @precondition(lambda self: not self.flying)
    @rule()
    def midnight(self) -> None:
        """The day ends, and at first the month with it; calls in flight belong to the old one."""
        before = self.clock.now
        self.clock.wait(3600 if day_of(before).endswith("30") else 86_400)
        self._turned(before)

    def _turned(self, before: datetime) -> None:
        """Of the limits of a window that has begun since, only the present ones count."""
        if day_of(before) == day_of(self.clock.now):
            return
        begun = {name: self.limits[name] for name in LIMITS if name != "cells_month"}
        if month_of(before) != month_of(self.clock.now):
            begun["cells_month"] = self.limits["cells_month"]
        self.highest |= begun

    @rule(factor=st.sampled_from([0.5, 1.0, 1.5]))
    def move_the_limits(self, factor: float) -> None:
        self.limits = {name: int(limit * factor) for name, limit in LIMITS.items()}
        self.highest = {name: max(self.highest[name], self.limits[name]) for name in LIMITS}

    @precondition(lambda self: not any(node.line.cut for node in self.nodes.values()))
    @rule()
    def forget(self) -> None:
        """The store loses its memory, and is rebuilt as `sluice quota rebuild` does it."""
        self.loop.run_until_complete(self.store.shut())
        for call in list(self.flying):
            self.flying.remove(call)
            call.node.record(call, call.cells)
        self.wait(TTL + GRACE)
        now, used = self.clock.now, {}
        for name, node in self.nodes.items():
            for counter, amount in used_of(node.journal, now).items():
                window = month_of(now) if counter == "cells_month" else day_of(now)
                used[Key("grant", GRANT, counter, window), name] = amount
        self.loop.run_until_complete(self.store.open(used))

    @invariant()
    def never_over(self) -> None:
        now = self.clock.now
        answered = [one for node in self.nodes.values() for one in node.journal]
        used = used_of(answered, now)
        flying = [one for one in self.flying if day_of(one.hold.time) == day_of(now)]
        used["calls_day"] += len(flying)
        for counter in ("cells_day", "cells_month"):
            used[counter] += sum(one.cells for one in flying)
        asked = {one.query for one in answered if day_of(one.time) == day_of(now)}
        used["distinct_queries_day"] = len(asked | {one.query for one in flying})
        over = {name: used[name] for name, limit in self.highest.items() if used[name] > limit}
        assert not over, (over, self.highest)


Replicas.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
TestReplicas = Replicas.TestCase


@contextmanager
def replicas(count: int, seed: int = 0) -> Iterator[tuple[Clock, EmbeddedStore, list[Node]]]:
    clock, store = Clock(), EmbeddedStore(shared=True)
    lines = (Line(store, random.Random(seed + number)) for number in range(count))  # noqa: S311
    yield clock, store, [Node(f"n{i}", clock, line) for i, line in enumerate(lines)]


async def ask_until_refused(node: Node, limits: dict[str, int], cells: int = 1) -> int:
    served = 0
    while call := await node.call("q", cells, limits):
        node.record(call, cells)
        served += 1
    return served


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 5), st.integers(1, 12), st.integers(0, 500), st.integers(0, 99))
def test_exactly_the_limit_is_served_when_all_ask_until_refused(
    nodes: int, clients: int, limit: int, seed: int
) -> None:
    async def race() -> int:
        with replicas(nodes, seed) as (_, store, all_nodes):
            await store.open({})
            everybody = (ask_until_refused(n, {"calls_day": limit}) for n in all_nodes * clients)
            return sum(await asyncio.gather(*everybody))

    assert asyncio.run(race()) == limit


@pytest.mark.parametrize("seconds", [0, 400])
def test_many_calls_cost_few_words(seconds: int) -> None:
    """However fast they come: slabs are confirmed together, by one word for all of a call's."""

    async def race() -> tuple[int, int]:
        with replicas(4) as (clock, store, nodes):
            await store.open({})
            clock.now += timedelta(days=1)  # no day ends meanwhile
            limits = {"calls_day": 10_000, "cells_day": 60_000, "cells_month": 10**6}
            limits |= {"distinct_queries_day": 10_000}

            async def client(node: Node) -> int:
                served = 0
                while call := await node.call("q", 5, limits):
                    node.record(call, 5)
                    served += 1
                    clock.wait(seconds / 10_000)
                    await asyncio.sleep(0)
                return served

            served = await asyncio.gather(*map(client, nodes * 16))
            return sum(served), store.operations

    served, operations = asyncio.run(race())
    assert served == 10_000
    assert operations <= 0.015 * served


def test_what_a_dead_node_held_is_servable_after_it_has_read_its_journal() -> None:
    async def walk() -> None:
        with replicas(3) as (clock, store, nodes):
            await store.open({})
            limits = {"calls_day": 1000}
            dead, *alive = nodes
            for _ in range(60):
                call = await dead.call("q", 1, limits)
                assert call
                dead.record(call, 1)
            lost = await dead.call("q", 1, limits)  # in flight, and never on record
            assert lost is not None
            served = [await ask_until_refused(node, limits) for node in alive]
            assert 60 + sum(served) < 1000
            again = Node(dead.name, clock, dead.line, dead.journal)
            await again.quotas.leases.begin()
            clock.wait(1)  # the others were told a moment ago that there is no more
            served += [await ask_until_refused(node, limits) for node in (alive[0], again)]
            assert 60 + sum(served) == 1000

    asyncio.run(walk())


def test_without_the_store_what_is_leased_is_served_and_no_more() -> None:
    async def walk() -> None:
        with replicas(1) as (clock, store, (node,)):
            await store.open({})
            limits = {"calls_day": 1000}
            assert await node.call("q", 1, limits)
            node.line.cut = True
            for _ in range(8):  # the first slab: one asked for, eight beside
                assert await node.call("q", 1, limits)
            with pytest.raises(QuotaUnproven):
                await node.call("q", 1, limits)
            node.line.cut = False
            clock.wait(1)
            assert await node.call("q", 1, limits)

    asyncio.run(walk())


def test_a_slab_is_good_for_a_time_only_when_the_store_is_silent() -> None:
    async def walk() -> None:
        with replicas(1) as (clock, store, (node,)):
            await store.open({})
            assert await node.call("q", 1, {"calls_day": 1000})
            node.line.cut = True
            clock.wait(TTL - 1)
            assert await node.call("q", 1, {"calls_day": 1000})
            await asyncio.sleep(0)
            clock.wait(2)
            with pytest.raises(QuotaUnproven):
                await node.call("q", 1, {"calls_day": 1000})

    asyncio.run(walk())


def test_an_idle_node_gives_back_and_a_stopped_one_keeps_nothing() -> None:
    async def walk() -> None:
        with replicas(2) as (clock, store, (idle, stopped)):
            await store.open({})
            for node in (idle, stopped):
                call = await node.call("q", 1, {"calls_day": 1000})
                assert call
                node.record(call, 1)
            await stopped.quotas.leases.drain()
            clock.wait(TTL + 1)
            await idle.quotas.leases.tend(clock.now)
            key = Key("grant", GRANT, "calls_day", day_of(clock.now))
            for node in (idle, stopped):
                assert (await store.begin(node.name)).held[key].held == 1

    asyncio.run(walk())
