"""`sluice serve`, with the edge's times and places made small enough to be used up in a test.

Run as a program: `python -m tests.quick_serve small,loud serve --port …`. Everything else is the
server as it is started in production; `loud` has every logger say all it can, `small` leaves few
places to those who ask.
"""

from __future__ import annotations

import logging
import sys

from gateway.api import connection, edge
from gateway.cli import main
from gateway.journal import schema
from gateway.serving import places
from gateway.serving.places import Room

ARRIVAL = STALL = 1.0
ANSWER = 4.0
QUERY = Room(places=8, share=6, kept=2)


def shrink() -> None:
    """Small times."""
    connection.ARRIVAL_SECONDS = ARRIVAL  # type: ignore[misc]
    connection.STALL_SECONDS = STALL  # type: ignore[misc]
    edge.ANSWER_SECONDS = ANSWER  # type: ignore[misc]
    schema.BUSY = 5 * ANSWER  # type: ignore[misc]  # a journal held up is to be waited for


if __name__ == "__main__":
    shrink()
    asked = sys.argv.pop(1).split(",")
    if "small" in asked:
        places.ROOMS["query"] = QUERY  # type: ignore[index]
    if "loud" in asked:
        for name in ("", *logging.root.manager.loggerDict):
            logging.getLogger(name).setLevel(logging.DEBUG)
    main()
