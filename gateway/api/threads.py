"""Blocking work in threads of its own kind, so that one kind cannot hold up another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

Given = ParamSpec("Given")
Found = TypeVar("Found")


async def in_thread(
    limiter: CapacityLimiter, act: Callable[Given, Found], *args: Given.args, **named: Given.kwargs
) -> Found:
    """What the act returns; raises what it raises."""
    return await anyio.to_thread.run_sync(partial(act, *args, **named), limiter=limiter)
