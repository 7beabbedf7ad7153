"""When a refusal leaves: at the end of a slot, whatever was done inside it.

The kinds of refusal differ in their work by what a policy reads of a consent that is there or not.
Work cannot be made equal for good, since every change of a rule changes it; the moment can.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from gateway.serving.model import Answer, Call, Refusal

SLOT: Final = 0.1
"""Seconds; several times what a refusal takes on an idle machine."""
Answering: TypeAlias = Callable[[Call], Awaitable[Answer | Refusal]]


def levelled(answer: Answering) -> Answering:
    """The same, but a refusal leaves at the end of the slot it was made in."""

    async def at_the_end(call: Call) -> Answer | Refusal:
        began = time.monotonic()
        told = await answer(call)
        if isinstance(told, Refusal):
            await asyncio.sleep(SLOT - (time.monotonic() - began) % SLOT)
        return told

    return at_the_end
