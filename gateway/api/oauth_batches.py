"""Requests that change nothing, in batches: one trip to a worker thread, one transaction for many.

A token for a machine is two signatures to verify and one to make; handing each to a thread and
back, and a transaction for each assertion, would cost as much again. So requests that arrive while
a batch is worked on wait together for the next. An answer leaves the batch when its assertion is
used up, durably; a request that writes, and may wait for others, never joins one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from gateway.authserver.model import Answered
from gateway.authserver.office import Office
from gateway.errors import Unavailable
from gateway.identity.assertion import Assertion
from gateway.identity.binding import Presented

_MOST = 64
_Outcome: TypeAlias = Answered | Exception


@dataclass(frozen=True)
class Ask:
    """One request: how to answer it, who sent it, when."""

    act: Callable[[], Answered]
    sender: Presented
    now: datetime


class Batches:
    """The front of one office; used by one event loop."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._queue: list[tuple[Ask, asyncio.Future[Answered]]] = []
        self._working: asyncio.Task[None] | None = None

    async def answer(self, ask: Ask) -> Answered:
        """The answer, its assertion used up; raises what answering or using up raised."""
        waiter: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._queue.append((ask, waiter))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await waiter

    async def _work(self) -> None:
        """Work until nobody waits."""
        try:
            while self._queue:
                taken, self._queue = self._queue[:_MOST], self._queue[_MOST:]
                outcomes = await self._try_all([ask for ask, _ in taken])
                for (_, waiter), outcome in zip(taken, outcomes, strict=True):
                    _tell(waiter, outcome)
        finally:
            self._working = None

    async def _try_all(self, asks: Sequence[Ask]) -> Sequence[_Outcome]:
        """Nobody may be left waiting, even where no thread can be had (at the process's end)."""
        try:
            return await asyncio.to_thread(self._answer_all, asks)
        except Exception:  # noqa: BLE001 - told to each who waits
            sorry = "The authorisation server is stopping; try again in a few seconds."
            return [Unavailable("oauth_unavailable", sorry)] * len(asks)

    def _answer_all(self, asks: Sequence[Ask]) -> list[_Outcome]:
        outcomes = [_answer(ask) for ask in asks]
        used = [
            (place, outcome.assertion)
            for place, outcome in enumerate(outcomes)
            if isinstance(outcome, Answered) and outcome.assertion is not None
        ]
        if used:
            self._use_up(asks, outcomes, used)
        return outcomes

    def _use_up(
        self, asks: Sequence[Ask], outcomes: list[_Outcome], used: list[tuple[int, Assertion]]
    ) -> None:
        try:
            guard, latest = self._office.parts.replay, asks[-1].now
            firsts = guard.first_uses([assertion for _, assertion in used], latest)
        except Exception as error:  # noqa: BLE001 - every request of the batch must hear of it
            for place, _ in used:
                outcomes[place] = error
            return
        for (place, _), first in zip(used, firsts, strict=True):
            ask, answered = asks[place], outcomes[place]
            if isinstance(answered, Answered):
                settled = self._office.settle(answered, ask.sender, ask.now, first=first)
                outcomes[place] = settled


def _answer(ask: Ask) -> _Outcome:
    try:
        return ask.act()
    except Exception as error:  # noqa: BLE001 - it is that request's own; the others go on
        return error


def _tell(waiter: asyncio.Future[Answered], outcome: _Outcome) -> None:
    if waiter.done():  # its request was given up meanwhile
        return
    if isinstance(outcome, Exception):
        waiter.set_exception(outcome)
    else:
        waiter.set_result(outcome)
