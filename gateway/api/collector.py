"""How a serving process looks for garbage that refers to itself."""

from __future__ import annotations

import gc
from typing import Final

IN_FLIGHT: Final = 10_000
"""Containers that calls on their way may hold. Python's own 700 are passed by a few calls that wait
for the journal: each look then goes through what they hold, finds nothing and makes it look old."""


def settle() -> None:
    """Call it once, when everything is loaded: what the program itself is made of is not looked
    through again, and what calls hold only once there is more of it than calls on their way have.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(IN_FLIGHT, *gc.get_threshold()[1:])
