"""Refusals about persons leave at the end of a slot; answers at once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.claims import levelling
from gateway.claims.levelling import SLOT, levelled
from gateway.serving.model import Answer, Refusal

WORK = {"little": 0.012, "much": 0.031, "over a slot": SLOT + 0.02}


def left_at(told: object, work: float, monkeypatch: pytest.MonkeyPatch) -> float:
    """When what was made after so much work leaves, by a clock that only moves with work."""
    now = 100.0

    async def answer(_: Any) -> Any:
        nonlocal now
        now += work
        return told

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    # Names of this module alone: other threads go on by the true clock.
    monkeypatch.setattr(levelling, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(levelling, "asyncio", SimpleNamespace(sleep=sleep))
    call: Any = None
    loop = asyncio.new_event_loop()
    try:
        assert loop.run_until_complete(levelled(answer)(call)) is told
    finally:
        loop.close()
    return now - 100.0


def test_a_refusal_leaves_at_the_end_of_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = object.__new__(Refusal)
    left = {name: left_at(refusal, work, monkeypatch) for name, work in WORK.items()}
    assert left["little"] == pytest.approx(SLOT) == left["much"]
    assert left["over a slot"] == pytest.approx(2 * SLOT)


def test_an_answer_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = object.__new__(Answer)
    assert left_at(answer, 0.012, monkeypatch) == pytest.approx(0.012)
